/* Any bytes as a manifest. One that is accepted survives being written and read again. */
#include "recorder/seal/manifest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *manifest = NULL, *again = NULL;
    struct error error = ERROR_INIT;
    struct buffer first = BUFFER_INIT(MANIFEST_MAX_SIZE), second = BUFFER_INIT(MANIFEST_MAX_SIZE);
    int rc = manifest_read((const char *)data, size, &manifest, &error);
    fuzz_require(rc == error.code && (rc == 0 || error.text[0]));
    if (rc == 0) {
        fuzz_require(manifest_write(manifest, &first, NULL) == 0);
        rc = manifest_read(first.data, first.length, &again, &error);
        if (rc)
            fprintf(stderr, "%s\n%s", error.text, first.data);
        fuzz_require(rc == 0);
        fuzz_require(manifest_write(again, &second, NULL) == 0);
        fuzz_require(first.length == second.length &&
                     memcmp(first.data, second.data, first.length) == 0);
        manifest_free(again);
    }
    manifest_free(manifest);
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
