#include "hooks/proxy/authorized_keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hooks/proxy/log.h"

#define MAX_FILE ((off_t)1 << 20)

bool authorized_keys_valid_user(const char *user)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._@+-";
    size_t length = strnlen(user, AUTHORIZED_KEYS_MAX_USER + 1);
    return length >= 1 && length <= AUTHORIZED_KEYS_MAX_USER && user[0] != '.' && user[0] != '-' &&
           user[strspn(user, allowed)] == '\0';
}

/* Cuts the next word off, which ends at white space outside of double quotes. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t"), *p = word;
    bool quoted = false;
    for (; *p && (quoted || (*p != ' ' && *p != '\t')); p++) {
        if (*p == '\\' && p[1] == '"')
            p++;
        else if (*p == '"')
            quoted = !quoted;
    }
    if (*p)
        *p++ = '\0';
    *rest = p;
    return word;
}

static bool has_key(const char *line, size_t length, ssh_key key)
{
    char *text = NULL;
    if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK)
        return false;
    bool found = memmem(line, length, text, strlen(text)) != NULL;
    ssh_string_free_char(text);
    return found;
}

enum authorized_line authorized_keys_line(char *line, ssh_key key, struct key_options *options,
                                          char reason[KEY_OPTIONS_REASON_SIZE])
{
    enum authorized_line result = LINE_NOTHING;
    ssh_key listed = NULL;
    char *rest = line, *text = NULL;
    *options = (struct key_options){0};
    line[strcspn(line, "\r\n")] = '\0';
    size_t length = strlen(line);
    char *word = next_word(&rest);
    if (*word == '\0' || *word == '#')
        return LINE_NOTHING;
    if (ssh_key_type_from_name(word) == SSH_KEYTYPE_UNKNOWN) {
        text = word;
        word = next_word(&rest);
    }
    enum ssh_keytypes_e type = ssh_key_type_from_name(word);
    if (type == SSH_KEYTYPE_UNKNOWN ||
        ssh_pki_import_pubkey_base64(next_word(&rest), type, &listed) != SSH_OK) {
        if (!has_key(line, length, key))
            return LINE_NOTHING;
        snprintf(reason, KEY_OPTIONS_REASON_SIZE,
                 "the line is not understood: a double quote or a comma may be missing");
        return LINE_REFUSES;
    }
    if (ssh_key_cmp(listed, key, SSH_KEY_CMP_PUBLIC) == 0)
        result = text && key_options_parse(options, text, reason) < 0 ? LINE_REFUSES : LINE_ALLOWS;
    ssh_key_free(listed);
    return result;
}

static FILE *open_file(const char *directory, const char *user)
{
    struct stat st;
    int fd = -1, parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) {
        log_error("authorized_keys: cannot open %s: %m", directory);
        return NULL;
    }
    fd = openat(parent, user, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    close(parent);
    if (fd < 0)
        return NULL;
    const char *why = NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        why = "is not a regular file";
    else if (st.st_mode & (S_IWGRP | S_IWOTH))
        why = "can be written by others than its owner";
    else if (st.st_size > MAX_FILE)
        why = "is larger than 1 MiB";
    FILE *file = why ? NULL : fdopen(fd, "r");
    if (why)
        log_warning("authorized_keys: %s/%s is not used: it %s", directory, user, why);
    if (!file)
        close(fd);
    return file;
}

bool authorized_keys_allow(const char *directory, const char *user, ssh_key key,
                           const char *address, struct key_options *options)
{
    enum authorized_line says = LINE_NOTHING;
    char *line = NULL, reason[KEY_OPTIONS_REASON_SIZE];
    size_t capacity = 0;
    unsigned number = 0;
    *options = (struct key_options){0};
    if (!authorized_keys_valid_user(user))
        return false;
    FILE *file = open_file(directory, user);
    if (!file)
        return false;
    while (says == LINE_NOTHING && getline(&line, &capacity, file) > 0) {
        number++;
        says = authorized_keys_line(line, key, options, reason);
    }
    if (says == LINE_ALLOWS && !key_options_admit(options, address, time(NULL), reason)) {
        key_options_clear(options);
        says = LINE_REFUSES;
    }
    if (says == LINE_REFUSES)
        log_warning("authorized_keys: %s/%s:%u: the key is refused: %s", directory, user, number,
                    reason);
    free(line);
    fclose(file);
    return says == LINE_ALLOWS;
}
