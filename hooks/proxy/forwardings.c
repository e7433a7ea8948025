#include "hooks/proxy/forwardings.h"

#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/forward.h"
#include "hooks/proxy/log.h"

/* "host:port", printable; a host may be of any bytes and any length. */
static void place(char *text, size_t size, const char *host, unsigned port)
{
    char shown[300];
    log_escape(shown, sizeof(shown), host);
    for (char *p = shown; *p; p++)
        if (*p == ' ' || *p == '"' || *p == '=')
            *p = '?';
    snprintf(text, size, strchr(shown, ':') ? "[%s]:%u" : "%s:%u", shown, port);
}

void forwardings_refuse(struct connection *connection, ssh_message message, const char *what,
                        const char *why)
{
    char text[1600], line[1600];
    log_warning("%s on %s: %s is refused: %s", connection->login.user,
                connection->login.socket->name, what, why);
    snprintf(text, sizeof(text), PROGRAM ": %s is refused: %s", what, why);
    log_escape(line, sizeof(line), text);
    /* libssh 0.10 answers without a text; this one OpenSSH's client shows with -v. */
    ssh_send_debug(connection->client, line, 1);
    ssh_message_reply_default(message);
    ssh_message_free(message);
    connection->activity++;
}

/* Begins the recording, at the first event. Returns whether things may be forwarded. */
static bool begin_recording(struct connection *connection)
{
    struct forwardings *forwardings = &connection->forwardings;
    const struct recording_plugin *plugin = connection->host.plugin;
    const struct recording_session_info info = {
        .size = sizeof(info),
        .socket = connection->login.socket->name,
        .user = connection->login.user,
        .key_fingerprint = connection->login.fingerprint,
        .target_user = connection_target_user(connection),
        .target_address = connection->login.socket->upstream,
        .client_address = connection->client_address,
        .connection_id = connection->id,
        .kind = RECORDING_FORWARDING,
    };
    if (forwardings->asked)
        return !forwardings->refusal[0];
    forwardings->asked = true;
    if (plugin->minor < 1)
        snprintf(forwardings->refusal, sizeof(forwardings->refusal),
                 "the recording plugin is too old to record it");
    else
        recording_open(&forwardings->recording, plugin, connection->host.instance, &info,
                       forwardings->refusal, sizeof(forwardings->refusal));
    return !forwardings->refusal[0];
}

int forwardings_record(struct connection *connection, const char *event, const char **why)
{
    struct forwardings *forwardings = &connection->forwardings;
    log_info("%s on %s: %s", connection->login.user, connection->login.socket->name, event);
    if (!begin_recording(connection)) {
        *why = forwardings->refusal;
        return -1;
    }
    if (recording_marker(&forwardings->recording, event) == 0)
        return 0;
    snprintf(forwardings->refusal, sizeof(forwardings->refusal), "it cannot be recorded any more");
    *why = forwardings->refusal;
    forwardings_end(connection, "the recording failed");
    return -1;
}

int forwardings_opened(struct connection *connection, struct forward *forward)
{
    char event[900], from[320], to[320];
    const char *why = "";
    forward->number = ++connection->forwardings.last_number;
    forward->opened_ms = connection_now_ms();
    int used = snprintf(event, sizeof(event), "forward-open id=%llu type=%s",
                        (unsigned long long)forward->number, forward_type_name(forward->type));
    if (forward->from_host) {
        place(from, sizeof(from), forward->from_host, forward->from_port);
        used += snprintf(event + used, sizeof(event) - (size_t)used, " from=%s", from);
    }
    if (forward->to_host) {
        place(to, sizeof(to), forward->to_host, forward->to_port);
        snprintf(event + used, sizeof(event) - (size_t)used, " to=%s", to);
    }
    if (forwardings_record(connection, event, &why) == 0)
        return 0;
    if (!forward->over)
        forward_end(forward, why);
    return -1;
}

