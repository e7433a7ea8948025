/* Any bytes as a line of authorized_keys: allows only a line that has the key itself in it, and
 * only with options that say the same when they are written out and read again. The first line is a
 * user's name, the second an address. */
#include <stdarg.h>
#include <time.h>

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

static void put(char **to, const char *name, const char *value)
{
    *to = stpcpy(stpcpy(*to, name), "=\"");
    for (; *value; value++) {
        if (*value == '"')
            *(*to)++ = '\\';
        *(*to)++ = *value;
    }
    *to = stpcpy(*to, "\",");
}

/* All that is limited, in one order, as options. */
static char *write_out(const struct key_options *options)
{
    static const char *const rights[] = {"no-port-forwarding,", "no-agent-forwarding,",
                                         "no-X11-forwarding,", "no-pty,", "no-user-rc,"};
    char *text = malloc(8 * KEY_OPTIONS_MAX_LENGTH), *to = text;
    fuzz_require(text);
    for (int i = 0; i < KEY_RIGHT_COUNT; i++)
        if (options->forbids[i])
            to = stpcpy(to, rights[i]);
    if (options->from)
        put(&to, "from", options->from);
    if (options->command)
        put(&to, "command", options->command);
    for (size_t i = 0; i < options->permit_open_count; i++)
        put(&to, "permitopen", options->permit_open[i]);
    for (size_t i = 0; i < options->permit_listen_count; i++)
        put(&to, "permitlisten", options->permit_listen[i]);
    if (options->expires) {
        char when[24];
        struct tm time;
        fuzz_require(
            strftime(when, sizeof(when), "%Y%m%d%H%M%SZ", gmtime_r(&options->expiry, &time)));
        put(&to, "expiry-time", when);
    }
    if (to > text)
        to[-1] = '\0';
    *to = '\0';
    return text;
}

static void check(const struct key_options *options, const char *address)
{
    char reason[KEY_OPTIONS_REASON_SIZE], *text = write_out(options);
    struct key_options again = {0};
    fuzz_require(options->permit_open_count <= KEY_OPTIONS_MAX_PERMITS);
    fuzz_require(!options->command || *options->command);
    if (*text && strlen(text) <= KEY_OPTIONS_MAX_LENGTH) {
        fuzz_require(key_options_parse(&again, text, reason) == 0);
        char *same = write_out(&again);
        fuzz_require(strcmp(text, same) == 0);
        free(same);
        for (time_t now = 0; now < 3000000000; now += 1500000000)
            fuzz_require(key_options_admit(options, address, now, reason) ==
                         key_options_admit(&again, address, now, reason));
        key_options_clear(&again);
    }
    if (options->from)
        fuzz_require(!key_options_admit(options, "unknown", 0, reason));
    free(text);
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
    char *address = fuzz_line(&input);
    while (input.left) {
        char *line = fuzz_line(&input), *copy = strdup(line);
        fuzz_require(copy);
        char reason[KEY_OPTIONS_REASON_SIZE];
        struct key_options options;
        if (authorized_keys_line(line, key, &options, reason) == LINE_ALLOWS) {
            /* libssh does not compare the name of the type before it. */
            const char *found = strstr(copy, KEY_ITSELF);
            fuzz_require(found && copy[0] != '#');
            check(&options, address);
        } else {
            fuzz_require(!options.text);
        }
        key_options_clear(&options);
        free(line);
        free(copy);
    }
    free(address);
    return 0;
}
