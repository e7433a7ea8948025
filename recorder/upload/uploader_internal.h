/* Inside recorder/upload: the uploader's parts, for uploader.c (threads) and uploader_report.c
 * (waiting and status). */
#ifndef CASTBUCKET_UPLOAD_UPLOADER_INTERNAL_H
#define CASTBUCKET_UPLOAD_UPLOADER_INTERNAL_H

#include <pthread.h>

#include "recorder/upload/store_cache.h"
#include "recorder/upload/upload_schedule.h"
#include "recorder/upload/uploader.h"

struct uploader_thread {
    pthread_t thread;
    struct uploader *uploader;
    char id[ID_SIZE]; /* what it works on; "": nothing */
    bool again;       /* it was added meanwhile: look at it once more */
};

struct uploader {
    struct spool *spool;
    struct settings_watch *settings;
    const struct clock *clock;
    struct uploader_options options;
    struct store_cache *stores;
    struct upload_syncs syncs;

    pthread_mutex_t lock;      /* of everything below */
    pthread_cond_t work;       /* there may be something to take */
    pthread_cond_t idle;       /* something was done */
    struct id_queue newcomers; /* not yet known whose they are */
    struct upload_schedule schedule;
    struct settings *settings_seen; /* the newest; NULL at first */
    int64_t settings_at;            /* when they were last looked for */
    bool stopping;
    struct uploader_thread *threads;
    unsigned thread_count, started;
};

/* Whether any thread works on a recording. With the lock held. */
bool uploader_busy(const struct uploader *uploader);

/* pthread_cond_timedwait() for a length of real time. With the lock held. */
void uploader_wait_on(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t nanoseconds);

#endif
