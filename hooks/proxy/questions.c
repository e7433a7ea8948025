/* Interactive logins: the server's side. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* see auth.c */

#include "hooks/proxy/questions.h"

#include <libssh/server.h>
#include <stdio.h>
#include <string.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/upstream.h"

/* Of one try, those without a prompt included, which a server could send for ever. */
#define MOST_ROUNDS 32

void questions_answered(struct questions *questions)
{
    if (questions->message)
        ssh_message_free(questions->message);
    questions->message = NULL;
}

void questions_fail(struct connection *connection, const char *reason)
{
    connection->questions.state = QUESTIONS_FAILED;
    ssh_session_set_disconnect_message(connection->client, reason);
    connection->over = true;
}

void questions_fail_because(struct connection *connection, const char *why)
{
    const struct socket_config *socket = connection->login.socket;
    char text[1024], shown[1024];
    log_error("socket %s: interactive login: %s %s", socket->name, socket->upstream, why);
    snprintf(text, sizeof(text), "%s %s", socket->name, why);
    log_escape(shown, sizeof(shown), text);
    questions_fail(connection, shown);
}

void questions_fail_by_error(struct connection *connection)
{
    char why[600];
    ssh_session session = connection->questions.session;
    snprintf(why, sizeof(why), "%s: %s",
             connection_is_dead(session) ? "ended the login" : "says what is not understood",
             ssh_get_error(session));
    questions_fail_because(connection, why);
}

void questions_wait(struct connection *connection, enum questions_state state)
{
    struct questions *questions = &connection->questions;
    questions->state = state;
    questions->fatal_before = ssh_get_error_code(questions->session) == SSH_FATAL;
    connection->activity++;
}

static void identity_refused(struct connection *connection)
{
    char reason[CONFIG_MAX_SOCKET_NAME + 100];
    upstream_identity_refused(connection->questions.session, connection->login.socket, reason,
                              sizeof(reason));
    questions_fail(connection, reason);
}

void questions_go_on(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    const struct socket_config *socket = connection->login.socket;
    unsigned methods = (unsigned)ssh_userauth_list(questions->session, NULL);
    bool interactive = (methods & SSH_AUTH_METHOD_INTERACTIVE) && !questions->none_asked;
    if ((methods & SSH_AUTH_METHOD_PUBLICKEY) && !questions->identity_offered &&
        (socket->identity || socket->identity_agent)) {
        questions->identity_offered = true;
        questions_wait(connection, QUESTIONS_IDENTITY);
    } else if (!interactive && !(methods & SSH_AUTH_METHOD_PASSWORD)) {
        if (questions->identity_offered && !questions->methods[0] && !questions->asked)
            identity_refused(connection);
        else
            questions_fail_because(connection, "has no other way to log in. Ask its operator.");
    } else if (!questions->begun) {
        questions_invite(connection);
    } else if (interactive) {
        questions->put = false;
        questions_wait(connection, QUESTIONS_ANSWERS);
    } else {
        questions_ask_for_password(connection);
    }
}

/* The person may try again, as often as they, and the server, may. */
static void refuse_answers(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    struct login *login = &connection->login;
    log_warning("socket %s: interactive login: %s does not accept what %s answered",
                login->socket->name, login->socket->upstream, login->user);
    if (++login->attempts > (unsigned)login->config->max_auth_tries) {
        questions_fail(connection, "Too many authentication failures");
        return;
    }
    ssh_message_reply_default(questions->message);
    questions_answered(questions);
    questions->begun = false;
    questions->rounds = 0;
    questions->state = QUESTIONS_INVITED;
}

static void denied(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    bool interactive = questions->state == QUESTIONS_ANSWERS;
    if (questions->state == QUESTIONS_PASSWORD || (interactive && questions->put)) {
        refuse_answers(connection);
        return;
    }
    /* OpenSSH's server does that where it has nothing to ask with. */
    questions->none_asked = questions->none_asked || interactive;
    questions_go_on(connection);
}

/* Of the step that the server has just answered. */
static void note_success(struct questions *questions)
{
    static const char *const names[] = {
        [QUESTIONS_LIST] = "none",
        [QUESTIONS_IDENTITY] = "publickey",
        [QUESTIONS_ANSWERS] = "keyboard-interactive",
        [QUESTIONS_PASSWORD] = "password",
    };
    size_t used = strlen(questions->methods);
    snprintf(questions->methods + used, sizeof(questions->methods) - used, "%s%s", used ? "," : "",
             names[questions->state]);
}

