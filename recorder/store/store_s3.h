/* Inside recorder/store: the S3 kind, in three files: store_s3.c (opening, single puts, reading),
 * store_s3_multipart.c (large objects) and store_s3_check.c (for `castbucket check`). */
#ifndef CASTBUCKET_STORE_STORE_S3_H
#define CASTBUCKET_STORE_STORE_S3_H

#include "recorder/aws/s3.h"
#include "recorder/aws/sts.h"
#include "recorder/store/store_kind.h"

/* From this size on an object goes in parts, so that a broken connection costs a part and not the
 * whole. Below it one request does, which S3 makes atomic and checks as a whole. */
#define STORE_S3_MULTIPART ((uint64_t)16 << 20)
#define STORE_S3_PART ((uint64_t)8 << 20)

/* The largest object that is sent twice to find out whether the store heeds If-None-Match. */
#define STORE_S3_TRIAL ((uint64_t)64 << 10)

/* What is known of how the store takes a PUT with If-None-Match: *. */
enum store_s3_condition {
    CONDITION_UNKNOWN,  /* so far: HEAD comes first */
    CONDITION_ON_TRIAL, /* one thread is finding out; HEAD comes first for the others */
    CONDITION_HEEDED,   /* an object that is there is refused: one request does */
    CONDITION_IGNORED,  /* it would be overwritten: HEAD comes first, always */
};

struct store_s3 {
    struct store store;
    struct sts_session *session;
    struct s3_bucket *bucket;
    char *bucket_name;
    char *role_arn;
    _Atomic(enum store_s3_condition) condition;
};

/* HeadObject that tells a missing object from one that may not be read. */
__attribute__((warn_unused_result)) int
store_s3_head(struct store_s3 *s3, const char *key, struct s3_object *object, struct error *error);

/* 0: the store holds exactly these bytes, by its own checksum or ETag of them, or because they were
 * read back; our metadata beside it proves nothing. ERR_CONFLICT: others. ERR_NOT_FOUND: nothing is
 * there. `parts`: what it would be made of, if it was put in parts; else NULL. */
__attribute__((warn_unused_result)) int store_s3_compare(struct store_s3 *s3,
                                                         const struct store_object *object,
                                                         const struct s3_part *parts,
                                                         unsigned count, struct error *error);

/* The part size for an object: at least STORE_S3_PART, growing so that S3_MAX_PARTS suffice. */
uint64_t store_s3_part_size(uint64_t object_size);

/* `save` may be NULL. */
__attribute__((warn_unused_result)) int store_s3_put_multipart(
    struct store_s3 *s3, const struct store_object *object, struct store_progress *progress,
    int (*save)(void *context, const struct store_progress *progress, struct error *error),
    void *context, struct error *error);

int store_s3_check_access(struct store *store, store_report *report, void *context, bool *usable,
                          struct error *error);
void store_s3_advice(struct store *store, int code, const char *permission, char *text,
                     size_t size);

#endif
