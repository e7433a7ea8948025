/* The encoder: JSON, UTF-8, time, streams. What it writes is read with jansson, not with our own
 * decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "recorder/base/base64.h"
#include "recorder/base/text.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/cast/json_text.h"
#include "recorder/cast/plain_run.h"

#define MS INT64_C(1000000)

static struct cast_encoder begin(int version, bool onlcr, struct buffer *out)
{
    struct cast_encoder encoder;
    struct cast_header header = {.version = version, .onlcr = onlcr};
    assert_int_equal(cast_begin(&encoder, &header, out), 0);
    buffer_clear(out);
    return encoder;
}

static void bytes(struct cast_encoder *encoder, enum cast_stream stream, int64_t time_ns,
                  const char *data, size_t length, struct buffer *out)
{
    /* A copy of exactly its size, so that the sanitizers see a read past the end. */
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, data, length);
    assert_int_equal(cast_bytes(encoder, stream, time_ns, copy, length, out), 0);
    free(copy);
}

#define SHOW(encoder, literal, out)                                                                \
    bytes((encoder), CAST_STDOUT, 0, (literal), sizeof(literal) - 1, (out))

static void header_of_version_2_has_what_players_need(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(4096);
    struct cast_encoder encoder;
    struct cast_header header = {.version = 2,
                                 .columns = 132,
                                 .rows = 43,
                                 .started_ns = INT64_C(1795465321999999999),
                                 .term = "xterm-256color",
                                 .title = "alice@web-1",
                                 .command = "echo \"\xff\"\n",
                                 .onlcr = true,
                                 .id = "x",
                                 .user = "alice",
                                 .kind = "exec"};
    assert_int_equal(cast_begin(&encoder, &header, &out), 0);
    assert_string_equal(out.data,
                        "{\"version\":2,\"width\":132,\"height\":43,\"timestamp\":1795465321,"
                        "\"title\":\"alice@web-1\",\"command\":\"echo \\\"\xef\xbf\xbd\\\"\\n\","
                        "\"env\":{\"TERM\":\"xterm-256color\"},\"castbucket\":{\"id\":\"x\","
                        "\"user\":\"alice\",\"kind\":\"exec\",\"onlcr\":true}}\n");
    buffer_free(&out);
}

static void header_of_version_3_has_its_term_object(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(4096);
    struct cast_encoder encoder;
    struct cast_header header = {.version = 3, .term = "vt100", .started_ns = -1};
    assert_int_equal(cast_begin(&encoder, &header, &out), 0);
    assert_string_equal(out.data,
                        "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24,\"type\":\"vt100\"},"
                        "\"timestamp\":-1,\"castbucket\":{\"onlcr\":false}}\n");
    buffer_free(&out);
}

static void header_of_another_version_is_refused(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(4096);
    struct cast_encoder encoder;
    struct cast_header header = {.version = 1};
    assert_int_equal(cast_begin(&encoder, &header, &out), ERR_INVALID);
    assert_int_equal(out.length, 0);
    buffer_free(&out);
}

static void what_json_must_escape_is_escaped_and_nothing_else(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    SHOW(&encoder, "a\"b\\c/\x1b[0m\b\f\n\r\t\x7f\xc3\xa9\xf0\x9f\x98\x80", &out);
    assert_string_equal(out.data, "[0.000000,\"o\",\"a\\\"b\\\\c/\\u001b[0m\\b\\f\\n\\r\\t\x7f"
                                  "\xc3\xa9\xf0\x9f\x98\x80\"]\n");
    buffer_clear(&out);
    SHOW(&encoder, "\0\x1f", &out);
    assert_string_equal(out.data, "[0.000000,\"o\",\"\\u0000\\u001f\"]\n");
    buffer_free(&out);
}

static void plain_run_stops_at_each_byte_that_is_not_plain(void **state)
{
    (void)state;
    uint8_t text[40];
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < sizeof(text); at++) {
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            memset(text, '!', sizeof(text));
            text[at] = (uint8_t)byte;
            assert_int_equal(plain_run(text, sizeof(text)), plain ? sizeof(text) : at);
            /* What comes after it changes nothing. */
            memset(text + at, (int)byte, sizeof(text) - at);
            assert_int_equal(plain_run(text, sizeof(text)), plain ? sizeof(text) : at);
        }
}

