/* Interactive logins: the person's side. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* see auth.c */

#include <libssh/server.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/log.h"

/* Of one round: as many as PAM asks at once (PAM_MAX_NUM_MSG); libssh takes 256. All of them
 * together fit into a packet. */
#define MOST_PROMPTS 32
/* Of a name, an instruction, a prompt, an answer. */
#define LONGEST_TEXT 4096

static void put_to_person(struct connection *connection, const char *name, const char *instruction,
                          unsigned count, const char **prompts, char *echo)
{
    struct questions *questions = &connection->questions;
    if (ssh_message_auth_interactive_request(questions->message, name, instruction, count, prompts,
                                             echo) != SSH_OK)
        connection->over = true;
    questions_answered(questions);
    questions->prompts = count;
    questions->asked = questions->asked || count > 0;
    questions->state = QUESTIONS_ASKED;
}

void questions_ask_for_password(struct connection *connection)
{
    char prompt[CONFIG_MAX_SOCKET_NAME + 300], echo = 0;
    const char *prompts[] = {prompt};
    snprintf(prompt, sizeof(prompt), "%.200s@%s's password: ", connection_target_user(connection),
             connection->login.socket->name);
    connection->questions.password_asked = true;
    put_to_person(connection, "", "", 1, prompts, &echo);
}

/* As they are: clients treat what a server says with care. */
void questions_ask(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    ssh_session session = questions->session;
    int count = ssh_userauth_kbdint_getnprompts(session);
    const char *name = ssh_userauth_kbdint_getname(session);
    const char *instruction = ssh_userauth_kbdint_getinstruction(session);
    const char *prompts[MOST_PROMPTS];
    char echo[MOST_PROMPTS];
    if (count < 0 || !name || !instruction) {
        questions_fail_by_error(connection);
        return;
    }
    if (count > MOST_PROMPTS) {
        questions_fail_because(connection, "asks too many questions at once");
        return;
    }
    bool too_long = strlen(name) > LONGEST_TEXT || strlen(instruction) > LONGEST_TEXT;
    for (unsigned i = 0; i < (unsigned)count; i++) {
        prompts[i] = ssh_userauth_kbdint_getprompt(session, i, &echo[i]);
        too_long = too_long || !prompts[i] || strlen(prompts[i]) > LONGEST_TEXT;
    }
    if (too_long) {
        questions_fail_because(connection, "asks questions that are too long");
        return;
    }
    questions->password_asked = false;
    questions->put = true;
    put_to_person(connection, name, instruction, (unsigned)count, prompts, echo);
}

void questions_invite(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    ssh_set_auth_methods(connection->client, SSH_AUTH_METHOD_INTERACTIVE);
    if (ssh_message_auth_reply_success(questions->message, 1) != SSH_OK)
        connection->over = true;
    questions_answered(questions);
    questions->state = QUESTIONS_INVITED;
}

/* The person's answers are libssh's, which would keep them to the end of the connection. (What else
 * it had them in, packets and strings that it freed, it leaves to be overwritten.) */
static void burn_answers(ssh_session client)
{
    for (unsigned i = 0; (int)i < ssh_userauth_kbdint_getnanswers(client); i++) {
        const char *answer = ssh_userauth_kbdint_getanswer(client, i);
        if (answer)
            explicit_bzero((void *)(uintptr_t)answer, strlen(answer));
    }
}

static void take_answers(struct connection *connection)
{
    struct questions *questions = &connection->questions;
    ssh_session client = connection->client;
    const char *answers[MOST_PROMPTS];
    if (ssh_userauth_kbdint_getnanswers(client) != (int)questions->prompts) {
        log_warning("%s from %s: answers do not match the questions", connection->login.user,
                    connection->client_address);
        questions_fail(connection, "Answers do not match the questions");
        return;
    }
    for (unsigned i = 0; i < questions->prompts; i++) {
        answers[i] = ssh_userauth_kbdint_getanswer(client, i);
        if (!answers[i] || strlen(answers[i]) > LONGEST_TEXT) {
            log_warning("%s from %s: an answer is too long", connection->login.user,
                        connection->client_address);
            questions_fail(connection, "An answer is too long");
            return;
        }
    }
    if (questions->password_asked) {
        questions_wait(connection, QUESTIONS_PASSWORD);
        questions_react(connection, ssh_userauth_password(questions->session, NULL, answers[0]));
        return;
    }
    for (unsigned i = 0; i < questions->prompts; i++)
        if (ssh_userauth_kbdint_setanswer(questions->session, i, answers[i]) != 0) {
            questions_fail_by_error(connection);
            return;
        }
    questions_wait(connection, QUESTIONS_ANSWERS);
}

/* The person's client begins, or begins again: then what was asked is asked again. */
static void begin_anew(struct connection *connection)
{
    bool open = connection->questions.state == QUESTIONS_ASKED;
    connection->questions.begun = true;
    if (!open)
        questions_go_on(connection);
    else if (connection->questions.password_asked)
        questions_ask_for_password(connection);
    else
        questions_ask(connection);
}

void questions_message(struct connection *connection, ssh_message message)
{
    struct questions *questions = &connection->questions;
    struct login *login = &connection->login;
    bool is_login = ssh_message_type(message) == SSH_REQUEST_AUTH;
    questions->message = message;
    if (is_login && ssh_message_auth_kbdint_is_response(message) > 0) {
        if (questions->state == QUESTIONS_ASKED)
            take_answers(connection);
        else
            connection->over = true;
        burn_answers(connection->client);
    } else if (is_login && !auth_is_same_name(login, message)) {
        log_warning("%s from %s: another name in the middle of the login", login->user,
                    connection->client_address);
        questions_fail(connection, "Change of username or service not allowed");
    } else if (is_login && ssh_message_subtype(message) == SSH_AUTH_METHOD_INTERACTIVE) {
        begin_anew(connection);
    } else {
        ssh_message_reply_default(message);
        questions_answered(questions);
        if (is_login && ++login->attempts > (unsigned)login->config->max_auth_tries)
            connection->over = true;
    }
}
