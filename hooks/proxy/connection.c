#include "hooks/proxy/connection.h"

#include <errno.h>
#include <libssh/server.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/limits.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/options.h"
#include "hooks/proxy/relay.h"
#include "hooks/proxy/service.h"
#include "hooks/proxy/tcp.h"
#include "hooks/proxy/upstream.h"

/* How long the last bytes may take once the end is decided. Less than the parent waits. */
#define LINGER_MS 5000
/* libssh opens a channel's window by what arrives on either of its two streams, however full the
 * other is. Past this, the far side's socket is not read at all until the person has caught up. */
#define MOST_HELD ((size_t)16 << 20)

int64_t connection_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool connection_is_dead(ssh_session session)
{
    return !ssh_is_connected(session) ||
           (ssh_get_status(session) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

const char *connection_target_user(const struct connection *connection)
{
    const char *user = connection->login.socket->upstream_user;
    return user && *user ? user : connection->login.user;
}

int connection_poll_upstream(struct connection *connection, ssh_session session)
{
    connection->upstream_event = ssh_event_new();
    return connection->upstream_event &&
                   ssh_event_add_session(connection->upstream_event, session) == SSH_OK
               ? 0
               : -1;
}

void connection_close_upstream(struct connection *connection, ssh_session session)
{
    if (connection->upstream_event) {
        ssh_event_remove_session(connection->upstream_event, session);
        ssh_event_free(connection->upstream_event);
        connection->upstream_event = NULL;
    }
    upstream_close(session);
}

ssh_session connection_upstream(struct connection *connection, char *reason, size_t size)
{
    const struct socket_config *socket = connection->login.socket;
    if (connection->refusal[0]) {
        snprintf(reason, size, "%s", connection->refusal);
        return NULL;
    }
    if (connection->upstream)
        return connection->upstream;
    if (connection->upstream_lost) {
        snprintf(reason, size, "the connection to the far side was lost");
        return NULL;
    }
    ssh_session session = upstream_connect(socket, connection_target_user(connection), INT64_MAX,
                                           reason, size);
    if (!session)
        return NULL;
    if (upstream_log_in(session, socket, reason, size) < 0)
        goto fail;
    if (connection_poll_upstream(connection, session) < 0) {
        snprintf(reason, size, "out of memory");
        goto fail;
    }
    connection->upstream = session;
    keepalive_heard(&connection->upstream_alive, connection_now_ms());
    return session;
fail:
    connection_close_upstream(connection, session);
    return NULL;
}

static void drop_upstream(struct connection *connection)
{
    for (unsigned i = 0; i < connection->relay_count; i++)
        relay_upstream_lost(connection->relays[i]);
    forwardings_upstream_lost(connection);
    connection_close_upstream(connection, connection->upstream);
    connection->upstream = NULL;
}

static void end_soon(struct connection *connection)
{
    int64_t then = connection_now_ms() + LINGER_MS;
    connection->upstream_lost = true;
    if (connection->deadline_ms > then)
        connection->deadline_ms = then;
}

static void step_relays(struct connection *connection)
{
    for (unsigned i = 0; i < connection->relay_count;) {
        struct relay *relay = connection->relays[i];
        relay_step(relay);
        if (!relay_is_done(relay)) {
            i++;
            continue;
        }
        connection->relays[i] = connection->relays[--connection->relay_count];
        relay_free(relay, NULL);
        connection->activity++;
    }
    forwardings_step(connection);
}

static size_t bytes_held(const struct connection *connection)
{
    size_t total = 0;
    for (unsigned i = 0; i < connection->relay_count; i++)
        total += stream_size(&connection->relays[i]->output) +
                 stream_size(&connection->relays[i]->errors);
    return total;
}

static short events_of(ssh_session session)
{
    return (short)(POLLIN | (ssh_get_poll_flags(session) & SSH_WRITE_PENDING ? POLLOUT : 0));
}

static int64_t next_due_ms(const struct connection *connection)
{
    int64_t due = connection->deadline_ms;
    int64_t peers[] = {
        connection->logged_in ? keepalive_due_ms(&connection->client_alive, connection->config)
                              : INT64_MAX,
        connection->upstream ? keepalive_due_ms(&connection->upstream_alive, connection->config)
                             : INT64_MAX,
        connection_now_ms() + 60000};
    for (size_t i = 0; i < sizeof(peers) / sizeof(*peers); i++)
        if (peers[i] < due)
            due = peers[i];
    return due;
}

/* Waits for something to happen, and lets libssh deal with it. */
static void wait_for_events(struct connection *connection, bool at_once)
{
    enum { CLIENT, SIGNALS, UPSTREAM };
    struct pollfd polled[] = {
        {.fd = ssh_get_fd(connection->client), .events = events_of(connection->client)},
        {.fd = connection->signals, .events = POLLIN},
        {.fd = -1},
    };
    ssh_session asked = connection->questions.session;
    if (forwardings_wait_for_upstream(connection))
        polled[CLIENT].events &= ~POLLIN;
    /* What the client says waits, but that it is gone is noticed. */
    if (questions_wait_for_server(connection))
        polled[CLIENT].events = (short)((polled[CLIENT].events & ~POLLIN) | POLLRDHUP);
    int64_t now = connection_now_ms(), left = next_due_ms(connection) - now;
    /* Who is not listened to cannot be found silent. */
    if (!(polled[CLIENT].events & POLLIN))
        keepalive_heard(&connection->client_alive, now);
    if (connection->upstream && bytes_held(connection) < MOST_HELD) {
        polled[UPSTREAM].fd = ssh_get_fd(connection->upstream);
        polled[UPSTREAM].events = events_of(connection->upstream);
    } else if (asked) {
        polled[UPSTREAM].fd = ssh_get_fd(asked);
        polled[UPSTREAM].events = events_of(asked);
    } else {
        keepalive_heard(&connection->upstream_alive, now);
    }
    if (poll(polled, 3, at_once || left < 0 ? 0 : (int)left) <= 0)
        return;
    connection->activity++;
    if (polled[SIGNALS].revents) {
        struct signalfd_siginfo taken;
        if (read(connection->signals, &taken, sizeof(taken)) == sizeof(taken)) {
            for (unsigned i = 0; i < connection->relay_count; i++)
                relay_end(connection->relays[i], "the proxy is stopping.", "the proxy stopped");
            connection->lost = "the proxy stopped";
            forwardings_end(connection, connection->lost);
            end_soon(connection);
        }
    }
    now = connection_now_ms();
    if (polled[UPSTREAM].revents & POLLIN)
        keepalive_heard(&connection->upstream_alive, now);
    if (polled[CLIENT].revents & POLLIN)
        keepalive_heard(&connection->client_alive, now);
    if (polled[UPSTREAM].revents)
        ssh_event_dopoll(connection->upstream_event, 0);
    if (polled[CLIENT].revents && connection->client_event)
        ssh_event_dopoll(connection->client_event, 0);
}

/* Goes on with the first key exchange. */
static void exchange_keys(struct connection *connection)
{
    int rc = ssh_handle_key_exchange(connection->client);
    if (rc == SSH_OK)
        connection->exchanged = true;
    else if (rc != SSH_AGAIN)
        connection->over = true;
    if (connection->client_event || connection->over)
        return;
    /* libssh gives the session something to poll at the first call. */
    connection->client_event = ssh_event_new();
    if (!connection->client_event ||
        ssh_event_add_session(connection->client_event, connection->client) != SSH_OK)
        connection->over = true;
}

static void take_messages(struct connection *connection)
{
    ssh_message message;
    while (!connection->over && !connection_is_dead(connection->client) &&
           !questions_wait_for_server(connection) &&
           (message = ssh_message_get(connection->client))) {
        connection->activity++;
        connection_take_message(connection, message);
    }
}

static void take_upstream_messages(struct connection *connection)
{
    ssh_message message;
    while (connection->upstream && !connection_is_dead(connection->upstream) &&
           forwardings_take_messages(connection) && bytes_held(connection) < MOST_HELD &&
           (message = ssh_message_get(connection->upstream))) {
        connection->activity++;
        forwardings_message_from_upstream(connection, message);
    }
}

static void look_after_peers(struct connection *connection)
{
    int64_t now = connection_now_ms();
    const char *lost = NULL;
    if (connection->logged_in && !connection_is_dead(connection->client) &&
        !keepalive_step(&connection->client_alive, connection->config, connection->client, now,
                        true)) {
        connection->lost = "the client does not answer any more";
        log_warning("%s from %s: %s", connection->login.user, connection->client_address,
                    connection->lost);
        connection->over = true;
    }
    if (!connection->upstream)
        return;
    if (connection_is_dead(connection->upstream))
        lost = "the far side disconnected";
    else if (!keepalive_step(&connection->upstream_alive, connection->config, connection->upstream,
                             now, !forwardings_wait_for_upstream(connection)))
        lost = "the far side does not answer any more";
    if (!lost)
        return;
    connection->lost = lost;
    log_warning("socket %s: the connection to %s was lost: %s: %s", connection->login.socket->name,
                connection->login.socket->upstream, lost, ssh_get_error(connection->upstream));
    drop_upstream(connection);
    connection->upstream_lost = true;
}

static void serve(struct connection *connection)
{
    uint64_t seen = 0;
    while (!connection->over) {
        bool at_once = connection->activity != seen;
        seen = connection->activity;
        wait_for_events(connection, at_once);
        if (!connection->exchanged)
            exchange_keys(connection);
        else if (!forwardings_wait_for_upstream(connection))
            take_messages(connection);
        questions_step(connection);
        take_upstream_messages(connection);
        step_relays(connection);
        look_after_peers(connection);
        if (connection_is_dead(connection->client) ||
            connection_now_ms() >= connection->deadline_ms)
            connection->over = true;
        if (connection->upstream_lost && connection->relay_count == 0 &&
            connection->forwardings.count == 0 &&
            !(ssh_get_poll_flags(connection->client) & SSH_WRITE_PENDING))
            connection->over = true;
    }
}

static int set_up(struct connection *connection, int socket)
{
    unsigned char random[(CONNECTION_ID_SIZE - 1) / 2];
    const bool no = false;
    sigset_t watched;
    int result = -1;
    ssh_bind bind = ssh_bind_new();
    connection->client = ssh_new();
    connection->relays = calloc((size_t)connection->config->max_channels, sizeof(struct relay *));
    if (!bind || !connection->client || !connection->relays ||
        ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no) != SSH_OK ||
        getrandom(random, sizeof(random), 0) != sizeof(random))
        goto out;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(connection->id + 2 * i, 3, "%02x", random[i]);
    log_set_connection(connection->id);
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &watched, NULL) < 0 ||
        (connection->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        goto out;
    if (keys_load_host(connection->config, bind) < 0 || privileges_drop(connection->config) < 0)
        goto out;
    if (service_load_plugin(connection->config, &connection->host) < 0 || limits_set() < 0)
        goto out;
    tcp_prepare(socket);
    if (ssh_bind_accept_fd(bind, connection->client, socket) != SSH_OK) {
        log_error("cannot serve a connection: %s", ssh_get_error(bind));
        goto out;
    }
    tcp_never_block(socket);
    ssh_set_blocking(connection->client, 0);
    result = 0;
out:
    ssh_bind_free(bind);
    return result;
}

static void log_failed_login(const struct connection *connection)
{
    if (!connection->logged_in && connection->login.tried[0])
        log_warning("login from %s as \"%s\" failed", connection->client_address,
                    connection->login.tried);
}

int connection_run(const struct proxy_config *config, int socket, int status)
{
    struct connection connection = {
        .config = config,
        .login = {.config = config},
        .status = status,
        .signals = -1,
        .activity = 1,
        .deadline_ms = connection_now_ms() + (int64_t)config->login_grace_time * 1000,
    };
    int result = EXIT_RUNTIME;
    /* Nobody logs in with Kerberos here: libssh would look for a key table all the same. */
    setenv("KRB5_KTNAME", "FILE:/dev/null", 1);
    address_of_socket(connection.client_address, socket, ADDRESS_PEER);
    connection.login.client_address = connection.client_address;
    if (set_up(&connection, socket) < 0)
        goto out;
    serve(&connection);
    questions_end(&connection);
    log_failed_login(&connection);
    result = 0;
out:
    for (unsigned i = 0; i < connection.relay_count; i++)
        relay_free(connection.relays[i],
                   connection.lost ? connection.lost : "the client disconnected");
    free(connection.relays);
    forwardings_free(&connection, connection.lost);
    questions_free(&connection);
    if (connection.upstream) {
        connection.relay_count = 0;
        drop_upstream(&connection);
    }
    if (connection.client) {
        if (connection.client_event) {
            ssh_event_remove_session(connection.client_event, connection.client);
            ssh_event_free(connection.client_event);
        }
        ssh_disconnect(connection.client);
        ssh_free(connection.client);
    }
    key_options_clear(&connection.login.options);
    if (connection.host.plugin)
        plugin_host_unload(&connection.host);
    if (connection.signals >= 0)
        close(connection.signals);
    return result;
}
