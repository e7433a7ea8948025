#include "recorder/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/sha256.h"
#include "recorder/store/store_kind.h"

int store_open(const struct organization_settings *organization, struct http_client *client,
               const struct clock *clock, const char *host, struct store **store,
               struct error *error)
{
    *store = NULL;
    switch (organization->storage.type) {
    case STORAGE_AWS_S3:
        return store_s3_open(organization, client, clock, host, store, error);
    case STORAGE_DIRECTORY:
        return store_directory_open(organization, store, error);
    }
    return error_set(error, ERR_INVALID, "organization %s has an unknown type of storage",
                     organization->name);
}

int store_init(struct store *store, const struct store_kind *kind, const char *url,
               const struct organization_settings *organization, struct error *error)
{
    store->kind = kind;
    store->url = strdup(url);
    store->prefix = strdup(organization->storage.prefix);
    store->organization = strdup(organization->name);
    atomic_init(&store->cancelled, false);
    if (!store->url || !store->prefix || !store->organization)
        return error_set(error, ERR_NO_MEMORY, "no memory to open the storage of %s",
                         organization->name);
    return 0;
}

void store_deinit(struct store *store)
{
    free(store->url);
    free(store->prefix);
    free(store->organization);
}

void store_free(struct store *store)
{
    if (store)
        store->kind->free(store);
}

const char *store_url(const struct store *store)
{
    return store->url;
}

const char *store_prefix(const struct store *store)
{
    return store->prefix;
}

void store_cancel(struct store *store)
{
    atomic_store(&store->cancelled, true);
}

void store_progress_free(struct store_progress *progress)
{
    free(progress->parts);
    *progress = (struct store_progress){0};
}

int store_put(struct store *store, const struct store_object *object,
              struct store_progress *progress,
              int (*save)(void *context, const struct store_progress *progress,
                          struct error *error),
              void *context, struct error *error)
{
    return store->kind->put(store, object, progress, save, context, error);
}

int store_has(struct store *store, const struct store_object *object, struct error *error)
{
    return store->kind->has(store, object, error);
}

int store_get(struct store *store, const char *key, uint64_t offset, uint64_t length,
              int (*sink)(void *context, const void *data, size_t length), void *context,
              struct error *error)
{
    return store->kind->get(store, key, offset, length, sink, context, error);
}

int store_list(struct store *store, const char *prefix,
               int (*each)(void *context, const char *key, uint64_t size), void *context,
               struct error *error)
{
    return store->kind->list(store, prefix, each, context, error);
}

struct comparison {
    struct sha256 hash;
    uint64_t size, limit;
};

static int hash_stored(void *context, const void *data, size_t length)
{
    struct comparison *comparison = context;
    if (length > comparison->limit - comparison->size)
        return ERR_RETRY; /* more than there is: an answer without end, perhaps */
    comparison->size += length;
    return sha256_update(&comparison->hash, data, length);
}

static int conflict(const struct store *store, const struct store_object *object, uint64_t size,
                    struct error *error)
{
    return error_set(error, ERR_CONFLICT,
                     "%s%s already holds another object (%llu bytes; ours has %llu). It is not "
                     "overwritten: move it away, and ours will be stored",
                     store->url, object->key, (unsigned long long)size,
                     (unsigned long long)object->size);
}

static int damaged(const struct store *store, const struct store_object *object,
                   struct error *error)
{
    return error_set(
        error, ERR_CONFLICT,
        "%s%s is what we sent by its metadata, but not by its bytes: they were damaged "
        "there or on the way. It is not overwritten: move it away, and it will be "
        "stored again",
        store->url, object->key);
}

int store_compare(struct store *store, const struct store_object *object, uint64_t size, bool ours,
                  struct error *error)
{
    if (size != object->size)
        return ours ? damaged(store, object, error) : conflict(store, object, size, error);
    uint8_t stored[SHA256_SIZE];
    struct comparison comparison = {.limit = size};
    int rc = sha256_init(&comparison.hash);
    if (rc)
        return error_set(error, rc, "no memory to compare %s%s", store->url, object->key);
    rc = store_get(store, object->key, 0, 0, hash_stored, &comparison, error);
    if (rc == 0 && comparison.size != size)
        rc = error_set(error, ERR_RETRY, "%s%s has %llu bytes, and %llu came", store->url,
                       object->key, (unsigned long long)size, (unsigned long long)comparison.size);
    if (rc == 0)
        rc = sha256_final(&comparison.hash, stored);
    if (rc == 0 && memcmp(stored, object->sha256, SHA256_SIZE) != 0)
        rc = ours ? damaged(store, object, error) : conflict(store, object, size, error);
    sha256_free(&comparison.hash);
    return rc;
}