static void times_are_rounded_and_never_go_back(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    bytes(&encoder, CAST_STDOUT, 1499, "a", 1, &out);
    bytes(&encoder, CAST_STDOUT, 1500, "b", 1, &out);
    bytes(&encoder, CAST_STDOUT, 7, "c", 1, &out);
    bytes(&encoder, CAST_STDOUT, INT64_MAX, "d", 1, &out);
    assert_string_equal(out.data, "[0.000001,\"o\",\"a\"]\n[0.000002,\"o\",\"b\"]\n"
                                  "[0.000002,\"o\",\"c\"]\n[9223372036.854776,\"o\",\"d\"]\n");
    buffer_free(&out);
}

static void intervals_of_version_3_never_drift(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(1 << 20);
    struct cast_encoder encoder = begin(3, false, &out);
    double sum = 0;
    for (int64_t i = 1; i <= 3000; i++)
        bytes(&encoder, CAST_STDOUT, i * 333, "x", 1, &out);
    for (char *line = out.data; *line; line = strchr(line, '\n') + 1)
        sum += strtod(line + 1, NULL);
    assert_true(sum > 0.0009985 && sum < 0.0009995);
    buffer_free(&out);
}

static void split_character_is_carried_to_the_event_that_completes_it(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    bytes(&encoder, CAST_STDOUT, 1 * MS, "\xf0", 1, &out);
    bytes(&encoder, CAST_STDOUT, 2 * MS, "\x9f\x98", 2, &out);
    assert_int_equal(out.length, 0);
    bytes(&encoder, CAST_STDERR, 3 * MS, "\xc3", 1, &out);
    bytes(&encoder, CAST_STDOUT, 4 * MS, "\x80!", 2, &out);
    bytes(&encoder, CAST_STDERR, 5 * MS, "\xa9", 1, &out);
    assert_string_equal(out.data, "[0.004000,\"o\",\"\xf0\x9f\x98\x80!\"]\n"
                                  "[0.005000,\"s\",\"stderr\"]\n[0.005000,\"o\",\"\xc3\xa9\"]\n");
    buffer_free(&out);
}

static void unfinished_character_is_ill_formed_at_the_end(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    SHOW(&encoder, "\xe2\x82", &out);
    bytes(&encoder, CAST_INPUT, 0, "\xf0\x9f\x98", 3, &out);
    assert_int_equal(cast_end(&encoder, 9 * MS, 130, &out), 0);
    assert_string_equal(out.data, "[0.009000,\"o\",\"\xef\xbf\xbd\"]\n[0.009000,\"b\",\"4oI=\"]\n"
                                  "[0.009000,\"i\",\"\xef\xbf\xbd\"]\n[0.009000,\"b\",\"8J+Y\"]\n"
                                  "[0.009000,\"x\",\"130\"]\n");
    buffer_free(&out);
}

static void only_the_ill_formed_stretch_is_written_twice(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    SHOW(&encoder, "before\xff-\xc3(after", &out);
    assert_string_equal(out.data, "[0.000000,\"o\",\"before\"]\n"
                                  "[0.000000,\"o\",\"\xef\xbf\xbd-\xef\xbf\xbd\"]\n"
                                  "[0.000000,\"b\",\"/y3D\"]\n"
                                  "[0.000000,\"o\",\"(after\"]\n");
    buffer_free(&out);
}

static void stretch_ends_where_the_next_ill_formed_byte_is_far(void **state)
{
    (void)state;
    for (size_t gap = 60; gap < 70; gap++) {
        struct buffer out = BUFFER_INIT(65536);
        struct cast_encoder encoder = begin(2, false, &out);
        char data[100];
        size_t lines = 0;
        memset(data, 'x', sizeof(data));
        data[0] = data[gap + 1] = '\xff';
        bytes(&encoder, CAST_STDOUT, 0, data, gap + 2, &out);
        for (const char *p = out.data; (p = strchr(p, '\n')); p++)
            lines++;
        assert_int_equal(lines, gap < 64 ? 2 : 5);
        buffer_free(&out);
    }
}

static void carried_bytes_that_turn_out_ill_formed_start_the_stretch(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, false, &out);
    SHOW(&encoder, "\xf0\x9f", &out);
    SHOW(&encoder, "a\xff", &out);
    assert_string_equal(out.data, "[0.000000,\"o\",\"\xef\xbf\xbd"
                                  "a\xef\xbf\xbd\"]\n[0.000000,\"b\",\"8J9h/w==\"]\n");
    buffer_free(&out);
}