static void succeed(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    const struct socket_config *socket = connection->login.socket;
    log_info("socket %s: %s login at %s as %s by %s", socket->name,
             questions->asked ? "interactive" : "unattended", socket->upstream,
             connection_target_user(connection), questions->methods);
    ssh_key_free(questions->identity);
    questions->identity = NULL;
    connection->upstream = questions->session;
    questions->session = NULL;
    questions->state = QUESTIONS_NONE;
    keepalive_heard(&connection->upstream_alive, connection_now_ms());
    if (ssh_message_auth_reply_success(questions->message, 0) == SSH_OK)
        connection_logged_in(connection);
    else
        connection->over = true;
    questions_answered(questions);
}

void questions_react(struct connection *connection, int rc)
{
    struct questions *questions = &connection->questions;
    bool fatal = ssh_get_error_code(questions->session) == SSH_FATAL && !questions->fatal_before;
    if (connection_is_dead(questions->session)) {
        questions_fail_by_error(connection);
        return;
    }
    if ((rc == SSH_AUTH_INFO || rc == SSH_AUTH_PARTIAL) && ++questions->rounds > MOST_ROUNDS) {
        questions_fail_because(connection, "does not come to an end with its questions");
        return;
    }
    switch (rc) {
    case SSH_AUTH_AGAIN:
        /* libssh drops a question that it does not understand, or that is too much for it, and
         * would wait on. */
        if (fatal)
            questions_fail_by_error(connection);
        break;
    case SSH_AUTH_SUCCESS:
        note_success(questions);
        succeed(connection);
        break;
    case SSH_AUTH_INFO:
        questions_ask(connection);
        break;
    case SSH_AUTH_PARTIAL:
        note_success(questions);
        questions_go_on(connection);
        break;
    case SSH_AUTH_DENIED:
        denied(connection);
        break;
    default:
        if (questions->state == QUESTIONS_IDENTITY)
            identity_refused(connection);
        else
            questions_fail_by_error(connection);
    }
}

void questions_begin(struct connection *connection, ssh_message message)
{
    struct questions *questions = &connection->questions;
    const struct socket_config *socket = connection->login.socket;
    char reason[600];
    questions->message = message;
    questions->session = upstream_connect(socket, connection_target_user(connection),
                                          connection->deadline_ms, reason, sizeof(reason));
    if (!questions->session) {
        questions_fail(connection, reason);
        return;
    }
    upstream_never_block(questions->session);
    if (connection_poll_upstream(connection, questions->session) < 0) {
        questions_fail(connection, "out of memory");
        return;
    }
    if (upstream_load_identity(questions->session, socket, &questions->identity, reason,
                               sizeof(reason)) < 0) {
        questions_fail(connection, reason);
        return;
    }
    questions_wait(connection, QUESTIONS_LIST);
}

bool questions_wait_for_server(const struct connection *connection)
{
    switch (connection->questions.state) {
    case QUESTIONS_LIST:
    case QUESTIONS_IDENTITY:
    case QUESTIONS_ANSWERS:
    case QUESTIONS_PASSWORD:
        return true;
    default:
        return false;
    }
}

void questions_step(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    if (!questions->session || questions->state == QUESTIONS_FAILED)
        return;
    switch (questions->state) {
    case QUESTIONS_LIST:
        questions_react(connection, ssh_userauth_none(questions->session, NULL));
        break;
    case QUESTIONS_IDENTITY:
        questions_react(connection,
                        upstream_offer_identity(questions->session, connection->login.socket,
                                                questions->identity));
        break;
    case QUESTIONS_ANSWERS:
        questions_react(connection, ssh_userauth_kbdint(questions->session, NULL, NULL));
        break;
    case QUESTIONS_PASSWORD:
        /* It was sent: libssh asks for it again, and does not look at it. */
        questions_react(connection, ssh_userauth_password(questions->session, NULL, ""));
        break;
    default:
        if (connection_is_dead(questions->session))
            questions_fail_by_error(connection);
    }
}

void questions_end(struct connection *connection)
{
    enum questions_state state = connection->questions.state;
    if (state == QUESTIONS_NONE || state == QUESTIONS_FAILED ||
        connection_now_ms() < connection->deadline_ms)
        return;
    if (questions_wait_for_server(connection)) {
        questions_fail_because(connection, "did not answer within login_grace_time");
        return;
    }
    log_warning("socket %s: interactive login: %s did not answer within login_grace_time",
                connection->login.socket->name, connection->login.user);
    questions_fail(connection, "You did not answer in time");
}

void questions_free(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    questions_answered(questions);
    ssh_key_free(questions->identity);
    if (questions->session)
        connection_close_upstream(connection, questions->session);
    questions->session = NULL;
}
