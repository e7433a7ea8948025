/* Any bytes as a cast, in pieces of any size: the same events as when it comes whole. The first
 * byte says how large the pieces are. */
#include "recorder/cast/cast_decoder.h"
#include "tests/fuzz/fuzz.h"

struct seen {
    uint64_t events, hash;
    int64_t time_ns;
};

static void mix(struct seen *seen, const void *data, size_t length)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < length; i++)
        seen->hash = (seen->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static int see(void *context, const struct cast_event *event, struct error *error)
{
    struct seen *seen = context;
    (void)error;
    fuzz_require(event->code != 'b' && event->code != 's' && event->text);
    fuzz_require(event->code != 'o' || event->stream <= 1);
    seen->events++;
    mix(seen, &event->code, 1);
    mix(seen, &event->time_ns, sizeof(event->time_ns));
    mix(seen, event->text, event->text_length);
    if (event->code == 'o' || event->code == 'i')
        mix(seen, event->raw, event->raw_length);
    return 0;
}

static int decode(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    struct cast_decoder *decoder;
    struct error error = ERROR_INIT;
    *seen = (struct seen){0};
    fuzz_require(cast_decoder_new(see, seen, &decoder, NULL) == 0);
    int rc = 0;
    for (size_t at = 0; at < size && !rc; at += piece)
        rc = cast_decoder_feed(decoder, data + at, size - at < piece ? size - at : piece, &error);
    if (!rc)
        rc = cast_decoder_finish(decoder, &error);
    fuzz_require(rc == error.code && (rc == 0 || error.text[0]));
    fuzz_require(rc || cast_decoder_info(decoder));
    cast_decoder_free(decoder);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, pieces;
    if (size < 2)
        return 0;
    int rc = decode(data + 1, size - 1, size, &whole);
    fuzz_require(decode(data + 1, size - 1, (size_t)data[0] + 1, &pieces) == rc);
    fuzz_require(whole.events == pieces.events && whole.hash == pieces.hash);
    return 0;
}
