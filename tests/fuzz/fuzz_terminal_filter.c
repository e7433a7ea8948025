/* What passes the filter would pass it again whole, is free of raw controls, and does not depend on
 * how the recording was split. The first byte is the size of the pieces. */
#include "recorder/read/terminal_filter.h"
#include "tests/fuzz/fuzz.h"

#define MUCH ((size_t)64 << 20)

static unsigned long filter(const char *text, size_t length, size_t piece, struct buffer *out)
{
    struct terminal_filter filter = TERMINAL_FILTER_INIT;
    for (size_t at = 0; at < length; at += piece)
        fuzz_require(terminal_filter(&filter, text + at, length - at < piece ? length - at : piece,
                                     out) == 0);
    return filter.dropped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = BUFFER_INIT(MUCH), pieces = BUFFER_INIT(MUCH), again = BUFFER_INIT(MUCH);
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    unsigned long dropped = filter(text, size - 1, size, &whole);
    fuzz_require(filter(text, size - 1, (size_t)data[0] + 1, &pieces) == dropped);
    fuzz_require(whole.length == pieces.length);
    fuzz_require(!whole.length || memcmp(whole.data, pieces.data, whole.length) == 0);
    for (size_t i = 0; i < whole.length; i++) {
        unsigned char c = (unsigned char)whole.data[i];
        fuzz_require(c != 0x05 && c != 0x7f && c != 0x18 && c != 0x1a);
        fuzz_require(c != 0xc2 || (unsigned char)whole.data[i + 1] > 0x9f ||
                     (unsigned char)whole.data[i + 1] < 0x80);
    }
    if (whole.length) {
        fuzz_require(filter(whole.data, whole.length, whole.length, &again) == 0);
        fuzz_require(whole.length == again.length &&
                     memcmp(whole.data, again.data, whole.length) == 0);
    }
    buffer_free(&whole);
    buffer_free(&pieces);
    buffer_free(&again);
    return 0;
}