static void line_feeds_become_cr_lf_only_where_the_header_says_so(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(2, true, &out);
    SHOW(&encoder, "a\nb\r\n\xff\n", &out);
    bytes(&encoder, CAST_INPUT, 0, "c\n", 2, &out);
    assert_string_equal(out.data, "[0.000000,\"o\",\"a\\r\\nb\\r\\r\\n\"]\n"
                                  "[0.000000,\"o\",\"\xef\xbf\xbd\"]\n[0.000000,\"b\",\"/w==\"]\n"
                                  "[0.000000,\"o\",\"\\r\\n\"]\n[0.000000,\"i\",\"c\\n\"]\n");
    buffer_free(&out);
}

static void resizes_and_markers_are_events(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(65536);
    struct cast_encoder encoder = begin(3, false, &out);
    assert_int_equal(cast_resize(&encoder, 1 * MS, 100, UINT32_MAX, &out), 0);
    assert_int_equal(cast_marker(&encoder, 3 * MS, "a \"b\"\xff\n", &out), 0);
    assert_int_equal(cast_end(&encoder, 4 * MS, -1, &out), 0);
    assert_string_equal(out.data, "[0.001000,\"r\",\"100x4294967295\"]\n"
                                  "[0.002000,\"m\",\"a \\\"b\\\"\xef\xbf\xbd\\n\"]\n");
    buffer_free(&out);
}

static void failure_changes_neither_encoder_nor_buffer(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(CAST_OVERHEAD + 100);
    struct cast_encoder encoder = begin(3, false, &out);
    bytes(&encoder, CAST_STDERR, 1 * MS, "a\xc3", 2, &out);
    struct cast_encoder before = encoder;
    size_t length = out.length;
    char data[100] = "\xa9";
    char label[200];
    memset(label, '\1', sizeof(label));
    label[sizeof(label) - 1] = '\0';
    assert_int_equal(cast_bytes(&encoder, CAST_STDOUT, 2 * MS, data, sizeof(data), &out),
                     ERR_LIMIT);
    assert_int_equal(cast_marker(&encoder, 2 * MS, label, &out), ERR_LIMIT);
    out.limit = out.length + 10;
    assert_int_equal(cast_resize(&encoder, 2 * MS, 1, 1, &out), ERR_LIMIT);
    assert_int_equal(cast_end(&encoder, 2 * MS, 1, &out), ERR_LIMIT);
    struct cast_header header = {.version = 2};
    assert_int_equal(cast_begin(&encoder, &header, &out), ERR_LIMIT);
    assert_memory_equal(&encoder, &before, sizeof(encoder));
    assert_int_equal(out.length, length);
    assert_int_equal(strlen(out.data), length);
    buffer_free(&out);
}

/* The simplest reading of "maximal subparts": take the longest run that some well-formed character
 * begins with. */
static size_t reference_part(const uint8_t *p, size_t left, bool *good)
{
    for (size_t length = 4; length > 0; length--)
        if (length <= left && text_is_utf8((const char *)p, length)) {
            size_t first = 1;
            while (!text_is_utf8((const char *)p, first))
                first++;
            *good = true;
            return first;
        }
    *good = false;
    for (size_t length = left < 3 ? left : 3; length > 1; length--) {
        uint8_t whole[4] = {0};
        memcpy(whole, p, length);
        for (unsigned rest = 0; rest < 64 * 64; rest++) {
            if (length == 3 && rest > 63)
                break;
            whole[length] = (uint8_t)(0x80 | (rest & 63));
            if (length == 2)
                whole[3] = (uint8_t)(0x80 | rest >> 6);
            for (size_t total = length + 1; total <= 4; total++)
                if (text_is_utf8((char *)whole, total) && !text_is_utf8((char *)whole, 1) &&
                    !text_is_utf8((char *)whole, length))
                    return length;
        }
    }
    return 1;
}

