/* Ports at the far side, for the person (ssh -R): "tcpip-forward" and "cancel-tcpip-forward".
 *
 * Answers to global requests have no number: they come in the order of the requests (RFC 4254, 4).
 * So one is dealt with at a time, and nothing else is read from the person meanwhile. */
#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/forwardings.h"
#include "hooks/proxy/log.h"

#define MAX_WAITING 128
/* For a port of the far side's choice libssh 0.10 looks for its number in whatever packet came
 * last, which need not be the answer. So the choice is made here, among those that Linux gives out.
 */
#define FIRST_FREE 32768
#define LAST_FREE 60999
#define MAX_TRIES 8

struct listen_request {
    ssh_message message;
    char *address;
    unsigned asked, port; /* port: what the far side is asked for */
    bool cancel, sent;
    unsigned tries;
    struct listen_request *next;
};

static void remove_first(struct connection *connection)
{
    struct forwardings *forwardings = &connection->forwardings;
    struct listen_request *first = forwardings->first_request;
    forwardings->first_request = first->next;
    if (!first->next)
        forwardings->last_request = NULL;
    forwardings->request_count--;
    if (first->message)
        ssh_message_free(first->message);
    free(first->address);
    free(first);
    connection->activity++;
}

void listen_requests_add(struct connection *connection, ssh_message message)
{
    struct forwardings *forwardings = &connection->forwardings;
    const char *address = ssh_message_global_request_address(message);
    struct listen_request *made = NULL;
    if (forwardings->request_count < MAX_WAITING)
        made = calloc(1, sizeof(*made));
    if (!made || !(made->address = strdup(address ? address : ""))) {
        free(made);
        forwardings_refuse(connection, message, "listening", "too many requests wait");
        return;
    }
    made->message = message;
    made->asked = made->port = (unsigned)ssh_message_global_request_port(message) & 0xffff;
    made->cancel = ssh_message_subtype(message) == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD;
    if (forwardings->last_request)
        forwardings->last_request->next = made;
    else
        forwardings->first_request = made;
    forwardings->last_request = made;
    forwardings->request_count++;
}

static void refuse(struct connection *connection, const char *why)
{
    struct listen_request *first = connection->forwardings.first_request;
    char what[400], shown[300];
    log_escape(shown, sizeof(shown), first->address);
    snprintf(what, sizeof(what), "%s %s:%u", first->cancel ? "giving back" : "listening at", shown,
             first->asked);
    ssh_message message = first->message;
    first->message = NULL;
    remove_first(connection);
    forwardings_refuse(connection, message, what, why);
}

void listen_requests_refuse_all(struct connection *connection)
{
    while (connection->forwardings.first_request)
        refuse(connection, "the connection to the far side was lost");
}

static int find(const struct forwardings *forwardings, const struct listen_request *request)
{
    for (unsigned i = 0; i < forwardings->listening_count; i++)
        if (forwardings->listening[i].port == request->port &&
            strcmp(forwardings->listening[i].address, request->address) == 0)
            return (int)i;
    return -1;
}

/* Whether the far side may be asked; else it was refused. */
static bool is_allowed(struct connection *connection, struct listen_request *request)
{
    struct forwardings *forwardings = &connection->forwardings;
    const struct key_options *options = &connection->login.options;
    const char *why = NULL;
    if (!connection->login.socket->remote_forwarding)
        why = "it is off for this socket";
    else if (options->forbids[KEY_PORT_FORWARDING])
        why = "it is off for this key";
    else if (!request->cancel &&
             !config_permits(options->permit_listen, options->permit_listen_count, request->address,
                             request->asked))
        why = "this key does not permit to listen there";
    else if (request->cancel && find(forwardings, request) < 0)
        why = "it was not asked for";
    else if (!request->cancel && forwardings->listening_count == FORWARDINGS_MAX_LISTENING)
        why = "this connection listens at too many ports";
    if (why)
        refuse(connection, why);
    return !why;
}

