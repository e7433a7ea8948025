/* Inside recorder/store: what a kind of store provides, and what all kinds share. */
#ifndef CASTBUCKET_STORE_STORE_KIND_H
#define CASTBUCKET_STORE_STORE_KIND_H

#include <stdatomic.h>

#include "recorder/store/store.h"

/* Reports one step of a check; returns its code. */
typedef void store_report(void *context, const struct store_check *check);

struct store_kind {
    void (*free)(struct store *store);
    int (*put)(struct store *store, const struct store_object *object,
               struct store_progress *progress,
               int (*save)(void *context, const struct store_progress *progress,
                           struct error *error),
               void *context, struct error *error);
    /* Puts a small object once. ERR_EXISTS when anything is there, even the same. */
    int (*put_new)(struct store *store, const struct store_object *object, struct error *error);
    int (*has)(struct store *store, const struct store_object *object, struct error *error);
    int (*get)(struct store *store, const char *key, uint64_t offset, uint64_t length,
               int (*sink)(void *context, const void *data, size_t length), void *context,
               struct error *error);
    int (*list)(struct store *store, const char *prefix,
                int (*each)(void *context, const char *key, uint64_t size), void *context,
                struct error *error);
    /* The steps of store_check() before the probe. `usable` false: the rest makes no sense. */
    int (*check_access)(struct store *store, store_report *report, void *context, bool *usable,
                        struct error *error);
    /* What a person can do about a failed step; "" when the error says it all. */
    void (*advice)(struct store *store, int code, const char *permission, char *text, size_t size);
};

/* Every kind's struct starts with this one. */
struct store {
    const struct store_kind *kind;
    char *url;
    char *prefix;
    char *organization;
    atomic_bool cancelled;
};

/* Fills in the common part; on failure free it all the same. */
__attribute__((warn_unused_result)) int store_init(struct store *store,
                                                   const struct store_kind *kind, const char *url,
                                                   const struct organization_settings *organization,
                                                   struct error *error);
void store_deinit(struct store *store);

/* Something is under the object's key already: 0 if it is the same, else ERR_CONFLICT. Unless
 * `size`, which is what the store says, is another one, the bytes are read: nothing else proves it.
 * `ours`: it is marked as the very one, so other bytes mean that it was damaged. ERR_RETRY: other
 * than `size` bytes came. */
__attribute__((warn_unused_result)) int store_compare(struct store *store,
                                                      const struct store_object *object,
                                                      uint64_t size, bool ours,
                                                      struct error *error);

__attribute__((warn_unused_result)) int
store_s3_open(const struct organization_settings *organization, struct http_client *client,
              const struct clock *clock, const char *host, struct store **store,
              struct error *error);
__attribute__((warn_unused_result)) int
store_directory_open(const struct organization_settings *organization, struct store **store,
                     struct error *error);

#endif
