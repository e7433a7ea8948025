/* The decoder: what the encoder wrote comes back byte for byte; foreign and hostile casts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "recorder/base/buffer.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/cast/event_line.h"

/* All events of a cast, as one text: "time_us code/stream text|raw" a line; and the raw streams. */
struct seen {
    struct buffer log, raw[3];
    int stop_after; /* return 7 at this event; 0: never */
    int events;
    int64_t last_ns;
};

static struct seen nothing_seen(void)
{
    struct buffer empty = BUFFER_INIT(64 << 20);
    return (struct seen){.log = empty, .raw = {empty, empty, empty}};
}

static void forget(struct seen *seen)
{
    buffer_free(&seen->log);
    for (int i = 0; i < 3; i++)
        buffer_free(&seen->raw[i]);
}

static int see(void *context, const struct cast_event *event, struct error *error)
{
    (void)error;
    struct seen *seen = context;
    seen->events++;
    assert_true(event->time_ns >= seen->last_ns);
    seen->last_ns = event->time_ns;
    assert_int_equal(buffer_printf(&seen->log, "%lld %c%d ", (long long)event->time_ns / 1000,
                                   event->code, event->stream),
                     0);
    assert_int_equal(buffer_append(&seen->log, event->text, event->text_length), 0);
    if (event->code == 'o' || event->code == 'i') {
        assert_int_equal(buffer_append(&seen->log, "|", 1), 0);
        assert_int_equal(buffer_append(&seen->log, event->raw, event->raw_length), 0);
        assert_int_equal(buffer_append(&seen->raw[event->stream], event->raw, event->raw_length),
                         0);
    } else {
        assert_null(event->raw);
    }
    assert_int_equal(buffer_append(&seen->log, "\n", 1), 0);
    return seen->events == seen->stop_after ? 7 : 0;
}

/* Feeds it in steps of `step` bytes, each from a copy of its own. */
static int decode(const char *text, size_t length, size_t step, struct seen *seen,
                  struct error *error)
{
    struct cast_decoder *decoder;
    assert_int_equal(cast_decoder_new(see, seen, &decoder, NULL), 0);
    int rc = 0;
    while (!rc && length) {
        size_t take = length < step ? length : step;
        char *copy = malloc(take);
        assert_non_null(copy);
        memcpy(copy, text, take);
        rc = cast_decoder_feed(decoder, copy, take, error);
        free(copy);
        text += take;
        length -= take;
    }
    if (!rc)
        rc = cast_decoder_finish(decoder, error);
    cast_decoder_free(decoder);
    return rc;
}

static int decode_text(const char *text, struct seen *seen, struct error *error)
{
    return decode(text, strlen(text), 7, seen, error);
}

#define V2 "{\"version\":2,\"width\":80,\"height\":24}\n"
#define V3 "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n"
#define OURS "{\"version\":2,\"width\":80,\"height\":24,\"castbucket\":{\"onlcr\":true}}\n"

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static size_t random_piece(uint64_t *seed, uint8_t *to)
{
    static const char *const pieces[] = {"\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "\xf0\x9f",
                                         "\xe2",
                                         "\r\n",
                                         "\n",
                                         "\r",
                                         "\"\\",
                                         "\x1b[1;31m",
                                         "\xed\xa0\x80",
                                         "\xc0\xaf",
                                         "\xff",
                                         "plain text of some length, "};
    unsigned kind = next_random(seed) % 16;
    if (kind < 13) {
        memcpy(to, pieces[kind], strlen(pieces[kind]));
        return strlen(pieces[kind]);
    }
    size_t length = 1 + next_random(seed) % 40;
    for (size_t i = 0; i < length; i++)
        to[i] = (uint8_t)(kind == 13 ? next_random(seed) : 'a' + next_random(seed) % 26);
    return length;
}

