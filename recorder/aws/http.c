#include "recorder/aws/http.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "recorder/aws/http_transfer.h"

/* Requests at once. Beyond it, they wait for one to end. */
#define MAX_CHANNELS 64

/* What a request goes through: a multi handle, which can be woken from another thread, with one
 * connection that is kept. */
struct channel {
    CURLM *multi;
    char server[HTTP_SERVER_SIZE]; /* the last one that it went to */
    bool busy;
    struct channel *next;
};

struct http_client {
    struct http_options options;
    char *ca_file;

    pthread_mutex_t lock;     /* of everything below, and of who has a channel */
    pthread_cond_t released;  /* a channel was, or all is cancelled */
    struct channel *channels; /* those that were used last come first */
    unsigned count;
    atomic_bool cancelled; /* every call returns ERR_CANCELLED from here on */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode initialized;

/* libcurl and OpenSSL are set up once and never torn down: this may be somebody else's process,
 * which may use them too, and whose exit() must not pull OpenSSL from under our threads. */
static void initialize(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Writing to a TLS connection that the server closed raises SIGPIPE, in this thread. The host's
 * threads and signals are not ours to change, so it is held back only here. */
struct pipe_guard {
    sigset_t before;
    bool was_blocked, was_pending;
};

static bool is_pipe_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void hold_sigpipe(struct pipe_guard *guard)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    guard->was_blocked = pthread_sigmask(SIG_BLOCK, &pipe, &guard->before) ||
                         sigismember(&guard->before, SIGPIPE) == 1;
    guard->was_pending = !guard->was_blocked && is_pipe_pending();
}

static void release_sigpipe(const struct pipe_guard *guard)
{
    const struct timespec now = {0};
    sigset_t pipe;
    if (guard->was_blocked)
        return;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!guard->was_pending && is_pipe_pending())
        sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
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
    if (ca_file && *ca_file && !client->ca_file) {
        free(client);
        return error_set(error, ERR_NO_MEMORY, "no memory for an HTTP client");
    }
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->released, NULL);
    atomic_init(&client->cancelled, false);
    *out = client;
    return 0;
}

void http_client_cancel(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    atomic_store(&client->cancelled, true);
    for (const struct channel *channel = client->channels; channel; channel = channel->next)
        if (channel->busy)
            curl_multi_wakeup(channel->multi);
    pthread_cond_broadcast(&client->released);
    pthread_mutex_unlock(&client->lock);
}

void http_client_free(struct http_client *client)
{
    struct pipe_guard guard;
    if (!client)
        return;
    hold_sigpipe(&guard);
    while (client->channels) {
        struct channel *next = client->channels->next;
        curl_multi_cleanup(client->channels->multi);
        free(client->channels);
        client->channels = next;
    }
    release_sigpipe(&guard);
    pthread_cond_destroy(&client->released);
    pthread_mutex_destroy(&client->lock);
    free(client->ca_file);
    free(client);
}

static struct channel *add_channel(struct http_client *client)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel)
        return NULL;
    channel->multi = curl_multi_init();
    if (!channel->multi) {
        free(channel);
        return NULL;
    }
    curl_multi_setopt(channel->multi, CURLMOPT_MAXCONNECTS, 1L);
    channel->next = client->channels;
    client->channels = channel;
    client->count++;
    return channel;
}

/* One whose connection goes to this server, or a new one, or else the one that was idle longest.
 * With the lock held. NULL: all are busy. */
static struct channel *find_channel(struct http_client *client, const char *server)
{
    struct channel *idle = NULL;
    for (struct channel *channel = client->channels; channel; channel = channel->next) {
        if (channel->busy)
            continue;
        if (strcmp(channel->server, server) == 0)
            return channel;
        idle = channel;
    }
    struct channel *added = client->count < MAX_CHANNELS ? add_channel(client) : NULL;
    return added ? added : idle;
}

/* Waits for one if need be. NULL: `transfer` says why. */
static struct channel *take_channel(struct http_client *client, struct http_transfer *transfer)
{
    struct channel *channel = NULL;
    pthread_mutex_lock(&client->lock);
    while (!atomic_load(&client->cancelled) &&
           !(channel = find_channel(client, transfer->server)) && client->count)
        pthread_cond_wait(&client->released, &client->lock);
    if (channel) {
        channel->busy = true;
        memcpy(channel->server, transfer->server, sizeof(channel->server));
    } else if (atomic_load(&client->cancelled)) {
        transfer->rc = ERR_CANCELLED;
    } else {
        transfer->code = CURLE_OUT_OF_MEMORY;
    }
    pthread_mutex_unlock(&client->lock);
    return channel;
}

static void release_channel(struct http_client *client, struct channel *channel)
{
    pthread_mutex_lock(&client->lock);
    for (struct channel **p = &client->channels; *p; p = &(*p)->next)
        if (*p == channel) {
            *p = channel->next;
            break;
        }
    channel->next = client->channels;
    client->channels = channel;
    channel->busy = false;
    pthread_cond_signal(&client->released);
    pthread_mutex_unlock(&client->lock);
}

/* Until it is over. */
static void drive(struct http_client *client, CURLM *multi, struct http_transfer *transfer)
{
    int active = 1, left;
    CURLMcode code = curl_multi_add_handle(multi, transfer->easy);
    while (code == CURLM_OK) {
        code = curl_multi_perform(multi, &active);
        if (code != CURLM_OK || !active)
            break;
        /* A wake-up between this and the poll ends the poll at once. */
        if (atomic_load(&client->cancelled)) {
            transfer->rc = ERR_CANCELLED;
            break;
        }
        code = curl_multi_poll(multi, NULL, 0, 60000, NULL);
    }
    const CURLMsg *message = code == CURLM_OK ? curl_multi_info_read(multi, &left) : NULL;
    if (message && message->msg == CURLMSG_DONE)
        transfer->code = message->data.result;
    else
        transfer->code = transfer->rc ? CURLE_ABORTED_BY_CALLBACK : CURLE_OUT_OF_MEMORY;
    curl_multi_remove_handle(multi, transfer->easy);
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, struct error *error)
{
    struct http_transfer *transfer = NULL;
    int rc = http_transfer_new(&client->options, request, response, &transfer, error);
    if (rc)
        return rc;
    struct channel *channel = take_channel(client, transfer);
    if (channel) {
        struct pipe_guard guard;
        hold_sigpipe(&guard);
        drive(client, channel->multi, transfer);
        release_sigpipe(&guard);
        release_channel(client, channel);
    }
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
