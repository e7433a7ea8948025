/* The requests of one channel, in order. See auth.c about the warning. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include <libssh/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/proxy/log.h"
#include "hooks/proxy/relay.h"

/* A client that sends its whole environment has some hundred. */
#define MAX_WAITING 256
/* What sshd tells a key's command of what was asked for. */
#define ORIGINAL "SSH_ORIGINAL_COMMAND"
/* Of that, in a recording's event and in the log. */
#define MAX_SHOWN 1600

struct request {
    ssh_message message; /* NULL: a signal, or the agent was asked for */
    char *signal;
    bool agent;
    struct request *next;
};

static struct request *append(struct relay *relay)
{
    struct request *request = NULL;
    if (relay->request_count < MAX_WAITING)
        request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    if (relay->last)
        relay->last->next = request;
    else
        relay->first = request;
    relay->last = request;
    relay->request_count++;
    return request;
}

static void remove_first(struct relay *relay)
{
    struct request *request = relay->first;
    relay->first = request->next;
    if (!relay->first)
        relay->last = NULL;
    relay->request_count--;
    relay->connection->activity++;
    if (request->message)
        ssh_message_free(request->message);
    free(request->signal);
    free(request);
}

void relay_request(struct relay *relay, ssh_message message)
{
    struct request *request = relay->ended ? NULL : append(relay);
    if (request) {
        request->message = message;
        return;
    }
    ssh_message_reply_default(message);
    ssh_message_free(message);
}

/* Has no answer (RFC 4254, 6.9), so one too many can be dropped. */
void request_signal(struct relay *relay, const char *name)
{
    struct request *request = relay->ended ? NULL : append(relay);
    if (request && !(request->signal = strdup(name ? name : "")))
        log_error("out of memory");
}

/* Was answered already, by libssh. */
void request_agent(struct relay *relay)
{
    struct request *request = relay->ended ? NULL : append(relay);
    if (request)
        request->agent = true;
}

void request_refuse_all(struct relay *relay)
{
    while (relay->first) {
        if (relay->first->message)
            ssh_message_reply_default(relay->first->message);
        remove_first(relay);
    }
}

static void reply(ssh_message message, int rc)
{
    if (rc == SSH_OK)
        ssh_message_channel_request_reply_success(message);
    else
        ssh_message_reply_default(message);
}

static int terminal(struct relay *relay, ssh_message message)
{
    const struct connection *connection = relay->connection;
    const char *term = ssh_message_channel_request_pty_term(message);
    int columns = ssh_message_channel_request_pty_width(message);
    int rows = ssh_message_channel_request_pty_height(message);
    int rc = SSH_OK;
    if (connection->login.options.forbids[KEY_PTY]) {
        log_warning("%s on %s: a terminal is refused: it is off for this key",
                    connection->login.user, connection->login.socket->name);
        reply(message, SSH_ERROR);
        return SSH_OK;
    }
    /* With nobody at the far side, what remains is to say so, on a terminal. */
    if (!relay->failure[0])
        rc = ssh_channel_request_pty_size(relay->upstream, term ? term : "", columns, rows);
    if (rc == SSH_AGAIN)
        return rc;
    if (rc == SSH_OK) {
        free(relay->term);
        relay->term = strdup(term ? term : "");
        relay->has_terminal = true;
        relay->columns = (uint32_t)columns;
        relay->rows = (uint32_t)rows;
    }
    reply(message, rc);
    return SSH_OK;
}

static int environment(struct relay *relay, ssh_message message)
{
    const char *name = ssh_message_channel_request_env_name(message);
    int rc = SSH_ERROR;
    /* That one the key's command can believe. */
    bool ours = relay->connection->login.options.command && name && strcmp(name, ORIGINAL) == 0;
    if (!relay->failure[0] && !ours)
        rc = ssh_channel_request_env(relay->upstream, name,
                                     ssh_message_channel_request_env_value(message));
    if (rc == SSH_AGAIN)
        return rc;
    reply(message, rc);
    return SSH_OK;
}

static void window_change(struct relay *relay, ssh_message message)
{
    int columns = ssh_message_channel_request_pty_width(message);
    int rows = ssh_message_channel_request_pty_height(message);
    if (!relay->has_terminal || relay->failure[0])
        return;
    relay->columns = (uint32_t)columns;
    relay->rows = (uint32_t)rows;
    if (recording_resize(&relay->recording, relay->columns, relay->rows) < 0) {
        relay->output.stopped = true;
        return;
    }
    ssh_channel_change_pty_size(relay->upstream, columns, rows);
}

