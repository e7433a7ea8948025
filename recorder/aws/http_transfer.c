#include "recorder/aws/http_transfer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/file.h"

/* From this size on we ask the server to agree first (Expect: 100-continue): a refusal then costs
 * no upload. Servers that do not know the question cost this long. */
#define ASK_FIRST ((uint64_t)1 << 20)
#define ASK_TIMEOUT_MS 400L

static size_t read_body(char *to, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    const struct http_body *body = &transfer->request->body;
    uint64_t left = body->length - transfer->position;
    size_t take = size * count < left ? size * count : (size_t)left;
    if (take == 0)
        return 0;
    if (body->data) {
        memcpy(to, (const char *)body->data + transfer->position, take);
    } else {
        int rc = file_pread_all(body->fd, to, take, (off_t)(body->offset + transfer->position),
                                &transfer->cause);
        if (rc) {
            transfer->rc = rc;
            return CURL_READFUNC_ABORT;
        }
    }
    transfer->position += take;
    return take;
}

/* libcurl goes back to the start when a kept connection turns out to be closed. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    struct http_transfer *transfer = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->request->body.length)
        return CURL_SEEKFUNC_FAIL;
    transfer->position = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t stop(struct http_transfer *transfer, int rc, const char *what)
{
    transfer->rc = rc;
    error_set(&transfer->cause, rc, "%s", what);
    return 0;
}

/* One line of a head. A status line begins a head anew, so that the last one counts. */
static size_t read_header(char *line, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct buffer *headers = &transfer->response->headers;
    size_t length = size * count;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        buffer_clear(headers);
        return length;
    }
    size_t end = length;
    while (end && isspace((unsigned char)line[end - 1]))
        end--;
    const char *colon = memchr(line, ':', end);
    if (!colon)
        return length;
    size_t begin = headers->length, name = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < line + end && isspace((unsigned char)*value))
        value++;
    int rc = buffer_append(headers, line, name);
    if (rc == 0)
        rc = buffer_append(headers, ": ", 2);
    if (rc == 0)
        rc = buffer_append(headers, value, (size_t)(line + end - value));
    if (rc == 0)
        rc = buffer_append(headers, "\n", 1);
    if (rc)
        return stop(transfer, rc, "the answer's headers are too large");
    for (size_t i = begin; i < begin + name; i++)
        headers->data[i] = (char)tolower((unsigned char)headers->data[i]);
    return length;
}

static size_t write_body(char *data, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct http_response *response = transfer->response;
    size_t length = size * count;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    if (transfer->request->on_body && status >= 200 && status < 300) {
        int rc = transfer->request->on_body(transfer->request->context, data, length);
        return rc ? stop(transfer, rc, "the receiver stopped") : length;
    }
    int rc = buffer_append(&response->body, data, length);
    return rc ? stop(transfer, rc, "the answer is too large") : length;
}

static int add_header(struct http_transfer *transfer, const char *line)
{
    struct curl_slist *list = curl_slist_append(transfer->headers, line);
    if (!list)
        return ERR_NO_MEMORY;
    transfer->headers = list;
    return 0;
}

/* "Name: value\n" lines to libcurl's list, where a header without a value is written "Name;". */
static int add_headers(struct http_transfer *transfer, const char *lines)
{
    bool content_type = false;
    int rc = 0;
    for (const char *line = lines ? lines : ""; rc == 0 && *line;) {
        size_t end = strcspn(line, "\n");
        char *copy = strndup(line, end);
        if (!copy)
            return ERR_NO_MEMORY;
        char *colon = strchr(copy, ':');
        if (colon && colon[1 + strspn(colon + 1, " ")] == '\0')
            memcpy(colon, ";", 2);
        content_type = content_type || strncasecmp(copy, "content-type:", 13) == 0;
        rc = add_header(transfer, copy);
        explicit_bzero(copy, end);
        free(copy);
        line += end + (line[end] == '\n');
    }
    /* libcurl would add a form's content type to every POST. */
    if (rc == 0 && !content_type)
        rc = add_header(transfer, "Content-Type:");
    if (rc == 0 && transfer->request->body.length < ASK_FIRST)
        rc = add_header(transfer, "Expect:");
    return rc;
}

/* Notes the first option that fails; later ones are then skipped. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK)                                                                      \
            code = curl_easy_setopt(easy, option, value);                                          \
    } while (0)

static CURLcode set_method(CURL *easy, const struct http_request *request)
{
    CURLcode code = CURLE_OK;
    curl_off_t length = (curl_off_t)request->body.length;
    if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, length);
    } else if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, length);
    } else if (strcmp(request->method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
    } else {
        code = CURLE_UNSUPPORTED_PROTOCOL;
    }
    return code;
}

/* A proxy from the environment is for the outside; it cannot reach this machine's own loopback, nor
 * what is link-local to it (the metadata services of a cloud). */
