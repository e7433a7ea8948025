/* From the last chunk to the manifest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/seal/chain.h"
#include "recorder/seal/seal_transfer.h"
#include "recorder/seal/sealer.h"
#include "recorder/seal/signature.h"

/* The file read once more from start to end: for its hash, and to see that the disk has what we
 * wrote. */
struct reading {
    int fd;
    struct sha256 whole;
    uint64_t at;
};

static int read_stretch(struct reading *reading, uint64_t length, uint8_t hash[SHA256_SIZE],
                        uint8_t *block, size_t block_size, struct error *error)
{
    struct sha256 part = {0};
    int rc = sha256_init(&part);
    while (!rc && length) {
        size_t take = length < block_size ? (size_t)length : block_size;
        rc = file_pread_all(reading->fd, block, take, (off_t)reading->at, error);
        if (rc)
            goto out;
        rc = sha256_update(&part, block, take);
        if (!rc)
            rc = sha256_update(&reading->whole, block, take);
        reading->at += take;
        length -= take;
    }
    if (!rc)
        rc = sha256_final(&part, hash);
    if (rc)
        rc = error_set(error, rc, "no memory to hash");
out:
    sha256_free(&part);
    return rc;
}

static int check_chunk(struct reading *reading, const struct manifest_chunk *chunk, size_t number,
                       struct seal_worker *worker, const char *id, struct error *error)
{
    uint8_t hash[SHA256_SIZE] = {0};
    int rc = ERR_DAMAGED;
    if (chunk->offset == reading->at)
        rc = read_stretch(reading, chunk->size, hash, worker->packed, sizeof(worker->packed),
                          error);
    if (rc && rc != ERR_DAMAGED)
        return rc;
    if (rc || memcmp(hash, chunk->sha256, sizeof(hash)) != 0)
        return error_set(error, ERR_DAMAGED,
                         "chunk %zu of %s%s (%llu bytes at offset %llu) was changed on the disk "
                         "since it was written",
                         number, id, SPOOL_CAST_SUFFIX, (unsigned long long)chunk->size,
                         (unsigned long long)chunk->offset);
    return 0;
}

/* Reads the records' chunks into *chunks (the caller frees), checking each against the file. */
static int collect_chunks(struct sealer *sealer, struct seal_worker *worker, int log,
                          struct reading *reading, struct manifest_chunk **chunks,
                          struct error *error)
{
    uint8_t link[SHA256_SIZE], record[SEAL_RECORD_SIZE];
    size_t count = 0, most = (size_t)sealer->done.chunks;
    int rc = 0;
    *chunks = calloc(most ? most : 1, sizeof(**chunks));
    if (!*chunks || chain_start(link, sealer->id))
        return error_set(error, ERR_NO_MEMORY, "no memory for %zu chunks", most);
    for (uint64_t i = 0; !rc && i < sealer->records; i++) {
        struct seal_progress progress = sealer->done;
        if (i + 1 < sealer->records) {
            rc = file_pread_all(log, record, sizeof(record), (off_t)(i * sizeof(record)), error);
            if (rc) {
                error_prefix(error, "%s%s", sealer->id, SPOOL_SEAL_SUFFIX);
                return rc;
            }
            if (!seal_record_decode(record, NULL, 0, &progress, NULL))
                return error_set(error, ERR_DAMAGED, "%s%s: record %llu is damaged", sealer->id,
                                 SPOOL_SEAL_SUFFIX, (unsigned long long)i);
        }
        if (progress.chunk.size == 0)
            continue;
        if (count == most)
            break;
        rc = check_chunk(reading, &progress.chunk, count, worker, sealer->id, error);
        if (!rc && chain_add(link, progress.chunk.sha256))
            rc = error_set(error, ERR_NO_MEMORY, "no memory to hash");
        (*chunks)[count++] = progress.chunk;
    }
    if (!rc && (count != most || reading->at != sealer->done.size ||
                memcmp(link, sealer->done.chain, sizeof(link)) != 0))
        rc = error_set(error, ERR_DAMAGED, "%s%s: its records contradict one another", sealer->id,
                       SPOOL_SEAL_SUFFIX);
    return rc;
}

static struct manifest describe(const struct sealer *sealer, const struct journal_meta *meta)
{
    const struct seal_progress *done = &sealer->done;
    const struct seal_end *end = sealer->end;
    struct manifest manifest = {
        .id = sealer->id,
        .organization = meta->organization,
        .socket = meta->socket,
        .user = meta->user,
        .key_fingerprint = meta->key_fingerprint,
        .target_user = meta->target_user,
        .target_address = meta->target_address,
        .client_address = meta->client_address,
        .connection_id = meta->connection_id,
        .host = meta->host,
        .kind = sealer_kind_name(meta->kind),
        .command = meta->command,
        .term = meta->term,
        .columns = meta->columns,
        .rows = meta->rows,
        .started_ns = meta->started_ns,
        .duration_ns = done->journal_time_ns,
        .cast_version = done->encoder.version,
        .end = end->end,
        .exit_status = end->exit_status,
        .signal = end->signal,
        .message = end->message,
        .damaged = end->damaged,
        .output_bytes = done->output_bytes,
        .input_bytes = done->input_bytes,
        .lost_bytes = done->lost_bytes,
        .cast_bytes = done->cast_size,
        .size = done->size + GZIP_TRAILER_SIZE,
        .chunk_count = (size_t)done->chunks,
    };
    if (sealer->transfer)
        manifest.transfer = seal_transfer_describe(sealer->transfer, meta);
    memcpy(manifest.chain, done->chain, sizeof(manifest.chain));
    return manifest;
}

