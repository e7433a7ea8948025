#include "recorder/upload/uploader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/log.h"
#include "recorder/upload/uploader_internal.h"

#define DEFAULT_THREADS 32
#define MAX_THREADS 256
/* How often new settings are looked for while something waits. */
#define SETTINGS_INTERVAL (2 * NS_PER_SECOND)

/* The file belongs where people look for what went wrong; logged here, because nobody above asks.
 */
static void quarantine(struct uploader *uploader, const char *id, const struct error *why)
{
    struct error error = ERROR_INIT;
    if (spool_quarantine(uploader->spool, id, why->text, &error))
        log_error("cannot move %s into quarantine (%s): %s", id, why->text, error.text);
    else
        log_error("moved %s into quarantine: %s", id, why->text);
}

/* The thread that works on this recording, or NULL. */
static struct uploader_thread *find_worker(const struct uploader *uploader, const char *id)
{
    for (unsigned i = 0; i < uploader->thread_count; i++)
        if (strcmp(uploader->threads[i].id, id) == 0)
            return &uploader->threads[i];
    return NULL;
}

static void add_newcomer(struct uploader *uploader, const char *id)
{
    if (id_queue_add(&uploader->newcomers, id))
        log_error("no memory to queue %s: it waits for the next start", id);
}

/* The thread is done with its recording. */
static void lay_down(struct uploader *uploader, struct uploader_thread *self)
{
    if (self->again)
        add_newcomer(uploader, self->id);
    self->again = false;
    self->id[0] = '\0';
}

/* Puts the oldest newcomer into its organization's queue. Called and returns with the lock held;
 * reads the manifest without it. */
static void sort_newcomer(struct uploader *uploader, struct uploader_thread *self)
{
    char *owner = NULL;
    struct error error = ERROR_INIT;
    memcpy(self->id, id_queue_at(&uploader->newcomers, 0), ID_SIZE);
    id_queue_remove(&uploader->newcomers, self->id);
    pthread_mutex_unlock(&uploader->lock);
    int rc = upload_owner(uploader->spool, self->id, &owner, &error);
    if (rc == ERR_DAMAGED)
        quarantine(uploader, self->id, &error);
    pthread_mutex_lock(&uploader->lock);
    if (rc != ERR_DAMAGED && rc != ERR_NOT_FOUND) {
        /* One that cannot be read now waits in a queue of its own, under no name. */
        struct schedule_organization *organization = schedule_find(&uploader->schedule,
                                                                   owner ? owner : "");
        if (!organization || id_queue_add(&organization->ready, self->id))
            log_error("no memory to queue %s: it waits for the next start", self->id);
    }
    free(owner);
    lay_down(uploader, self);
}

/* Takes new settings into account. Called and returns with the lock held. */
static void look_at_settings(struct uploader *uploader, int64_t now)
{
    if (uploader->settings_seen && now - uploader->settings_at < SETTINGS_INTERVAL)
        return;
    uploader->settings_at = now;
    struct error ignored = ERROR_INIT; /* the recorder reports a file that is not valid */
    struct settings *settings = settings_watch_get(uploader->settings, &ignored);
    if (settings == uploader->settings_seen) {
        settings_unref(settings);
        return;
    }
    settings_unref(uploader->settings_seen);
    uploader->settings_seen = settings;
    schedule_settings(&uploader->schedule, settings);
}

static void log_change(const struct schedule_organization *organization,
                       enum upload_outcome outcome, const char *id, const struct error *error)
{
    if (outcome == UPLOAD_STORED)
        log_info("organization %s: its storage works again", organization->name);
    else if (outcome == UPLOAD_STORE_FAILED)
        log_warning("organization %s: recordings wait in the spool (%s): %s", organization->name,
                    error_name(error->code), error->text);
    else
        log_warning("organization %s: %s waits in the spool (%s): %s", organization->name, id,
                    error_name(error->code), error->text);
}

/* Called and returns with the lock held; uploads without it. */
static void upload(struct uploader *uploader, struct uploader_thread *self,
                   const struct schedule_pick *pick)
{
    struct error error = ERROR_INIT;
    struct settings *settings = settings_ref(uploader->settings_seen);
    memcpy(self->id, pick->id, ID_SIZE);
    pthread_mutex_unlock(&uploader->lock);
    const struct upload_job job = {
        .spool = uploader->spool,
        .syncs = &uploader->syncs,
        .stores = uploader->stores,
        .settings = settings,
        .id = self->id,
        .on_stored = uploader->options.on_stored,
        .context = uploader->options.context,
    };
    enum upload_outcome outcome = upload_recording(&job, &error);
    settings_unref(settings);
    if (outcome == UPLOAD_DAMAGED)
        quarantine(uploader, self->id, &error);
    pthread_mutex_lock(&uploader->lock);
    bool news = schedule_done(&uploader->schedule, pick, outcome, &error,
                              clock_monotonic_ns(uploader->clock), clock_wall_ns(uploader->clock));
    if (news)
        log_change(pick->organization, outcome, self->id, &error);
    lay_down(uploader, self);
}

static void wait_until(struct uploader *uploader, int64_t now, int64_t wake)
{
    if (wake == INT64_MAX) {
        pthread_cond_wait(&uploader->work, &uploader->lock);
        return;
    }
    /* At most the settings' interval: what waits may wait for them. */
    int64_t delay = wake - now < SETTINGS_INTERVAL ? wake - now : SETTINGS_INTERVAL;
    uploader_wait_on(&uploader->work, &uploader->lock, delay > NS_PER_MS ? delay : NS_PER_MS);
}

