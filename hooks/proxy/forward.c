#include "hooks/proxy/forward.h"

#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/forwardings.h"
#include "hooks/proxy/log.h"

const char *forward_type_name(enum forward_type type)
{
    static const char *const names[] = {"direct-tcpip", "forwarded-tcpip", "x11",
                                        "auth-agent@openssh.com"};
    return names[type];
}

/* As in relay.c: libssh calls these from deep inside, so they only note and forward. */

static int on_data(ssh_session session, ssh_channel from, void *data, uint32_t length,
                   int is_stderr, void *context)
{
    struct forward_end *end = context;
    (void)session;
    (void)from;
    end->forward->connection->activity++;
    return is_stderr ? (int)length : stream_data(&end->arriving, data, length);
}

static void on_eof(ssh_session session, ssh_channel from, void *context)
{
    struct forward_end *end = context;
    (void)session;
    (void)from;
    end->eof_came = true;
    end->forward->connection->activity++;
}

static void on_close(ssh_session session, ssh_channel from, void *context)
{
    struct forward_end *end = context;
    (void)session;
    (void)from;
    end->close_came = true;
    end->forward->connection->activity++;
}

struct forward *forward_new(struct connection *connection, enum forward_type type,
                            ssh_message message)
{
    struct forward *forward = calloc(1, sizeof(*forward));
    const char *from = ssh_message_channel_request_open_originator(message);
    const char *to = ssh_message_channel_request_open_destination(message);
    if (!forward)
        goto fail;
    *forward = (struct forward){
        .connection = connection,
        .type = type,
        .opener = type == FORWARD_LOCAL ? FORWARD_CLIENT : FORWARD_UPSTREAM,
        .request = message,
        .from_port = (unsigned)ssh_message_channel_request_open_originator_port(message),
        .to_port = (unsigned)ssh_message_channel_request_open_destination_port(message),
        .from_host = from ? strdup(from) : NULL,
        .to_host = to ? strdup(to) : NULL,
    };
    for (int i = 0; i < 2; i++) {
        forward->ends[i].forward = forward;
        forward->ends[i].arriving = (struct stream){.kind = STREAM_FORWARDED};
        forward->ends[i].callbacks = (struct ssh_channel_callbacks_struct){
            .size = sizeof(forward->ends[i].callbacks),
            .userdata = &forward->ends[i],
            .channel_data_function = on_data,
            .channel_eof_function = on_eof,
            .channel_close_function = on_close,
        };
    }
    if ((from && !forward->from_host) || (to && !forward->to_host))
        goto fail;
    return forward;
fail:
    forwardings_refuse(connection, message, forward_type_name(type), "out of memory");
    if (forward) {
        forward->request = NULL;
        forward_free(forward);
    }
    return NULL;
}

static void refuse(struct forward *forward, const char *why)
{
    char what[400], shown[300];
    log_escape(shown, sizeof(shown), forward->to_host ? forward->to_host : "");
    snprintf(what, sizeof(what), "%s%s%s", forward_type_name(forward->type),
             forward->to_host ? " to " : "", shown);
    if (forward->to_host)
        snprintf(what + strlen(what), sizeof(what) - strlen(what), ":%u", forward->to_port);
    ssh_message message = forward->request;
    forward->request = NULL;
    forward->over = true;
    forwardings_refuse(forward->connection, message, what, why);
}

/* Gives an end its channel, which may call back from then on. */
static int attach(struct forward_end *end, ssh_channel channel)
{
    end->channel = channel;
    end->arriving.from = channel;
    return ssh_set_channel_callbacks(channel, &end->callbacks) == SSH_OK ? 0 : -1;
}

static int ask_other_side(struct forward *forward, ssh_channel channel)
{
    const char *from = forward->from_host ? forward->from_host : "";
    const char *to = forward->to_host ? forward->to_host : "";
    switch (forward->type) {
    case FORWARD_LOCAL:
        return ssh_channel_open_forward(channel, to, (int)forward->to_port, from,
                                        (int)forward->from_port);
    case FORWARD_REMOTE:
        return ssh_channel_open_reverse_forward(channel, to, (int)forward->to_port, from,
                                                (int)forward->from_port);
    case FORWARD_X11:
        return ssh_channel_open_x11(channel, from, (int)forward->from_port);
    default:
        return ssh_channel_open_auth_agent(channel);
    }
}

