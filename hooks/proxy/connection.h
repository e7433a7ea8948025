/* One person's connection: a process of its own, from the key exchange to the end. */
#ifndef CASTBUCKET_PROXY_CONNECTION_H
#define CASTBUCKET_PROXY_CONNECTION_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

#include "hooks/common/plugin_host.h"
#include "hooks/proxy/address.h"
#include "hooks/proxy/auth.h"
#include "hooks/proxy/config.h"
#include "hooks/proxy/forwardings.h"
#include "hooks/proxy/keepalive.h"
#include "hooks/proxy/questions.h"

#define CONNECTION_ID_SIZE 33

struct relay;

struct connection {
    const struct proxy_config *config;
    struct plugin_host host;
    struct login login;
    char client_address[ADDRESS_TEXT_SIZE];
    char id[CONNECTION_ID_SIZE]; /* random, hex */
    int status;                  /* CHILD_STATUS_FD; -1 after the login */
    char refusal[160];           /* why the person may do nothing, though logged in; "": may */
    int signals;
    /* upstream: NULL before the first channel, or the end of an interactive login */
    ssh_session client, upstream;
    struct questions questions;
    /* Each session is polled by an event of its own: libssh polls from within writes, and would
     * blame one session for what it finds out about the other. */
    ssh_event client_event, upstream_event;
    struct keepalive client_alive, upstream_alive;
    struct relay **relays; /* room for max_channels */
    unsigned relay_count;
    struct forwardings forwardings;
    const char *lost;  /* why the connection ends, if not by the person's wish. Constant */
    uint64_t activity; /* raised by everything that may call for another round */
    bool exchanged;    /* the first key exchange is done */
    bool logged_in;
    bool over;           /* the client is gone, or has to go */
    bool upstream_lost;  /* no new sessions; the rest is delivered, then it is over */
    int64_t deadline_ms; /* of the login, or of the end; INT64_MAX: none */
};

/* Serves the person behind the descriptor `socket`. Returns an exit code. */
int connection_run(const struct proxy_config *config, int socket, int status);

/* The session at the far side, connecting if need be. NULL and a printable reason if there is none.
 */
ssh_session connection_upstream(struct connection *connection, char *reason, size_t size);

/* Has the session polled as the far side's. Returns 0, or -1: out of memory. */
int connection_poll_upstream(struct connection *connection, ssh_session session);

/* Closes it, whether or not it was polled. */
void connection_close_upstream(struct connection *connection, ssh_session session);

bool connection_is_dead(ssh_session session);

/* Of connection_messages.c: deals with what the person's client sent. Takes the message: it is
 * freed here or by the channel it is for. */
void connection_take_message(struct connection *connection, ssh_message message);

/* The person is, and was told so: says it in the log and to the parent. */
void connection_logged_in(struct connection *connection);

/* Milliseconds of a clock that only goes forward. */
int64_t connection_now_ms(void);

/* The account at the far side. */
const char *connection_target_user(const struct connection *connection);

#endif
