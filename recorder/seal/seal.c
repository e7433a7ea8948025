#include "recorder/seal/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/seal/seal_transfer.h"
#include "recorder/seal/sealer.h"

/* How often to ask whether the writer is gone: a session that ended has its end frame waiting, so
 * one with nothing new waiting can only have been killed. */
#define GONE_CHECK_WAITING_NS (NS_PER_SECOND / 2)
#define GONE_CHECK_QUIET_NS (5 * NS_PER_SECOND)

int sealer_file(const struct sealer *sealer, const char *suffix, int flags, int *fd,
                struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, sealer->id, suffix);
    *fd = openat(spool_area(sealer->spool, SPOOL_SEALED), name, flags | O_CLOEXEC | O_NOFOLLOW,
                 0600);
    return *fd < 0 ? error_system(error, "cannot open %s", name) : 0;
}

void sealer_read_again(struct sealer *sealer)
{
    journal_reader_free(sealer->reader);
    sealer->reader = NULL;
}

int sealer_read_on(struct sealer *sealer, struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    if (sealer->reader)
        return 0;
    spool_name(name, sealer->id, SPOOL_JOURNAL_SUFFIX);
    int rc = journal_reader_open(spool_area(sealer->spool, SPOOL_JOURNALS), name, &sealer->reader,
                                 error);
    if (rc) {
        sealer->reader = NULL;
        return rc;
    }
    sealer->gone = false; /* this reader has not been told; it reads on by that */
    const char *id = journal_reader_meta(sealer->reader)->id;
    if (strcmp(id, sealer->id) != 0)
        rc = error_set(error, ERR_DAMAGED, "journal %s is about another session, '%s'", name, id);
    else if (sealer->done.journal_offset)
        rc = journal_reader_seek(sealer->reader, sealer->done.journal_offset,
                                 sealer->done.journal_time_ns, error);
    if (rc)
        sealer_read_again(sealer);
    return rc;
}

static int manifest_is_there(const struct sealer *sealer, bool *there, struct error *error)
{
    struct stat info;
    char name[SPOOL_NAME_SIZE];
    spool_name(name, sealer->id, SPOOL_MANIFEST_SUFFIX);
    *there = fstatat(spool_area(sealer->spool, SPOOL_SEALED), name, &info, AT_SYMLINK_NOFOLLOW) ==
             0;
    return *there || errno == ENOENT ? 0 : error_system(error, "cannot look at %s", name);
}

int sealer_open(struct spool *spool, const char *id, const struct clock *clock,
                struct sealer **sealer, struct error *error)
{
    *sealer = NULL;
    if (!id_is_valid(id))
        return error_set(error, ERR_INVALID, "'%.64s' is no session id", id);
    struct sealer *made = calloc(1, sizeof(*made));
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory to seal %s", id);
    made->spool = spool;
    made->clock = clock;
    memcpy(made->id, id, ID_SIZE);
    made->synced = INT64_MIN / 2;
    int rc = manifest_is_there(made, &made->complete, error);
    if (!rc && !made->complete)
        rc = sealer_resume(made, error);
    if (!rc)
        rc = made->complete ? sealer_clean(made, error) : sealer_read_on(made, error);
    if (rc) {
        sealer_free(made);
        return rc;
    }
    *sealer = made;
    return 0;
}

void sealer_free(struct sealer *sealer)
{
    if (!sealer)
        return;
    sealer_read_again(sealer);
    seal_transfer_drop(sealer);
    free(sealer->end);
    free(sealer);
}

static uint64_t published_end(const struct sealer *sealer)
{
    return sealer->done.journal_offset + journal_reader_pending(sealer->reader);
}

static bool writer_is_gone(struct sealer *sealer, int64_t now, uint64_t pending)
{
    uint64_t end = published_end(sealer);
    bool news = pending && end != sealer->gone_end;
    int64_t interval = news ? GONE_CHECK_WAITING_NS : GONE_CHECK_QUIET_NS;
    if (!sealer->gone && now - sealer->gone_checked >= interval) {
        sealer->gone_checked = now;
        sealer->gone_end = end;
        sealer->gone = journal_reader_writer_gone(sealer->reader);
    }
    return sealer->gone;
}

bool sealer_due(struct sealer *sealer)
{
    if (sealer->complete)
        return false;
    if (sealer->end || !sealer->reader)
        return true;
    int64_t now = clock_monotonic_ns(sealer->clock);
    uint64_t pending = journal_reader_pending(sealer->reader);
    if (writer_is_gone(sealer, now, pending))
        return true;
    if (pending == 0 || sealer->unreadable) {
        sealer->waiting_since = 0;
        return false;
    }
    if (sealer->waiting_since == 0)
        sealer->waiting_since = now;
    unsigned widening = sealer_widening(sealer);
    return pending >= (uint64_t)SEAL_CHUNK_BYTES << widening ||
           now - sealer->waiting_since >= (SEAL_CHUNK_SECONDS * NS_PER_SECOND) << widening;
}