static void any_bytes_in_any_pieces_come_back_exactly(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int round = 0; round < 4000; round++) {
        struct buffer cast = BUFFER_INIT(1 << 20), sent[3];
        struct seen seen = nothing_seen();
        struct cast_encoder encoder;
        struct cast_header header = {.version = 2 + (round & 1), .onlcr = round & 2};
        assert_int_equal(cast_begin(&encoder, &header, &cast), 0);
        for (int i = 0; i < 3; i++)
            sent[i] = BUFFER_INIT(1 << 20);
        int calls = 1 + (int)(next_random(&seed) % 12);
        for (int call = 0; call < calls; call++) {
            uint8_t data[512];
            size_t length = 0;
            while (length < 400 && next_random(&seed) % 4)
                length += random_piece(&seed, data + length);
            unsigned stream = next_random(&seed) % 3;
            assert_int_equal(buffer_append(&sent[stream], data, length), 0);
            assert_int_equal(cast_bytes(&encoder, stream, call * 1000, data, length, &cast), 0);
        }
        assert_int_equal(cast_end(&encoder, 0, round % 3 - 1, &cast), 0);
        assert_int_equal(decode(cast.data, cast.length, 1 + next_random(&seed) % 900, &seen, NULL),
                         0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(seen.raw[i].length, sent[i].length);
            if (sent[i].length)
                assert_memory_equal(seen.raw[i].data, sent[i].data, sent[i].length);
            buffer_free(&sent[i]);
        }
        buffer_free(&cast);
        forget(&seen);
    }
}

static void streams_and_exact_bytes_are_folded_into_their_events(void **state)
{
    (void)state;
    struct seen seen = nothing_seen();
    assert_int_equal(decode_text(OURS "[0.5,\"o\",\"a\\r\\nb\"]\n[1,\"s\",\"stderr\"]\n"
                                      "[1,\"o\",\"\xef\xbf\xbd\"]\n[1,\"b\",\"/w==\"]\n"
                                      "[2,\"i\",\"x\\r\\n\"]\n[2,\"s\",\"stdout\"]\n"
                                      "[2,\"o\",\"\\r\\r\\n\"]\n[3,\"x\",\"0\"]\n",
                                 &seen, NULL),
                     0);
    assert_string_equal(seen.log.data, "500000 o0 a\r\nb|a\nb\n1000000 o1 \xef\xbf\xbd|\xff\n"
                                       "2000000 i2 x\r\n|x\r\n\n2000000 o0 \r\r\n|\r\n\n"
                                       "3000000 x0 0\n");
    forget(&seen);
}

static void foreign_casts_are_read(void **state)
{
    (void)state;
    struct seen seen = nothing_seen();
    assert_int_equal(
        decode_text("{\"version\": 2, \"width\": 100, \"height\": 30, \"timestamp\": 1504467315.5, "
                    "\"env\": {\"TERM\": \"xterm\", \"SHELL\": \"/bin/zsh\"}, \"theme\": {}}\r\n"
                    "[1e-05, \"o\", \"\\u00e9\\ud83d\\ude00\\/\"]\r\n\r\n"
                    "[ 1.0E0 , \"b\" , \"breakpoint\" ]\n[0.25,\"q\",\"\"]\n",
                    &seen, NULL),
        0);
    assert_string_equal(seen.log.data,
                        "10 o0 \xc3\xa9\xf0\x9f\x98\x80/|\xc3\xa9\xf0\x9f\x98\x80/\n1000000 q0 \n");
    forget(&seen);
}

static void intervals_and_comments_of_version_3_are_understood(void **state)
{
    (void)state;
    struct seen seen = nothing_seen();
    assert_int_equal(decode_text(V3 "# a comment, [not an event]\n[0.1,\"o\",\"a\"]\n#\n"
                                    "[0.2,\"r\",\"100x50\"]\n[0.3,\"m\",\"\"]\n",
                                 &seen, NULL),
                     0);
    assert_string_equal(seen.log.data, "100000 o0 a|a\n300000 r0 100x50\n600000 m0 \n");
    forget(&seen);
}

