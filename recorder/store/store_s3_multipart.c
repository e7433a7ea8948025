#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/sha256.h"
#include "recorder/store/store_s3.h"

#define MIB ((uint64_t)1 << 20)
#define MAX_OBJECT ((uint64_t)5 << 40) /* S3's limit: 5 TiB */

/* One object on its way in parts. */
struct transfer {
    struct store_s3 *s3;
    const struct store_object *object;
    struct store_progress *progress;
    int (*save)(void *context, const struct store_progress *progress, struct error *error);
    void *context;
};

uint64_t store_s3_part_size(uint64_t object_size)
{
    uint64_t least = (object_size + S3_MAX_PARTS - 1) / S3_MAX_PARTS;
    least = (least + MIB - 1) / MIB * MIB;
    return least > STORE_S3_PART ? least : STORE_S3_PART;
}

static uint64_t count_parts(uint64_t object_size, uint64_t part_size)
{
    return (object_size + part_size - 1) / part_size;
}

static int remember(const struct transfer *transfer, struct error *error)
{
    return transfer->save ? transfer->save(transfer->context, transfer->progress, error) : 0;
}

static void forget(struct store_progress *progress)
{
    free(progress->parts);
    *progress = (struct store_progress){0};
}

/* Whether saved progress can be that of this object. */
static bool is_plausible(const struct store_progress *progress, uint64_t object_size)
{
    if (!progress->upload_id[0] || progress->part_size < S3_MIN_PART)
        return false;
    uint64_t parts = count_parts(object_size, progress->part_size);
    return parts <= S3_MAX_PARTS && progress->part_count <= parts;
}

/* The parts that were confirmed, as recorder/aws wants them; free(). NULL: no memory. */
static struct s3_part *parts_of(const struct store_progress *progress)
{
    struct s3_part *parts = calloc(progress->part_count + 1, sizeof(*parts));
    for (unsigned i = 0; parts && i < progress->part_count; i++) {
        snprintf(parts[i].etag, sizeof(parts[i].etag), "%s", progress->parts[i].etag);
        memcpy(parts[i].sha256, progress->parts[i].sha256, sizeof(parts[i].sha256));
    }
    return parts;
}

/* What is in the store already: 0 our object, ERR_NOT_FOUND nothing, else why not to go on. */
static int look(const struct transfer *transfer, struct error *error)
{
    const struct store_progress *progress = transfer->progress;
    struct s3_part *parts = parts_of(progress);
    if (!parts)
        return error_set(error, ERR_NO_MEMORY, "no memory to compare %s", transfer->object->key);
    int rc = store_s3_compare(transfer->s3, transfer->object, parts, progress->part_count, error);
    free(parts);
    return rc;
}

static int begin(const struct transfer *transfer, struct error *error)
{
    struct store_progress *progress = transfer->progress;
    const struct store_object *object = transfer->object;
    forget(progress);
    int rc = s3_multipart_create(transfer->s3->bucket, object->key, object->content_type,
                                 object->sha256, progress->upload_id, error);
    if (rc) {
        forget(progress);
        return rc;
    }
    progress->part_size = store_s3_part_size(object->size);
    return remember(transfer, error);
}

static int send_part(const struct transfer *transfer, struct error *error)
{
    struct store_progress *progress = transfer->progress;
    const struct store_object *object = transfer->object;
    uint64_t offset = progress->part_count * progress->part_size;
    uint64_t length = object->size - offset;
    if (length > progress->part_size)
        length = progress->part_size;

    struct store_part *parts = reallocarray(progress->parts, progress->part_count + 1,
                                            sizeof(*parts));
    if (!parts)
        return error_set(error, ERR_NO_MEMORY, "no memory for a part of %s", object->key);
    progress->parts = parts;
    struct store_part *part = &parts[progress->part_count];
    memset(part, 0, sizeof(*part));
    int rc = sha256_file(object->fd, offset, length, part->sha256, error);
    if (rc) {
        error_prefix(error, "cannot read the recording for %s", object->key);
        return rc;
    }
    const struct http_body body = {.fd = object->fd, .offset = offset, .length = length};
    rc = s3_multipart_part(transfer->s3->bucket, object->key, progress->upload_id,
                           progress->part_count + 1, &body, part->sha256, part->etag, error);
    if (rc)
        return rc;
    progress->part_count++;
    return remember(transfer, error);
}

static int complete(const struct transfer *transfer, struct error *error)
{
    const struct store_progress *progress = transfer->progress;
    const struct store_object *object = transfer->object;
    struct s3_part *parts = parts_of(progress);
    if (!parts)
        return error_set(error, ERR_NO_MEMORY, "no memory to complete %s", object->key);
    struct s3_object stored;
    int rc = s3_multipart_complete(transfer->s3->bucket, object->key, progress->upload_id, parts,
                                   progress->part_count, true, &stored, error);
    free(parts);
    return rc;
}

/* Sends what is missing and completes. ERR_NOT_FOUND: the upload is gone, or the object is not
 * there although completing succeeded. */
static int send_and_complete(const struct transfer *transfer, struct error *error)
{
    struct store_progress *progress = transfer->progress;
    uint64_t parts = count_parts(transfer->object->size, progress->part_size);
    int rc = 0;
    while (progress->part_count < parts && !rc)
        rc = send_part(transfer, error);
    if (rc)
        return rc;
    /* Some stores take If-None-Match here and do not heed it (RADOS Gateway 16 does so), so look
     * once more right before. What is left is the time between two requests, on a key that only
     * this recording has. */
    rc = look(transfer, error);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = complete(transfer, error);
    if (rc == 0 || rc == ERR_EXISTS || rc == ERR_DAMAGED)
        rc = look(transfer, error);
    return rc;
}

int store_s3_put_multipart(struct store_s3 *s3, const struct store_object *object,
                           struct store_progress *progress,
                           int (*save)(void *context, const struct store_progress *progress,
                                       struct error *error),
                           void *context, struct error *error)
{
    const struct transfer transfer = {s3, object, progress, save, context};
    if (object->size > MAX_OBJECT)
        return error_set(error, ERR_LIMIT, "%s is over S3's limit of 5 TiB", object->key);

    /* First of all, because an upload that was completed may have lost its answer. */
    int rc = look(&transfer, error);
    if (rc != ERR_NOT_FOUND)
        return rc;
    bool resumed = is_plausible(progress, object->size);
    rc = resumed ? 0 : begin(&transfer, error);
    if (!rc)
        rc = send_and_complete(&transfer, error);
    if (rc == ERR_NOT_FOUND && progress->upload_id[0]) {
        /* The store does not know the upload any more: a lifecycle rule aborted it, or another
         * attempt of ours completed it. If the object is not there, begin again, once. */
        rc = look(&transfer, error);
        if (rc == ERR_NOT_FOUND)
            rc = begin(&transfer, error);
        else
            return rc;
        if (!rc)
            rc = send_and_complete(&transfer, error);
        if (rc == ERR_NOT_FOUND && progress->upload_id[0]) {
            forget(progress);
            rc = remember(&transfer, error);
            if (!rc)
                rc = error_set(error, ERR_RETRY, "the store forgot the upload of %s%s twice",
                               s3->store.url, object->key);
        }
    }
    return rc;
}
