#include "recorder/upload/shared_sync.h"

#include "recorder/base/file.h"

void shared_sync_init(struct shared_sync *shared)
{
    *shared = (struct shared_sync){.asked = 0};
    pthread_mutex_init(&shared->lock, NULL);
    pthread_cond_init(&shared->over, NULL);
}

void shared_sync_deinit(struct shared_sync *shared)
{
    pthread_cond_destroy(&shared->over);
    pthread_mutex_destroy(&shared->lock);
}

int shared_sync(struct shared_sync *shared, int directory, struct error *error)
{
    int rc = 0;
    pthread_mutex_lock(&shared->lock);
    uint64_t own = ++shared->asked;
    while (shared->done < own && !rc) {
        if (shared->busy) {
            pthread_cond_wait(&shared->over, &shared->lock);
            continue;
        }
        uint64_t covered = shared->asked;
        shared->busy = true;
        pthread_mutex_unlock(&shared->lock);
        rc = file_sync_directory(directory, error);
        pthread_mutex_lock(&shared->lock);
        shared->busy = false;
        /* A failure is told to this thread only; the others try themselves. */
        if (!rc)
            shared->done = covered;
        pthread_cond_broadcast(&shared->over);
    }
    pthread_mutex_unlock(&shared->lock);
    return rc;
}
