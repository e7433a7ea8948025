#include "recorder/transfer/transfer_protocol.h"

#include <stddef.h>
#include <string.h>

#define BLANK " \t"

static bool is_word(const char *word, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

/* The next word of a command; quotes stay in it. *length 0: there is none. */
static const char *next_word(const char **text, size_t *length)
{
    const char *word = *text + strspn(*text, BLANK);
    *length = strcspn(word, BLANK);
    *text = word + *length;
    return word;
}

static const char *last_component(const char *word, size_t *length)
{
    const char *slash = memrchr(word, '/', *length);
    if (!slash)
        return word;
    *length -= (size_t)(slash + 1 - word);
    return slash + 1;
}

/* OpenSSH's client says `scp -v -r -p -d -t -- PATH`. */
static enum transfer_protocol scp_direction(const char *rest)
{
    for (;;) {
        size_t length;
        const char *word = next_word(&rest, &length);
        if (length < 2 || word[0] != '-' || word[1] == '-')
            return TRANSFER_NONE;
        if (strspn(word + 1, "vrpdqtf") < length - 1)
            return TRANSFER_NONE;
        if (memchr(word, 't', length))
            return TRANSFER_SCP_TO;
        if (memchr(word, 'f', length))
            return TRANSFER_SCP_FROM;
    }
}

static bool is_git(const char *word, size_t length, const char *rest)
{
    static const char *const services[] = {"git-upload-pack", "git-receive-pack",
                                           "git-upload-archive"};
    const size_t skip = strlen("git-");
    bool alone = is_word(word, length, "git");
    if (alone)
        word = next_word(&rest, &length);
    for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
        if (is_word(word, length, services[i] + (alone ? skip : 0)))
            return true;
    return false;
}

enum transfer_protocol transfer_protocol_of_command(const char *command)
{
    size_t length, option_length;
    if (!command || command[strcspn(command, ";&|<>`\n\r")] || strstr(command, "$("))
        return TRANSFER_NONE;
    const char *rest = command;
    const char *word = next_word(&rest, &length);
    word = last_component(word, &length);
    if (is_word(word, length, "sftp-server") || is_word(word, length, "internal-sftp"))
        return TRANSFER_SFTP;
    if (is_word(word, length, "scp"))
        return scp_direction(rest);
    if (is_git(word, length, rest))
        return TRANSFER_GIT;
    const char *option = next_word(&rest, &option_length);
    if (is_word(word, length, "rsync") && is_word(option, option_length, "--server"))
        return TRANSFER_RSYNC;
    return TRANSFER_NONE;
}

enum transfer_protocol transfer_protocol_of_subsystem(const char *name)
{
    return name && strcmp(name, "sftp") == 0 ? TRANSFER_SFTP : TRANSFER_NONE;
}

static const struct {
    const char *name, *key;
} known[] = {
    [TRANSFER_NONE] = {"", ""},
    [TRANSFER_SFTP] = {"sftp", "sftp"},
    [TRANSFER_SCP_TO] = {"scp", "scp-to"},
    [TRANSFER_SCP_FROM] = {"scp", "scp-from"},
    [TRANSFER_RSYNC] = {"rsync", "rsync"},
    [TRANSFER_GIT] = {"git", "git"},
};

const char *transfer_protocol_name(enum transfer_protocol protocol)
{
    return known[protocol].name;
}

const char *transfer_protocol_key(enum transfer_protocol protocol)
{
    return known[protocol].key;
}

enum transfer_protocol transfer_protocol_find(const char *key)
{
    for (int i = TRANSFER_SFTP; i <= TRANSFER_GIT; i++)
        if (strcmp(known[i].key, key) == 0)
            return (enum transfer_protocol)i;
    return TRANSFER_NONE;
}