static void ill_formed_parts_are_those_that_unicode_names(void **state)
{
    (void)state;
    static const uint8_t interesting[] = {0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                          0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    size_t count = sizeof(interesting);
    for (size_t n = 0; n < count * count * count; n++) {
        uint8_t p[4] = {interesting[n % count], interesting[n / count % count],
                        interesting[n / count / count], 'z'};
        bool good;
        size_t length, expected = reference_part(p, 4, &good);
        enum utf8_state got = utf8_next(p, 4, &length);
        assert_int_equal(got, good ? UTF8_GOOD : UTF8_BAD);
        assert_int_equal(length, expected);
    }
}

static void known_ill_formed_text_looks_as_in_python(void **state)
{
    (void)state;
    /* bytes.decode("utf-8", errors="replace"), and the table in Unicode 15, 3.9 */
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a???b?c??d"},
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "????????A"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "????????A"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "?????A??B"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "????A"},
        {"\xfe\xfe\xff\xff", "????"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out = BUFFER_INIT(4096), expected = BUFFER_INIT(4096);
        assert_int_equal(buffer_append_text(&expected, "\""), 0);
        for (const char *p = cases[i].text; *p; p++)
            assert_int_equal(
                buffer_append_text(&expected, *p == '?' ? UTF8_REPLACEMENT : (char[]){*p, 0}), 0);
        assert_int_equal(buffer_append_text(&expected, "\""), 0);
        assert_int_equal(json_text_append(&out, cases[i].bytes, strlen(cases[i].bytes)), 0);
        assert_string_equal(out.data, expected.data);
        buffer_free(&out);
        buffer_free(&expected);
    }
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static void every_line_is_json_and_growth_is_bounded(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        uint8_t data[600];
        struct buffer out = BUFFER_INIT(1 << 20);
        struct cast_encoder encoder = begin(2, round & 1, &out);
        /* A few kinds of bytes, so that bad cases for the bound come together. */
        static const uint8_t kinds[] = {0x01, 0x0a, 0xff, 0x22, 0x41, 0xe2, 0x82, 0xac};
        unsigned mask = next_random(&seed) & 7, rare = 1 + next_random(&seed) % 80;
        for (int call = 0; call < 4; call++) {
            size_t length = next_random(&seed) % sizeof(data), before = out.length;
            for (size_t i = 0; i < length; i++)
                data[i] = next_random(&seed) % rare == 0 ? 0xff : kinds[next_random(&seed) & mask];
            int64_t time = (INT64_MAX >> 3) * call;
            bytes(&encoder, (enum cast_stream)(call % 3), time, (char *)data, length, &out);
            assert_true(out.length - before <= CAST_GROWTH * length + CAST_OVERHEAD);
        }
        assert_int_equal(cast_end(&encoder, 0, 0, &out), 0);
        char *line = out.data;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            json_t *event = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
            assert_true(json_is_array(event) && json_array_size(event) == 3);
            json_decref(event);
        }
        assert_int_equal(*line, '\0');
        buffer_free(&out);
    }
}

static void texts_of_any_bytes_are_those_of_one_character_at_a_time(void **state)
{
    (void)state;
    uint64_t seed = 11;
    /* Bytes that begin, continue, almost continue and end characters of each length. */
    static const uint8_t kinds[] = {0x41, 0x22, 0x1b, 0x0a, 0x7f, 0x80, 0x8f, 0x90,
                                    0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
                                    0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5};
    for (int round = 0; round < 5000; round++) {
        uint8_t data[300];
        struct buffer out = BUFFER_INIT(1 << 20), texts = BUFFER_INIT(1 << 20);
        struct buffer expected = BUFFER_INIT(1 << 20);
        size_t length = next_random(&seed) % sizeof(data), at = 0, header;
        for (size_t i = 0; i < length; i++)
            data[i] = round & 1 ? (uint8_t)next_random(&seed)
                                : kinds[next_random(&seed) % sizeof(kinds)];
        struct cast_encoder encoder = begin(2, false, &out);
        header = out.length;
        while (at < length) {
            size_t part = 1 + next_random(&seed) % (length - at);
            bytes(&encoder, CAST_STDOUT, 0, (char *)data + at, part, &out);
            at += part;
        }
        assert_int_equal(cast_end(&encoder, 0, -1, &out), 0);
        for (char *line = out.data + header, *end; (end = strchr(line, '\n')); line = end + 1)
            if (strncmp(line, "[0.000000,\"o\",\"", 15) == 0)
                assert_int_equal(buffer_append(&texts, line + 15, (size_t)(end - line) - 17), 0);
        assert_int_equal(json_text_append(&expected, (char *)data, length), 0);
        assert_int_equal(texts.length, expected.length - 2);
        if (texts.length)
            assert_memory_equal(texts.data, expected.data + 1, texts.length);
        buffer_free(&out);
        buffer_free(&texts);
        buffer_free(&expected);
    }
}

