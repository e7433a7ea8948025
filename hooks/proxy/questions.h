/* Logging in at a server that may ask the person: for sockets with interactive_login.
 *
 * The person has proven their key, and their client waits for the answer to that. The proxy
 * connects to the server and offers it the socket's identity, if there is one. If the server wants
 * no more, the person is logged in. Else their key is a partial success, and their client goes on
 * with keyboard-interactive (RFC 4256), by which they get the server's own questions, round by
 * round, or, from a server that has none, one for the password. Their answers go to the server and
 * are burned.
 *
 * When it fails, the person's client is disconnected with the reason: OpenSSH's shows that however
 * it is set (a text among the questions it leaves out with LogLevel=ERROR and in BatchMode), and no
 * ControlMaster stays behind that leads nowhere. */
#ifndef CASTBUCKET_PROXY_QUESTIONS_H
#define CASTBUCKET_PROXY_QUESTIONS_H

#include <libssh/libssh.h>
#include <stdbool.h>

struct connection;

enum questions_state {
    QUESTIONS_NONE,     /* no such login, or it is done */
    QUESTIONS_LIST,     /* the server is asked for its methods */
    QUESTIONS_IDENTITY, /* it is offered the socket's identity */
    QUESTIONS_INVITED,  /* the person's client may begin */
    QUESTIONS_ASKED,    /* the person has a round of questions before them */
    QUESTIONS_ANSWERS,  /* the server is asked for questions, or has answers */
    QUESTIONS_PASSWORD, /* it has a password */
    QUESTIONS_FAILED,
};

struct questions {
    enum questions_state state;
    ssh_session session; /* with the server, until the login is done */
    ssh_key identity;
    ssh_message message;   /* the person's, that waits for its answer */
    bool begun;            /* the person's client did, and the server has not refused yet */
    bool identity_offered; /* once is enough */
    bool none_asked;       /* the server offers keyboard-interactive, and refuses it unasked */
    bool put;              /* the server's questions were, in this try */
    bool password_asked;   /* what the person was asked last is ours */
    bool fatal_before;     /* libssh has an error from before this step */
    bool asked;            /* the person was, at all */
    unsigned rounds, prompts;
    char methods[64]; /* that succeeded, with commas */
};

/* Begins, with the message that has the person's key. Takes it. */
void questions_begin(struct connection *connection, ssh_message message);

/* What the person's client sends from then on, until the login is done. Takes the message. */
void questions_message(struct connection *connection, ssh_message message);

/* Whether the server has to say something before the client's messages are to be taken. */
bool questions_wait_for_server(const struct connection *connection);

/* Does what can be done now. */
void questions_step(struct connection *connection);

/* The connection ends: says so, if it is in the middle of a login that took too long. */
void questions_end(struct connection *connection);

void questions_free(struct connection *connection);

/* What the two sides of it have of each other. Of questions.c: the server is to say something next,
 * which makes it this state. */
void questions_wait(struct connection *connection, enum questions_state state);

/* Takes the next of the methods that the server has left. */
void questions_go_on(struct connection *connection);

/* Takes what the server says about its step: one of libssh's SSH_AUTH_*. */
void questions_react(struct connection *connection, int rc);

/* The login fails. The first logs nothing. `why` is about the server, and may have its words in it;
 * the last has libssh's. */
void questions_fail(struct connection *connection, const char *reason);
void questions_fail_because(struct connection *connection, const char *why);
void questions_fail_by_error(struct connection *connection);

/* The person's message has its answer. */
void questions_answered(struct questions *questions);

/* Of questions_person.c: the person's client is to begin with keyboard-interactive; the person is
 * asked what the server asks, or for a password. */
void questions_invite(struct connection *connection);
void questions_ask(struct connection *connection);
void questions_ask_for_password(struct connection *connection);

#endif
