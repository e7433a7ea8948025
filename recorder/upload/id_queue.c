#include "recorder/upload/id_queue.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/base/error.h"

/* Where the id is, or where it belongs. */
static size_t find(const struct id_queue *queue, const char *id)
{
    size_t low = 0, high = queue->count;
    /* New recordings are mostly the newest. */
    if (high && strcmp(id_queue_at(queue, high - 1), id) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(id_queue_at(queue, middle), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct id_queue *queue, size_t index, const char *id)
{
    return index < queue->count && strcmp(id_queue_at(queue, index), id) == 0;
}

const char *id_queue_at(const struct id_queue *queue, size_t index)
{
    return queue->ids[queue->first + index];
}

int id_queue_add(struct id_queue *queue, const char *id)
{
    size_t index = find(queue, id);
    if (is_at(queue, index, id))
        return 0;
    if (queue->first + queue->count == queue->capacity) {
        if (queue->first > queue->capacity / 2) {
            memmove(queue->ids, queue->ids + queue->first, queue->count * sizeof(*queue->ids));
            queue->first = 0;
        } else {
            size_t capacity = queue->capacity ? queue->capacity * 2 : 16;
            void *ids = reallocarray(queue->ids, capacity, sizeof(*queue->ids));
            if (!ids)
                return ERR_NO_MEMORY;
            queue->ids = ids;
            queue->capacity = capacity;
        }
    }
    char(*at)[ID_SIZE] = queue->ids + queue->first + index;
    memmove(at + 1, at, (queue->count - index) * sizeof(*at));
    memcpy(*at, id, ID_SIZE);
    queue->count++;
    return 0;
}

bool id_queue_remove(struct id_queue *queue, const char *id)
{
    size_t index = find(queue, id);
    if (!is_at(queue, index, id))
        return false;
    queue->count--;
    if (index == 0) {
        queue->first++;
    } else {
        char(*at)[ID_SIZE] = queue->ids + queue->first + index;
        memmove(at, at + 1, (queue->count - index) * sizeof(*at));
    }
    if (queue->count == 0)
        queue->first = 0;
    return true;
}

void id_queue_free(struct id_queue *queue)
{
    free(queue->ids);
    *queue = (struct id_queue){0};
}
