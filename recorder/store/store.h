/* A store: where recordings end up. Two kinds, the same keys and the same promises: `aws-s3` (any
 * S3 endpoint, by an assumed role) and `directory`.
 *
 * The promises of store_put():
 *   - An object appears whole or not at all, and only if nothing was there (never an overwrite).
 *   - Returning 0 means that the store holds exactly these bytes: size and checksum were confirmed.
 *   - The same object put twice is success; another object under the same key is ERR_CONFLICT.
 * Any thread. */
#ifndef CASTBUCKET_STORE_STORE_H
#define CASTBUCKET_STORE_STORE_H

#include <stdint.h>

#include "recorder/aws/http.h"
#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/settings/settings.h"

struct store;

/* Opens an organization's storage. Asks nothing of the network yet. `client` (may be NULL for
 * `directory`) and `clock` must outlive it; `storage` is copied. `host` names the process in the
 * role session's name. */
__attribute__((warn_unused_result)) int store_open(const struct organization_settings *organization,
                                                   struct http_client *client,
                                                   const struct clock *clock, const char *host,
                                                   struct store **store, struct error *error);
void store_free(struct store *store); /* NULL does nothing */

/* Makes puts into a directory that are under way, and later ones, return ERR_CANCELLED soon. Those
 * that wait for the network are cancelled with their client: http_client_cancel(). */
void store_cancel(struct store *store);

/* "s3://bucket/" or "file:///path/": put before a key it names the object for a person. */
const char *store_url(const struct store *store);

/* {prefix}: the settings' own, for key_make(). */
const char *store_prefix(const struct store *store);

/* How far a multipart upload is. Saved by the caller between attempts, so that an upload continues
 * in another process; all that ListParts would have said. */
struct store_progress {
    char upload_id[1024]; /* "": none begun */
    uint64_t part_size;
    unsigned part_count; /* parts that the store has confirmed: numbers 1 to part_count */
    struct store_part {
        char etag[128];
        uint8_t sha256[32];
    } * parts; /* malloc'ed; store_progress_free() */
};
void store_progress_free(struct store_progress *progress);

struct store_object {
    const char *key;
    const char *content_type;
    const void *data; /* the bytes, or NULL and: */
    int fd;           /* a file to pread from, from its start */
    uint64_t size;
    uint8_t sha256[32];
};

/* Puts an object; blocks for as long as it takes. `progress` may be NULL for small ones. After each
 * step that must be remembered `save` is called; a failure of it stops the put.
 * Errors: ERR_RETRY (try later), ERR_DENIED / ERR_NOT_FOUND (role, policy, bucket: wait for a
 * person), ERR_CONFLICT, ERR_CANCELLED, and those of the local file. */
__attribute__((warn_unused_result)) int
store_put(struct store *store, const struct store_object *object, struct store_progress *progress,
          int (*save)(void *context, const struct store_progress *progress, struct error *error),
          void *context, struct error *error);

/* 0: the store holds exactly these bytes. ERR_NOT_FOUND: nothing is under the key. ERR_CONFLICT:
 * something else is. The object's own bytes need not be here: `data` NULL and `fd` -1. */
__attribute__((warn_unused_result)) int
store_has(struct store *store, const struct store_object *object, struct error *error);

/* Reads [offset, offset + length) (length 0: to the end) into a sink. ERR_NOT_FOUND. */
__attribute__((warn_unused_result)) int
store_get(struct store *store, const char *key, uint64_t offset, uint64_t length,
          int (*sink)(void *context, const void *data, size_t length), void *context,
          struct error *error);

/* Every object whose key starts with `prefix`, in key order. Non-zero from `each` stops. */
__attribute__((warn_unused_result)) int store_list(struct store *store, const char *prefix,
                                                   int (*each)(void *context, const char *key,
                                                               uint64_t size),
                                                   void *context, struct error *error);

/* For `castbucket check`: tries one thing after another (assume the role, find the region, put a
 * probe under the organization's prefix, read it, list it, put it again to see whether it is
 * refused) and reports each. The probe stays: nobody is granted s3:DeleteObject; its key is always
 * the same. */
struct store_check {
    const char *what;       /* "assume the role" */
    const char *permission; /* "s3:PutObject", or "" */
    int code;               /* 0, or an error code */
    const char *detail;     /* what was found, or what is wrong and what to do about it */
};
__attribute__((warn_unused_result)) int
store_check(struct store *store, void (*report)(void *context, const struct store_check *check),
            void *context, struct error *error);

#endif