static bool is_local(const char *server)
{
    const char *host = strstr(server, "://");
    host = host ? host + 3 : server;
    size_t length = strcspn(host, ":");
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "169.254.", 8) == 0 ||
           strncmp(host, "[::1]", 5) == 0 ||
           (length == 9 && strncasecmp(host, "localhost", 9) == 0) ||
           (length > 10 && strncasecmp(host + length - 10, ".localhost", 10) == 0);
}

/* What is read of a body at a time. libcurl allocates it for every request. */
static long upload_buffer(uint64_t length)
{
    const long least = 16L * 1024, most = 256L * 1024;
    if (length >= (uint64_t)most)
        return most;
    return (long)length > least ? (long)length : least;
}

static CURLcode set_options(struct http_transfer *transfer, const struct http_options *options)
{
    CURL *easy = transfer->easy;
    CURLcode code = set_method(easy, transfer->request);
    long stall = (options->stall_timeout_ms + 999) / 1000;
    SET(CURLOPT_URL, transfer->request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "castbucket/" CASTBUCKET_VERSION);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer(transfer->request->body.length));
    SET(CURLOPT_EXPECT_100_TIMEOUT_MS, ASK_TIMEOUT_MS);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)transfer->request->timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, stall);
    /* Giving up a name look-up must not wait for the resolver: other transfers share the thread. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (options->ca_file)
        SET(CURLOPT_CAINFO, options->ca_file);
    if (is_local(transfer->server))
        SET(CURLOPT_PROXY, "");
    SET(CURLOPT_ERRORBUFFER, transfer->reason);
    SET(CURLOPT_PRIVATE, (void *)transfer);
    SET(CURLOPT_READFUNCTION, read_body);
    SET(CURLOPT_READDATA, (void *)transfer);
    SET(CURLOPT_SEEKFUNCTION, seek_body);
    SET(CURLOPT_SEEKDATA, (void *)transfer);
    SET(CURLOPT_HEADERFUNCTION, read_header);
    SET(CURLOPT_HEADERDATA, (void *)transfer);
    SET(CURLOPT_WRITEFUNCTION, write_body);
    SET(CURLOPT_WRITEDATA, (void *)transfer);
    return code;
}

int http_transfer_new(const struct http_options *options, const struct http_request *request,
                      struct http_response *response, struct http_transfer **out,
                      struct error *error)
{
    response->status = 0;
    buffer_clear(&response->headers);
    buffer_clear(&response->body);
    if (strncmp(request->url, "http://", 7) != 0 && strncmp(request->url, "https://", 8) != 0)
        return error_set(error, ERR_INVALID, "cannot send to a URL that is neither http nor https");
    struct http_transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return error_set(error, ERR_NO_MEMORY, "no memory for a request");
    transfer->request = request;
    transfer->response = response;
    const char *host = strstr(request->url, "://");
    size_t server = host ? (size_t)(host - request->url) + 3 + strcspn(host + 3, "/?#") : 0;
    snprintf(transfer->server, sizeof(transfer->server), "%.*s", (int)(server < 256 ? server : 256),
             request->url);

    transfer->easy = curl_easy_init();
    int rc = transfer->easy ? add_headers(transfer, request->headers) : ERR_NO_MEMORY;
    CURLcode code = rc ? CURLE_OUT_OF_MEMORY : set_options(transfer, options);
    if (code == CURLE_OK) {
        *out = transfer;
        return 0;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        rc = error_set(error, ERR_NO_MEMORY, "no memory for a request");
    else
        rc = error_set(error, ERR_INVALID, "cannot send %.16s to %s: %s", request->method,
                       transfer->server, curl_easy_strerror(code));
    http_transfer_free(transfer);
    return rc;
}

static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return ERR_NO_MEMORY;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_INVALID;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return ERR_DENIED;
    default:
        return ERR_RETRY;
    }
}

int http_transfer_result(const struct http_transfer *transfer, struct error *error)
{
    long status = 0;
    if (transfer->rc == ERR_CANCELLED && !transfer->cause.code)
        return error_set(error, ERR_CANCELLED,
                         "the request to %s was cancelled, as castbucket is "
                         "stopping",
                         transfer->server);
    if (transfer->rc)
        return error_set(error, transfer->rc, "%s: %s", transfer->server, transfer->cause.text);
    if (transfer->code == CURLE_OK) {
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->response->status = (int)status;
        return 0;
    }
    int rc = code_of(transfer->code);
    const char *reason = transfer->reason[0] ? transfer->reason
                                             : curl_easy_strerror(transfer->code);
    if (rc == ERR_DENIED)
        return error_set(error, rc,
                         "%s: the server's certificate cannot be trusted (%s); if its authority is "
                         "your own, name its file in AWS_CA_BUNDLE",
                         transfer->server, reason);
    return error_set(error, rc, "no answer from %s: %s", transfer->server, reason);
}

void http_transfer_free(struct http_transfer *transfer)
{
    if (!transfer)
        return;
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    for (struct curl_slist *one = transfer->headers; one; one = one->next)
        explicit_bzero(one->data, strlen(one->data));
    curl_slist_free_all(transfer->headers);
    free(transfer);
}
