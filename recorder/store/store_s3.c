#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/s3.h"
#include "recorder/aws/sts.h"
#include "recorder/base/text.h"
#include "recorder/store/store_kind.h"
#include "recorder/store/store_policy.h"
#include "recorder/store/store_s3.h"

#define ROLE_SECONDS 3600 /* the longest that any role allows unless it is configured otherwise */

static void free_s3(struct store *store)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    s3_bucket_free(s3->bucket);
    sts_session_free(s3->session);
    free(s3->bucket_name);
    free(s3->role_arn);
    store_deinit(store);
    free(s3);
}

struct search {
    const char *key;
    bool found;
};

static int search(void *context, const struct s3_list_entry *entry)
{
    struct search *sought = context;
    sought->found = !entry->is_prefix && strcmp(entry->key, sought->key) == 0;
    return 1; /* the key itself sorts before all that it is a prefix of */
}

/* Why an object could not be read: S3 answers 403 for one that is missing when it does not see a
 * right to list the bucket, and a right that is conditioned on s3:prefix does not count there. The
 * list itself tells. */
static int denied_or_missing(struct store_s3 *s3, const char *key, struct error *error)
{
    struct error why = ERROR_INIT;
    struct search sought = {key, false};
    int rc = s3_list(s3->bucket, key, "", search, &sought, &why);
    if ((rc == 0 || rc == 1) && !sought.found)
        return error_set(error, ERR_NOT_FOUND, "there is no object %s%s", s3->store.url, key);
    if (rc == ERR_RETRY || rc == ERR_CANCELLED || rc == ERR_NO_MEMORY) {
        if (error)
            *error = why;
        return rc; /* not known yet, and no person can help */
    }
    return ERR_DENIED; /* `error` still has the first answer */
}

int store_s3_head(struct store_s3 *s3, const char *key, struct s3_object *object,
                  struct error *error)
{
    int rc = s3_head(s3->bucket, key, object, error);
    return rc == ERR_DENIED ? denied_or_missing(s3, key, error) : rc;
}

static struct http_body body_of(const struct store_object *object)
{
    return (struct http_body){.data = object->data, .fd = object->fd, .length = object->size};
}

int store_s3_compare(struct store_s3 *s3, const struct store_object *object,
                     const struct s3_part *parts, unsigned count, struct error *error)
{
    struct s3_object stored;
    char sha256[65];
    const struct http_body body = body_of(object);
    bool is_here = object->data || object->fd >= 0;
    int rc = store_s3_head(s3, object->key, &stored, error);
    if (rc)
        return rc;
    text_hex(sha256, object->sha256, sizeof(object->sha256));
    bool ours = strcmp(stored.meta_sha256, sha256) == 0;
    if (stored.size == object->size) {
        rc = parts ? s3_object_prove_parts(&stored, parts, count, error)
                   : s3_object_prove(&stored, is_here ? &body : NULL, object->sha256, error);
        if (rc || stored.proven)
            return rc;
    }
    return store_compare(&s3->store, object, stored.size, ours, error);
}

static int put_once(struct store_s3 *s3, const struct store_object *object,
                    struct s3_object *stored, struct error *error)
{
    const struct s3_put put = {
        .key = object->key,
        .body = body_of(object),
        .sha256 = object->sha256,
        .content_type = object->content_type,
        .if_none_match = true,
    };
    return s3_put(s3->bucket, &put, stored, error);
}

static int put_new(struct store *store, const struct store_object *object, struct error *error)
{
    struct s3_object stored;
    return put_once((struct store_s3 *)store, object, &stored, error);
}

/* Some stores take If-None-Match and do not heed it (RADOS Gateway 16 does so in buckets that have
 * versioning or object lock). Nothing tells but trying on a key where something is. The cheapest
 * such key is that of the object that was put just now: the same bytes once more, which harms
 * nothing and leaves no object in the bucket that is not a recording. Once per handle, with a small
 * object (the first manifest at the latest); from then on the stores that heed it need one request
 * an object, not two. (A bucket with versioning keeps that one object twice.) */
static void find_out(struct store_s3 *s3, const struct store_object *object)
{
    enum store_s3_condition unknown = CONDITION_UNKNOWN, found;
    if (object->size > STORE_S3_TRIAL ||
        !atomic_compare_exchange_strong(&s3->condition, &unknown, CONDITION_ON_TRIAL))
        return;
    switch (put_new(&s3->store, object, NULL)) {
    case ERR_EXISTS:
        found = CONDITION_HEEDED;
        break;
    case ERR_RETRY:
    case ERR_CANCELLED:
        found = CONDITION_UNKNOWN; /* the next object tries again */
        break;
    default: /* taken, or refused for some other reason, as it then would be each time */
        found = CONDITION_IGNORED;
    }
    atomic_store(&s3->condition, found);
}

/* A put was answered, but not by what proves it stored. 0: it is, all the same. */
static int look_after_put(struct store_s3 *s3, const struct store_object *object, int rc,
                          struct error *error)
{
    struct error why = ERROR_INIT;
    int found = store_s3_compare(s3, object, NULL, 0, &why);
    if (found == ERR_NOT_FOUND && rc == ERR_DAMAGED)
        return rc; /* it arrived damaged and was not kept: `error` says so */
    if (found == ERR_NOT_FOUND && rc == ERR_EXISTS)
        return error_set(error, ERR_RETRY, "%s%s was there and is gone again", s3->store.url,
                         object->key);
    if (found == ERR_NOT_FOUND)
        return error_set(error, ERR_RETRY,
                         "%s%s was answered as if stored, and is not there; is the endpoint right?",
                         s3->store.url, object->key);
    if (found && error)
        *error = why;
    return found;
}