static int pick_port(struct listen_request *request)
{
    uint32_t number;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return -1;
    request->port = FIRST_FREE + number % (LAST_FREE - FIRST_FREE + 1);
    return 0;
}

static void record(struct connection *connection, const char *event, const char *address,
                   unsigned port, const char **why)
{
    char text[400], shown[300];
    log_escape(shown, sizeof(shown), address);
    for (char *p = shown; *p; p++)
        if (*p == ' ' || *p == '"' || *p == '=')
            *p = '?';
    snprintf(text, sizeof(text), "%s address=%s port=%u", event, shown, port);
    if (forwardings_record(connection, text, why) == 0)
        *why = NULL;
}

static void accepted(struct connection *connection)
{
    struct forwardings *forwardings = &connection->forwardings;
    struct listen_request *first = forwardings->first_request;
    if (first->cancel) {
        const char *why;
        int at = find(forwardings, first);
        record(connection, "listen-close", first->address, first->port, &why);
        free(forwardings->listening[at].address);
        forwardings->listening[at] = forwardings->listening[--forwardings->listening_count];
    } else {
        forwardings->listening[forwardings->listening_count].address = first->address;
        forwardings->listening[forwardings->listening_count++].port = first->port;
        first->address = NULL;
    }
    ssh_message_global_request_reply_success(first->message, (uint16_t)first->port);
    remove_first(connection);
}

/* Returns whether there may be another one to deal with. */
static bool step(struct connection *connection)
{
    struct listen_request *first = connection->forwardings.first_request;
    char reason[1024];
    const char *why = NULL;
    if (!first->sent) {
        if (!is_allowed(connection, first))
            return true;
        if (!connection_upstream(connection, reason, sizeof(reason))) {
            refuse(connection, reason);
            return true;
        }
        if (!keepalive_is_quiet(&connection->upstream_alive, connection->upstream,
                                connection_now_ms()))
            return false;
        if (!first->asked && !first->cancel && pick_port(first) < 0) {
            refuse(connection, "there are no random numbers");
            return true;
        }
        if (!first->cancel)
            record(connection, "listen-open", first->address, first->port, &why);
        if (why) {
            refuse(connection, why);
            return true;
        }
        forwardings_expect_channels(connection);
        first->sent = true;
    }
    int rc = first->cancel ? ssh_channel_cancel_forward(connection->upstream, first->address,
                                                        (int)first->port)
                           : ssh_channel_listen_forward(connection->upstream, first->address,
                                                        (int)first->port, NULL);
    if (rc == SSH_AGAIN)
        return false;
    if (rc == SSH_OK) {
        accepted(connection);
        return true;
    }
    if (!first->cancel)
        record(connection, "listen-refused", first->address, first->port, &why);
    if (!first->asked && !first->cancel && ++first->tries < MAX_TRIES) {
        first->sent = false;
        return true;
    }
    refuse(connection, "the far side refuses it");
    return true;
}

void listen_requests_step(struct connection *connection)
{
    while (connection->forwardings.first_request && step(connection))
        ;
}

void listen_requests_close_all(struct connection *connection)
{
    struct forwardings *forwardings = &connection->forwardings;
    const char *why;
    while (forwardings->listening_count > 0) {
        unsigned last = --forwardings->listening_count;
        record(connection, "listen-close", forwardings->listening[last].address,
               forwardings->listening[last].port, &why);
        free(forwardings->listening[last].address);
    }
}

bool forwardings_wait_for_upstream(const struct connection *connection)
{
    return connection->forwardings.first_request != NULL;
}

void forwardings_global_request(struct connection *connection, ssh_message message)
{
    switch (ssh_message_subtype(message)) {
    case SSH_GLOBAL_REQUEST_TCPIP_FORWARD:
    case SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD:
        listen_requests_add(connection, message);
        break;
    default:
        ssh_message_reply_default(message);
        ssh_message_free(message);
    }
}
