#include "recorder/upload/upload_recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/buffer.h"
#include "recorder/base/file.h"
#include "recorder/base/log.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "recorder/seal/manifest.h"
#include "recorder/upload/storage_fingerprint.h"
#include "recorder/upload/upload_state.h"

/* One recording on its way. */
struct upload {
    const struct upload_job *job;
    struct buffer text; /* of the manifest */
    struct manifest *manifest;
    struct upload_state state;
    bool noted; /* there is an ID.upload */
    int cast;   /* -1: the local file is gone, and the store has it */
    struct store *store;
    char cast_key[KEY_SIZE], manifest_key[KEY_SIZE];
};

static int read_manifest(const struct spool *spool, const char *id, struct buffer *text,
                         struct manifest **manifest, struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, SPOOL_MANIFEST_SUFFIX);
    int rc = file_read(spool_area(spool, SPOOL_SEALED), name, text, error);
    if (rc)
        return rc == ERR_LIMIT ? error_set(error, ERR_DAMAGED, "%s is too large", name) : rc;
    rc = manifest_read(text->data ? text->data : "", text->length, manifest, error);
    if (rc == ERR_NO_MEMORY)
        return rc;
    if (!rc && strcmp((*manifest)->id, id) != 0)
        rc = error_set(error, ERR_INVALID, "it is that of another recording");
    if (rc) {
        error_prefix(error, "%s cannot be used", name);
        rc = ERR_DAMAGED;
        if (error)
            error->code = rc;
    }
    return rc;
}

int upload_owner(const struct spool *spool, const char *id, char **organization,
                 struct error *error)
{
    struct buffer text = BUFFER_INIT(MANIFEST_MAX_SIZE);
    struct manifest *manifest = NULL;
    int rc = read_manifest(spool, id, &text, &manifest, error);
    if (!rc) {
        *organization = strdup(manifest->organization);
        if (!*organization)
            rc = error_set(error, ERR_NO_MEMORY, "no memory to queue %s", id);
    }
    manifest_free(manifest);
    buffer_free(&text);
    return rc;
}

/* What is left of a confirmed recording goes in such an order that after a kill or a power loss the
 * next recorder knows that the rest may go. With a note it is ID.upload that tells, and it goes
 * last. Without one it is the manifest: whose cast is gone is looked for in the store,
 * find_stored_cast(). That is rare and costs a request, where a note would cost each recording two
 * syncs. */
static int remove_local(const struct spool *spool, struct upload_syncs *syncs, const char *id,
                        bool noted, struct error *error)
{
    static const char *const suffixes[] = {SPOOL_CAST_SUFFIX, SPOOL_SEAL_SUFFIX,
                                           SPOOL_TRANSFER_SUFFIX, SPOOL_MANIFEST_SUFFIX,
                                           SPOOL_UPLOAD_SUFFIX};
    size_t count = noted ? 5 : 4;
    /* A journal that comes back after a power loss, when all that tells of its recording is gone,
     * would be sealed again, perhaps without its end, and never agree with what is stored. */
    int rc = spool_remove(spool, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX, error);
    if (!rc)
        rc = shared_sync(&syncs->journals, spool_area(spool, SPOOL_JOURNALS), error);
    for (size_t i = 0; i < count && !rc; i++) {
        /* After a power loss none of the others may come back without the last. */
        if (i == count - 1)
            rc = shared_sync(&syncs->sealed, spool_area(spool, SPOOL_SEALED), error);
        if (!rc)
            rc = spool_remove(spool, SPOOL_SEALED, id, suffixes[i], error);
    }
    return rc;
}

void upload_syncs_init(struct upload_syncs *syncs)
{
    shared_sync_init(&syncs->journals);
    shared_sync_init(&syncs->sealed);
}

void upload_syncs_deinit(struct upload_syncs *syncs)
{
    shared_sync_deinit(&syncs->journals);
    shared_sync_deinit(&syncs->sealed);
}

int upload_finish(const struct spool *spool, struct upload_syncs *syncs, const char *id,
                  struct error *error)
{
    struct upload_state state;
    int rc = upload_state_read(spool, id, &state, error);
    if (!rc && state.confirmed)
        rc = remove_local(spool, syncs, id, true, error);
    upload_state_free(&state);
    return rc;
}

static bool is_there(const struct spool *spool, enum spool_area area, const char *id,
                     const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, suffix);
    return faccessat(spool_area(spool, area), name, F_OK, 0) == 0;
}

