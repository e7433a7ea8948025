#include "recorder/seal/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/base/json.h"
#include "recorder/base/text.h"

/* What manifest_read() gives out, with what its strings and chunks live in. */
struct owned {
    struct manifest manifest;
    json_t *root;
    struct manifest_chunk *chunks;
};

static int wrong(struct error *error, const char *name, const char *must)
{
    return error_set(error, ERR_DAMAGED, "\"%s\" must be %s", name, must);
}

static int get_text(const json_t *object, const char *name, bool required, const char **value,
                    struct error *error)
{
    const json_t *member = json_object_get(object, name);
    *value = "";
    if (!member && !required)
        return 0;
    if (!json_is_string(member))
        return wrong(error, name, "there, and a string");
    *value = json_string_value(member);
    return 0;
}

static int get_number(const json_t *object, const char *name, bool required, uint64_t most,
                      uint64_t *value, struct error *error)
{
    const json_t *member = json_object_get(object, name);
    if (!member && !required)
        return 0;
    json_int_t number = json_integer_value(member);
    if (!json_is_integer(member) || number < 0 || (uint64_t)number > most)
        return wrong(error, name, "there, and a whole number within its limits");
    *value = (uint64_t)number;
    return 0;
}

static int get_u32(const json_t *object, const char *name, uint32_t *value, struct error *error)
{
    uint64_t number = 0;
    int rc = get_number(object, name, false, UINT32_MAX, &number, error);
    *value = (uint32_t)number;
    return rc;
}

/* Written as microseconds, and read back as exactly those (up to a century, by double's 53 bits).
 */
static int get_seconds(const json_t *object, const char *name, int64_t *ns, struct error *error)
{
    const json_t *member = json_object_get(object, name);
    double seconds = json_number_value(member);
    if (!json_is_number(member) || !(seconds >= 0 && seconds < 9.2e9))
        return wrong(error, name, "there, and a number of seconds");
    *ns = (int64_t)(seconds * 1e6 + 0.5) * 1000;
    return 0;
}

static int get_hash(const json_t *object, const char *name, uint8_t hash[32], struct error *error)
{
    const char *hex = json_string_value(json_object_get(object, name));
    if (!hex || !text_unhex(hash, 32, hex))
        return wrong(error, name, "there, and 64 hexadecimal digits");
    return 0;
}

static int read_chunk(const json_t *object, struct manifest_chunk *chunk, struct error *error)
{
    int rc = get_number(object, "offset", true, INT64_MAX, &chunk->offset, error);
    if (!rc)
        rc = get_number(object, "size", true, INT64_MAX, &chunk->size, error);
    if (!rc)
        rc = get_number(object, "cast_offset", true, INT64_MAX, &chunk->cast_offset, error);
    if (!rc)
        rc = get_number(object, "cast_size", true, INT64_MAX, &chunk->cast_size, error);
    if (!rc)
        rc = get_seconds(object, "time", &chunk->time_ns, error);
    if (!rc)
        rc = get_hash(object, "sha256", chunk->sha256, error);
    return rc;
}

/* Chunks must cover the cast without a hole, one after another in the file. */
static int read_chunks(struct owned *owned, struct error *error)
{
    struct manifest *manifest = &owned->manifest;
    const json_t *array = json_object_get(owned->root, "chunks");
    if (!json_is_array(array))
        return wrong(error, "chunks", "there, and an array");
    size_t count = json_array_size(array);
    owned->chunks = calloc(count ? count : 1, sizeof(*owned->chunks));
    if (!owned->chunks)
        return error_set(error, ERR_NO_MEMORY, "no memory for %zu chunks", count);
    uint64_t cast_offset = 0;
    for (size_t i = 0; i < count; i++) {
        struct manifest_chunk *chunk = &owned->chunks[i];
        const struct manifest_chunk *before = i ? chunk - 1 : NULL;
        int rc = read_chunk(json_array_get(array, i), chunk, error);
        if (rc) {
            error_prefix(error, "chunk %zu", i);
            return rc;
        }
        if (chunk->cast_offset != cast_offset ||
            (before &&
             (chunk->offset != before->offset + before->size || chunk->time_ns < before->time_ns)))
            return error_set(error, ERR_DAMAGED, "chunk %zu does not follow the one before it", i);
        if (chunk->size > manifest->size || chunk->offset > manifest->size - chunk->size ||
            chunk->cast_size > manifest->cast_bytes - cast_offset)
            return error_set(error, ERR_DAMAGED, "chunk %zu lies outside the recording", i);
        cast_offset += chunk->cast_size;
    }
    if (count && cast_offset != manifest->cast_bytes)
        return error_set(error, ERR_DAMAGED, "the chunks end before the cast does");
    manifest->chunks = owned->chunks;
    manifest->chunk_count = count;
    return 0;
}

