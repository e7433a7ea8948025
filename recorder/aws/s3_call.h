/* What the S3 operations share: a bucket's memory, one signed call, and reading its failure. Used
 * by the s3*.c files. */
#ifndef CASTBUCKET_AWS_S3_CALL_H
#define CASTBUCKET_AWS_S3_CALL_H

#include <pthread.h>

#include "recorder/aws/endpoint.h"
#include "recorder/aws/s3.h"
#include "recorder/aws/sigv4.h"

#define S3_REGION_SIZE 64

/* What a bucket turned out to need. Copied out and in under the lock. */
struct s3_learned {
    char region[S3_REGION_SIZE]; /* "": not known yet */
    int64_t skew_ns;             /* how far the store's clock is ahead of ours */
    bool no_checksums;           /* refuses x-amz-checksum-* */
    bool no_acl;                 /* refuses x-amz-acl */
};

struct s3_bucket {
    struct http_client *client;
    struct sts_session *session;
    const struct clock *clock;
    char name[256];
    bool own_endpoint;            /* `endpoint` is given, not AWS's */
    struct aws_endpoint endpoint; /* if so */
    pthread_mutex_t lock;
    struct s3_learned learned;
};

struct s3_call {
    const char *operation;  /* "PutObject", for sentences */
    const char *permission; /* "s3:PutObject" */
    const char *method;
    const char *key; /* unencoded; NULL: about the bucket */
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers;
    size_t header_count;
    const uint8_t *sha256; /* of the body; NULL: there is none */
    struct http_body body;
    int (*on_body)(void *context, const void *data, size_t length);
    void *context;
    bool error_in_200; /* a 200 may carry an <Error> */
    bool any_region;   /* asks where the bucket is, so need not know; is not redirected */
};

/* Signs, sends, and does what s3.h promises about regions, tokens and clocks. 0: the answer is 2xx
 * and no error. Otherwise an error that names bucket, key, and the missing permission; the response
 * holds the last answer, its status 0 if there was none. */
__attribute__((warn_unused_result)) int s3_call(struct s3_bucket *bucket,
                                                const struct s3_call *call,
                                                struct http_response *response,
                                                struct error *error);

/* Signs the URL of an object for a GET by anyone. */
__attribute__((warn_unused_result)) int s3_call_presign(struct s3_bucket *bucket, const char *key,
                                                        unsigned seconds, struct buffer *url,
                                                        struct error *error);

struct s3_learned s3_learned_get(struct s3_bucket *bucket);

/* Remembers a region, if it is one. */
void s3_learned_region(struct s3_bucket *bucket, const char *region);

/* An answer that is a failure. */
struct s3_failure {
    int status;
    char code[64];     /* "" when there is none, as in answers to HEAD */
    char message[512]; /* may be empty */
    char region[S3_REGION_SIZE];
};

/* Whether the answer is a failure: by status, or, if asked, by an <Error> in a 200. */
bool s3_failure_read(struct s3_failure *failure, const struct http_response *response,
                     bool error_in_200);

/* Sets the error and returns its code. */
int s3_failure_explain(const struct s3_failure *failure, const struct s3_bucket *bucket,
                       const struct s3_call *call, struct error *error);

#endif
