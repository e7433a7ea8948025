#include "recorder/upload/upload_state.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/s3.h"
#include "recorder/base/file.h"
#include "recorder/base/json.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

/* 10,000 parts of about 200 bytes. */
#define MAX_FILE ((size_t)8 << 20)

static bool copy_string(char *to, size_t size, const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text && (size_t)snprintf(to, size, "%s", text) < size;
}

static bool read_parts(const json_t *json, struct store_progress *progress)
{
    const json_t *parts = json_object_get(json, "parts");
    size_t count = json_array_size(parts);
    if (count > S3_MAX_PARTS)
        return false;
    progress->parts = calloc(count + 1, sizeof(*progress->parts));
    if (!progress->parts)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *part = json_array_get(parts, i);
        const char *sum = json_string_value(json_object_get(part, "sha256"));
        if (!copy_string(progress->parts[i].etag, sizeof(progress->parts[i].etag), part, "etag") ||
            !sum || !text_unhex(progress->parts[i].sha256, SHA256_SIZE, sum))
            return false;
    }
    progress->part_count = (unsigned)count;
    return true;
}

static bool decode(const json_t *json, struct upload_state *state)
{
    if (json_integer_value(json_object_get(json, "version")) != 1 ||
        !copy_string(state->place, sizeof(state->place), json, "place") ||
        !copy_string(state->cast_key, sizeof(state->cast_key), json, "cast_key"))
        return false;
    state->cast_stored = json_is_true(json_object_get(json, "cast_stored"));
    state->confirmed = json_is_true(json_object_get(json, "confirmed"));
    if (!json_object_get(json, "upload_id"))
        return true;
    json_int_t part_size = json_integer_value(json_object_get(json, "part_size"));
    state->progress.part_size = part_size > 0 ? (uint64_t)part_size : 0;
    return copy_string(state->progress.upload_id, sizeof(state->progress.upload_id), json,
                       "upload_id") &&
           read_parts(json, &state->progress);
}

int upload_state_read(const struct spool *spool, const char *id, struct upload_state *state,
                      struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer text = BUFFER_INIT(MAX_FILE);
    *state = (struct upload_state){0};
    spool_name(name, id, SPOOL_UPLOAD_SUFFIX);
    int rc = file_read(spool_area(spool, SPOOL_SEALED), name, &text, error);
    if (rc == 0) {
        json_t *json;
        struct error why = ERROR_INIT;
        rc = json_read_object(text.data, text.length, &json, &why);
        if (!rc && !decode(json, state))
            upload_state_free(state);
        json_decref(json);
        rc = rc == ERR_NO_MEMORY ? error_set(error, rc, "%s: %s", name, why.text) : 0;
    }
    buffer_free(&text);
    return rc == ERR_NOT_FOUND || rc == ERR_LIMIT ? 0 : rc;
}

static int encode(const struct upload_state *state, struct buffer *out)
{
    char hex[65];
    const struct store_progress *progress = &state->progress;
    json_t *json = json_pack("{s:i, s:s, s:s, s:b, s:b}", "version", 1, "place", state->place,
                             "cast_key", state->cast_key, "cast_stored", state->cast_stored,
                             "confirmed", state->confirmed);
    int rc = json ? 0 : ERR_NO_MEMORY;
    if (!rc && progress->upload_id[0]) {
        json_t *parts = json_array();
        rc = json_object_set_new(json, "upload_id", json_string(progress->upload_id)) ||
             json_object_set_new(json, "part_size",
                                 json_integer((json_int_t)progress->part_size)) ||
             json_object_set_new(json, "parts", parts);
        for (unsigned i = 0; i < progress->part_count && !rc; i++) {
            text_hex(hex, progress->parts[i].sha256, SHA256_SIZE);
            rc = json_array_append_new(
                parts, json_pack("{s:s, s:s}", "etag", progress->parts[i].etag, "sha256", hex));
        }
    }
    char *text = rc ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    rc = text ? buffer_append_text(out, text) : ERR_NO_MEMORY;
    free(text);
    return rc;
}

int upload_state_write(const struct spool *spool, const char *id, const struct upload_state *state,
                       struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer text = BUFFER_INIT(MAX_FILE);
    spool_name(name, id, SPOOL_UPLOAD_SUFFIX);
    int rc = encode(state, &text);
    if (rc)
        rc = error_set(error, rc, "cannot write %s", name);
    else
        rc = file_write_atomic(spool_area(spool, SPOOL_SEALED), name, text.data, text.length, 0600,
                               error);
    buffer_free(&text);
    return rc;
}

void upload_state_free(struct upload_state *state)
{
    store_progress_free(&state->progress);
    *state = (struct upload_state){0};
}
