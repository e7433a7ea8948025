/* The canonical request of Signature Version 4: the text that both sides hash. Used by sigv4.c; the
 * tests use it to reach forms that castbucket itself never sends. */
#ifndef CASTBUCKET_AWS_SIGV4_CANONICAL_H
#define CASTBUCKET_AWS_SIGV4_CANONICAL_H

#include <stdbool.h>

#include "recorder/aws/sigv4.h"

/* How services differ. */
struct sigv4_style {
    bool normalize_path;    /* no "." or "..", no empty segments */
    bool encode_path_twice; /* the canonical path is the sent path encoded once more */
    bool content_header;    /* x-amz-content-sha256 is sent and signed */
};

#define SIGV4_MAX_PAIRS 64 /* query parameters, and headers, of one request */
#define SIGV4_MAX_TEXT ((size_t)256 * 1024)
#define SIGV4_TIME_SIZE 17   /* YYYYMMDDTHHMMSSZ */
#define SIGV4_SCOPE_SIZE 200 /* YYYYMMDD/region/service/aws4_request */

/* The time and the scope as signatures have them. ERR_INVALID: a time no calendar has, or a region
 * or service with characters that would change the scope's meaning. */
__attribute__((warn_unused_result)) int sigv4_scope(const struct sigv4_request *request,
                                                    char time[SIGV4_TIME_SIZE],
                                                    char scope[SIGV4_SCOPE_SIZE],
                                                    struct error *error);

/* What building a canonical request gives. Each buffer starts empty. */
struct sigv4_canonical {
    struct buffer text;           /* the canonical request */
    struct buffer query;          /* the canonical query, also what is sent */
    struct buffer signed_headers; /* "host;x-amz-date" */
    struct buffer sent_headers;   /* "name: value\n", host left out */
};

#define SIGV4_CANONICAL_INIT                                                                       \
    ((struct sigv4_canonical){.text = BUFFER_INIT(SIGV4_MAX_TEXT),                                 \
                              .query = BUFFER_INIT(SIGV4_MAX_TEXT),                                \
                              .signed_headers = BUFFER_INIT(SIGV4_MAX_TEXT),                       \
                              .sent_headers = BUFFER_INIT(SIGV4_MAX_TEXT)})

/* Builds it from the request's method, path and payload hash and from these pairs, which stand for
 * its own (with those that signing adds). */
__attribute__((warn_unused_result)) int
sigv4_canonical_build(const struct sigv4_request *request, const struct sigv4_style *style,
                      const struct sigv4_pair *query, size_t query_count,
                      const struct sigv4_pair *headers, size_t header_count,
                      struct sigv4_canonical *canonical, struct error *error);

/* It holds the session token: overwritten, then freed. */
void sigv4_canonical_free(struct sigv4_canonical *canonical);

/* sigv4_sign() and sigv4_presign() in a given style. */
__attribute__((warn_unused_result)) int
sigv4_sign_styled(const struct sigv4_request *request, const struct sigv4_style *style,
                  const struct aws_credentials *credentials, struct buffer *target,
                  struct buffer *headers, struct error *error);
__attribute__((warn_unused_result)) int
sigv4_presign_styled(const struct sigv4_request *request, const struct sigv4_style *style,
                     const struct aws_credentials *credentials, unsigned expires_seconds,
                     struct buffer *target, struct error *error);

#endif
