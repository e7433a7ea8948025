/* Any text as a time. A time that was read is written as text and read back as the same. */
#include "recorder/base/clock.h"
#include "recorder/base/text.h"
#include "recorder/read/when.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1795465321123456000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    int64_t when = 0, again = 0;
    char *text = fuzz_text(&input), written[TEXT_TIME_SIZE];
    if (when_parse(text, NOW, &when)) {
        text_time(written, when);
        fuzz_require(strlen(written) == TEXT_TIME_SIZE - 1);
        if (when >= 0) {
            fuzz_require(when_parse(written, NOW, &again));
            fuzz_require(again <= when && when - again < 1000);
        }
    }
    free(text);
    return 0;
}
