#include <stdio.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/read/recording.h"
#include "recorder/store/key.h"

#define LEAST_PREFIX 8
#define MAX_NAMED 8 /* candidates that an error names */

struct search {
    const char *id;
    size_t length;
    char key[KEY_SIZE];
    char last[ID_SIZE]; /* the id found last: a recording and its manifest are one */
    size_t found;
    char named[MAX_NAMED * (ID_SIZE + 1)];
    struct error *error;
};

static int look(void *context, const char *key, uint64_t size)
{
    struct search *search = context;
    char id[ID_SIZE];
    bool is_manifest;
    (void)size;
    if (!key_parse(key, id, &is_manifest) || strncmp(id, search->id, search->length) != 0 ||
        strcmp(id, search->last) == 0)
        return 0;
    size_t stem = strlen(key) - strlen(is_manifest ? KEY_MANIFEST_SUFFIX : KEY_CAST_SUFFIX);
    if (stem + strlen(KEY_CAST_SUFFIX) >= sizeof(search->key))
        return error_set(search->error, ERR_INVALID, "the key of %s is too long", id);
    if (search->found == 0)
        snprintf(search->key, sizeof(search->key), "%.*s%s", (int)stem, key, KEY_CAST_SUFFIX);
    memcpy(search->last, id, ID_SIZE);
    if (search->found < MAX_NAMED) {
        size_t used = strlen(search->named);
        snprintf(search->named + used, sizeof(search->named) - used, " %s", id);
    }
    search->found++;
    /* A whole id is looked for no further. */
    return search->length == ID_SIZE - 1;
}

static bool is_prefix(const char *id)
{
    static const char pattern[] = "00000000-0000-7000-8000-000000000000";
    size_t length = strlen(id);
    if (length < LEAST_PREFIX || length > ID_SIZE - 1)
        return false;
    for (size_t i = 0; i < length; i++)
        if (pattern[i] == '-' ? id[i] != '-' : !strchr("0123456789abcdef", id[i]))
            return false;
    return true;
}

int recording_find(struct store *store, const char *organization, const char *id, char *key,
                   size_t key_size, struct error *error)
{
    char prefix[KEY_SIZE];
    struct search search = {.id = id, .length = strlen(id), .error = error};
    if (!is_prefix(id))
        return error_set(error, ERR_INVALID,
                         "'%.64s' is not a recording's id: give all of it, as `castbucket ls` "
                         "shows it, or its first %d characters or more",
                         id, LEAST_PREFIX);
    int rc = key_prefix(prefix, store_prefix(store), organization, NULL, error);
    if (rc)
        return rc;
    rc = store_list(store, prefix, look, &search, error);
    if (rc < 0)
        return rc;
    if (!search.found)
        return error_set(error, ERR_NOT_FOUND, "no recording %s in %s%s", id, store_url(store),
                         prefix);
    if (search.found > 1)
        return error_set(error, ERR_INVALID, "%zu recordings begin with %s:%s%s", search.found, id,
                         search.named, search.found > MAX_NAMED ? " ..." : "");
    if (snprintf(key, key_size, "%s", search.key) >= (int)key_size)
        return error_set(error, ERR_INVALID, "the key of %s is too long", id);
    return 0;
}
