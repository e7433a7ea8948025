#include "recorder/service/recorder.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/service/sealing.h"
#include "recorder/service/status.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"
#include "recorder/upload/uploader.h"

#define LIVE_TICK_MS 100            /* how often live journals are looked at: memory reads */
#define BUSY_TICK_MS 1000           /* while something waits to be uploaded */
#define IDLE_TICK_MS 5000           /* new journals wake us; this is for the settings */
#define PASS_TIME (500 * NS_PER_MS) /* a pass ends, so that syncing and new sessions get a turn */
#define RESTS 3                     /* times as long as the pass before, see sealing_may_rest() */
#define LONGEST_REST (LIVE_TICK_MS * NS_PER_MS)
#define SECOND_TICK (900 * NS_PER_MS)      /* with a live tick on top it is the sync interval */
#define SCAN_INTERVAL (60 * NS_PER_SECOND) /* in case inotify missed something */
#define SCAN_INTERVAL_BLIND (1 * NS_PER_SECOND) /* without inotify */
#define END_NOTICED (700 * NS_PER_MS) /* how long a sealer may take to see that a session ended */
#define RETRY_MS 1000                 /* for the lock, and for what start needs */

struct recorder {
    const struct clock *clock;
    struct settings_watch *settings;
    struct spool *spool;
    pthread_t thread;
    int wake; /* eventfd: recorder_stop() */
    atomic_bool stop;
    unsigned stop_ms; /* written before `stop` */

    /* The thread's own. */
    struct uploader *uploader;
    struct sealing *sealing;
    struct status status;
    struct spool_quota quota;
    int watch; /* inotify, or -1 */
    int64_t scanned_at, second_at;
    struct error settings_error;
};

static void on_complete(void *context, const char *id)
{
    struct recorder *recorder = context;
    uploader_add(recorder->uploader, id);
}

static void on_quarantine(void *context, const char *id, const char *reason)
{
    (void)context, (void)id, (void)reason; /* logged already, and kept beside it */
}

/* False: the recorder is to stop. */
static bool pause_ms(const struct recorder *recorder, int milliseconds)
{
    struct pollfd wake = {.fd = recorder->wake, .events = POLLIN};
    poll(&wake, 1, milliseconds);
    return !atomic_load(&recorder->stop);
}

/* Waits for the spool's lock. False: stopped. */
static bool take_lock(struct recorder *recorder)
{
    int said = 0;
    for (;;) {
        struct error error = ERROR_INIT;
        int rc = spool_lock(recorder->spool, &error);
        if (rc == 0)
            return true;
        if (rc != said && rc == ERR_EXISTS)
            log_info("%s; this one waits until it ends", error.text);
        else if (rc != said)
            log_error("%s; will try again", error.text);
        said = rc;
        if (!pause_ms(recorder, RETRY_MS))
            return false;
    }
}

static int open_parts(struct recorder *recorder, struct error *error)
{
    const struct sealing_options options = {on_complete, on_quarantine, recorder, &recorder->stop};
    const struct uploader_options upload = {0};
    struct settings *settings = settings_watch_get(recorder->settings, NULL);
    int rc = sealing_new(recorder->spool, recorder->clock, &options, &recorder->sealing, error);
    if (!rc)
        rc = sealing_sign_with(recorder->sealing, settings_signing_key(settings), error);
    settings_unref(settings);
    if (!rc)
        rc = sealing_orphans(recorder->sealing, error);
    if (!rc)
        rc = sealing_scan(recorder->sealing, error);
    if (!rc)
        rc = uploader_new(recorder->spool, recorder->settings, recorder->clock, &upload,
                          &recorder->uploader, error);
    if (rc) {
        sealing_free(recorder->sealing);
        recorder->sealing = NULL;
    }
    return rc;
}

static void open_watch(struct recorder *recorder)
{
    char path[PATH_MAX];
    recorder->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof(path), "%s/journals", spool_path(recorder->spool));
    if (recorder->watch >= 0 &&
        inotify_add_watch(recorder->watch, path, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
        int number = errno;
        close(recorder->watch);
        recorder->watch = -1;
        errno = number;
    }
    if (recorder->watch < 0) {
        struct error error = ERROR_INIT;
        error_system(&error, "cannot watch %s, will look each second", path);
        log_warning("%s", error.text);
    }
}