void forwardings_closed(struct connection *connection, struct forward *forward)
{
    char event[400];
    const char *why;
    const uint64_t *sent[2] = {&forward->ends[FORWARD_CLIENT].arriving.sent,
                               &forward->ends[FORWARD_UPSTREAM].arriving.sent};
    snprintf(event, sizeof(event),
             "forward-close id=%llu to_upstream=%llu to_client=%llu seconds=%.3f%s%s%s",
             (unsigned long long)forward->number, (unsigned long long)*sent[FORWARD_CLIENT],
             (unsigned long long)*sent[FORWARD_UPSTREAM],
             (double)(connection_now_ms() - forward->opened_ms) / 1000,
             forward->reason ? " reason=\"" : "", forward->reason ? forward->reason : "",
             forward->reason ? "\"" : "");
    /* When this cannot be recorded, everything that is open is closed. */
    (void)!forwardings_record(connection, event, &why);
}

static bool reserve(struct forwardings *forwardings)
{
    if (forwardings->count < forwardings->room)
        return true;
    unsigned room = forwardings->room ? forwardings->room * 2 : 8;
    struct forward **more = realloc(forwardings->all, room * sizeof(*more));
    if (!more)
        return false;
    forwardings->all = more;
    forwardings->room = room;
    return true;
}

static void add(struct connection *connection, enum forward_type type, ssh_message message)
{
    struct forwardings *forwardings = &connection->forwardings;
    if (forwardings->count + connection->relay_count >=
            (unsigned)connection->config->max_channels ||
        !reserve(forwardings)) {
        forwardings_refuse(connection, message, forward_type_name(type),
                           "this connection has too many channels");
        return;
    }
    struct forward *forward = forward_new(connection, type, message);
    if (forward)
        forwardings->all[forwardings->count++] = forward;
}

void forwardings_open_from_client(struct connection *connection, ssh_message message)
{
    const struct socket_config *socket = connection->login.socket;
    const struct key_options *options = &connection->login.options;
    const char *to = ssh_message_channel_request_open_destination(message);
    int port = ssh_message_channel_request_open_destination_port(message);
    if (ssh_message_subtype(message) != SSH_CHANNEL_DIRECT_TCPIP || !to) {
        forwardings_refuse(connection, message, "this kind of channel",
                           "this proxy has only sessions and TCP forwardings");
        return;
    }
    char what[400], where[320];
    place(where, sizeof(where), to, (unsigned)port);
    snprintf(what, sizeof(what), "forwarding to %s", where);
    if (!socket->local_forwarding)
        forwardings_refuse(connection, message, what, "it is off for this socket");
    else if (options->forbids[KEY_PORT_FORWARDING])
        forwardings_refuse(connection, message, what, "it is off for this key");
    else if (!config_permits(options->permit_open, options->permit_open_count, to, (unsigned)port))
        forwardings_refuse(connection, message, what, "this key does not permit to go there");
    else if (!config_permits(socket->permit_open, socket->permit_open_count, to, (unsigned)port))
        forwardings_refuse(connection, message, what, "this socket does not permit to go there");
    else if (!begin_recording(connection))
        forwardings_refuse(connection, message, what, connection->forwardings.refusal);
    else
        add(connection, FORWARD_LOCAL, message);
}

/* The far side may only open a channel to a port that the person asked for. Some servers say
 * another address than they were asked for, so only the port has to be right. */
static bool is_listening(const struct forwardings *forwardings, unsigned port)
{
    for (unsigned i = 0; i < forwardings->listening_count; i++)
        if (forwardings->listening[i].port == port)
            return true;
    return false;
}

