/* Keys: no name climbs out of its folder, and two different pairs of names never share a key.
 * Input: four lines (two pairs of organization and socket), then a key to parse. */
#include "recorder/base/id.h"
#include "recorder/store/key.h"
#include "tests/fuzz/fuzz.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define PREFIX "recordings/"

static bool make(char key[KEY_SIZE], const char *organization, const char *socket)
{
    char id[ID_SIZE], inside[KEY_SIZE];
    bool is_manifest;
    struct error error = ERROR_INIT;
    int rc = key_make(key, PREFIX, organization, socket, INT64_C(1795465321123456000), ID,
                      KEY_CAST_SUFFIX, &error);
    fuzz_require(rc == error.code);
    if (rc)
        return false;
    fuzz_require(key_prefix(inside, PREFIX, organization, NULL, NULL) == 0);
    fuzz_require(strncmp(key, inside, strlen(inside)) == 0);
    fuzz_require(strncmp(key, PREFIX "org=", strlen(PREFIX "org=")) == 0);
    unsigned slashes = 0;
    for (const char *p = key; *p; p++) {
        fuzz_require(*p > ' ' && *p < 0x7f);
        slashes += *p == '/';
    }
    fuzz_require(slashes == 4 && !strstr(key, "/.") && !strstr(key, "=.") && !strstr(key, "//"));
    fuzz_require(key_parse(key, id, &is_manifest) && strcmp(id, ID) == 0 && !is_manifest);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char key[2][KEY_SIZE], *names[4], id[ID_SIZE];
    bool is_manifest;
    for (int i = 0; i < 4; i++)
        names[i] = fuzz_line(&input);
    bool first = make(key[0], names[0], names[1]), second = make(key[1], names[2], names[3]);
    bool same = strcmp(names[0], names[2]) == 0 && strcmp(names[1], names[3]) == 0;
    if (first && second)
        fuzz_require((strcmp(key[0], key[1]) == 0) == same);
    char *other = fuzz_text(&input);
    if (key_parse(other, id, &is_manifest))
        fuzz_require(id_is_valid(id) && strstr(other, id));
    for (int i = 0; i < 4; i++)
        free(names[i]);
    free(other);
    return 0;
}