static int read_who(const json_t *root, struct manifest *manifest, struct error *error)
{
    const char *format;
    uint64_t version = 0;
    int rc = get_text(root, "format", true, &format, error);
    if (!rc && strcmp(format, "castbucket-manifest") != 0)
        rc = wrong(error, "format", "castbucket-manifest");
    if (!rc)
        rc = get_number(root, "version", true, INT64_MAX, &version, error);
    if (!rc && version != 1)
        rc = error_set(error, ERR_DAMAGED, "manifest version %llu is not known; 1 is",
                       (unsigned long long)version);
    if (!rc)
        rc = get_text(root, "id", true, &manifest->id, error);
    if (!rc && !id_is_valid(manifest->id))
        rc = wrong(error, "id", "a lower-case UUID of version 7");
    const struct {
        const char *name, **text;
    } members[] = {
        {"organization", &manifest->organization},
        {"socket", &manifest->socket},
        {"user", &manifest->user},
        {"key_fingerprint", &manifest->key_fingerprint},
        {"target_user", &manifest->target_user},
        {"target_address", &manifest->target_address},
        {"client_address", &manifest->client_address},
        {"connection_id", &manifest->connection_id},
        {"host", &manifest->host},
        {"kind", &manifest->kind},
        {"command", &manifest->command},
        {"term", &manifest->term},
        {"signal", &manifest->signal},
        {"message", &manifest->message},
        {"damaged", &manifest->damaged},
        {"signing_key", &manifest->signing_key},
        {"signature", &manifest->signature},
    };
    for (size_t i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++)
        rc = get_text(root, members[i].name, false, members[i].text, error);
    if (!rc)
        rc = get_u32(root, "columns", &manifest->columns, error);
    if (!rc)
        rc = get_u32(root, "rows", &manifest->rows, error);
    return rc;
}

static int read_how(const json_t *root, struct manifest *manifest, struct error *error)
{
    static const char *const ends[] = {"exited", "signaled", "lost", "cut"};
    const char *started;
    uint64_t number = 0;
    size_t i = 0;
    int rc = get_text(root, "started", true, &started, error);
    if (!rc && !text_parse_time(started, &manifest->started_ns))
        rc = wrong(error, "started", "an RFC 3339 time");
    if (!rc)
        rc = get_seconds(root, "duration", &manifest->duration_ns, error);
    if (!rc)
        rc = get_number(root, "cast_version", true, 3, &number, error);
    manifest->cast_version = (int)number;
    if (!rc && number < 2)
        rc = wrong(error, "cast_version", "2 or 3");
    if (!rc)
        rc = get_text(root, "end", true, &manifest->end, error);
    while (!rc && i < 4 && strcmp(manifest->end, ends[i]) != 0)
        i++;
    if (i == 4)
        rc = wrong(error, "end", "exited, signaled, lost or cut");
    if (!rc) {
        number = UINT64_MAX;
        rc = get_number(root, "exit_status", false, INT32_MAX, &number, error);
        manifest->exit_status = number == UINT64_MAX ? -1 : (int)number;
    }
    return rc;
}

static int read_sizes(const json_t *root, struct manifest *manifest, struct error *error)
{
    const struct {
        const char *name;
        uint64_t *value;
    } members[] = {
        {"output_bytes", &manifest->output_bytes},
        {"input_bytes", &manifest->input_bytes},
        {"lost_bytes", &manifest->lost_bytes},
        {"cast_bytes", &manifest->cast_bytes},
        {"size", &manifest->size},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++)
        rc = get_number(root, members[i].name, true, INT64_MAX, members[i].value, error);
    if (!rc)
        rc = get_hash(root, "sha256", manifest->sha256, error);
    if (!rc)
        rc = get_hash(root, "chain", manifest->chain, error);
    return rc;
}

static int read_transfer(json_t *root, struct manifest_transfer *transfer, struct error *error)
{
    json_t *object = json_object_get(root, "transfer");
    *transfer = (struct manifest_transfer){.protocol = "", .list = ""};
    if (!object)
        return 0;
    if (!json_is_object(object))
        return wrong(error, "transfer", "an object");
    const struct {
        const char *name;
        uint64_t *value;
    } members[] = {
        {"operations", &transfer->operations}, {"put_files", &transfer->put_files},
        {"put_bytes", &transfer->put_bytes},   {"got_files", &transfer->got_files},
        {"got_bytes", &transfer->got_bytes},   {"listed", &transfer->listed},
    };
    int rc = get_text(object, "protocol", true, &transfer->protocol, error);
    for (size_t i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++)
        rc = get_number(object, members[i].name, true, INT64_MAX, members[i].value, error);
    transfer->contents = json_is_true(json_object_get(object, "contents"));
    transfer->understood = json_is_true(json_object_get(object, "understood"));
    json_object_del(object, "list"); /* as with the chunks below; readers have the cast's events */
    return rc;
}

int manifest_read(const char *text, size_t length, struct manifest **manifest, struct error *error)
{
    int rc;
    *manifest = NULL;
    if (length > MANIFEST_MAX_SIZE)
        return error_set(error, ERR_DAMAGED, "the manifest is longer than %zu bytes",
                         MANIFEST_MAX_SIZE);
    struct owned *owned = calloc(1, sizeof(*owned));
    if (!owned)
        return error_set(error, ERR_NO_MEMORY, "no memory for the manifest");
    rc = json_read_object(text, length, &owned->root, error);
    if (rc) {
        rc = rc == ERR_NO_MEMORY ? rc : ERR_DAMAGED;
        if (error)
            error->code = rc;
        error_prefix(error, "the manifest cannot be read as JSON");
        goto out;
    }
    rc = read_who(owned->root, &owned->manifest, error);
    if (!rc)
        rc = read_how(owned->root, &owned->manifest, error);
    if (!rc)
        rc = read_sizes(owned->root, &owned->manifest, error);
    if (!rc)
        rc = read_transfer(owned->root, &owned->manifest.transfer, error);
    if (!rc)
        rc = read_chunks(owned, error);
    if (rc) {
        error_prefix(error, "the manifest is damaged");
        goto out;
    }
    /* A list of thousands of manifests needs their strings, not their chunks a second time. */
    json_object_del(owned->root, "chunks");
    *manifest = &owned->manifest;
out:
    if (rc)
        manifest_free(&owned->manifest);
    return rc;
}

void manifest_free(struct manifest *manifest)
{
    struct owned *owned = (struct owned *)manifest;
    if (!owned)
        return;
    json_decref(owned->root);
    free(owned->chunks);
    free(owned);
}