bool sealer_ended(const struct sealer *sealer)
{
    return sealer->complete || sealer->end || sealer->gone;
}

uint64_t sealer_left(const struct sealer *sealer)
{
    return sealer->reader && !sealer->end ? journal_reader_pending(sealer->reader) : 0;
}

uint64_t sealer_backlog(const struct sealer *sealer)
{
    return sealer->reader ? journal_reader_pending(sealer->reader) : 0;
}

int sealer_run(struct sealer *sealer, struct seal_worker *worker, bool flush, struct error *error)
{
    if (sealer->complete)
        return SEAL_COMPLETE;
    if (!flush && !sealer_due(sealer))
        return SEAL_IDLE;
    int rc = sealer_read_on(sealer, error);
    if (!rc && !sealer->end) {
        sealer->waiting_since = 0;
        rc = sealer_chunk(sealer, worker, error);
        if (rc == SEAL_MORE && !sealer->end && !flush && !sealer_due(sealer))
            rc = SEAL_IDLE;
        if (rc == SEAL_IDLE || (rc == SEAL_MORE && !sealer->end))
            return rc;
    }
    if (rc >= 0)
        rc = sealer_finish(sealer, worker, error);
    if (rc < 0)
        error_prefix(error, "cannot seal %s", sealer->id);
    return rc < 0 ? rc : SEAL_COMPLETE;
}

static int sync_file(const struct sealer *sealer, const char *suffix, struct error *error)
{
    int fd;
    int rc = sealer_file(sealer, suffix, O_RDWR, &fd, error);
    if (rc)
        return rc;
    if (fsync(fd))
        rc = error_system(error, "cannot sync %s%s", sealer->id, suffix);
    close(fd);
    return rc;
}

/* The chunks before the records that vouch for them. */
static int sync_sealed(struct sealer *sealer, struct error *error)
{
    int rc = sync_file(sealer, SPOOL_CAST_SUFFIX, error);
    if (!rc && sealer->done.transfer_size)
        rc = sync_file(sealer, SPOOL_TRANSFER_SUFFIX, error);
    if (!rc)
        rc = sync_file(sealer, SPOOL_SEAL_SUFFIX, error);
    if (!rc && !sealer->names_synced) {
        rc = file_sync_directory(spool_area(sealer->spool, SPOOL_SEALED), error);
        sealer->names_synced = rc == 0;
    }
    return rc;
}

/* Once sealed chunks are on disk. */
static void give_space_back(struct sealer *sealer)
{
    if (sealer->keep_journal)
        return;
    sealer->records_synced = sealer->records;
    if (sealer->end || !sealer->reader)
        return;
    journal_reader_release(sealer->reader, sealer->done.journal_offset);
    seal_transfer_release(sealer);
}

bool sealer_sync_due(struct sealer *sealer)
{
    int64_t now = clock_monotonic_ns(sealer->clock);
    if (sealer->complete || now - sealer->synced < SEAL_SYNC_SECONDS * NS_PER_SECOND / 2)
        return false;
    if (!sealer->reader) {
        sealer->due_end = sealer->synced_end; /* what there is, is not known before it is opened */
        return true;
    }
    sealer->due_end = published_end(sealer);
    return sealer->due_end != sealer->synced_end || sealer->unsynced;
}

void sealer_synced(struct sealer *sealer)
{
    sealer->synced = clock_monotonic_ns(sealer->clock);
    sealer->synced_end = sealer->due_end;
    if (!sealer->unsynced)
        return;
    sealer->unsynced = false;
    sealer->names_synced = true;
    give_space_back(sealer);
}

int sealer_sync(struct sealer *sealer, struct error *error)
{
    if (sealer->complete)
        return 0;
    bool reopened = !sealer->reader; /* as after a failure: what it failed at stays due */
    int rc = sealer_read_on(sealer, error);
    if (rc)
        return rc;
    sealer->synced = clock_monotonic_ns(sealer->clock);
    uint64_t end = published_end(sealer);
    if (end != sealer->synced_end) {
        rc = journal_reader_sync(sealer->reader, error);
        if (!rc)
            sealer->synced_end = end;
    }
    if (!rc && sealer->unsynced) {
        rc = sync_sealed(sealer, error);
        sealer->unsynced = rc != 0;
        /* A second fsync() may succeed without what the first one could not write. */
        if (rc)
            sealer->keep_journal = true;
        else
            give_space_back(sealer);
    }
    if (reopened)
        sealer_read_again(sealer); /* as it was left for the next try */
    return rc;
}
