/* Checksums of what is sent, and comparing them with what a store says it got. Used by the s3*.c
 * files. */
#ifndef CASTBUCKET_AWS_S3_CONFIRM_H
#define CASTBUCKET_AWS_S3_CONFIRM_H

#include "recorder/aws/digest.h"
#include "recorder/aws/s3.h"
#include "recorder/base/base64.h"

struct s3_sums {
    char sha256_hex[65];
    char sha256_base64[BASE64_SIZE(32) + 1];
    struct md5 md5;
    char md5_base64[BASE64_SIZE(16) + 1];
};

/* Reads the body once for its MD5; `sha256` is known already. */
__attribute__((warn_unused_result)) int s3_sums_of(struct s3_sums *sums,
                                                   const struct http_body *body,
                                                   const uint8_t sha256[32], struct error *error);

/* ETag (without quotes), checksum, x-amz-meta-sha256 and kind of encryption from an answer's
 * headers. */
void s3_object_read(struct s3_object *object, const struct http_response *response);

/* An ETag's quotes, if it has any. */
void s3_unquote(char *etag);

/* ERR_DAMAGED when the store's checksum, or an ETag that is an MD5, is another one. Sets `proven`
 * when either is the right one. */
__attribute__((warn_unused_result)) int s3_confirm(const struct s3_sums *sums,
                                                   struct s3_object *object, struct error *error);

#define S3_COMPOSITE_SIZE (BASE64_SIZE(32) + 8)

/* The checksum that S3 calls composite: the hash of the parts' hashes, and their number. */
__attribute__((warn_unused_result)) int s3_composite(const struct s3_part *parts, unsigned count,
                                                     char text[S3_COMPOSITE_SIZE]);

#endif
