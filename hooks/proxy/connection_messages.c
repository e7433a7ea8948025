#include <libssh/server.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/limits.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/relay.h"

/* The parent only polls: an answer that takes longer does not come. */
#define PARENT_ANSWERS_MS 10000

/* Tells the parent who it is. It counts, and answers with a line: "", or why not. */
static void ask_parent(struct connection *connection)
{
    char name[AUTHORIZED_KEYS_MAX_USER + 2];
    struct pollfd polled = {.fd = connection->status, .events = POLLIN};
    int length = snprintf(name, sizeof(name), "%s\n", connection->login.user);
    ssize_t count = -1;
    if (send(connection->status, name, (size_t)length, MSG_NOSIGNAL) == length &&
        poll(&polled, 1, PARENT_ANSWERS_MS) == 1)
        count = recv(connection->status, connection->refusal, sizeof(connection->refusal) - 1, 0);
    connection->refusal[count > 0 ? count : 0] = '\0';
    connection->refusal[strcspn(connection->refusal, "\n")] = '\0';
    /* A parent that was killed leaves its connections to end by themselves. */
    if (count < 0)
        log_warning("cannot tell the parent of the login: %m");
    close(connection->status);
    connection->status = -1;
    if (connection->refusal[0])
        log_warning("%s from %s: %s", connection->login.user, connection->client_address,
                    connection->refusal);
}

void connection_logged_in(struct connection *connection)
{
    connection->logged_in = true;
    connection->deadline_ms = INT64_MAX;
    keepalive_heard(&connection->client_alive, connection_now_ms());
    limits_lift();
    log_info("%s logged in for %s from %s with %s, connection %s", connection->login.user,
             connection->login.socket->name, connection->client_address,
             connection->login.fingerprint, connection->id);
    ask_parent(connection);
}

static struct relay *find_relay(struct connection *connection, ssh_channel client)
{
    for (unsigned i = 0; i < connection->relay_count; i++)
        if (connection->relays[i]->client == client)
            return connection->relays[i];
    return NULL;
}

static void open_channel(struct connection *connection, ssh_message message)
{
    if (connection->upstream_lost) {
        forwardings_refuse(connection, message, "a channel", "this connection is about to end");
    } else if (ssh_message_subtype(message) != SSH_CHANNEL_SESSION) {
        forwardings_open_from_client(connection, message);
    } else if (connection->relay_count + connection->forwardings.count >=
               (unsigned)connection->config->max_channels) {
        forwardings_refuse(connection, message, "a session",
                           "this connection has too many channels");
    } else {
        struct relay *relay = relay_new(connection, message);
        if (relay)
            connection->relays[connection->relay_count++] = relay;
        ssh_message_free(message);
    }
}

void connection_take_message(struct connection *connection, ssh_message message)
{
    struct relay *relay = NULL;
    if (connection->questions.state != QUESTIONS_NONE) {
        questions_message(connection, message);
        return;
    }
    if (!connection->logged_in) {
        switch (auth_message(&connection->login, connection->client, message)) {
        case LOGIN_DONE:
            connection_logged_in(connection);
            break;
        case LOGIN_PROVEN:
            questions_begin(connection, message);
            return;
        case LOGIN_OVER:
            connection->over = true;
            break;
        case LOGIN_GOES_ON:
            break;
        }
        ssh_message_free(message);
        return;
    }
    switch (ssh_message_type(message)) {
    case SSH_REQUEST_CHANNEL_OPEN:
        open_channel(connection, message);
        return;
    case SSH_REQUEST_GLOBAL:
        forwardings_global_request(connection, message);
        return;
    case SSH_REQUEST_CHANNEL:
        relay = find_relay(connection, ssh_message_channel_request_channel(message));
        if (relay) {
            relay_request(relay, message);
            return;
        }
        ssh_message_reply_default(message);
        break;
    default:
        ssh_message_reply_default(message);
    }
    ssh_message_free(message);
}