static void deliver_signal(struct relay *relay, const char *name)
{
    char shown[64], label[80];
    if (!relay->running || !relay->upstream)
        return;
    log_escape(shown, sizeof(shown), name);
    snprintf(label, sizeof(label), "signal %s", shown);
    if (recording_marker(&relay->recording, label) < 0) {
        relay->output.stopped = true;
        return;
    }
    ssh_channel_request_send_signal(relay->upstream, name);
}

/* The cookie is one that the person's client made up for this connection, not the display's own. */
static int display(struct relay *relay, ssh_message message)
{
    int rc = SSH_ERROR;
    if (!relay->failure[0] && (relay->x11 || forwardings_allow_x11(relay->connection))) {
        relay->x11 = true;
        rc = ssh_channel_request_x11(relay->upstream,
                                     ssh_message_channel_request_x11_single_connection(message),
                                     ssh_message_channel_request_x11_auth_protocol(message),
                                     ssh_message_channel_request_x11_auth_cookie(message),
                                     ssh_message_channel_request_x11_screen_number(message));
    }
    if (rc == SSH_AGAIN)
        return rc;
    reply(message, rc);
    return SSH_OK;
}

static void pass_on_agent(struct relay *relay)
{
    if (!relay->failure[0] && forwardings_allow_agent(relay->connection))
        ssh_channel_request_auth_agent(relay->upstream);
}

/* Asks the plugin whether the session may run. Returns whether it may; else it was ended. */
static bool ask_plugin(struct relay *relay, uint32_t kind, const char *command)
{
    const struct connection *connection = relay->connection;
    const struct recording_session_info info = {
        .size = sizeof(info),
        .socket = connection->login.socket->name,
        .user = connection->login.user,
        .key_fingerprint = connection->login.fingerprint,
        .target_user = connection_target_user(connection),
        .target_address = connection->login.socket->upstream,
        .client_address = connection->client_address,
        .command = command,
        .term = relay->term,
        .connection_id = connection->id,
        .kind = kind,
        .has_terminal = relay->has_terminal,
        .columns = relay->has_terminal ? relay->columns : 0,
        .rows = relay->has_terminal ? relay->rows : 0,
    };
    char reason[600], text[700];
    relay->asked = true;
    if (recording_open(&relay->recording, connection->host.plugin, connection->host.instance, &info,
                       reason, sizeof(reason)) == 0)
        return true;
    snprintf(text, sizeof(text), "this session is refused: %s", reason);
    relay_end(relay, text, NULL);
    return false;
}

void relay_close_recording(struct relay *relay)
{
    struct recording_exit how = {.size = sizeof(how)};
    if (relay->lost) {
        how.end = RECORDING_LOST;
        how.message = relay->lost;
    } else if (relay->signaled) {
        how.end = RECORDING_SIGNALED;
        how.signal = relay->signal;
        how.message = relay->signal_message && *relay->signal_message ? relay->signal_message
                                                                      : NULL;
    } else if (relay->exited) {
        how.end = RECORDING_EXITED;
        how.status = (uint32_t)relay->status;
    } else {
        how.end = RECORDING_LOST;
        how.message = "the far side closed the session without a status";
    }
    recording_close(&relay->recording, &how);
}

static int ask_far_side(struct relay *relay, uint32_t kind, const char *command)
{
    switch (kind) {
    case RECORDING_EXEC:
        return ssh_channel_request_exec(relay->upstream, command);
    case RECORDING_SUBSYSTEM:
        return ssh_channel_request_subsystem(relay->upstream, command);
    default:
        return ssh_channel_request_shell(relay->upstream);
    }
}

/* How the account at the far side was logged in to, when it took the person's own answers. */
static bool record_login(struct relay *relay)
{
    const struct questions *questions = &relay->connection->questions;
    char label[sizeof(questions->methods) + 20];
    snprintf(label, sizeof(label), "interactive-login %s", questions->methods);
    if (!questions->asked || recording_marker(&relay->recording, label) == 0)
        return true;
    relay->output.stopped = true;
    return false;
}