static int put_single(struct store_s3 *s3, const struct store_object *object, struct error *error)
{
    struct s3_object stored;
    int rc;
    if (atomic_load(&s3->condition) != CONDITION_HEEDED) {
        /* What is left where it is ignored is the time between two requests, on a key that only
         * this recording has. */
        rc = store_s3_compare(s3, object, NULL, 0, error);
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    rc = put_once(s3, object, &stored, error);
    if (rc == ERR_EXISTS) /* most likely our own, from an attempt whose answer was lost */
        atomic_store(&s3->condition, CONDITION_HEEDED);
    if (rc == ERR_EXISTS || rc == ERR_DAMAGED || (rc == 0 && !stored.proven))
        rc = look_after_put(s3, object, rc, error);
    if (rc == 0)
        find_out(s3, object);
    return rc;
}

static int
put(struct store *store, const struct store_object *object, struct store_progress *progress,
    int (*save)(void *context, const struct store_progress *progress, struct error *error),
    void *context, struct error *error)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    if (object->size < STORE_S3_MULTIPART || object->data)
        return put_single(s3, object, error);
    if (progress)
        return store_s3_put_multipart(s3, object, progress, save, context, error);
    struct store_progress own = {0};
    int rc = store_s3_put_multipart(s3, object, &own, NULL, NULL, error);
    store_progress_free(&own);
    return rc;
}

static int has(struct store *store, const struct store_object *object, struct error *error)
{
    return store_s3_compare((struct store_s3 *)store, object, NULL, 0, error);
}

static int get(struct store *store, const char *key, uint64_t offset, uint64_t length,
               int (*sink)(void *context, const void *data, size_t length), void *context,
               struct error *error)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    int rc = s3_get(s3->bucket, key, offset, length, sink, context, error);
    return rc == ERR_DENIED ? denied_or_missing(s3, key, error) : rc;
}

struct listing {
    int (*each)(void *context, const char *key, uint64_t size);
    void *context;
};

static int each_entry(void *context, const struct s3_list_entry *entry)
{
    const struct listing *listing = context;
    return entry->is_prefix ? 0 : listing->each(listing->context, entry->key, entry->size);
}

static int list(struct store *store, const char *prefix,
                int (*each)(void *context, const char *key, uint64_t size), void *context,
                struct error *error)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    struct listing listing = {each, context};
    return s3_list(s3->bucket, prefix, "", each_entry, &listing, error);
}

static const struct store_kind kind = {
    .free = free_s3,
    .put = put,
    .put_new = put_new,
    .has = has,
    .get = get,
    .list = list,
    .check_access = store_s3_check_access,
    .advice = store_s3_advice,
};

/* Where to ask STS and for which region to sign when the settings name none. */
static void choose_region(char region[64], const struct storage_settings *storage,
                          const char *partition)
{
    if (storage->region[0])
        snprintf(region, 64, "%s", storage->region);
    else
        aws_base_region(region, 64);
    if (region[0])
        return;
    const char *usual = strcmp(partition, "aws-cn") == 0       ? "cn-north-1"
                        : strcmp(partition, "aws-us-gov") == 0 ? "us-gov-west-1"
                                                               : "us-east-1";
    snprintf(region, 64, "%s", usual);
}

static int open_session(struct store_s3 *s3, const struct organization_settings *organization,
                        struct http_client *client, const struct clock *clock, const char *host,
                        struct error *error)
{
    const struct storage_settings *storage = &organization->storage;
    char policy[STORE_POLICY_SIZE], partition[ARN_PARTITION_SIZE], name[128], region[64] = "";
    int rc = arn_partition(partition, storage->role_arn, error);
    if (!rc)
        rc = store_policy(policy, storage->role_arn, storage->bucket, storage->prefix,
                          organization->name, error);
    if (rc)
        return rc;
    choose_region(region, storage, partition);
    /* Shown by CloudTrail. STS takes 64 characters: leave room for the host. */
    snprintf(name, sizeof(name), "castbucket-%.26s@%s", organization->name, host);
    const struct sts_role role = {
        .role_arn = storage->role_arn,
        .external_id = storage->external_id,
        .session_name = name,
        .policy = policy,
        .duration_seconds = ROLE_SECONDS,
        .endpoint = storage->sts_endpoint,
        .region = region,
    };
    return sts_session_new(client, &role, clock, &s3->session, error);
}

int store_s3_open(const struct organization_settings *organization, struct http_client *client,
                  const struct clock *clock, const char *host, struct store **store,
                  struct error *error)
{
    const struct storage_settings *storage = &organization->storage;
    char url[128];
    struct store_s3 *s3 = calloc(1, sizeof(*s3));
    if (!s3)
        return error_set(error, ERR_NO_MEMORY, "no memory to open the storage of %s",
                         organization->name);
    snprintf(url, sizeof(url), "s3://%s/", storage->bucket);
    int rc = store_init(&s3->store, &kind, url, organization, error);
    if (rc)
        goto out;
    s3->bucket_name = strdup(storage->bucket);
    s3->role_arn = strdup(storage->role_arn);
    if (!s3->bucket_name || !s3->role_arn) {
        rc = error_set(error, ERR_NO_MEMORY, "no memory to open the storage of %s",
                       organization->name);
        goto out;
    }
    rc = open_session(s3, organization, client, clock, host, error);
    if (rc)
        goto out;
    const struct s3_options options = {storage->bucket, storage->region, storage->endpoint};
    rc = s3_bucket_new(client, s3->session, &options, clock, &s3->bucket, error);
out:
    if (rc)
        free_s3(&s3->store);
    else
        *store = &s3->store;
    return rc;
}
