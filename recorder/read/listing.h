/* What a store holds for a query: objects paired to recordings, in order of start. */
#ifndef CASTBUCKET_READ_LISTING_H
#define CASTBUCKET_READ_LISTING_H

#include <stdbool.h>

#include "recorder/read/recording.h"

#define LISTING_MAX                                                                                \
    ((size_t)10000000) /* recordings; past it, ERR_LIMIT asks to narrow the query                  \
                        */

struct listing_entry {
    char *key;      /* of the .cast.gz, whether it is there or not */
    const char *id; /* 36 characters inside key; not NUL-terminated there */
    uint64_t cast_size, manifest_size;
    bool has_cast, has_manifest;
};

struct listing {
    struct listing_entry *entries;
    size_t count;
};

/* Ids outside the query's time, give or take LISTING_SLACK_NS, are left out. */
#define LISTING_SLACK_NS NS_PER_SECOND
__attribute__((warn_unused_result)) int listing_read(struct store *store,
                                                     const struct recording_query *query,
                                                     struct listing *listing, struct error *error);
void listing_free(struct listing *listing);

#endif