/* Of a key's command: what it runs in place of. */
static bool record_original(struct relay *relay, uint32_t kind, const char *asked)
{
    static const char *const kinds[] = {
        [RECORDING_SHELL] = "a shell",
        [RECORDING_EXEC] = "command",
        [RECORDING_SUBSYSTEM] = "subsystem",
    };
    const struct login *login = &relay->connection->login;
    char shown[MAX_SHOWN], label[MAX_SHOWN + 100];
    log_escape(shown, sizeof(shown), asked ? asked : "");
    snprintf(label, sizeof(label), "key-command in place of %s%s%s%s", kinds[kind],
             asked ? ": " : "", shown, strlen(shown) > MAX_SHOWN - 5 ? "..." : "");
    log_info("%s on %s: %s", login->user, login->socket->name, label);
    if (recording_marker(&relay->recording, label) == 0)
        return true;
    relay->output.stopped = true;
    return false;
}

/* The far side takes it if its configuration says so. */
static int tell_original(struct relay *relay, const char *asked)
{
    int rc = SSH_OK;
    if (!relay->told && asked)
        rc = ssh_channel_request_env(relay->upstream, ORIGINAL, asked);
    if (rc == SSH_AGAIN)
        return rc;
    relay->told = true;
    return SSH_OK;
}

/* A refusal is said where a program's errors would be, so the request has to look accepted. */
static int start(struct relay *relay, ssh_message message, uint32_t kind, const char *command)
{
    const char *forced = relay->connection->login.options.command;
    int rc = SSH_ERROR;
    if (relay->running || (kind != RECORDING_SHELL && !command))
        goto out;
    if (relay->failure[0]) {
        relay_end(relay, relay->failure, NULL);
        rc = SSH_OK;
        goto out;
    }
    if (!relay->asked &&
        (!ask_plugin(relay, forced ? RECORDING_EXEC : kind, forced ? forced : command) ||
         !record_login(relay) || (forced && !record_original(relay, kind, command)))) {
        rc = SSH_OK;
        goto out;
    }
    if (forced && tell_original(relay, command) == SSH_AGAIN)
        return SSH_AGAIN;
    rc = forced ? ssh_channel_request_exec(relay->upstream, forced)
                : ask_far_side(relay, kind, command);
    if (rc == SSH_AGAIN)
        return rc;
    if (rc == SSH_OK) {
        relay->running = true;
        relay->input.open = relay->output.open = relay->errors.open = true;
    } else {
        relay->lost = "the far side refused to run it";
        relay_close_recording(relay);
        relay->lost = NULL;
        relay->asked = relay->told = false;
    }
out:
    reply(message, rc);
    return SSH_OK;
}

/* Returns SSH_OK when it is answered, SSH_AGAIN when it has to wait. */
static int handle(struct relay *relay, ssh_message message)
{
    switch (ssh_message_subtype(message)) {
    case SSH_CHANNEL_REQUEST_PTY:
        return terminal(relay, message);
    case SSH_CHANNEL_REQUEST_ENV:
        return environment(relay, message);
    case SSH_CHANNEL_REQUEST_WINDOW_CHANGE:
        window_change(relay, message);
        return SSH_OK;
    case SSH_CHANNEL_REQUEST_X11:
        return display(relay, message);
    case SSH_CHANNEL_REQUEST_SHELL:
        return start(relay, message, RECORDING_SHELL, NULL);
    case SSH_CHANNEL_REQUEST_EXEC:
        return start(relay, message, RECORDING_EXEC, ssh_message_channel_request_command(message));
    case SSH_CHANNEL_REQUEST_SUBSYSTEM:
        return start(relay, message, RECORDING_SUBSYSTEM,
                     ssh_message_channel_request_subsystem(message));
    default:
        reply(message, SSH_ERROR);
        return SSH_OK;
    }
}

void request_step(struct relay *relay)
{
    while (relay->first && !relay->ended && (relay->upstream_opened || relay->failure[0])) {
        int rc = SSH_OK;
        if (relay->first->message)
            rc = handle(relay, relay->first->message);
        else if (relay->first->signal)
            deliver_signal(relay, relay->first->signal);
        else if (relay->first->agent)
            pass_on_agent(relay);
        if (rc == SSH_AGAIN)
            return;
        remove_first(relay);
    }
}
