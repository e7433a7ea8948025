/* Any bytes as AWS's shared configuration. The first byte says which profile and which file. */
#include <fcntl.h>
#include <unistd.h>

#include "recorder/aws/profile.h"
#include "tests/fuzz/fuzz.h"

static int see(void *context, const char *key, const char *value)
{
    unsigned *settings = context;
    ++*settings;
    fuzz_require(!strchr(key, '\n') && !strchr(value, '\n') && !strchr(key, '='));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char path[600];
    unsigned settings = 0;
    bool found;
    struct error error = ERROR_INIT;
    uint8_t options = fuzz_byte(&input);
    snprintf(path, sizeof(path), "%s/config", fuzz_directory());
    fuzz_write(AT_FDCWD, path, input.data, input.left);
    int rc = profile_read(path, options & 1 ? "default" : "bastion one", options & 2, see,
                          &settings, &found, &error);
    fuzz_require(rc == 0 && error.code == 0);
    fuzz_require(found || settings == 0);
    return 0;
}
