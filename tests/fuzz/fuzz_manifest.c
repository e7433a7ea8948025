/* Any bytes as a manifest. One that is accepted survives being written and read again, and its
 * signature, which no key of ours made, is none, not checked, or bad. */
#include "recorder/seal/manifest.h"
#include "recorder/seal/signature.h"
#include "tests/fuzz/fuzz.h"

static void check_signature(const struct manifest *manifest, const char *text, size_t length)
{
    enum signature_state state;
    char id[SIGNING_KEY_ID_SIZE];
    fuzz_require(signature_check(text, length, manifest->signature, NULL, &state, id, NULL) == 0);
    fuzz_require((state == SIGNATURE_NONE) == !*manifest->signature);
    fuzz_require(state != SIGNATURE_TRUSTED && state != SIGNATURE_UNKNOWN);
    /* The text's end is what the JSON says, or it would not have been taken for it. */
    if (state == SIGNATURE_UNCHECKED)
        fuzz_require(strcmp(id, manifest->signing_key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest *manifest = NULL, *again = NULL;
    struct error error = ERROR_INIT;
    struct buffer first = BUFFER_INIT(MANIFEST_MAX_SIZE), second = BUFFER_INIT(MANIFEST_MAX_SIZE);
    int rc = manifest_read((const char *)data, size, &manifest, &error);
    fuzz_require(rc == error.code && (rc == 0 || error.text[0]));
    if (rc == 0) {
        check_signature(manifest, (const char *)data, size);
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
