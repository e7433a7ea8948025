#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/file.h"
#include "recorder/read/recording.h"
#include "recorder/read/source.h"
#include "recorder/store/key.h"

/* The key says whose recording it is and when it began; a manifest that says otherwise was copied
 * or written by somebody else. */
static int compare_with_key(struct store *store, const char *key, const struct manifest *manifest,
                            struct error *error)
{
    char expected[KEY_SIZE];
    int rc = key_make(expected, store_prefix(store), manifest->organization, manifest->socket,
                      manifest->started_ns, manifest->id, KEY_CAST_SUFFIX, error);
    if (!rc && strcmp(expected, key) == 0)
        return 0;
    if (rc)
        return error_set(error, ERR_DAMAGED, "the manifest's own names make no key");
    return error_set(error, ERR_DAMAGED, "the manifest is another recording's: it belongs to %s",
                     expected);
}

static int parse(const struct buffer *text, struct manifest **manifest, struct error *error)
{
    int rc = manifest_read(text->data ? text->data : "", text->length, manifest, error);
    if (!rc)
        return 0;
    if (rc == ERR_INVALID)
        rc = ERR_DAMAGED;
    if (error)
        error->code = rc;
    error_prefix(error, "the manifest is unreadable");
    return rc;
}

int recording_manifest_file(const char *path, struct manifest **manifest, struct buffer *text,
                            struct error *error)
{
    int rc = file_read(AT_FDCWD, path, text, error);
    return rc ? rc : parse(text, manifest, error);
}

int recording_manifest(struct store *store, const char *key, struct manifest **manifest,
                       struct buffer *wanted, struct error *error)
{
    size_t stem = strlen(key), suffix = strlen(KEY_CAST_SUFFIX);
    char name[KEY_SIZE];
    if (stem < suffix || strcmp(key + stem - suffix, KEY_CAST_SUFFIX) != 0 ||
        stem - suffix + strlen(KEY_MANIFEST_SUFFIX) >= sizeof(name))
        return error_set(error, ERR_INVALID, "%s is not the key of a recording", key);
    stem -= suffix;
    snprintf(name, sizeof(name), "%.*s%s", (int)stem, key, KEY_MANIFEST_SUFFIX);

    struct buffer own = BUFFER_INIT(MANIFEST_MAX_SIZE), *text = wanted ? wanted : &own;
    struct manifest *read = NULL;
    int rc = source_read_object(store, name, text, error);
    if (!rc)
        rc = parse(text, &read, error);
    if (rc)
        goto out;
    rc = compare_with_key(store, key, read, error);
    if (rc)
        goto out;
    *manifest = read;
    read = NULL;
out:
    manifest_free(read);
    buffer_free(&own);
    return rc;
}
