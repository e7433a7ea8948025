#include "recorder/service/sealing_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/log.h"

#define COMPRESSION_LEVEL 6 /* to begin with */
#define FIRST_DELAY (250 * NS_PER_MS)
#define LONGEST_DELAY (30 * NS_PER_SECOND)
/* From so many on they are synced by one call: 10,000 take seconds, one by one. */
#define SYNC_TOGETHER 32
/* What the spool takes up while sessions print: what prints more at once is sealed as fast as can
 * be. */
#define RESTING_BACKLOG ((uint64_t)32 << 20)
/* A journal without a readable header may be one that is just being created. */
#define CREATION_TIME (5 * NS_PER_SECOND)

int sealing_new(struct spool *spool, const struct clock *clock,
                const struct sealing_options *options, struct sealing **sealing,
                struct error *error)
{
    struct sealing *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to seal");
    new->spool = spool;
    new->clock = clock;
    new->options = *options;
    new->scarce = true; /* until it was looked at */
    int rc = seal_worker_new(COMPRESSION_LEVEL, &new->worker, error);
    if (rc)
        free(new);
    else
        *sealing = new;
    return rc;
}

int sealing_sign_with(struct sealing *sealing, const char *path, struct error *error)
{
    return seal_worker_sign_with(sealing->worker, path, error);
}

