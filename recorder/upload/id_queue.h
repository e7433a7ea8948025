/* Ids in order of age, each at most once, taken from either end. Not shared between threads. */
#ifndef CASTBUCKET_UPLOAD_ID_QUEUE_H
#define CASTBUCKET_UPLOAD_ID_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/id.h"

struct id_queue {
    char (*ids)[ID_SIZE];
    size_t first, count, capacity;
};

/* 0, also when it is there already; or ERR_NO_MEMORY. Cheap for an id that is the newest. */
__attribute__((warn_unused_result)) int id_queue_add(struct id_queue *queue, const char *id);

/* The oldest (0) to the newest (count - 1). */
const char *id_queue_at(const struct id_queue *queue, size_t index);

/* False when it is not there. */
bool id_queue_remove(struct id_queue *queue, const char *id);

void id_queue_free(struct id_queue *queue);

#endif