static void header_is_decoded(void **state)
{
    (void)state;
    struct buffer cast = BUFFER_INIT(65536);
    for (int version = 2; version <= 3; version++) {
        struct cast_encoder encoder;
        struct cast_decoder *decoder;
        struct seen seen = nothing_seen();
        struct cast_header header = {.version = version,
                                     .columns = 132,
                                     .rows = 43,
                                     .started_ns = INT64_C(1795465321123456789),
                                     .term = "vt220",
                                     .command = "ls -l \"x\"",
                                     .title = "alice@web-1",
                                     .onlcr = true,
                                     .id = "the-id",
                                     .organization = "acme",
                                     .socket = "web-1",
                                     .user = "alice"};
        buffer_clear(&cast);
        assert_int_equal(cast_begin(&encoder, &header, &cast), 0);
        assert_int_equal(cast_decoder_new(see, &seen, &decoder, NULL), 0);
        assert_int_equal(cast_decoder_feed(decoder, cast.data, cast.length - 1, NULL), 0);
        assert_null(cast_decoder_info(decoder));
        assert_int_equal(cast_decoder_feed(decoder, "\n", 1, NULL), 0);
        const struct cast_info *info = cast_decoder_info(decoder);
        assert_non_null(info);
        assert_int_equal(info->version, version);
        assert_int_equal(info->columns, 132);
        assert_int_equal(info->rows, 43);
        assert_int_equal(info->started_ns, INT64_C(1795465321000000000));
        assert_true(info->onlcr);
        assert_string_equal(info->term, "vt220");
        assert_string_equal(info->command, "ls -l \"x\"");
        assert_string_equal(info->title, "alice@web-1");
        assert_string_equal(info->id, "the-id");
        assert_string_equal(info->organization, "acme");
        assert_string_equal(info->socket, "web-1");
        assert_string_equal(info->user, "alice");
        assert_int_equal(cast_decoder_finish(decoder, NULL), 0);
        cast_decoder_free(decoder);
        forget(&seen);
    }
    buffer_free(&cast);
}

static void damage_is_reported_with_its_line_after_what_is_readable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        int events;
    } cases[] = {
        {"", "empty", 0},
        {"\n", "line 1: the header is not JSON", 0},
        {"[]\n", "line 1: the header is not an asciicast's", 0},
        {"{\"version\":1,\"width\":1,\"height\":1}\n", "line 1: asciicast version 1", 0},
        {"{\"version\":2,\"width\":\"80\",\"height\":24}\n", "line 1: \"width\"", 0},
        {"{\"version\":2,\"width\":80,\"height\":-1}\n", "line 1: \"height\"", 0},
        {"{\"version\":2,\"width\":80,\"height\":24,\"title\":[]}\n", "line 1: \"title\"", 0},
        {"{\"version\":2,\"width\":80,\"height\":24,\"castbucket\":1}\n", "\"castbucket\"", 0},
        {"{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1e300}\n", "\"timestamp\"", 0},
        {"{\"version\":3,\"width\":80,\"height\":24}\n", "line 1: \"cols\"", 0},
        {V2 "[0,\"o\",\"a\"]\n[1,\"o\"]\n", "line 3: ", 1},
        {V2 "[0,\"o\",\"a\"]\n[1,\"o\",\"b\"", "line 3: the cast ends", 1},
        {V2 "[0,\"o\",\"a\"]\n\n[[],\"o\",\"b\"]\n", "line 4: ", 1},
        {V2 "[1e300,\"o\",\"a\"]\n", "line 2: ", 0},
        {V3 "[9000000000,\"o\",\"a\"]\n[9000000000,\"o\",\"a\"]\n", "line 3: the times", 1},
        {V2 "[0,\"oo\",\"a\"]\n", "line 2: ", 0},
        {V2 "[0,\"o\",5]\n", "line 2: ", 0},
        {V2 "[0,\"o\",\"\xff\"]\n", "line 2: ", 0},
        {V2 "[0,\"o\",\"a\"] x\n", "line 2: ", 0},
        {OURS "[0,\"b\",\"/w==\"]\n", "line 2: a \"b\"", 0},
        {OURS "[0,\"m\",\"x\"]\n[0,\"b\",\"/w==\"]\n", "line 3: a \"b\"", 1},
        {OURS "[0,\"o\",\"x\"]\n[0,\"b\",\"/w==\"]\n[0,\"b\",\"/w==\"]\n", "line 4: a \"b\"", 1},
        {OURS "[0,\"o\",\"x\"]\n[0,\"b\",\"/w=\"]\n", "line 3: a \"b\" event's data", 1},
        {OURS "[0,\"s\",\"stdin\"]\n", "line 2: an \"s\"", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = nothing_seen();
        struct error error = ERROR_INIT;
        assert_int_equal(decode_text(cases[i].text, &seen, &error), ERR_DAMAGED);
        assert_int_equal(error.code, ERR_DAMAGED);
        if (!strstr(error.text, cases[i].says))
            fail_msg("case %zu says: %s", i, error.text);
        assert_int_equal(seen.events, cases[i].events);
        forget(&seen);
    }
}