/* Opens the other end, and then answers the one that asked. */
static void open_both(struct forward *forward)
{
    struct connection *connection = forward->connection;
    struct forward_end *near = &forward->ends[forward->opener];
    struct forward_end *other = &forward->ends[!forward->opener];
    char reason[1024];
    if (!other->channel) {
        ssh_session session = connection->client;
        if (forward->opener == FORWARD_CLIENT)
            session = connection_upstream(connection, reason, sizeof(reason));
        if (!session) {
            refuse(forward, reason);
            return;
        }
        ssh_channel made = ssh_channel_new(session);
        if (!made || attach(other, made) < 0) {
            refuse(forward, "out of memory");
            return;
        }
    }
    int rc = ask_other_side(forward, other->channel);
    if (rc == SSH_AGAIN)
        return;
    if (rc != SSH_OK) {
        log_escape(reason, sizeof(reason), ssh_get_error(ssh_channel_get_session(other->channel)));
        refuse(forward, reason);
        return;
    }
    if (forwardings_opened(connection, forward) < 0)
        return;
    ssh_channel made = ssh_message_channel_request_open_reply_accept(forward->request);
    ssh_message_free(forward->request);
    forward->request = NULL;
    forward->open = true;
    connection->activity++;
    if (!made || attach(near, made) < 0) {
        forward_end(forward, "out of memory");
        return;
    }
    near->arriving.to = other->channel;
    other->arriving.to = near->channel;
    near->arriving.open = other->arriving.open = true;
}

static void close_end(struct forward_end *end)
{
    if (end->close_sent)
        return;
    /* Called again until all of it went out: see close_client() of relay.c. */
    int rc = end->channel ? ssh_channel_close(end->channel) : SSH_OK;
    end->close_sent = rc == SSH_OK || rc == SSH_ERROR;
    end->forward->connection->activity++;
}

/* Passes the end of what comes from `from` on to `to`. */
static void pass_on_end(struct forward_end *from, struct forward_end *to)
{
    bool drained = stream_is_drained(&from->arriving);
    if (from->eof_came && drained && !to->eof_sent && !to->close_sent && to->channel) {
        to->eof_sent = true;
        ssh_channel_send_eof(to->channel);
        from->forward->connection->activity++;
    }
    if (from->close_came) {
        /* Nobody is there to take what still comes the other way. */
        stream_discard(&to->arriving);
        if (drained)
            close_end(to);
        if (drained || to->close_came)
            close_end(from);
    }
}

void forward_step(struct forward *forward)
{
    struct forward_end *ends = forward->ends;
    if (forward->over && !forward->open)
        return;
    if (!forward->open) {
        open_both(forward);
        return;
    }
    for (int i = 0; i < 2; i++)
        if (stream_pump(&ends[i].arriving))
            forward->connection->activity++;
    pass_on_end(&ends[0], &ends[1]);
    pass_on_end(&ends[1], &ends[0]);
    /* Both sides said all: OpenSSH's then wait for our close. */
    for (int i = 0; i < 2; i++)
        if (forward->reason || (ends[0].eof_sent && ends[1].eof_sent))
            close_end(&ends[i]);
    if (!forward->over && forward_is_done(forward)) {
        forward->over = true;
        forwardings_closed(forward->connection, forward);
    }
}

void forward_end(struct forward *forward, const char *reason)
{
    if (forward->over || forward->reason)
        return;
    if (!forward->open) {
        refuse(forward, reason);
        return;
    }
    forward->reason = reason;
    for (int i = 0; i < 2; i++)
        stream_discard(&forward->ends[i].arriving);
    forward->connection->activity++;
}

void forward_upstream_lost(struct forward *forward)
{
    struct forward_end *ends = forward->ends;
    struct forward_end *gone = &ends[FORWARD_UPSTREAM];
    if (gone->channel)
        ssh_remove_channel_callbacks(gone->channel, &gone->callbacks);
    gone->channel = NULL;
    gone->arriving.from = ends[FORWARD_CLIENT].arriving.to = NULL;
    gone->arriving.held = 0;
    gone->eof_came = gone->close_came = gone->close_sent = true;
    stream_discard(&ends[FORWARD_CLIENT].arriving);
    if (forward->request && forward->opener == FORWARD_UPSTREAM) {
        /* Nobody is left to be answered. */
        ssh_message_free(forward->request);
        forward->request = NULL;
        forward->over = true;
    } else if (!forward->open) {
        forward_end(forward, "the connection to the far side was lost");
    } else if (!forward->reason) {
        /* What has come still goes to the person. */
        forward->connection->activity++;
    }
}

static bool end_is_done(const struct forward_end *end)
{
    return !end->channel || (end->close_sent && end->close_came);
}

bool forward_is_done(const struct forward *forward)
{
    if (!forward->open)
        return forward->over;
    return end_is_done(&forward->ends[0]) && end_is_done(&forward->ends[1]);
}

void forward_free(struct forward *forward)
{
    if (!forward)
        return;
    if (forward->request)
        ssh_message_free(forward->request);
    for (int i = 0; i < 2; i++) {
        struct forward_end *end = &forward->ends[i];
        if (end->channel) {
            ssh_remove_channel_callbacks(end->channel, &end->callbacks);
            ssh_channel_free(end->channel);
        }
        stream_free(&end->arriving);
    }
    free(forward->from_host);
    free(forward->to_host);
    free(forward);
}
