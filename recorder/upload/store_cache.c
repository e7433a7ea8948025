#include "recorder/upload/store_cache.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/upload/storage_fingerprint.h"

struct cached {
    struct cached *next;
    char *organization;
    uint8_t settings[SHA256_SIZE]; /* of all storage settings: the role and external ID too */
    struct store *store;
    unsigned users;
    bool current; /* false: newer settings are in force; freed by its last user */
};

struct store_cache {
    pthread_mutex_t lock;
    const struct clock *clock;
    struct http_client *client;
    struct cached *first;
    bool cancelled;
    char host[HOST_NAME_MAX + 1];
};

int store_cache_new(const struct clock *clock, struct store_cache **cache, struct error *error)
{
    struct store_cache *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to upload");
    pthread_mutex_init(&new->lock, NULL);
    new->clock = clock;
    if (gethostname(new->host, sizeof(new->host) - 1))
        strcpy(new->host, "unknown");
    *cache = new;
    return 0;
}

static void free_cached(struct cached *cached)
{
    store_free(cached->store);
    free(cached->organization);
    free(cached);
}

/* Takes out those that nobody uses and whose settings are no longer in force. */
static void drop_old(struct store_cache *cache)
{
    for (struct cached **at = &cache->first; *at;) {
        struct cached *cached = *at;
        if (cached->current || cached->users) {
            at = &cached->next;
            continue;
        }
        *at = cached->next;
        free_cached(cached);
    }
}

static int open_store(struct store_cache *cache, const struct organization_settings *organization,
                      const uint8_t sum[SHA256_SIZE], struct cached **opened, struct error *error)
{
    if (organization->storage.type == STORAGE_AWS_S3 && !cache->client) {
        int rc = http_client_new(&(struct http_options){0}, &cache->client, error);
        if (rc)
            return rc;
    }
    struct cached *cached = calloc(1, sizeof(*cached));
    if (cached)
        cached->organization = strdup(organization->name);
    if (!cached || !cached->organization) {
        free(cached);
        return error_set(error, ERR_NO_MEMORY, "no memory to open the storage of %s",
                         organization->name);
    }
    int rc = store_open(organization, cache->client, cache->clock, cache->host, &cached->store,
                        error);
    if (rc) {
        free_cached(cached);
        return rc;
    }
    memcpy(cached->settings, sum, SHA256_SIZE);
    cached->current = true;
    cached->next = cache->first;
    cache->first = cached;
    *opened = cached;
    return 0;
}

int store_cache_get(struct store_cache *cache, const struct organization_settings *organization,
                    struct store **store, struct error *error)
{
    uint8_t sum[SHA256_SIZE];
    int rc = storage_fingerprint(&organization->storage, sum);
    if (rc)
        return error_set(error, rc, "no memory to open the storage of %s", organization->name);
    pthread_mutex_lock(&cache->lock);
    struct cached *found = NULL;
    for (struct cached *at = cache->first; at; at = at->next) {
        if (strcmp(at->organization, organization->name) != 0)
            continue;
        if (memcmp(at->settings, sum, sizeof(sum)) == 0)
            found = at;
        else
            at->current = false;
    }
    if (found)
        found->current = true; /* the settings may have been changed back */
    else if (cache->cancelled)
        rc = error_set(error, ERR_CANCELLED, "stopped");
    else
        rc = open_store(cache, organization, sum, &found, error);
    drop_old(cache);
    if (!rc) {
        found->users++;
        *store = found->store;
    }
    pthread_mutex_unlock(&cache->lock);
    return rc;
}

void store_cache_release(struct store_cache *cache, struct store *store)
{
    pthread_mutex_lock(&cache->lock);
    for (struct cached *at = cache->first; at; at = at->next)
        if (at->store == store)
            at->users--;
    drop_old(cache);
    pthread_mutex_unlock(&cache->lock);
}

void store_cache_cancel(struct store_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->cancelled = true;
    for (struct cached *at = cache->first; at; at = at->next)
        store_cancel(at->store);
    if (cache->client)
        http_client_cancel(cache->client);
    pthread_mutex_unlock(&cache->lock);
}

void store_cache_free(struct store_cache *cache)
{
    if (!cache)
        return;
    while (cache->first) {
        struct cached *next = cache->first->next;
        free_cached(cache->first);
        cache->first = next;
    }
    http_client_free(cache->client);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