/* New journals. What is missed for lack of memory or an overflow is found by the next scan. */
static void read_watch(struct recorder *recorder)
{
    union {
        struct inotify_event event;
        char bytes[16384];
    } buffer;
    ssize_t got = read(recorder->watch, buffer.bytes, sizeof(buffer.bytes));
    for (ssize_t at = 0; at < got;) {
        struct inotify_event event;
        char id[ID_SIZE];
        memcpy(&event, buffer.bytes + at, sizeof(event));
        const char *name = buffer.bytes + at + sizeof(event);
        if (event.mask & IN_Q_OVERFLOW)
            recorder->scanned_at = INT64_MIN / 2;
        else if (event.len && spool_name_parse(name, SPOOL_JOURNAL_SUFFIX, id) &&
                 sealing_add(recorder->sealing, id))
            recorder->scanned_at = INT64_MIN / 2;
        at += (ssize_t)(sizeof(event) + event.len);
    }
}

static void scan_if_due(struct recorder *recorder, int64_t now)
{
    int64_t interval = recorder->watch < 0 ? SCAN_INTERVAL_BLIND : SCAN_INTERVAL;
    if (now - recorder->scanned_at < interval)
        return;
    struct error error = ERROR_INIT;
    recorder->scanned_at = now;
    if (sealing_scan(recorder->sealing, &error))
        log_error("%s", error.text);
}

/* What follows the settings. Says once when the file cannot be used any more, and once when it can
 * again. */
static void look_at_settings(struct recorder *recorder)
{
    struct error error = ERROR_INIT;
    struct settings *settings = settings_watch_get(recorder->settings, &error);
    struct error *why = error.code ? NULL : &error;
    /* What fails here for lack of memory is tried again in a second, and the key before stays. */
    (void)!sealing_sign_with(recorder->sealing, settings_signing_key(settings), why);
    spool_quota_look(&recorder->quota, recorder->spool, settings, recorder->clock);
    settings_unref(settings);
    if (strcmp(error.text, recorder->settings_error.text) == 0)
        return;
    if (error.code)
        log_error("the settings as they were stay in force: %s", error.text);
    else
        log_info("the settings are valid again and in force");
    recorder->settings_error = error;
}

static void write_status(struct recorder *recorder, bool running)
{
    const struct status_facts facts = {running,
                                       sealing_count(recorder->sealing),
                                       sealing_problem(recorder->sealing)->text,
                                       recorder->settings_error.text,
                                       &recorder->quota,
                                       recorder->uploader};
    status_write(&recorder->status, recorder->spool, recorder->clock, &facts);
}

static void each_second(struct recorder *recorder)
{
    int64_t now = clock_monotonic_ns(recorder->clock);
    if (now - recorder->second_at < SECOND_TICK)
        return;
    recorder->second_at = now;
    sealing_sync(recorder->sealing);
    look_at_settings(recorder);
    write_status(recorder, true);
}

/* What is older than a second is to be on disk, however much there is to seal. */
static int64_t pass_end(const struct recorder *recorder, int64_t now)
{
    int64_t end = now + PASS_TIME, second = recorder->second_at + SECOND_TICK;
    return second < end ? second : end;
}

/* Milliseconds, for a pass that began at `begun`. */
static int rest_after(const struct recorder *recorder, int64_t begun)
{
    int64_t rest = RESTS * (clock_monotonic_ns(recorder->clock) - begun);
    return rest < 0 ? 0 : (int)((rest < LONGEST_REST ? rest : LONGEST_REST) / NS_PER_MS);
}

static void work(struct recorder *recorder)
{
    while (!atomic_load(&recorder->stop)) {
        int64_t now = clock_monotonic_ns(recorder->clock);
        scan_if_due(recorder, now);
        bool more = sealing_pass(recorder->sealing, pass_end(recorder, now));
        each_second(recorder);
        int timeout = IDLE_TICK_MS;
        if (more)
            timeout = sealing_may_rest(recorder->sealing) ? rest_after(recorder, now) : 0;
        else if (sealing_count(recorder->sealing))
            timeout = LIVE_TICK_MS;
        else if (uploader_wait(recorder->uploader, 0) || recorder->watch < 0)
            timeout = BUSY_TICK_MS;
        struct pollfd fds[2] = {{.fd = recorder->wake, .events = POLLIN},
                                {.fd = recorder->watch, .events = POLLIN}};
        if (poll(fds, 2, timeout) > 0 && (fds[1].revents & POLLIN))
            read_watch(recorder);
    }
}