void forwardings_message_from_upstream(struct connection *connection, ssh_message message)
{
    struct forwardings *forwardings = &connection->forwardings;
    if (ssh_message_type(message) == SSH_REQUEST_CHANNEL_OPEN && !connection->over) {
        int port = ssh_message_channel_request_open_destination_port(message);
        switch (ssh_message_subtype(message)) {
        case SSH_CHANNEL_FORWARDED_TCPIP:
            if (!is_listening(forwardings, (unsigned)port))
                break;
            add(connection, FORWARD_REMOTE, message);
            return;
        case SSH_CHANNEL_X11:
            if (!forwardings->x11_asked)
                break;
            add(connection, FORWARD_X11, message);
            return;
        case SSH_CHANNEL_AUTH_AGENT:
            if (!forwardings->agent_asked)
                break;
            add(connection, FORWARD_AGENT, message);
            return;
        default:
            break;
        }
        log_warning("socket %s: %s wants to open a channel that nobody asked for",
                    connection->login.socket->name, connection->login.socket->upstream);
    }
    ssh_message_reply_default(message);
    ssh_message_free(message);
}

static bool allow(struct connection *connection, bool by_socket, bool by_key, const char *what,
                  bool *asked)
{
    char event[64];
    const char *why = by_socket ? "it is off for this key" : "it is off for this socket";
    snprintf(event, sizeof(event), "%s-forwarding", what);
    if (by_socket && by_key && (*asked || forwardings_record(connection, event, &why) == 0)) {
        *asked = true;
        forwardings_expect_channels(connection);
        return true;
    }
    log_warning("%s on %s: %s is refused: %s", connection->login.user,
                connection->login.socket->name, event, why);
    return false;
}

bool forwardings_allow_agent(struct connection *connection)
{
    return allow(connection, connection->login.socket->agent_forwarding,
                 !connection->login.options.forbids[KEY_AGENT_FORWARDING], "agent",
                 &connection->forwardings.agent_asked);
}

bool forwardings_allow_x11(struct connection *connection)
{
    return allow(connection, connection->login.socket->x11_forwarding,
                 !connection->login.options.forbids[KEY_X11_FORWARDING], "x11",
                 &connection->forwardings.x11_asked);
}

void forwardings_expect_channels(struct connection *connection)
{
    connection->forwardings.expecting = true;
    ssh_set_message_callback(connection->upstream, NULL, NULL);
}

bool forwardings_take_messages(const struct connection *connection)
{
    /* What comes to a port may come before the answer about the port. */
    return connection->forwardings.expecting && !forwardings_wait_for_upstream(connection);
}

void forwardings_step(struct connection *connection)
{
    struct forwardings *forwardings = &connection->forwardings;
    listen_requests_step(connection);
    for (unsigned i = 0; i < forwardings->count;) {
        struct forward *forward = forwardings->all[i];
        forward_step(forward);
        if (!forward_is_done(forward)) {
            i++;
            continue;
        }
        forwardings->all[i] = forwardings->all[--forwardings->count];
        forward_free(forward);
        connection->activity++;
    }
}

void forwardings_end(struct connection *connection, const char *reason)
{
    for (unsigned i = 0; i < connection->forwardings.count; i++)
        forward_end(connection->forwardings.all[i], reason);
}

void forwardings_upstream_lost(struct connection *connection)
{
    listen_requests_refuse_all(connection);
    for (unsigned i = 0; i < connection->forwardings.count; i++)
        forward_upstream_lost(connection->forwardings.all[i]);
}

void forwardings_free(struct connection *connection, const char *lost)
{
    struct forwardings *forwardings = &connection->forwardings;
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED};
    for (unsigned i = 0; i < forwardings->count; i++) {
        struct forward *forward = forwardings->all[i];
        if (forward->open && !forward->over) {
            if (!forward->reason)
                forward->reason = lost ? lost : "the client disconnected";
            forwardings_closed(connection, forward);
        }
        forward_free(forward);
    }
    listen_requests_refuse_all(connection);
    listen_requests_close_all(connection);
    free(forwardings->all);
    forwardings->all = NULL;
    forwardings->count = 0;
    if (lost)
        how = (struct recording_exit){.size = sizeof(how), .end = RECORDING_LOST, .message = lost};
    recording_close(&forwardings->recording, &how);
}
