/* HTTP(S): one connection pool, used by any number of threads, each of which does its own request
 * and waits for the answer (libcurl's multi interface, a handle a connection). Code that needs a
 * request reads straight down; connections are shared all the same. */
#ifndef CASTBUCKET_AWS_HTTP_H
#define CASTBUCKET_AWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

struct http_client;

struct http_options {
    unsigned connect_timeout_ms; /* 0: 10,000 */
    unsigned stall_timeout_ms;   /* give up when nothing moved for so long; 0: 30,000 */
    const char *ca_file;         /* NULL: AWS_CA_BUNDLE from the environment, else the system's */
};

__attribute__((warn_unused_result)) int http_client_new(const struct http_options *options,
                                                        struct http_client **client,
                                                        struct error *error);

/* Makes every waiting and later call return ERR_CANCELLED at once. Any thread. */
void http_client_cancel(struct http_client *client);

/* No call may be under way. NULL does nothing. */
void http_client_free(struct http_client *client);

/* Where a request's body comes from: memory, or a stretch of a file (read with pread, so that
 * several requests can share a descriptor). Neither: no body. */
struct http_body {
    const void *data;
    int fd; /* used when data is NULL and length > 0 */
    uint64_t offset, length;
};

struct http_request {
    const char *method;  /* "GET", "HEAD", "PUT" or "POST" */
    const char *url;     /* complete, encoded; sent as it is (no normalization) */
    const char *headers; /* "Name: value\n" lines */
    struct http_body body;
    unsigned timeout_ms; /* for all of it; 0: none beside the client's */
    /* Called with the body of a 2xx answer as it arrives, on the same thread; the response's
     * status and headers are there by then. NULL: collected in the response. Non-zero stops: the
     * request then fails with that error code. */
    int (*on_body)(void *context, const void *data, size_t length);
    void *context;
};

struct http_response {
    int status;            /* such as 200 */
    struct buffer headers; /* "name: value\n" lines of the final answer, names in lower case */
    struct buffer body;    /* without on_body, or when status is not 2xx; at most its limit */
};

#define HTTP_RESPONSE_INIT                                                                         \
    ((struct http_response){.headers = BUFFER_INIT(65536), .body = BUFFER_INIT(16 << 20)})

/* Sends and waits. 0: there was an answer, of whatever status. ERR_RETRY: there was none (refused,
 * reset, timed out, cut short); the sentence says which. Certificates that do not verify are
 * ERR_DENIED. Does not follow redirects, does not retry. Any thread. While it waits,
 * SIGPIPE is blocked in this thread, and what libcurl raises of it is taken away. */
__attribute__((warn_unused_result)) int http_perform(struct http_client *client,
                                                     const struct http_request *request,
                                                     struct http_response *response,
                                                     struct error *error);

/* A response header's value by lower-case name, copied; false when absent or too long. */
bool http_header(const struct http_response *response, const char *name, char *value, size_t size);

void http_response_free(struct http_response *response);

#endif
