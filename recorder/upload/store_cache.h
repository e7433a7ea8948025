/* Open stores, one for each organization and form of its storage settings. Uploads under way keep
 * theirs when the settings change; the next ones get another. Any thread. */
#ifndef CASTBUCKET_UPLOAD_STORE_CACHE_H
#define CASTBUCKET_UPLOAD_STORE_CACHE_H

#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/settings/settings.h"
#include "recorder/store/store.h"

struct store_cache;

/* `clock` must outlive it. */
__attribute__((warn_unused_result)) int
store_cache_new(const struct clock *clock, struct store_cache **cache, struct error *error);

/* The store for these settings; give it back with store_cache_release(). The HTTP client is made
 * when the first store needs one. */
__attribute__((warn_unused_result)) int
store_cache_get(struct store_cache *cache, const struct organization_settings *organization,
                struct store **store, struct error *error);
void store_cache_release(struct store_cache *cache, struct store *store);

/* Makes all that is under way in any store, and all that comes later, end with ERR_CANCELLED. */
void store_cache_cancel(struct store_cache *cache);

/* All stores were given back. NULL does nothing. */
void store_cache_free(struct store_cache *cache);

#endif