/* Opens the cast and sees that it is what the manifest says. ERR_NOT_FOUND: it is not there. */
static int open_cast(struct upload *upload, struct error *error)
{
    const struct manifest *manifest = upload->manifest;
    char name[SPOOL_NAME_SIZE];
    uint8_t sum[SHA256_SIZE];
    struct stat info;
    spool_name(name, upload->job->id, SPOOL_CAST_SUFFIX);
    upload->cast = openat(spool_area(upload->job->spool, SPOOL_SEALED), name,
                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (upload->cast < 0 || fstat(upload->cast, &info))
        return error_system(error, "cannot open %s", name);
    if ((uint64_t)info.st_size != manifest->size)
        return error_set(error, ERR_DAMAGED, "%s has %llu bytes; its manifest says %llu", name,
                         (unsigned long long)info.st_size, (unsigned long long)manifest->size);
    int rc = sha256_file(upload->cast, 0, manifest->size, sum, error);
    if (!rc && memcmp(sum, manifest->sha256, sizeof(sum)) != 0)
        rc = error_set(error, ERR_DAMAGED, "%s does not match its manifest's SHA-256", name);
    return rc;
}

static struct store_object cast_object(const struct upload *upload)
{
    struct store_object object = {.key = upload->cast_key,
                                  .content_type = "application/gzip",
                                  .fd = upload->cast,
                                  .size = upload->manifest->size};
    memcpy(object.sha256, upload->manifest->sha256, SHA256_SIZE);
    return object;
}

/* The local cast is gone. It may be that the last recorder had it confirmed, removed it, and was
 * killed before it could say so: then the store has exactly these bytes. */
static int find_stored_cast(struct upload *upload, struct error *error)
{
    const struct store_object object = cast_object(upload);
    int rc = store_has(upload->store, &object, error);
    if (rc == ERR_NOT_FOUND || rc == ERR_CONFLICT)
        rc = error_set(error, ERR_DAMAGED, "%s.cast.gz is gone, and %s%s is not it",
                       upload->job->id, store_url(upload->store), upload->cast_key);
    return rc;
}

static int save_progress(void *context, const struct store_progress *progress, struct error *error)
{
    struct upload *upload = context;
    (void)progress; /* it is within the state */
    upload->noted = true;
    int rc = upload_state_write(upload->job->spool, upload->job->id, &upload->state, error);
    /* On a full disk uploading must go on: it is what makes space. At worst the parts are sent
     * again. */
    return rc == ERR_NO_SPACE ? 0 : rc;
}

static int put_cast(struct upload *upload, struct error *error)
{
    struct upload_state *state = &upload->state;
    if (state->cast_stored)
        return 0;
    if (upload->cast < 0)
        return find_stored_cast(upload, error);
    const struct store_object object = cast_object(upload);
    int rc = store_put(upload->store, &object, &state->progress, save_progress, upload, error);
    if (rc)
        return rc;
    /* After one request this is not worth a sync: putting it twice is harmless. */
    bool worth_remembering = state->progress.upload_id[0];
    store_progress_free(&state->progress);
    state->cast_stored = true;
    return worth_remembering ? save_progress(upload, &state->progress, error) : 0;
}

static int put_manifest(struct upload *upload, struct error *error)
{
    struct store_object object = {.key = upload->manifest_key,
                                  .content_type = "application/json",
                                  .data = upload->text.data,
                                  .fd = -1,
                                  .size = upload->text.length};
    int rc = sha256(upload->text.data, upload->text.length, object.sha256);
    if (rc)
        return error_set(error, rc, "no memory to hash %s", upload->manifest_key);
    return store_put(upload->store, &object, NULL, NULL, NULL, error);
}

/* Notes that the store has it, if there is a note to correct. */
static int note_confirmed(struct upload *upload, struct error *error)
{
    const struct upload_job *job = upload->job;
    if (!upload->noted)
        return 0;
    upload->state.confirmed = true;
    int rc = upload_state_write(job->spool, job->id, &upload->state, error);
    if (rc == ERR_NO_SPACE) {
        /* Removing the cast makes room for the note. Killed in between, the next recorder finds
         * the cast in the store: find_stored_cast(). */
        rc = spool_remove(job->spool, SPOOL_SEALED, job->id, SPOOL_CAST_SUFFIX, error);
        if (!rc)
            rc = upload_state_write(job->spool, job->id, &upload->state, error);
    }
    return rc;
}

/* The store has it: says so, and removes the local copy. */
static int confirm(struct upload *upload, struct error *error)
{
    const struct upload_job *job = upload->job;
    char url[2 * KEY_SIZE + 4096];
    int rc = note_confirmed(upload, error);
    snprintf(url, sizeof(url), "%s%s", store_url(upload->store), upload->cast_key);
    log_info("stored %s (%llu bytes)", url, (unsigned long long)upload->manifest->size);
    if (job->on_stored)
        job->on_stored(job->context, job->id, url);
    if (!rc)
        rc = remove_local(job->spool, job->syncs, job->id, upload->noted, error);
    if (rc)
        error_prefix(error, "%s is stored, but its local copy is still there", job->id);
    return rc;
}

/* Resets what was begun elsewhere. */
static int check_state(struct upload *upload, const struct storage_settings *storage,
                       struct error *error)
{
    struct upload_state *state = &upload->state;
    uint8_t sum[SHA256_SIZE];
    char place[sizeof(state->place)];
    int rc = storage_place(storage, sum);
    if (rc)
        return error_set(error, rc, "no memory to upload");
    text_hex(place, sum, sizeof(sum));
    if (strcmp(state->place, place) == 0 && strcmp(state->cast_key, upload->cast_key) == 0)
        return 0;
    upload_state_free(state);
    memcpy(state->place, place, sizeof(place));
    memcpy(state->cast_key, upload->cast_key, sizeof(upload->cast_key));
    return 0;
}

static int make_keys(struct upload *upload, struct error *error)
{
    const struct manifest *manifest = upload->manifest;
    const char *prefix = store_prefix(upload->store);
    int rc = key_make(upload->cast_key, prefix, manifest->organization, manifest->socket,
                      manifest->started_ns, manifest->id, KEY_CAST_SUFFIX, error);
    if (!rc)
        rc = key_make(upload->manifest_key, prefix, manifest->organization, manifest->socket,
                      manifest->started_ns, manifest->id, KEY_MANIFEST_SUFFIX, error);
    return rc;
}

static enum upload_outcome local_failure(int code)
{
    return code == ERR_DAMAGED ? UPLOAD_DAMAGED : UPLOAD_RECORDING_WAITS;
}

static enum upload_outcome store_failure(int code)
{
    switch (code) {
    case ERR_CANCELLED:
        return UPLOAD_CANCELLED;
    case ERR_CONFLICT:
    case ERR_INVALID: /* this request was refused, say for its size */
    case ERR_LIMIT:
        return UPLOAD_RECORDING_WAITS;
    default:
        return UPLOAD_STORE_FAILED;
    }
}

static enum upload_outcome send(struct upload *upload, const struct organization_settings *owner,
                                struct error *error)
{
    int rc = make_keys(upload, error);
    if (!rc)
        rc = check_state(upload, &owner->storage, error);
    if (rc)
        return local_failure(rc);
    if (!upload->state.cast_stored) {
        rc = open_cast(upload, error);
        if (rc && !(rc == ERR_NOT_FOUND && upload->cast < 0))
            return local_failure(rc);
    }
    rc = put_cast(upload, error);
    if (rc == ERR_DAMAGED && upload->cast < 0)
        return UPLOAD_DAMAGED;
    if (!rc)
        rc = put_manifest(upload, error);
    if (rc)
        return store_failure(rc);
    return confirm(upload, error) ? UPLOAD_RECORDING_WAITS : UPLOAD_STORED;
}

enum upload_outcome upload_recording(const struct upload_job *job, struct error *error)
{
    struct upload upload = {.job = job, .text = BUFFER_INIT(MANIFEST_MAX_SIZE), .cast = -1};
    enum upload_outcome outcome = UPLOAD_NOTHING;
    /* While the journal is there, sealing is not over: a sealer that was killed after writing the
     * manifest still looks for it. The recorder adds the recording again when sealing is done. */
    if (is_there(job->spool, SPOOL_JOURNALS, job->id, SPOOL_JOURNAL_SUFFIX))
        return UPLOAD_NOTHING;
    int rc = upload_state_read(job->spool, job->id, &upload.state, error);
    upload.noted = is_there(job->spool, SPOOL_SEALED, job->id, SPOOL_UPLOAD_SUFFIX);
    if (!rc && upload.state.confirmed) {
        rc = remove_local(job->spool, job->syncs, job->id, true, error);
        outcome = rc ? UPLOAD_RECORDING_WAITS : UPLOAD_NOTHING;
        goto out;
    }
    if (!rc)
        rc = read_manifest(job->spool, job->id, &upload.text, &upload.manifest, error);
    if (rc) {
        outcome = rc == ERR_NOT_FOUND ? UPLOAD_NOTHING : local_failure(rc);
        goto out;
    }
    const struct organization_settings *owner = settings_organization(
        job->settings, upload.manifest->organization);
    if (!owner) {
        error_set(error, ERR_NOT_FOUND,
                  "the settings have no organization '%s': add it, and its recordings go there",
                  upload.manifest->organization);
        outcome = UPLOAD_STORE_FAILED;
        goto out;
    }
    rc = store_cache_get(job->stores, owner, &upload.store, error);
    if (rc) {
        outcome = rc == ERR_CANCELLED ? UPLOAD_CANCELLED : UPLOAD_STORE_FAILED;
        goto out;
    }
    outcome = send(&upload, owner, error);
    store_cache_release(job->stores, upload.store);
out:
    if (upload.cast >= 0)
        close(upload.cast);
    upload_state_free(&upload.state);
    manifest_free(upload.manifest);
    buffer_free(&upload.text);
    return outcome;
}