static void damaged_cast_stays_damaged(void **state)
{
    (void)state;
    struct seen seen = nothing_seen();
    struct cast_decoder *decoder;
    assert_int_equal(cast_decoder_new(see, &seen, &decoder, NULL), 0);
    assert_int_equal(cast_decoder_feed(decoder, V2 "x\n", strlen(V2) + 2, NULL), ERR_DAMAGED);
    assert_int_equal(cast_decoder_feed(decoder, "[0,\"o\",\"a\"]\n", 12, NULL), ERR_DAMAGED);
    assert_int_equal(cast_decoder_finish(decoder, NULL), ERR_DAMAGED);
    assert_int_equal(seen.events, 0);
    cast_decoder_free(decoder);
    forget(&seen);
}

static void endless_lines_are_refused_before_memory_is(void **state)
{
    (void)state;
    static char block[1 << 16];
    struct seen seen = nothing_seen();
    struct error error = ERROR_INIT;
    struct cast_decoder *decoder;
    memset(block, '[', sizeof(block));
    assert_int_equal(cast_decoder_new(see, &seen, &decoder, NULL), 0);
    int rc = 0;
    for (int i = 0; !rc && i < 17; i++)
        rc = cast_decoder_feed(decoder, block, sizeof(block), &error);
    assert_int_equal(rc, ERR_DAMAGED);
    assert_non_null(strstr(error.text, "line 1 is longer"));
    cast_decoder_free(decoder);
    forget(&seen);
}

static void callback_can_stop_the_reading(void **state)
{
    (void)state;
    struct seen seen = nothing_seen();
    seen.stop_after = 2;
    assert_int_equal(
        decode_text(V2 "[0,\"o\",\"a\"]\n[0,\"o\",\"b\"]\n[0,\"o\",\"c\"]\n", &seen, NULL), 7);
    assert_int_equal(seen.events, 2);
    forget(&seen);
}

static void times_are_exact_to_the_nanosecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"-3.5", 0},
        {"1.000000001", 1000000001},
        {"0.0000000005", 1},
        {"0.0000000004999", 0},
        {"9223372036.854775807", INT64_MAX},
        {"9223372036.854775", INT64_C(9223372036854775000)},
        {"0.00000000000000000000000000000000000001e38", 1000000000},
        {"100000000000000000000e-20", 1000000000},
        {"12e-1", 1200000000},
        {"1.5E+3", INT64_C(1500000000000)},
        {"0e999999999999", 0},
        {"1e-999999999999", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[128];
        struct buffer text = BUFFER_INIT(1024);
        struct event_line event;
        const char *problem;
        snprintf(line, sizeof(line), "[%s,\"o\",\"\"]", cases[i].text);
        assert_int_equal(event_line_parse(line, strlen(line), &event, &text, &problem), 0);
        /* Eighteen digits are kept, so the very largest lose their last nanoseconds. */
        assert_true(llabs(event.time_ns - cases[i].ns) < 10);
        if (cases[i].ns < INT64_MAX)
            assert_int_equal(event.time_ns, cases[i].ns);
        buffer_free(&text);
    }
}

