/* Recordings as their readers see them: listed, fetched, replayed; from a store or a local file. */
#ifndef CASTBUCKET_READ_RECORDING_H
#define CASTBUCKET_READ_RECORDING_H

#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/seal/manifest.h"
#include "recorder/store/store.h"

struct recording_query {
    const char *organization;
    const char *socket;         /* NULL: all */
    int64_t since_ns, until_ns; /* by start; 0: open */
};

/* Called in order of start time. `manifest` is NULL for a recording whose manifest is missing (its
 * upload is under way) or unreadable (`problem` then says why); key is the .cast.gz's. */
typedef int recording_fn(void *context, const char *key, const char *id, uint64_t size,
                         const struct manifest *manifest, const char *problem, struct error *error);

/* Lists from the store. Manifests are fetched several at a time. */
__attribute__((warn_unused_result)) int recording_list(struct store *store,
                                                       const struct recording_query *query,
                                                       recording_fn *each, void *context,
                                                       struct error *error);

/* Finds the key of an id (the whole id, or a prefix of at least 8 characters that only one
 * recording has: ERR_INVALID if several do). ERR_NOT_FOUND. */
__attribute__((warn_unused_result)) int recording_find(struct store *store,
                                                       const char *organization, const char *id,
                                                       char *key, size_t key_size,
                                                       struct error *error);

/* A source of the .cast.gz's bytes: a store's object or a local file (.cast.gz or plain .cast). */
struct recording_source {
    struct store *store; /* with key; or NULL and: */
    const char *key;
    const char *path;
};

/* Copies the bytes as they are stored. */
__attribute__((warn_unused_result)) int recording_copy(const struct recording_source *source,
                                                       int (*sink)(void *context, const void *data,
                                                                   size_t length),
                                                       void *context, struct error *error);

/* Decompresses and decodes; calls on_event for each. A recording that ends early or is damaged
 * delivers what is readable and then returns ERR_DAMAGED. `on_info` once, before the events. */
__attribute__((warn_unused_result)) int
recording_decode(const struct recording_source *source,
                 int (*on_info)(void *context, const struct cast_info *info),
                 cast_event_fn *on_event, void *context, struct error *error);

#endif