static int64_t time_left(int64_t until)
{
    int64_t left = until - clock_monotonic_ns(&clock_system);
    return left > 0 ? left : 0;
}

/* Uses the time that is left for sessions that have just ended and for their uploads. */
static void finish(struct recorder *recorder)
{
    int64_t now = clock_monotonic_ns(&clock_system);
    int64_t until = now + recorder->stop_ms * NS_PER_MS;
    int64_t settled = now + END_NOTICED < until ? now + END_NOTICED : until;
    struct error error = ERROR_INIT;
    atomic_store(&recorder->stop, false); /* passes go on; recorder_stop() waits for this thread */
    if (time_left(until) && sealing_scan(recorder->sealing, &error))
        log_error("%s", error.text);
    while (sealing_count(recorder->sealing) && time_left(until)) {
        if (sealing_pass(recorder->sealing, clock_monotonic_ns(recorder->clock) + PASS_TIME))
            continue;
        if (!time_left(settled))
            break;
        poll(NULL, 0, LIVE_TICK_MS / 2);
    }
    if (time_left(until))
        uploader_wait(recorder->uploader, (unsigned)(time_left(until) / NS_PER_MS));
    write_status(recorder, false);
    sealing_free(recorder->sealing);
    uploader_free(recorder->uploader, (unsigned)(time_left(until) / NS_PER_MS));
}

static void *run(void *argument)
{
    struct recorder *recorder = argument;
    if (!take_lock(recorder))
        return NULL;
    int said = 0;
    for (;;) {
        struct error error = ERROR_INIT;
        int rc = open_parts(recorder, &error);
        if (!rc)
            break;
        if (rc != said)
            log_error("the recorder cannot begin, will try again: %s", error.text);
        said = rc;
        if (!pause_ms(recorder, RETRY_MS))
            goto out;
    }
    open_watch(recorder);
    /* Again, for what came between the first look and the watch. */
    recorder->scanned_at = recorder->second_at = INT64_MIN / 2;
    log_info("recording what comes to %s", spool_path(recorder->spool));
    work(recorder);
    finish(recorder);
    if (recorder->watch >= 0)
        close(recorder->watch);
out:
    spool_unlock(recorder->spool);
    return NULL;
}

static void free_recorder(struct recorder *recorder)
{
    status_free(&recorder->status);
    spool_free(recorder->spool);
    settings_watch_free(recorder->settings);
    if (recorder->wake >= 0)
        close(recorder->wake);
    free(recorder);
}

int recorder_start(const char *settings_path, const struct clock *clock, struct recorder **recorder,
                   struct error *error)
{
    sigset_t all, before;
    struct recorder *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to start the recorder");
    new->clock = clock;
    new->status = STATUS_INIT;
    new->watch = -1;
    atomic_init(&new->stop, false);
    int rc;
    new->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (new->wake < 0) {
        rc = error_system(error, "cannot start the recorder");
        goto out;
    }
    rc = settings_watch_new(settings_path, &new->settings, error);
    if (rc)
        goto out;
    struct settings *settings = settings_watch_get(new->settings, NULL);
    rc = spool_open(settings_spool(settings), &new->spool, error);
    settings_unref(settings);
    if (rc)
        goto out;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&new->thread, NULL, run, new))
        rc = error_set(error, ERR_SYSTEM, "cannot start the recorder's thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
out:
    if (rc)
        free_recorder(new);
    else
        *recorder = new;
    return rc;
}

void recorder_stop(struct recorder *recorder, unsigned milliseconds)
{
    if (!recorder)
        return;
    uint64_t one = 1;
    recorder->stop_ms = milliseconds;
    atomic_store(&recorder->stop, true);
    while (write(recorder->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(recorder->thread, NULL);
    free_recorder(recorder);
}