/* What jansson takes for an event by the same rules; times up to what 64 bits of ns can hold. */
static bool jansson_reads(const char *line, size_t length, double *time, char *code,
                          struct buffer *text)
{
    json_t *event = json_loadb(line, length, JSON_ALLOW_NUL, NULL);
    const json_t *data = json_array_get(event, 2);
    *time = json_number_value(json_array_get(event, 0));
    bool good = json_is_array(event) && *time < 9.2e9 && json_array_size(event) == 3 &&
                json_is_number(json_array_get(event, 0)) &&
                json_is_string(json_array_get(event, 1)) &&
                json_string_length(json_array_get(event, 1)) == 1 && json_is_string(data);
    if (good) {
        *code = json_string_value(json_array_get(event, 1))[0];
        assert_int_equal(buffer_append(text, json_string_value(data), json_string_length(data)), 0);
    }
    json_decref(event);
    return good;
}

static void altered_lines_are_read_as_jansson_reads_them(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "[0.25, \"o\", \"a\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\"]",
        "[12e-1,\"i\",\"\xf0\x9f\x98\x80\xc3\xa9 text\"]",
        " [ 1.5E+1 , \"m\" , \"\\u0000\\b\\f\\t\\r\" ] ",
    };
    static const char bytes[] = "[]\",\\u0d8e9-+.{}: \x01\x7f\xc3\xff\n";
    uint64_t seed = 3;
    int accepted = 0;
    for (int round = 0; round < 60000; round++) {
        char line[128];
        const char *from = lines[next_random(&seed) % 3];
        size_t length = strlen(from);
        memcpy(line, from, length);
        for (unsigned edits = next_random(&seed) % 3; edits; edits--) {
            size_t at = next_random(&seed) % length;
            char byte = bytes[next_random(&seed) % (sizeof(bytes) - 1)];
            if (next_random(&seed) % 2) {
                line[at] = byte;
            } else {
                memmove(line + at, line + at + 1, length - at - 1);
                length--;
            }
        }
        struct buffer text = BUFFER_INIT(1024), expected = BUFFER_INIT(1024);
        struct event_line event;
        const char *problem;
        char code = 0;
        double time;
        bool good = jansson_reads(line, length, &time, &code, &expected);
        int rc = event_line_parse(line, length, &event, &text, &problem);
        if ((rc == 0) != good)
            fail_msg("read differently (%d): %.*s", rc, (int)length, line);
        if (good) {
            accepted++;
            assert_int_equal(event.code, code);
            double off = (double)event.time_ns - (time > 0 ? time * 1e9 : 0);
            assert_true(off > -2000 && off < 2000);
            assert_int_equal(text.length, expected.length);
            if (text.length)
                assert_memory_equal(text.data, expected.data, text.length);
        }
        buffer_free(&text);
        buffer_free(&expected);
    }
    assert_true(accepted > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_in_any_pieces_come_back_exactly),
        cmocka_unit_test(streams_and_exact_bytes_are_folded_into_their_events),
        cmocka_unit_test(foreign_casts_are_read),
        cmocka_unit_test(intervals_and_comments_of_version_3_are_understood),
        cmocka_unit_test(header_is_decoded),
        cmocka_unit_test(damage_is_reported_with_its_line_after_what_is_readable),
        cmocka_unit_test(damaged_cast_stays_damaged),
        cmocka_unit_test(endless_lines_are_refused_before_memory_is),
        cmocka_unit_test(callback_can_stop_the_reading),
        cmocka_unit_test(times_are_exact_to_the_nanosecond),
        cmocka_unit_test(altered_lines_are_read_as_jansson_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
