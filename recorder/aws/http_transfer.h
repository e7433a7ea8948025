/* One request on its way: libcurl's easy handle and what its callbacks need. Used by http.c only.
 */
#ifndef CASTBUCKET_AWS_HTTP_TRANSFER_H
#define CASTBUCKET_AWS_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "recorder/aws/http.h"

#define HTTP_SERVER_SIZE 300

struct http_transfer {
    const struct http_request *request;
    struct http_response *response;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t position;  /* in the request's body */
    int rc;             /* why a callback stopped the transfer, if one did */
    struct error cause; /* the sentence to it, where there is one */
    char reason[CURL_ERROR_SIZE];
    /* Scheme and host. Sentences name no more: the path may be signed. */
    char server[HTTP_SERVER_SIZE];
    CURLcode code; /* of the whole, once it is over */
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
