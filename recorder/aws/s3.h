/* Amazon S3's REST operations, one function each, and nothing that the four granted actions
 * (s3:PutObject, s3:GetObject, s3:ListBucket, s3:GetBucketLocation) do not allow.
 *
 * Each function signs with fresh credentials from the bucket's role session, sends, follows a
 * region redirect (301/307/400 with x-amz-bucket-region) once and remembers the region, asks for
 * new credentials once after ExpiredToken (or 403 with credentials that are past their time), and
 * corrects its clock once after RequestTimeTooSkewed. It does not retry otherwise: ERR_RETRY says
 * that the caller may. Errors name bucket, key and the permission that is missing. */
#ifndef CASTBUCKET_AWS_S3_H
#define CASTBUCKET_AWS_S3_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/aws/http.h"
#include "recorder/aws/sts.h"

struct s3_bucket;

struct s3_options {
    const char *bucket;
    const char *region;   /* "": found with HeadBucket, then GetBucketLocation */
    const char *endpoint; /* "": AWS's, virtual-hosted style (path style if the name has dots) */
};

/* `session` NULL: sign with the process's own credentials. All must outlive the bucket. */
__attribute__((warn_unused_result)) int
s3_bucket_new(struct http_client *client, struct sts_session *session,
              const struct s3_options *options, const struct clock *clock,
              struct s3_bucket **bucket, struct error *error);
void s3_bucket_free(struct s3_bucket *bucket);

/* The region in use, finding it first if need be. `region` has at least 64 bytes. */
__attribute__((warn_unused_result)) int s3_region(struct s3_bucket *bucket, char *region,
                                                  struct error *error);

/* GetBucketLocation, as it is (for `check`): "" means us-east-1. */
__attribute__((warn_unused_result)) int s3_location(struct s3_bucket *bucket, char *region,
                                                    size_t size, struct error *error);

/* What a store confirmed or holds. */
struct s3_object {
    uint64_t size;
    char etag[128];       /* without quotes */
    char meta_sha256[65]; /* x-amz-meta-sha256, hex of the whole object; "" if absent */
    char checksum[128];   /* x-amz-checksum-sha256 as the store said it; "" if it did not */
    bool opaque_etag;     /* encrypted by a key, so that its ETag is no MD5 */
    bool proven;          /* by checksum or ETag: it holds what it was compared with */
};

struct s3_put {
    const char *key; /* unencoded */
    struct http_body body;
    const uint8_t *sha256;    /* of the body, 32 bytes */
    const char *content_type; /* "application/gzip" */
    bool if_none_match;       /* If-None-Match: * */
};

/* PutObject. Sends x-amz-content-sha256, Content-MD5, x-amz-checksum-sha256, x-amz-meta-sha256 and,
 * to other stores than AWS, x-amz-acl: bucket-owner-full-control (a RADOS Gateway's owner could not
 * read the object otherwise; on AWS the header would ask for s3:PutObjectAcl, which is not granted,
 * and the object is the role's account's anyway). A store that refuses the checksum or the ACL is
 * asked once more without, and that is remembered. ERR_EXISTS: 412, an object is there. The
 * answer's checksum, where the store gives one, is compared (ERR_DAMAGED), and its ETag if it is an
 * MD5; an answer that has neither leaves `object` unproven. */
__attribute__((warn_unused_result)) int s3_put(struct s3_bucket *bucket, const struct s3_put *put,
                                               struct s3_object *object, struct error *error);

/* HeadObject. ERR_NOT_FOUND. What is neither of the two (no ETag: a proxy's own page, say) is
 * ERR_RETRY. */
__attribute__((warn_unused_result)) int s3_head(struct s3_bucket *bucket, const char *key,
                                                struct s3_object *object, struct error *error);

/* GetObject into a sink (see http_request.on_body). length 0: to the end. Past the object's end
 * fewer bytes come; ERR_DAMAGED when even `offset` is past it. */
__attribute__((warn_unused_result)) int
s3_get(struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length,
       int (*on_body)(void *context, const void *data, size_t length), void *context,
       struct error *error);

/* ListObjectsV2, all pages, in key order. `delimiter` "" for none; common prefixes are given with
 * is_prefix. Non-zero from `each` stops and is returned. */
struct s3_list_entry {
    const char *key;
    uint64_t size;
    bool is_prefix;
};
__attribute__((warn_unused_result)) int
s3_list(struct s3_bucket *bucket, const char *prefix, const char *delimiter,
        int (*each)(void *context, const struct s3_list_entry *entry), void *context,
        struct error *error);

/* Whether what the store says of an object that it holds fits these bytes: its checksum if there is
 * one, else an ETag that is an MD5. Sets `proven`; false says only that the bytes have to be read
 * to know. Reads the body at most once. `body` NULL: it is not at hand, and only a checksum tells.
 */
__attribute__((warn_unused_result)) int s3_object_prove(struct s3_object *object,
                                                        const struct http_body *body,
                                                        const uint8_t sha256[32],
                                                        struct error *error);

#define S3_MIN_PART ((uint64_t)5 << 20)
#define S3_MAX_PARTS 10000
#define S3_UPLOAD_ID_SIZE 1024

/* CreateMultipartUpload; stores sha256 as x-amz-meta-sha256. `upload_id` is for the functions below
 * only: the store's own id behind a mark that says whether it wants a checksum of every part. */
__attribute__((warn_unused_result)) int
s3_multipart_create(struct s3_bucket *bucket, const char *key, const char *content_type,
                    const uint8_t sha256[32], char upload_id[S3_UPLOAD_ID_SIZE],
                    struct error *error);

/* UploadPart, numbered from 1. ERR_NOT_FOUND: the upload is gone (NoSuchUpload). The ETag comes
 * without quotes. */
__attribute__((warn_unused_result)) int s3_multipart_part(struct s3_bucket *bucket, const char *key,
                                                          const char *upload_id, unsigned number,
                                                          const struct http_body *body,
                                                          const uint8_t sha256[32], char etag[128],
                                                          struct error *error);

struct s3_part {
    char etag[128];
    uint8_t sha256[32];
};

/* The same for an object that was put together of these parts, whose ETags were MD5s if the whole
 * one's is. */
__attribute__((warn_unused_result)) int s3_object_prove_parts(struct s3_object *object,
                                                              const struct s3_part *parts,
                                                              unsigned count, struct error *error);

/* CompleteMultipartUpload, with If-None-Match: * if asked. A 200 whose body is an <Error> is that
 * error. ERR_NOT_FOUND: NoSuchUpload (it may have been completed by an answer that was lost: HEAD
 * tells), or a part that the store no longer knows (InvalidPart). ERR_EXISTS: 412. The object's
 * size is not in the answer and stays 0; its ETag may be "" (RADOS Gateway 16 leaves it empty). */
__attribute__((warn_unused_result)) int
s3_multipart_complete(struct s3_bucket *bucket, const char *key, const char *upload_id,
                      const struct s3_part *parts, unsigned count, bool if_none_match,
                      struct s3_object *object, struct error *error);

/* A presigned GET of an object, for `seconds` (1 to 604800). */
__attribute__((warn_unused_result)) int s3_presign_get(struct s3_bucket *bucket, const char *key,
                                                       unsigned seconds, struct buffer *url,
                                                       struct error *error);

#endif
