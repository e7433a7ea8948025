#include "hooks/proxy/relay.h"

#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/proxy/log.h"

/* libssh calls these from deep inside, also from within a write of ours: they note what happened,
 * forward bytes, and leave everything else to relay_step(). */

static int on_client_data(ssh_session session, ssh_channel from, void *data, uint32_t length,
                          int is_stderr, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->connection->activity++;
    /* There is no such thing as standard error on its way to a program. */
    return is_stderr ? (int)length : stream_data(&relay->input, data, length);
}

static int on_upstream_data(ssh_session session, ssh_channel from, void *data, uint32_t length,
                            int is_stderr, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->connection->activity++;
    return stream_data(is_stderr ? &relay->errors : &relay->output, data, length);
}

static void on_client_eof(ssh_session session, ssh_channel from, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->client_eof = true;
    relay->connection->activity++;
}

static void on_client_close(ssh_session session, ssh_channel from, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->client_closed = true;
    relay->connection->activity++;
}

static void on_client_signal(ssh_session session, ssh_channel from, const char *name, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->connection->activity++;
    request_signal(relay, name);
}

static void on_agent_request(ssh_session session, ssh_channel from, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->connection->activity++;
    request_agent(relay);
}

static void on_upstream_eof(ssh_session session, ssh_channel from, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->upstream_eof = true;
    relay->connection->activity++;
}

static void on_upstream_close(ssh_session session, ssh_channel from, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->upstream_closed = true;
    relay->connection->activity++;
}

static void on_exit_status(ssh_session session, ssh_channel from, int status, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    relay->connection->activity++;
    relay->exited = true;
    relay->status = status;
}

static void on_exit_signal(ssh_session session, ssh_channel from, const char *name, int core,
                           const char *message, const char *language, void *context)
{
    struct relay *relay = context;
    (void)session;
    (void)from;
    (void)language;
    relay->connection->activity++;
    if (relay->signaled)
        return;
    relay->signaled = true;
    relay->core_dumped = core != 0;
    relay->signal = strdup(name ? name : "");
    relay->signal_message = strdup(message ? message : "");
}

struct relay *relay_new(struct connection *connection, ssh_message message)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (relay)
        relay->client = ssh_message_channel_request_open_reply_accept(message);
    if (!relay || !relay->client) {
        ssh_message_reply_default(message);
        free(relay);
        return NULL;
    }
    relay->connection = connection;
    relay->client_callbacks = (struct ssh_channel_callbacks_struct){
        .size = sizeof(relay->client_callbacks),
        .userdata = relay,
        .channel_data_function = on_client_data,
        .channel_eof_function = on_client_eof,
        .channel_close_function = on_client_close,
        .channel_signal_function = on_client_signal,
    };
    relay->upstream_callbacks = (struct ssh_channel_callbacks_struct){
        .size = sizeof(relay->upstream_callbacks),
        .userdata = relay,
        .channel_data_function = on_upstream_data,
        .channel_eof_function = on_upstream_eof,
        .channel_close_function = on_upstream_close,
        .channel_exit_status_function = on_exit_status,
        .channel_exit_signal_function = on_exit_signal,
    };
    relay->input = (struct stream){
        .kind = STREAM_INPUT, .from = relay->client, .recording = &relay->recording};
    relay->output = (struct stream){
        .kind = STREAM_OUTPUT, .to = relay->client, .recording = &relay->recording};
    relay->errors = (struct stream){
        .kind = STREAM_ERRORS, .to = relay->client, .recording = &relay->recording};
    /* libssh says yes to the person if this is set, and no if it is not. */
    if (connection->login.socket->agent_forwarding &&
        !connection->login.options.forbids[KEY_AGENT_FORWARDING])
        relay->client_callbacks.channel_auth_agent_req_function = on_agent_request;
    if (ssh_set_channel_callbacks(relay->client, &relay->client_callbacks) != SSH_OK)
        relay_end(relay, "out of memory", "out of memory");
    return relay;
}

