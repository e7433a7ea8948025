/* One fsync of a directory for all threads that want one at about the same time: each returns when
 * a sync that began after it asked is over. Any thread. */
#ifndef CASTBUCKET_UPLOAD_SHARED_SYNC_H
#define CASTBUCKET_UPLOAD_SHARED_SYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"

struct shared_sync {
    pthread_mutex_t lock;
    pthread_cond_t over;
    uint64_t asked, done; /* requests: so many came, so many are covered by a sync */
    bool busy;
};

void shared_sync_init(struct shared_sync *shared);
void shared_sync_deinit(struct shared_sync *shared);

/* Flushes the directory's entries as they are now. Always with the same directory. */
__attribute__((warn_unused_result)) int shared_sync(struct shared_sync *shared, int directory,
                                                    struct error *error);

#endif
