/* Encode, then decode: gives back the bytes of each stream, for any bytes, splits and order; and
 * another reader of JSON accepts every line.
 *
 * Input: a byte of options (bit 0: v3, bit 1: onlcr, bit 2: exit status), a byte with the size of
 * the pieces to decode, then steps: a byte (kind: low 3 bits; time: the others), a length, bytes.
 */
#include <jansson.h>

#include "recorder/cast/cast_decoder.h"
#include "recorder/cast/cast_encoder.h"
#include "tests/fuzz/fuzz.h"

#define MUCH ((size_t)64 << 20)

struct session {
    struct buffer streams[3]; /* enum cast_stream */
    unsigned resizes, markers, exits;
    int64_t time_ns;
};

static int collect(void *context, const struct cast_event *event, struct error *error)
{
    struct session *got = context;
    (void)error;
    fuzz_require(event->time_ns >= got->time_ns);
    got->time_ns = event->time_ns;
    switch (event->code) {
    case 'o':
        return buffer_append(&got->streams[event->stream], event->raw, event->raw_length);
    case 'i':
        return buffer_append(&got->streams[CAST_INPUT], event->raw, event->raw_length);
    case 'r':
        got->resizes++;
        return 0;
    case 'm':
        got->markers++;
        return 0;
    case 'x':
        got->exits++;
        return 0;
    default:
        fprintf(stderr, "an event that was not written: %c\n", event->code);
        abort();
    }
}

static void encode_step(struct cast_encoder *encoder, struct fuzz_input *input,
                        struct session *sent, struct buffer *cast)
{
    char label[64];
    size_t length, before = cast->length;
    uint8_t step = fuzz_byte(input);
    sent->time_ns += (int64_t)(step >> 3) * 12345678;
    const uint8_t *bytes = fuzz_bytes(input, fuzz_byte(input), &length);
    switch (step & 7) {
    case 6:
        sent->resizes++;
        fuzz_require(cast_resize(encoder, sent->time_ns, (uint32_t)length, step, cast) == 0);
        break;
    case 7:
        sent->markers++;
        snprintf(label, sizeof(label), "%.*s", (int)length, (const char *)bytes);
        fuzz_require(cast_marker(encoder, sent->time_ns, label, cast) == 0);
        break;
    default:
        fuzz_require(cast_bytes(encoder, step % 3, sent->time_ns, bytes, length, cast) == 0);
        fuzz_require(cast->length - before <= CAST_GROWTH * length + CAST_OVERHEAD);
        fuzz_require(buffer_append(&sent->streams[step % 3], bytes, length) == 0);
    }
}

static void check_json(const struct buffer *cast)
{
    const char *end = cast->data + cast->length;
    for (const char *line = cast->data, *next; line < end; line = next) {
        next = memchr(line, '\n', (size_t)(end - line));
        fuzz_require(next);
        json_t *json = json_loadb(line, (size_t)(next - line),
                                  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        fuzz_require(json &&
                     (line == cast->data ? json_is_object(json) : json_array_size(json) == 3));
        json_decref(json);
        next++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct session sent = {.time_ns = 0}, got = {.time_ns = 0};
    struct buffer cast = BUFFER_INIT(MUCH);
    struct cast_encoder encoder;
    struct cast_decoder *decoder;
    struct error error = ERROR_INIT;
    uint8_t options = fuzz_byte(&input);
    size_t piece = (size_t)fuzz_byte(&input) + 1;
    for (int i = 0; i < 3; i++)
        sent.streams[i] = got.streams[i] = BUFFER_INIT(MUCH);
    char title[16];
    snprintf(title, sizeof(title), "%.*s", (int)(input.left < 15 ? input.left : 15),
             (const char *)input.data);
    const struct cast_header header = {.version = options & 1 ? 3 : 2,
                                       .columns = 80,
                                       .rows = 24,
                                       .started_ns = INT64_C(1795465321123456000),
                                       .title = title,
                                       .command = title,
                                       .onlcr = options & 2};
    fuzz_require(cast_begin(&encoder, &header, &cast) == 0);
    while (input.left)
        encode_step(&encoder, &input, &sent, &cast);
    sent.exits = options & 4 ? 1 : 0;
    fuzz_require(cast_end(&encoder, sent.time_ns, options & 4 ? options : -1, &cast) == 0);
    check_json(&cast);

    fuzz_require(cast_decoder_new(collect, &got, &decoder, NULL) == 0);
    for (size_t at = 0; at < cast.length; at += piece)
        fuzz_require(cast_decoder_feed(decoder, cast.data + at,
                                       cast.length - at < piece ? cast.length - at : piece,
                                       &error) == 0);
    fuzz_require(cast_decoder_finish(decoder, &error) == 0);
    cast_decoder_free(decoder);
    fuzz_require(got.resizes == sent.resizes && got.markers == sent.markers &&
                 got.exits == sent.exits);
    /* A line is written to the microsecond; what has no bytes has none. */
    fuzz_require(got.time_ns <= sent.time_ns + 1000);
    for (int i = 0; i < 3; i++) {
        fuzz_require(got.streams[i].length == sent.streams[i].length);
        fuzz_require(sent.streams[i].length == 0 ||
                     memcmp(got.streams[i].data, sent.streams[i].data, sent.streams[i].length) ==
                         0);
        buffer_free(&got.streams[i]);
        buffer_free(&sent.streams[i]);
    }
    buffer_free(&cast);
    return 0;
}
