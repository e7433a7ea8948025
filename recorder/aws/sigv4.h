/* AWS Signature Version 4, header and query (presigned) form.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 *
 * The caller gives the path and the query's names and values *unencoded*; this module encodes each
 * exactly once and returns the very text that was signed, so that what is sent is what was signed.
 */
#ifndef CASTBUCKET_AWS_SIGV4_H
#define CASTBUCKET_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/aws/credentials.h"
#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;             /* "GET" */
    const char *host;               /* as in the Host header: with a port unless the default */
    const char *path;               /* unencoded, starts with '/' */
    const struct sigv4_pair *query; /* unencoded, any order */
    size_t query_count;
    const struct sigv4_pair *headers; /* to be signed and sent besides host and x-amz-date */
    size_t header_count;
    const char *payload_sha256;   /* hex, or "UNSIGNED-PAYLOAD" */
    const char *region, *service; /* "us-east-1", "s3" */
    bool s3; /* S3: path encoded once and not normalized, x-amz-content-sha256 sent. Others: path
                normalized and encoded twice in the canonical request */
    int64_t time_ns; /* wall clock, since 1970 */
};

/* Header form. `target` gets the encoded path and query; `headers` gets "Name: value\n" lines:
 * x-amz-date, x-amz-security-token if any, x-amz-content-sha256 for S3, the request's own, and
 * Authorization. */
__attribute__((warn_unused_result)) int sigv4_sign(const struct sigv4_request *request,
                                                   const struct aws_credentials *credentials,
                                                   struct buffer *target, struct buffer *headers,
                                                   struct error *error);

/* Query form: `target` gets the path and query with X-Amz-Signature. 1 to 604800 seconds. */
__attribute__((warn_unused_result)) int sigv4_presign(const struct sigv4_request *request,
                                                      const struct aws_credentials *credentials,
                                                      unsigned expires_seconds,
                                                      struct buffer *target, struct error *error);

/* RFC 3986 percent-encoding as SigV4 wants it: all but A-Z a-z 0-9 - . _ ~ and, if asked, '/'. */
__attribute__((warn_unused_result)) int sigv4_encode(struct buffer *out, const char *text,
                                                     size_t length, bool keep_slash);

#endif
