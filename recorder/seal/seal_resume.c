/* Going on where an earlier sealer stopped: killed, or the power lost with some of its writes on
 * disk and some not. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/seal/chain.h"
#include "recorder/seal/seal_transfer.h"
#include "recorder/seal/sealer.h"

struct files {
    int cast, log; /* -1: there is none */
    uint64_t cast_size, log_size;
};

static int open_if_there(const struct sealer *sealer, const char *suffix, int *fd, uint64_t *size,
                         struct error *error)
{
    struct stat info;
    *size = 0;
    int rc = sealer_file(sealer, suffix, O_RDWR, fd, error);
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc)
        return rc;
    if (fstat(*fd, &info))
        return error_system(error, "cannot look at %s%s", sealer->id, suffix);
    *size = (uint64_t)info.st_size;
    return 0;
}

/* Reads record `index`; *valid says whether it is one. */
static int read_record(const struct files *files, uint64_t index, struct seal_progress *progress,
                       struct seal_end *end, bool *valid, struct error *error)
{
    uint8_t bytes[SEAL_RECORD_SIZE + SEAL_TAIL_MAX];
    uint64_t offset = index * SEAL_RECORD_SIZE, left = files->log_size - offset;
    size_t length = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
    int rc = file_pread_all(files->log, bytes, length, (off_t)offset, error);
    if (rc)
        return rc;
    *valid = seal_record_decode(bytes, bytes + SEAL_RECORD_SIZE, length - SEAL_RECORD_SIZE,
                                progress, end);
    return 0;
}

/* Whether the chunk's bytes are in the file, and are the right ones: after a loss of power a record
 * may be on disk before its chunk is. */
static int check_chunk(const struct files *files, const struct manifest_chunk *chunk, bool *whole,
                       struct error *error)
{
    uint8_t hash[SHA256_SIZE];
    *whole = false;
    if (chunk->offset > files->cast_size || chunk->size > files->cast_size - chunk->offset)
        return 0;
    int rc = sha256_file(files->cast, chunk->offset, chunk->size, hash, error);
    if (rc)
        return rc;
    *whole = memcmp(hash, chunk->sha256, sizeof(hash)) == 0;
    return 0;
}

/* Whether `later` goes on from where `earlier` ended. After a loss of power, a record of an attempt
 * that was given up may stand behind one of the attempt that replaced it. */
static int check_order(const struct seal_progress *earlier, const struct seal_progress *later,
                       bool *follows, struct error *error)
{
    uint8_t link[SHA256_SIZE];
    bool made_chunk = later->chunk.size > 0;
    memcpy(link, earlier->chain, sizeof(link));
    if (made_chunk && chain_add(link, later->chunk.sha256))
        return error_set(error, ERR_NO_MEMORY, "no memory to hash");
    *follows = later->journal_offset >= earlier->journal_offset &&
               later->chunks == earlier->chunks + made_chunk &&
               memcmp(link, later->chain, sizeof(link)) == 0;
    return 0;
}

/* Finds the last record that can be gone on from: it is whole, its decoder's state is, and so is
 * all that it stands on: every record and chunk that may not have been synced, and at least the
 * last chunk. What is not synced may be on disk in any order, a later chunk without an earlier one.
 * Returns their number in *records. */
static int find_last(const struct sealer *sealer, const struct files *files,
                     struct seal_progress *progress, struct seal_end *end, uint64_t *records,
                     struct error *error)
{
    struct seal_progress later = {0}, read;
    struct seal_end read_end = {0};
    uint64_t candidate = 0, synced = 0; /* numbers of records */
    bool found_chunk = false;
    for (uint64_t i = files->log_size / SEAL_RECORD_SIZE; i > 0; i--) {
        bool valid, whole;
        int rc = read_record(files, i - 1, &read, &read_end, &valid, error);
        if (rc)
            return rc;
        bool follows = valid;
        if (valid && candidate)
            rc = check_order(&read, &later, &follows, error);
        if (rc)
            return rc;
        if (!follows)
            candidate = 0;
        if (!valid)
            continue;
        if (!candidate) {
            rc = seal_transfer_check(sealer, &read, &whole, error);
            if (rc)
                return rc;
            candidate = whole ? i : 0;
            found_chunk = false;
            *progress = read;
            *end = read_end;
        }
        later = read;
        if (read.synced > synced)
            synced = read.synced;
        if (!candidate || read.chunk.size == 0)
            continue;
        rc = check_chunk(files, &read.chunk, &found_chunk, error);
        if (rc)
            return rc;
        if (!found_chunk)
            candidate = 0;
        else if (i - 1 <= synced)
            break;
    }
    /* Records without a single chunk before them: nothing but a split character has passed. */
    *records = found_chunk ? candidate : 0;
    return 0;
}

static int cut(const struct sealer *sealer, const struct files *files, uint64_t log_size,
               struct error *error)
{
    if (files->log >= 0 && ftruncate(files->log, (off_t)log_size))
        return error_system(error, "cannot cut %s%s", sealer->id, SPOOL_SEAL_SUFFIX);
    if (files->cast >= 0 && ftruncate(files->cast, (off_t)sealer->done.size))
        return error_system(error, "cannot cut %s%s", sealer->id, SPOOL_CAST_SUFFIX);
    return 0;
}

