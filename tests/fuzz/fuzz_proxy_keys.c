/* Any bytes as a line of authorized_keys: allows only a line that has the key itself in it, and no
 * option before it that the proxy does not keep. The first line is a user's name. */
#include <stdarg.h>

#include "hooks/proxy/authorized_keys.h"
#include "hooks/proxy/log.h"
#include "tests/fuzz/fuzz.h"

#define KEY_ITSELF "HKH3z2tTtIJ8sVnO5ZAvdfdgcMr7A0kGtuVVwcBVYrB"
#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAI" KEY_ITSELF

void log_line(int level, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ssh_key key;
    struct fuzz_input input = {data, size};
    if (!key)
        fuzz_require(ssh_pki_import_pubkey_base64(KEY, SSH_KEYTYPE_ED25519, &key) == SSH_OK);
    char *user = fuzz_line(&input);
    if (authorized_keys_valid_user(user))
        fuzz_require(!strchr(user, '/') && user[0] != '.' && user[0]);
    free(user);
    while (input.left) {
        char *line = fuzz_line(&input), *copy = strdup(line);
        fuzz_require(copy);
        struct key_limits limits;
        if (authorized_keys_line(line, key, &limits) == LINE_ALLOWS) {
            /* libssh does not compare the name of the type before it. */
            const char *found = strstr(copy, KEY_ITSELF);
            fuzz_require(found && copy[0] != '#');
            fuzz_require(!memmem(copy, (size_t)(found - copy), "command=", 8));
            fuzz_require(!memmem(copy, (size_t)(found - copy), "from=", 5));
        }
        free(line);
        free(copy);
    }
    return 0;
}
