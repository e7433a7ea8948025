#include "recorder/store/key.h"

#include <stdio.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/base/text.h"

/* "socket=" and an encoded name must also be a file name for the directory store (NAME_MAX). */
#define MAX_FOLDER 255

static bool is_plain(unsigned char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (c == '.' && !first);
}

/* Appends "label=" and the encoded name and a slash. */
static int append_folder(char key[KEY_SIZE], const char *label, const char *name,
                         struct error *error)
{
    char folder[MAX_FOLDER + 1];
    size_t used = (size_t)snprintf(folder, sizeof(folder), "%s=", label);
    if (!name[0])
        return error_set(error, ERR_INVALID, "the %s's name is empty",
                         strcmp(label, "org") == 0 ? "organization" : label);
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = is_plain(c, p == name);
        if (used + (plain ? 1 : 3) >= sizeof(folder))
            return error_set(error, ERR_LIMIT, "the name '%.80s...' is too long for a key", name);
        if (plain)
            folder[used++] = *p;
        else
            used += (size_t)snprintf(folder + used, 4, "%%%02X", c);
    }
    folder[used] = '\0';
    size_t length = strlen(key);
    if (length + used + 1 >= KEY_SIZE)
        return error_set(error, ERR_LIMIT, "the key with the name '%.80s' is over %d bytes", name,
                         KEY_SIZE - 1);
    snprintf(key + length, KEY_SIZE - length, "%s/", folder);
    return 0;
}

int key_prefix(char key[KEY_SIZE], const char *prefix, const char *organization, const char *socket,
               struct error *error)
{
    size_t length = strlen(prefix);
    if (length && prefix[length - 1] != '/')
        return error_set(error, ERR_INVALID, "the prefix '%.80s' does not end with a slash",
                         prefix);
    if (length >= KEY_SIZE)
        return error_set(error, ERR_LIMIT, "the prefix '%.80s...' is over %d bytes", prefix,
                         KEY_SIZE - 1);
    memcpy(key, prefix, length + 1);
    int rc = append_folder(key, "org", organization, error);
    if (!rc && socket)
        rc = append_folder(key, "socket", socket, error);
    return rc;
}

int key_make(char key[KEY_SIZE], const char *prefix, const char *organization, const char *socket,
             int64_t started_ns, const char *id, const char *suffix, struct error *error)
{
    if (!id_is_valid(id))
        return error_set(error, ERR_INVALID, "'%.80s' is not a recording's id", id);
    char when[TEXT_TIME_SIZE];
    text_time(when, started_ns);
    int rc = key_prefix(key, prefix, organization, socket, error);
    if (rc)
        return rc;
    size_t used = strlen(key);
    int length = snprintf(key + used, KEY_SIZE - used, "date=%.10s/%s%s", when, id, suffix);
    if (length < 0 || (size_t)length >= KEY_SIZE - used)
        return error_set(error, ERR_LIMIT, "%s: its key is over %d bytes", id, KEY_SIZE - 1);
    return 0;
}

bool key_parse(const char *key, char id[37], bool *is_manifest)
{
    const char *slash = strrchr(key, '/');
    if (!slash || strlen(slash + 1) < ID_SIZE - 1)
        return false;
    memcpy(id, slash + 1, ID_SIZE - 1);
    id[ID_SIZE - 1] = '\0';
    const char *suffix = slash + ID_SIZE;
    *is_manifest = strcmp(suffix, KEY_MANIFEST_SUFFIX) == 0;
    return id_is_valid(id) && (*is_manifest || strcmp(suffix, KEY_CAST_SUFFIX) == 0);
}