/* Given-back space starts at a page that lies less than two pages after any frame before it: after
 * the frame's own page, or after the meta frame's. */
#define PROBE ((uint64_t)2 * 4096)

static int copy(int from, uint64_t size, int to, struct error *error)
{
    char block[16384];
    int rc = 0;
    for (uint64_t at = 0; at < size && !rc;) {
        size_t take = size - at < sizeof(block) ? (size_t)(size - at) : sizeof(block);
        rc = file_pread_all(from, block, take, (off_t)at, error);
        if (!rc)
            rc = file_write_all(to, block, take, error);
        at += take;
    }
    if (!rc && fsync(to))
        rc = error_system(error, "cannot sync");
    return rc;
}

/* Copies the recording, as far as it is, into quarantine/ before it is cut: what is cut off was
 * never synced, or was and the disk lost it. Somebody may read more in it than we. */
static int keep_cast(const struct sealer *sealer, const struct files *files, const char *why,
                     struct error *error)
{
    char name[SPOOL_NAME_SIZE], reason[SPOOL_NAME_SIZE];
    int area = spool_area(sealer->spool, SPOOL_QUARANTINE);
    spool_name(name, sealer->id, SPOOL_CAST_SUFFIX);
    spool_name(reason, sealer->id, SPOOL_REASON_SUFFIX);
    if (files->cast_size == 0)
        return 0;
    int fd = openat(area, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return error_system(error, "cannot keep %s in quarantine", name);
    int rc = copy(files->cast, files->cast_size, fd, error);
    close(fd);
    if (!rc)
        rc = file_write_atomic(area, reason, why, strlen(why), 0600, error);
    if (rc) {
        unlinkat(area, name, 0);
        error_prefix(error, "cannot keep %s in quarantine", name);
    }
    return rc;
}

/* What was given up must be sealed again from the journal. If that cannot be read on from there,
 * the power was lost before its bytes were synced, or it has given that space back and the disk has
 * lost what was synced before. Then what is left is sealed, and ends as damaged. */
static int check_journal(struct sealer *sealer, const struct files *files, struct error *error)
{
    struct journal_frame frame;
    struct error why = ERROR_INIT;
    uint64_t first = 0;
    int rc = sealer_read_on(sealer, error);
    if (rc)
        return rc;
    (void)journal_reader_writer_gone(sealer->reader); /* then it knows where the file ends */
    do {
        rc = journal_reader_next(sealer->reader, &frame, &why);
        if (rc == JOURNAL_FRAME && first == 0)
            first = frame.end;
    } while (rc == JOURNAL_FRAME && frame.end - first < PROBE);
    sealer_read_again(sealer);
    if (rc >= 0)
        return 0;
    if (rc != ERR_DAMAGED)
        return error_set(error, rc, "%s", why.text);
    error_prefix(&why,
                 "%s%s is damaged after its first %llu chunks, and the journal no longer has what "
                 "it was made from",
                 sealer->id, SPOOL_CAST_SUFFIX, (unsigned long long)sealer->done.chunks);
    return keep_cast(sealer, files, why.text, error);
}

int sealer_resume(struct sealer *sealer, struct error *error)
{
    struct files files = {.cast = -1, .log = -1};
    struct seal_end *end = calloc(1, sizeof(*end));
    uint64_t records = 0, found;
    if (!end)
        return error_set(error, ERR_NO_MEMORY, "no memory to seal %s", sealer->id);
    int rc = open_if_there(sealer, SPOOL_CAST_SUFFIX, &files.cast, &files.cast_size, error);
    if (!rc)
        rc = open_if_there(sealer, SPOOL_SEAL_SUFFIX, &files.log, &files.log_size, error);
    if (rc)
        goto out;
    found = files.log_size / SEAL_RECORD_SIZE;
    if (files.cast >= 0) {
        rc = find_last(sealer, &files, &sealer->done, end, &records, error);
    } else if (found) {
        /* A final record is written when the recording's name is safely on disk. If the recording
         * is gone all the same, it was uploaded and removed before we could clean up. */
        bool valid = false;
        while (!rc && !valid && found)
            rc = read_record(&files, --found, &sealer->done, end, &valid, error);
        sealer->complete = !rc && valid && sealer->done.final;
    }
    if (rc || sealer->complete)
        goto out;
    found = files.log_size / SEAL_RECORD_SIZE;
    if (records == 0) {
        sealer->done = (struct seal_progress){0};
        if (chain_start(sealer->done.chain, sealer->id)) {
            rc = error_set(error, ERR_NO_MEMORY, "no memory to seal %s", sealer->id);
            goto out;
        }
    }
    sealer->records = records;
    sealer->records_synced = sealer->done.synced;
    if (sealer->done.final) {
        sealer->end = end;
        end = NULL;
    } else {
        if (records < found || (records == 0 && files.cast_size))
            rc = check_journal(sealer, &files, error);
        if (!rc)
            rc = cut(sealer, &files, records * SEAL_RECORD_SIZE, error);
    }
    sealer->unsynced = records > 0;
out:
    if (files.cast >= 0)
        close(files.cast);
    if (files.log >= 0)
        close(files.log);
    free(end);
    return rc;
}
