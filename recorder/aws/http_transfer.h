/* One request on its way: libcurl's easy handle and what its callbacks need. Used by http.c only.
 *
 * Made and freed on the caller's thread; between, the pool's thread alone touches it. */
#ifndef CASTBUCKET_AWS_HTTP_TRANSFER_H
#define CASTBUCKET_AWS_HTTP_TRANSFER_H

#include <pthread.h>

#include <curl/curl.h>

#include "recorder/aws/http.h"

struct http_transfer {
    const struct http_request *request;
    struct http_response *response;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t position;  /* in the request's body */
    int rc;             /* why a callback stopped the transfer, if one did */
    struct error cause; /* the sentence to it, where there is one */
    char reason[CURL_ERROR_SIZE];
    char server[300]; /* scheme and host, for sentences: never the path, which may be signed */

    CURLcode code; /* these three under the client's lock */
    bool done;
    pthread_cond_t finished;
    struct http_transfer *next;
};

__attribute__((warn_unused_result)) int http_transfer_new(const struct http_options *options,
                                                          const struct http_request *request,
                                                          struct http_response *response,
                                                          struct http_transfer **transfer,
                                                          struct error *error);

/* What http_perform() returns for a transfer that is over. */
__attribute__((warn_unused_result)) int http_transfer_result(const struct http_transfer *transfer,
                                                             struct error *error);

void http_transfer_free(struct http_transfer *transfer);

#endif