static void worst_bytes_stay_within_the_promised_growth(void **state)
{
    (void)state;
    static uint8_t data[65536];
    for (size_t gap = 1; gap < 80; gap++) {
        struct buffer out = BUFFER_INIT(1 << 20);
        struct cast_encoder encoder = begin(2, true, &out);
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = i % gap == 0 ? 0xff : 0x01;
        assert_int_equal(cast_bytes(&encoder, CAST_STDERR, INT64_MAX, data, sizeof(data), &out), 0);
        assert_true(out.length <= CAST_GROWTH * sizeof(data) + CAST_OVERHEAD);
        buffer_free(&out);
    }
}

static void base64_of_any_length_is_its_groups_of_three_one_after_another(void **state)
{
    (void)state;
    uint64_t seed = 3;
    uint8_t data[300], back[300];
    char text[BASE64_SIZE(sizeof(data)) + 1], expected[BASE64_SIZE(sizeof(data)) + 1];
    for (int round = 0; round < 2000; round++) {
        size_t decoded, length = next_random(&seed) % sizeof(data);
        size_t first = length ? next_random(&seed) % length : 0;
        for (size_t i = 0; i < length; i++)
            data[i] = (uint8_t)next_random(&seed);
        for (size_t i = 0; i < length; i += 3)
            base64_encode(expected + i / 3 * 4, data + i, length - i < 3 ? length - i : 3, NULL, 0);
        memset(text, '!', sizeof(text));
        base64_encode(text, data, first, data + first, length - first);
        assert_memory_equal(text, expected, BASE64_SIZE(length));
        assert_int_equal(text[BASE64_SIZE(length)], '!');
        assert_int_equal(base64_decode(back, text, BASE64_SIZE(length), &decoded), 0);
        assert_int_equal(decoded, length);
        assert_memory_equal(back, data, length);
    }
}

static void base64_is_what_rfc_4648_shows_and_only_that_is_read(void **state)
{
    (void)state;
    static const char *const cases[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t length = 0; length < 7; length++)
        for (size_t first = 0; first <= length; first++) {
            char text[9] = "";
            uint8_t back[8];
            size_t decoded;
            const uint8_t *data = (const uint8_t *)"foobar";
            base64_encode(text, data, first, data + first, length - first);
            assert_string_equal(text, cases[length]);
            assert_int_equal(base64_decode(back, text, strlen(text), &decoded), 0);
            assert_int_equal(decoded, length);
            assert_memory_equal(back, data, length);
        }
    static const char *const wrong[] = {"Z",    "Zg=",      "Zh==", "Zm9=", "=AAA",
                                        "Z===", "Zg==Zg==", "Zm 9", "Zm-_"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t back[16];
        size_t decoded;
        assert_int_equal(base64_decode(back, wrong[i], strlen(wrong[i]), &decoded), ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_of_version_2_has_what_players_need),
        cmocka_unit_test(header_of_version_3_has_its_term_object),
        cmocka_unit_test(header_of_another_version_is_refused),
        cmocka_unit_test(what_json_must_escape_is_escaped_and_nothing_else),
        cmocka_unit_test(plain_run_stops_at_each_byte_that_is_not_plain),
        cmocka_unit_test(times_are_rounded_and_never_go_back),
        cmocka_unit_test(intervals_of_version_3_never_drift),
        cmocka_unit_test(split_character_is_carried_to_the_event_that_completes_it),
        cmocka_unit_test(unfinished_character_is_ill_formed_at_the_end),
        cmocka_unit_test(only_the_ill_formed_stretch_is_written_twice),
        cmocka_unit_test(stretch_ends_where_the_next_ill_formed_byte_is_far),
        cmocka_unit_test(carried_bytes_that_turn_out_ill_formed_start_the_stretch),
        cmocka_unit_test(line_feeds_become_cr_lf_only_where_the_header_says_so),
        cmocka_unit_test(resizes_and_markers_are_events),
        cmocka_unit_test(failure_changes_neither_encoder_nor_buffer),
        cmocka_unit_test(ill_formed_parts_are_those_that_unicode_names),
        cmocka_unit_test(known_ill_formed_text_looks_as_in_python),
        cmocka_unit_test(every_line_is_json_and_growth_is_bounded),
        cmocka_unit_test(texts_of_any_bytes_are_those_of_one_character_at_a_time),
        cmocka_unit_test(worst_bytes_stay_within_the_promised_growth),
        cmocka_unit_test(base64_of_any_length_is_its_groups_of_three_one_after_another),
        cmocka_unit_test(base64_is_what_rfc_4648_shows_and_only_that_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