/* Opens the counterpart; the connection to the far side is made for the first one. */
static void open_upstream(struct relay *relay)
{
    if (relay->upstream_opened || relay->failure[0] || (relay->ended && !relay->upstream))
        return;
    if (!relay->upstream) {
        ssh_session session = connection_upstream(relay->connection, relay->failure,
                                                  sizeof(relay->failure));
        if (!session)
            return;
        relay->upstream = ssh_channel_new(session);
        if (!relay->upstream ||
            ssh_set_channel_callbacks(relay->upstream, &relay->upstream_callbacks) != SSH_OK)
            goto fail;
    }
    int rc = ssh_channel_open_session(relay->upstream);
    if (rc == SSH_AGAIN)
        return;
    if (rc != SSH_OK)
        goto fail;
    relay->upstream_opened = true;
    relay->input.to = relay->upstream;
    relay->output.from = relay->errors.from = relay->upstream;
    relay->connection->activity++;
    return;
fail:
    snprintf(relay->failure, sizeof(relay->failure), "%s does not open a session",
             relay->connection->login.socket->name);
    log_warning("socket %s: %s", relay->connection->login.socket->name,
                ssh_get_error(relay->connection->upstream));
    if (relay->upstream) {
        ssh_remove_channel_callbacks(relay->upstream, &relay->upstream_callbacks);
        ssh_channel_free(relay->upstream);
        relay->upstream = NULL;
    }
}

/* The person's terminal is raw, if there is one: a line needs its carriage return. */
static void say(struct relay *relay, const char *text)
{
    char line[1200];
    const char *end = relay->has_terminal ? "\r\n" : "\n";
    snprintf(line, sizeof(line), "%s" PROGRAM ": %.1100s%s", relay->has_terminal ? "\r\n" : "",
             text, end);
    stream_say(&relay->errors, line);
}

void relay_end(struct relay *relay, const char *text, const char *lost)
{
    if (relay->ended)
        return;
    relay->ended = true;
    stream_discard(&relay->input);
    stream_discard(&relay->output);
    stream_discard(&relay->errors);
    say(relay, text);
    if (!relay->exited && !relay->signaled)
        relay->lost = lost;
    relay_close_recording(relay);
    relay->exited = true;
    relay->signaled = false;
    relay->status = 255;
    relay->connection->activity++;
}

void relay_upstream_lost(struct relay *relay)
{
    if (relay->upstream)
        ssh_remove_channel_callbacks(relay->upstream, &relay->upstream_callbacks);
    relay->upstream = NULL;
    relay->input.to = relay->output.from = relay->errors.from = NULL;
    relay->output.held = relay->errors.held = 0;
    stream_discard(&relay->input);
    relay->upstream_closed = relay->close_to_upstream = true;
    relay->connection->activity++;
    if (relay->ended)
        return;
    if (!relay->running) {
        if (!relay->failure[0])
            snprintf(relay->failure, sizeof(relay->failure), "the connection to %s was lost",
                     relay->connection->login.socket->name);
        if (relay->asked)
            relay_end(relay, relay->failure, relay->connection->lost);
    } else if (!relay->exited && !relay->signaled) {
        char text[CONFIG_MAX_SOCKET_NAME + 64], line[CONFIG_MAX_SOCKET_NAME + 64];
        snprintf(text, sizeof(text), "the connection to %s was lost",
                 relay->connection->login.socket->name);
        log_escape(line, sizeof(line), text);
        say(relay, line);
        relay->lost = relay->connection->lost;
        relay->exited = true;
        relay->status = 255;
    }
}

static void pass_on_eof(struct relay *relay)
{
    if (relay->running && relay->client_eof && !relay->eof_to_upstream && relay->upstream &&
        stream_is_drained(&relay->input)) {
        relay->eof_to_upstream = true;
        ssh_channel_send_eof(relay->upstream);
        relay->connection->activity++;
    }
    if (relay->running && relay->upstream_eof && !relay->eof_to_client &&
        stream_is_drained(&relay->output) && stream_is_drained(&relay->errors)) {
        relay->eof_to_client = true;
        ssh_channel_send_eof(relay->client);
        relay->connection->activity++;
    }
}

static void pass_on_exit(struct relay *relay)
{
    if (relay->exit_to_client || relay->close_to_client || !(relay->exited || relay->signaled) ||
        !stream_is_drained(&relay->output) || !stream_is_drained(&relay->errors))
        return;
    relay->exit_to_client = true;
    relay->connection->activity++;
    if (relay->signaled)
        ssh_channel_request_send_exit_signal(relay->client, relay->signal, relay->core_dumped,
                                             relay->signal_message ? relay->signal_message : "",
                                             "");
    else
        ssh_channel_request_send_exit_status(relay->client, relay->status);
}