static size_t find(const struct sealing *sealing, const char *id)
{
    size_t low = 0, high = sealing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(sealing->sessions[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int sealing_add(struct sealing *sealing, const char *id)
{
    size_t index = find(sealing, id);
    if (index < sealing->count && strcmp(sealing->sessions[index]->id, id) == 0)
        return 0;
    if (sealing->count == sealing->capacity) {
        size_t capacity = sealing->capacity ? sealing->capacity * 2 : 64;
        struct session **sessions = reallocarray(sealing->sessions, capacity, sizeof(*sessions));
        if (!sessions)
            return ERR_NO_MEMORY;
        sealing->sessions = sessions;
        sealing->capacity = capacity;
    }
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return ERR_NO_MEMORY;
    memcpy(session->id, id, ID_SIZE);
    session->since = clock_monotonic_ns(sealing->clock);
    if (index < sealing->next)
        sealing->next++;
    struct session **at = sealing->sessions + index;
    memmove(at + 1, at, (sealing->count - index) * sizeof(*at));
    *at = session;
    sealing->count++;
    return 0;
}

static int add_found(void *context, const char *id)
{
    return sealing_add(context, id);
}

int sealing_scan(struct sealing *sealing, struct error *error)
{
    int rc = spool_each(sealing->spool, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, add_found, sealing,
                        error);
    return rc == ERR_NO_MEMORY ? error_set(error, rc, "no memory to follow all sessions") : rc;
}

static bool is_there(const struct sealing *sealing, enum spool_area area, const char *id,
                     const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, suffix);
    return faccessat(spool_area(sealing->spool, area), name, F_OK, 0) == 0 || errno != ENOENT;
}

/* True when it is there no more. */
static bool quarantine(struct sealing *sealing, const char *id, const char *reason)
{
    struct error error = ERROR_INIT;
    if (spool_quarantine(sealing->spool, id, reason, &error)) {
        log_error("cannot move %s into quarantine (%s): %s", id, reason, error.text);
        return false;
    }
    log_error("moved %s into quarantine: %s", id, reason);
    sealing->options.on_quarantine(sealing->options.context, id, reason);
    return true;
}

static int look_at_cast(void *context, const char *id)
{
    struct sealing *sealing = context;
    /* With ID.upload it is one that the uploader is removing. */
    if (!is_there(sealing, SPOOL_SEALED, id, SPOOL_MANIFEST_SUFFIX) &&
        !is_there(sealing, SPOOL_SEALED, id, SPOOL_UPLOAD_SUFFIX) &&
        !is_there(sealing, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX))
        quarantine(sealing, id, "its journal was gone before it was complete");
    return 0;
}

int sealing_orphans(struct sealing *sealing, struct error *error)
{
    return spool_each(sealing->spool, SPOOL_SEALED, SPOOL_CAST_SUFFIX, look_at_cast, sealing,
                      error);
}

/* Whether a journal that cannot be opened has a writer, or may be about to get one. */
static bool may_have_writer(const struct sealing *sealing, const struct session *session)
{
    char name[SPOOL_NAME_SIZE];
    struct stat info;
    spool_name(name, session->id, SPOOL_JOURNAL_SUFFIX);
    int fd = openat(spool_area(sealing->spool, SPOOL_JOURNALS), name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno != ELOOP && errno != ENOENT;
    bool writer = true;
    if (fstat(fd, &info) == 0) {
        int64_t changed = info.st_mtim.tv_sec * NS_PER_SECOND + info.st_mtim.tv_nsec;
        bool settled = clock_wall_ns(sealing->clock) - changed > CREATION_TIME ||
                       clock_monotonic_ns(sealing->clock) - session->since > CREATION_TIME;
        writer = !settled || flock(fd, LOCK_SH | LOCK_NB) != 0;
    }
    close(fd);
    return writer;
}

static void mark_done(struct sealing *sealing, struct session *session)
{
    session->done = true;
    sealing->any_done = true;
}

void sealing_postpone(struct sealing *sealing, struct session *session, const struct error *error)
{
    uint64_t reserve;
    session->delay = session->delay ? session->delay * 2 : FIRST_DELAY;
    if (session->delay > LONGEST_DELAY)
        session->delay = LONGEST_DELAY;
    session->retry_at = clock_monotonic_ns(sealing->clock) + session->delay;
    session->no_space = error->code == ERR_NO_SPACE;
    if (session->no_space)
        sealing->failed_with = sealing_space(sealing, &reserve);
    sealing->failed_in_pass = true;
    if (sealing->problem.code != error->code)
        log_error("cannot seal session %s, will try again: %s", session->id, error->text);
    sealing->problem = *error;
}

static void fail(struct sealing *sealing, struct session *session, const struct error *error)
{
    if (error->code != ERR_DAMAGED) {
        sealing_postpone(sealing, session, error);
        return;
    }
    if (may_have_writer(sealing, session)) {
        /* It may just be on its way, so there is nothing to tell yet. */
        session->retry_at = clock_monotonic_ns(sealing->clock) + FIRST_DELAY;
        return;
    }
    sealer_free(session->sealer);
    session->sealer = NULL;
    if (quarantine(sealing, session->id, error->text))
        mark_done(sealing, session);
    else
        sealing_postpone(sealing, session, error);
}

bool sealing_open_session(struct sealing *sealing, struct session *session)
{
    struct error error = ERROR_INIT;
    int rc = sealer_open(sealing->spool, session->id, sealing->clock, &session->sealer, &error);
    if (rc == 0) {
        session->retry_at = 0;
        return true;
    }
    session->sealer = NULL;
    if (rc == ERR_NOT_FOUND &&
        !is_there(sealing, SPOOL_JOURNALS, session->id, SPOOL_JOURNAL_SUFFIX))
        mark_done(sealing, session); /* removed by its host, which could not open it after all */
    else
        fail(sealing, session, &error);
    return false;
}

bool sealing_run(struct sealing *sealing, struct session *session)
{
    struct error error = ERROR_INIT;
    int rc = sealer_run(session->sealer, sealing->worker, false, &error);
    /* On a full disk: what is sealed so far gives back its journal's space once it is synced. */
    if (rc == ERR_NO_SPACE && sealer_sync(session->sealer, NULL) == 0)
        rc = sealer_run(session->sealer, sealing->worker, false, &error);
    if (rc < 0) {
        fail(sealing, session, &error);
        return false;
    }
    session->delay = 0;
    session->retry_at = 0;
    session->no_space = false;
    sealing->scarce = sealing->scarce || sealing_is_scarce(sealing);
    if (rc != SEAL_COMPLETE)
        return rc == SEAL_MORE;
    sealer_free(session->sealer);
    session->sealer = NULL;
    mark_done(sealing, session);
    sealing->options.on_complete(sealing->options.context, session->id);
    return false;
}

static void drop_done(struct sealing *sealing)
{
    size_t kept = 0, next = sealing->next;
    for (size_t i = 0; i < sealing->count; i++) {
        if (i == next)
            sealing->next = kept;
        if (sealing->sessions[i]->done)
            free(sealing->sessions[i]);
        else
            sealing->sessions[kept++] = sealing->sessions[i];
    }
    sealing->count = kept;
    sealing->any_done = false;
}

/* True: there is more to do at once. */
static bool attend(struct sealing *sealing, struct session *session, int64_t now)
{
    if (now < session->retry_at)
        return false;
    if (session->sealer)
        return sealer_due(session->sealer) && sealing_run(sealing, session);
    /* Once in any case: one that an earlier recorder completed has nothing due. */
    return sealing_open_session(sealing, session) && sealing_run(sealing, session);
}

/* All sessions in turn, a chunk each. *all: none was left out. */
static bool pass_fair(struct sealing *sealing, int64_t until, bool *all)
{
    int64_t now = clock_monotonic_ns(sealing->clock);
    bool more = false;
    size_t at = sealing->next, attended = 0;
    while (attended < sealing->count && !sealing->scarce && !atomic_load(sealing->options.stop)) {
        at = at < sealing->count ? at : 0;
        more = attend(sealing, sealing->sessions[at++], now) || more;
        attended++;
        if (clock_monotonic_ns(sealing->clock) >= until)
            break;
    }
    sealing->next = at;
    *all = attended == sealing->count;
    return more || !*all;
}

/* What a live session has not filled a chunk with yet is not late: thousands of them may wait so.
 */
static uint64_t behind(const struct sealer *sealer)
{
    uint64_t backlog = sealer_backlog(sealer);
    if (sealer_ended(sealer))
        return backlog;
    return backlog > SEAL_CHUNK_BYTES ? backlog - SEAL_CHUNK_BYTES : 0;
}

static uint64_t backlog(const struct sealing *sealing)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sealing->count; i++)
        if (sealing->sessions[i]->sealer)
            sum += behind(sealing->sessions[i]->sealer);
    return sum;
}

bool sealing_may_rest(const struct sealing *sealing)
{
    for (size_t i = 0; i < sealing->count; i++)
        if (sealing->sessions[i]->sealer && sealer_ended(sealing->sessions[i]->sealer))
            return false;
    return !sealing->scarce && backlog(sealing) < RESTING_BACKLOG;
}

bool sealing_pass(struct sealing *sealing, int64_t until)
{
    bool all = true, waiting = false;
    uint64_t reserve;
    sealing->failed_in_pass = false;
    /* Uploads, or somebody else, have made space. */
    if (sealing->problem.code == ERR_NO_SPACE &&
        sealing_space(sealing, &reserve) > sealing->failed_with)
        sealing_retry(sealing);
    sealing->scarce = sealing->scarce && sealing_is_scarce(sealing);
    /* Where space is scarce, that matters more than time. */
    seal_worker_behind(sealing->worker, sealing->scarce ? 0 : backlog(sealing));
    bool more = sealing->scarce ? sealing_pass_scarce(sealing, until)
                                : pass_fair(sealing, until, &all);
    for (size_t i = 0; sealing->problem.code && i < sealing->count; i++)
        waiting = waiting || (sealing->sessions[i]->delay > 0 && !sealing->sessions[i]->done);
    if (sealing->any_done)
        drop_done(sealing);
    if (sealing->problem.code && all && !sealing->failed_in_pass && !waiting) {
        log_info("sessions are sealed again");
        sealing->problem = ERROR_INIT;
    }
    return more;
}

void sealing_retry(struct sealing *sealing)
{
    for (size_t i = 0; i < sealing->count; i++)
        sealing->sessions[i]->retry_at = 0;
}

/* Whether so many are due that the file system was synced as a whole: then each is on disk. */
static bool sync_together(const struct sealing *sealing)
{
    size_t due = 0;
    for (size_t i = 0; i < sealing->count && due < SYNC_TOGETHER; i++)
        due += sealing->sessions[i]->due;
    return due == SYNC_TOGETHER && file_sync_system(spool_root(sealing->spool), NULL) == 0;
}

void sealing_sync(struct sealing *sealing)
{
    for (size_t i = 0; i < sealing->count; i++) {
        struct session *session = sealing->sessions[i];
        session->due = session->sealer && sealer_sync_due(session->sealer);
    }
    bool synced = sync_together(sealing);
    for (size_t i = 0; i < sealing->count && !atomic_load(sealing->options.stop); i++) {
        struct session *session = sealing->sessions[i];
        struct error error = ERROR_INIT;
        if (session->due && synced)
            sealer_synced(session->sealer);
        else if (session->due && sealer_sync(session->sealer, &error) && !session->retry_at)
            sealing_postpone(sealing, session, &error); /* else it waits for that already */
    }
}

size_t sealing_count(const struct sealing *sealing)
{
    return sealing->count;
}

const struct error *sealing_problem(const struct sealing *sealing)
{
    return &sealing->problem;
}

void sealing_free(struct sealing *sealing)
{
    if (!sealing)
        return;
    for (size_t i = 0; i < sealing->count; i++) {
        sealer_free(sealing->sessions[i]->sealer);
        free(sealing->sessions[i]);
    }
    free(sealing->sessions);
    seal_worker_free(sealing->worker);
    free(sealing);
}