static void *run(void *argument)
{
    struct uploader_thread *self = argument;
    struct uploader *uploader = self->uploader;
    pthread_mutex_lock(&uploader->lock);
    while (!uploader->stopping) {
        struct schedule_pick pick;
        int64_t wake, now = clock_monotonic_ns(uploader->clock);
        if (uploader->newcomers.count) {
            sort_newcomer(uploader, self);
        } else {
            look_at_settings(uploader, now);
            if (schedule_take(&uploader->schedule, now, &pick, &wake)) {
                /* There may be more: whoever takes that wakes the next one. */
                pthread_cond_signal(&uploader->work);
                upload(uploader, self, &pick);
            } else {
                wait_until(uploader, now, wake);
                continue;
            }
        }
        /* This thread looks for what that made possible; who waits may see the end. */
        pthread_cond_broadcast(&uploader->idle);
    }
    pthread_mutex_unlock(&uploader->lock);
    return NULL;
}

static int add_found(void *context, const char *id)
{
    struct uploader *uploader = context;
    return id_queue_add(&uploader->newcomers, id);
}

static int finish_found(void *context, const char *id)
{
    struct uploader *uploader = context;
    struct error error = ERROR_INIT;
    if (upload_finish(uploader->spool, &uploader->syncs, id, &error))
        log_warning("cannot remove what is left of %s: %s", id, error.text);
    return 0;
}

static int scan(struct uploader *uploader, struct error *error)
{
    int rc = spool_each(uploader->spool, SPOOL_SEALED, SPOOL_UPLOAD_SUFFIX, finish_found, uploader,
                        error);
    if (!rc)
        rc = spool_each(uploader->spool, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX, add_found, uploader,
                        error);
    if (rc == ERR_NO_MEMORY)
        error_set(error, rc, "no memory to list what waits in the spool");
    return rc;
}

static int start_threads(struct uploader *uploader, unsigned count, struct error *error)
{
    sigset_t all, before;
    uploader->threads = calloc(count, sizeof(*uploader->threads));
    if (!uploader->threads)
        return error_set(error, ERR_NO_MEMORY, "no memory for upload threads");
    /* The signals are the host's: ours never take one. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = 0;
    for (unsigned i = 0; i < count && !rc; i++) {
        struct uploader_thread *thread = &uploader->threads[i];
        thread->uploader = uploader;
        if (pthread_create(&thread->thread, NULL, run, thread))
            rc = error_set(error, ERR_SYSTEM, "cannot start upload thread %u of %u", i + 1, count);
        else
            uploader->started = i + 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void end(struct uploader *uploader)
{
    pthread_mutex_lock(&uploader->lock);
    uploader->stopping = true;
    pthread_cond_broadcast(&uploader->work);
    pthread_mutex_unlock(&uploader->lock);
    for (unsigned i = 0; i < uploader->started; i++)
        pthread_join(uploader->threads[i].thread, NULL);
    store_cache_free(uploader->stores);
    schedule_free(&uploader->schedule);
    id_queue_free(&uploader->newcomers);
    settings_unref(uploader->settings_seen);
    pthread_cond_destroy(&uploader->work);
    pthread_cond_destroy(&uploader->idle);
    pthread_mutex_destroy(&uploader->lock);
    upload_syncs_deinit(&uploader->syncs);
    free(uploader->threads);
    free(uploader);
}

int uploader_new(struct spool *spool, struct settings_watch *settings, const struct clock *clock,
                 const struct uploader_options *options, struct uploader **uploader,
                 struct error *error)
{
    pthread_condattr_t monotonic;
    unsigned threads = options->threads ? options->threads : DEFAULT_THREADS;
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    struct uploader *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to upload");
    new->spool = spool;
    new->settings = settings;
    new->clock = clock;
    new->options = *options;
    new->thread_count = threads;
    new->schedule = (struct upload_schedule){.threads = threads, .once = options->once};
    pthread_mutex_init(&new->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&new->work, &monotonic);
    pthread_cond_init(&new->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    upload_syncs_init(&new->syncs);

    int rc = store_cache_new(clock, &new->stores, error);
    if (!rc)
        rc = scan(new, error);
    if (!rc)
        rc = start_threads(new, threads, error);
    if (rc)
        end(new);
    else
        *uploader = new;
    return rc;
}

void uploader_add(struct uploader *uploader, const char *id)
{
    pthread_mutex_lock(&uploader->lock);
    struct uploader_thread *worker = find_worker(uploader, id);
    if (worker)
        worker->again = true;
    else
        add_newcomer(uploader, id);
    pthread_cond_signal(&uploader->work);
    pthread_mutex_unlock(&uploader->lock);
}

void uploader_free(struct uploader *uploader, unsigned milliseconds)
{
    if (!uploader)
        return;
    int64_t until = clock_monotonic_ns(&clock_system) + milliseconds * NS_PER_MS;
    pthread_mutex_lock(&uploader->lock);
    uploader->stopping = true;
    pthread_cond_broadcast(&uploader->work);
    while (uploader_busy(uploader)) {
        int64_t left = until - clock_monotonic_ns(&clock_system);
        if (left <= 0)
            break;
        uploader_wait_on(&uploader->idle, &uploader->lock, left);
    }
    pthread_mutex_unlock(&uploader->lock);
    store_cache_cancel(uploader->stores);
    end(uploader);
}
