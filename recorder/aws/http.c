#include "recorder/aws/http.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "recorder/aws/http_transfer.h"

/* Connections at once, and kept open while idle. Beyond it, requests wait for a free one. */
#define MAX_CONNECTIONS 64L
#define MAX_IDLE 64L

struct http_client {
    CURLM *multi;
    pthread_t thread;
    struct http_options options;
    char *ca_file;

    pthread_mutex_t lock;
    bool cancelled;                 /* every call returns ERR_CANCELLED from here on */
    bool stopping;                  /* the thread is to end */
    struct http_transfer *incoming; /* handed over, not yet seen by the thread */

    struct http_transfer *running; /* the thread's own */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode initialized;

/* libcurl and OpenSSL are set up once and never torn down: this may be somebody else's process,
 * which may use them too, and whose exit() must not pull OpenSSL from under our thread. */
static void initialize(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Takes a transfer off the multi handle and wakes its caller, who frees it. */
static void finish(struct http_client *client, struct http_transfer *transfer, CURLcode code)
{
    for (struct http_transfer **p = &client->running; *p; p = &(*p)->next)
        if (*p == transfer) {
            *p = transfer->next;
            break;
        }
    curl_multi_remove_handle(client->multi, transfer->easy);
    pthread_mutex_lock(&client->lock);
    transfer->code = code;
    transfer->done = true;
    pthread_cond_signal(&transfer->finished);
    pthread_mutex_unlock(&client->lock);
}

static void cancel(struct http_client *client, struct http_transfer *transfer)
{
    transfer->rc = ERR_CANCELLED;
    finish(client, transfer, CURLE_ABORTED_BY_CALLBACK);
}

/* Starts what was handed over. False: the thread is to end. */
static bool take_incoming(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    struct http_transfer *list = client->incoming;
    bool cancelled = client->cancelled || client->stopping, stopping = client->stopping;
    client->incoming = NULL;
    pthread_mutex_unlock(&client->lock);

    while (list) {
        struct http_transfer *transfer = list;
        list = transfer->next;
        transfer->next = client->running;
        client->running = transfer;
        if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK)
            finish(client, transfer, CURLE_OUT_OF_MEMORY);
    }
    while (cancelled && client->running)
        cancel(client, client->running);
    return !stopping;
}

static void *run(void *context)
{
    struct http_client *client = context;
    while (take_incoming(client)) {
        int active, left;
        curl_multi_perform(client->multi, &active);
        for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
            void *transfer = NULL;
            CURLcode code = message->data.result;
            if (message->msg != CURLMSG_DONE)
                continue;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            finish(client, transfer, code);
        }
        curl_multi_poll(client->multi, NULL, 0, 60000, NULL);
    }
    /* Here, because closing TLS connections writes to sockets, and only this thread is known to
     * have SIGPIPE blocked. */
    curl_multi_cleanup(client->multi);
    return NULL;
}

static int start_thread(struct http_client *client)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&client->thread, NULL, run, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number;
}

int http_client_new(const struct http_options *options, struct http_client **out,
                    struct error *error)
{
    pthread_once(&once, initialize);
    if (initialized != CURLE_OK)
        return error_set(error, ERR_SYSTEM, "cannot start libcurl: %s",
                         curl_easy_strerror(initialized));
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client)
        return error_set(error, ERR_NO_MEMORY, "no memory for an HTTP client");
    if (options)
        client->options = *options;
    if (client->options.connect_timeout_ms == 0)
        client->options.connect_timeout_ms = 10000;
    if (client->options.stall_timeout_ms == 0)
        client->options.stall_timeout_ms = 30000;
    const char *ca_file = client->options.ca_file ? client->options.ca_file
                                                  : secure_getenv("AWS_CA_BUNDLE");
    client->ca_file = ca_file && *ca_file ? strdup(ca_file) : NULL;
    client->options.ca_file = client->ca_file;
    client->multi = curl_multi_init();
    pthread_mutex_init(&client->lock, NULL);
    if (!client->multi || (ca_file && *ca_file && !client->ca_file)) {
        error_set(error, ERR_NO_MEMORY, "no memory for an HTTP client");
        goto fail;
    }
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, MAX_CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    int number = start_thread(client);
    if (number) {
        error_set(error, ERR_SYSTEM, "cannot start the thread for HTTP: %s", strerror(number));
        goto fail;
    }
    *out = client;
    return 0;
fail:
    curl_multi_cleanup(client->multi);
    pthread_mutex_destroy(&client->lock);
    free(client->ca_file);
    free(client);
    return error ? error->code : ERR_NO_MEMORY;
}

/* The lock is held over the wake-up: as long as it is, the thread cannot see `stopping` and free
 * the multi handle. */
static void wake(struct http_client *client)
{
    curl_multi_wakeup(client->multi);
}

void http_client_cancel(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->cancelled = true;
    wake(client);
    pthread_mutex_unlock(&client->lock);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->stopping = true;
    wake(client);
    pthread_mutex_unlock(&client->lock);
    pthread_join(client->thread, NULL);
    pthread_mutex_destroy(&client->lock);
    free(client->ca_file);
    free(client);
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, struct error *error)
{
    struct http_transfer *transfer = NULL;
    int rc = http_transfer_new(&client->options, request, response, &transfer, error);
    if (rc)
        return rc;
    pthread_mutex_lock(&client->lock);
    if (client->cancelled) {
        transfer->rc = ERR_CANCELLED;
        transfer->code = CURLE_ABORTED_BY_CALLBACK;
    } else {
        transfer->next = client->incoming;
        client->incoming = transfer;
        wake(client);
        while (!transfer->done)
            pthread_cond_wait(&transfer->finished, &client->lock);
    }
    pthread_mutex_unlock(&client->lock);
    rc = http_transfer_result(transfer, error);
    http_transfer_free(transfer);
    return rc;
}

bool http_header(const struct http_response *response, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    for (const char *line = response->headers.data; line && *line;) {
        size_t end = strcspn(line, "\n");
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            const char *from = line + length + 1;
            from += strspn(from, " ");
            size_t left = (size_t)(line + end - from);
            if (left >= size)
                return false;
            memcpy(value, from, left);
            value[left] = '\0';
            return true;
        }
        line += end + (line[end] == '\n');
    }
    return false;
}

void http_response_free(struct http_response *response)
{
    buffer_cleanse(&response->headers);
    buffer_cleanse(&response->body);
}