static int write_trailer(struct sealer *sealer, int fd, struct error *error)
{
    uint8_t trailer[GZIP_TRAILER_SIZE];
    const struct seal_progress *done = &sealer->done;
    gzip_trailer(trailer, done->crc, done->cast_size);
    int rc = write_at(fd, trailer, sizeof(trailer), done->size, error);
    if (rc)
        return rc;
    if (ftruncate(fd, (off_t)(done->size + GZIP_TRAILER_SIZE)))
        return error_system(error, "cannot cut");
    if (fsync(fd))
        return error_system(error, "cannot sync");
    return 0;
}

/* What is damaged may tell somebody more than it told us: it is kept. A link, so that the journal
 * is never without a name. */
static int keep_damaged_journal(struct sealer *sealer, struct error *error)
{
    char name[SPOOL_NAME_SIZE], reason[SPOOL_NAME_SIZE];
    int quarantine = spool_area(sealer->spool, SPOOL_QUARANTINE);
    if (!*sealer->end->damaged)
        return 0;
    spool_name(name, sealer->id, SPOOL_JOURNAL_SUFFIX);
    spool_name(reason, sealer->id, SPOOL_REASON_SUFFIX);
    if (linkat(spool_area(sealer->spool, SPOOL_JOURNALS), name, quarantine, name, 0) &&
        errno != EEXIST)
        return error_system(error, "cannot keep the damaged journal %s in quarantine", sealer->id);
    return file_write_atomic(quarantine, reason, sealer->end->damaged, strlen(sealer->end->damaged),
                             0600, error);
}

static int write_manifest(struct sealer *sealer, const struct manifest *manifest,
                          const struct signing_key *key, struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer out = BUFFER_INIT(MANIFEST_MAX_SIZE);
    int rc = manifest_write(manifest, &out, error);
    if (!rc && key)
        rc = signature_add(key, &out, error);
    spool_name(name, sealer->id, SPOOL_MANIFEST_SUFFIX);
    if (!rc)
        rc = file_write_atomic(spool_area(sealer->spool, SPOOL_SEALED), name, out.data, out.length,
                               0600, error);
    buffer_free(&out);
    return rc;
}

/* The whole file's hash, its chunks, and what they add up to. */
static int complete_file(struct sealer *sealer, struct seal_worker *worker, int cast, int log,
                         struct manifest *manifest, struct manifest_chunk **chunks,
                         struct error *error)
{
    struct reading reading = {.fd = cast};
    uint8_t unused[SHA256_SIZE];
    int rc = write_trailer(sealer, cast, error);
    if (rc) {
        error_prefix(error, "%s%s", sealer->id, SPOOL_CAST_SUFFIX);
        return rc;
    }
    if (sha256_init(&reading.whole))
        rc = error_set(error, ERR_NO_MEMORY, "no memory to hash");
    if (!rc)
        rc = read_stretch(&reading, GZIP_HEADER_SIZE, unused, worker->packed,
                          sizeof(worker->packed), error);
    if (!rc)
        rc = collect_chunks(sealer, worker, log, &reading, chunks, error);
    if (!rc)
        rc = read_stretch(&reading, GZIP_TRAILER_SIZE, unused, worker->packed,
                          sizeof(worker->packed), error);
    if (!rc && sha256_final(&reading.whole, manifest->sha256))
        rc = error_set(error, ERR_NO_MEMORY, "no memory to hash");
    sha256_free(&reading.whole);
    manifest->chunks = *chunks;
    return rc;
}

int sealer_finish(struct sealer *sealer, struct seal_worker *worker, struct error *error)
{
    struct manifest_chunk *chunks = NULL;
    struct signing_key *key = NULL;
    int cast = -1, log = -1;
    int rc = seal_transfer_open(sealer, error);
    if (rc)
        return rc;
    if (worker->signing_key && signing_key_load(worker->signing_key, &key, error)) {
        error_prefix(error, "its manifest cannot be signed");
        return error ? error->code : ERR_INVALID;
    }
    struct manifest manifest = describe(sealer, journal_reader_meta(sealer->reader));
    rc = sealer_file(sealer, SPOOL_CAST_SUFFIX, O_RDWR, &cast, error);
    if (!rc)
        rc = sealer_file(sealer, SPOOL_SEAL_SUFFIX, O_RDONLY, &log, error);
    if (!rc)
        rc = complete_file(sealer, worker, cast, log, &manifest, &chunks, error);
    if (!rc)
        rc = keep_damaged_journal(sealer, error);
    if (!rc)
        rc = write_manifest(sealer, &manifest, key, error);
    if (!rc)
        rc = sealer_clean(sealer, error);
    if (!rc)
        sealer->complete = true;
    if (cast >= 0)
        close(cast);
    if (log >= 0)
        close(log);
    signing_key_free(key);
    free(chunks);
    return rc;
}

int sealer_clean(struct sealer *sealer, struct error *error)
{
    int rc = spool_remove(sealer->spool, SPOOL_JOURNALS, sealer->id, SPOOL_JOURNAL_SUFFIX, error);
    if (!rc)
        rc = spool_remove(sealer->spool, SPOOL_SEALED, sealer->id, SPOOL_SEAL_SUFFIX, error);
    if (!rc)
        rc = spool_remove(sealer->spool, SPOOL_SEALED, sealer->id, SPOOL_TRANSFER_SUFFIX, error);
    return rc;
}