/* ssh_channel_close() sends the end-of-file first, and does not get to the close when that does not
 * go out at once: it is called until it says that all is sent. */
static void close_client(struct relay *relay)
{
    if (relay->close_to_client)
        return;
    int rc = ssh_channel_close(relay->client);
    relay->close_to_client = rc == SSH_OK || rc == SSH_ERROR;
    relay->connection->activity++;
}

static void close_upstream(struct relay *relay)
{
    /* One that is being opened has to be open before it can be closed. */
    if (relay->close_to_upstream || (relay->upstream && !relay->upstream_opened))
        return;
    int rc = relay->upstream ? ssh_channel_close(relay->upstream) : SSH_OK;
    relay->close_to_upstream = rc == SSH_OK || rc == SSH_ERROR;
    relay->connection->activity++;
}

/* Nobody is there any more for what still comes, but for the exit status: OpenSSH's client closes
 * as soon as it has seen the end of input and output, and then waits for the status and our close.
 * Then what it sent before still goes on its way, and the far side is not closed before it has said
 * how it ended: sshd, once closed, may not say it any more. */
static void after_client_close(struct relay *relay)
{
    bool finished = relay->running && !relay->ended && relay->client_eof && relay->upstream_eof;
    if (!finished)
        stream_discard(&relay->input);
    stream_discard(&relay->output);
    stream_discard(&relay->errors);
    if (finished)
        pass_on_eof(relay);
    if (relay->running && !relay->ended && !relay->exited && !relay->signaled &&
        !relay->upstream_eof && !relay->upstream_closed && !relay->lost) {
        relay->lost = "the client closed the session";
        relay_close_recording(relay);
    }
    if (!finished || relay->exited || relay->signaled || relay->upstream_closed)
        close_upstream(relay);
    pass_on_exit(relay);
    if (relay->close_to_upstream && (relay->upstream_closed || relay->ended || !relay->upstream)) {
        relay_close_recording(relay);
        close_client(relay);
    }
}

void relay_step(struct relay *relay)
{
    open_upstream(relay);
    request_step(relay);
    if (relay->ended)
        request_refuse_all(relay);
    if (stream_pump(&relay->input) || stream_pump(&relay->output) || stream_pump(&relay->errors))
        relay->connection->activity++;
    if (relay->input.stopped || relay->output.stopped || relay->errors.stopped)
        relay_end(relay, "the session cannot be recorded any more, and is ended.",
                  "the recording failed");
    if (relay->client_closed) {
        after_client_close(relay);
        return;
    }
    pass_on_eof(relay);
    pass_on_exit(relay);
    /* Not sooner: libssh does not give out what it holds of a channel that we closed. */
    bool drained = stream_is_drained(&relay->output) && stream_is_drained(&relay->errors);
    if (relay->ended || (relay->upstream_closed && drained))
        close_upstream(relay);
    if ((relay->ended || relay->upstream_closed) && drained && !relay->first) {
        relay_close_recording(relay);
        close_client(relay);
    }
}

bool relay_is_done(const struct relay *relay)
{
    return relay->client_closed && relay->close_to_client && relay->close_to_upstream &&
           (!relay->upstream || relay->upstream_closed);
}

void relay_free(struct relay *relay, const char *lost)
{
    if (!relay)
        return;
    if (!relay->exited && !relay->signaled && !relay->lost)
        relay->lost = lost;
    relay_close_recording(relay);
    request_refuse_all(relay);
    /* libssh keeps a channel until both sides closed it: it must not call back any more. */
    ssh_remove_channel_callbacks(relay->client, &relay->client_callbacks);
    ssh_channel_free(relay->client);
    if (relay->upstream) {
        ssh_remove_channel_callbacks(relay->upstream, &relay->upstream_callbacks);
        ssh_channel_free(relay->upstream);
    }
    stream_free(&relay->input);
    stream_free(&relay->output);
    stream_free(&relay->errors);
    free(relay->term);
    free(relay->signal);
    free(relay->signal_message);
    free(relay);
}
