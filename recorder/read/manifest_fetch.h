/* Fetching the manifests of a listing with several threads, handing them out in order. */
#ifndef CASTBUCKET_READ_MANIFEST_FETCH_H
#define CASTBUCKET_READ_MANIFEST_FETCH_H

#include "recorder/read/listing.h"

#define MANIFEST_FETCH_THREADS 8
#define MANIFEST_FETCH_AHEAD 32                    /* recordings, fetched but not handed out */
#define MANIFEST_FETCH_MEMORY ((uint64_t)64 << 20) /* bytes of JSON, likewise */

struct manifest_fetch;

/* The store and the listing must outlive it. */
__attribute__((warn_unused_result)) int manifest_fetch_new(struct store *store,
                                                           const struct listing *listing,
                                                           struct manifest_fetch **fetch,
                                                           struct error *error);

/* The next entry's manifest: waits for it. Call once for each entry, in order, from one thread.
 * *manifest is NULL if there is none, or if `why` says that it could not be had; free it with
 * manifest_free(). */
void manifest_fetch_next(struct manifest_fetch *fetch, struct manifest **manifest,
                         struct error *why);

/* Waits for the requests under way; may be called early. NULL does nothing. */
void manifest_fetch_free(struct manifest_fetch *fetch);

#endif
