/* What a connection forwards: who may, the channels, the ports listened at for the person, and the
 * recording of it all.
 *
 * A connection that forwards has a recording of its own, of the kind RECORDING_FORWARDING, from the
 * first forwarding that was allowed to the end of the connection, whether or not it has sessions.
 * Each event is a marker (castbucket-proxy(8) has the list). Without it nothing is forwarded, when
 * the socket is to be recorded. */
#ifndef CASTBUCKET_PROXY_FORWARDINGS_H
#define CASTBUCKET_PROXY_FORWARDINGS_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/proxy/recording.h"

struct connection;
struct forward;
struct listen_request;

#define FORWARDINGS_MAX_LISTENING 64

struct forwardings {
    struct recording recording;
    bool asked;        /* the plugin was asked about the recording */
    char refusal[600]; /* its answer; "": it may be */
    struct forward **all;
    unsigned count, room;
    uint64_t last_number;
    bool agent_asked, x11_asked; /* the person did: the far side may open such channels */
    bool expecting;              /* the far side's messages are not refused unseen any more */
    struct {
        char *address;
        unsigned port;
    } listening[FORWARDINGS_MAX_LISTENING];
    unsigned listening_count;
    struct listen_request *first_request, *last_request; /* for ports; one after the other */
    unsigned request_count;
};

/* The person asks for a channel to be opened that is not a session. Takes the message. */
void forwardings_open_from_client(struct connection *connection, ssh_message message);

/* The far side sent a message. Takes it. */
void forwardings_message_from_upstream(struct connection *connection, ssh_message message);

/* The person asks for a port at the far side, or to give it back. Takes the message. */
void forwardings_global_request(struct connection *connection, ssh_message message);

/* Whether a request is on its way whose answer has to come before anything else's. */
bool forwardings_wait_for_upstream(const struct connection *connection);

/* Whether the person may have sessions with their agent, or with their display. If so, and once
 * that was asked for, the far side may open channels to it. */
bool forwardings_allow_agent(struct connection *connection);
bool forwardings_allow_x11(struct connection *connection);

/* Lets the far side open channels. Called before it is asked for something that makes it do so. */
void forwardings_expect_channels(struct connection *connection);

/* Whether its messages are to be taken now. */
bool forwardings_take_messages(const struct connection *connection);

/* Does what can be done now. */
void forwardings_step(struct connection *connection);

/* Closes all channels; `reason` is constant. */
void forwardings_end(struct connection *connection, const char *reason);
void forwardings_upstream_lost(struct connection *connection);

/* Completes the recording and frees everything. `lost`: why the connection was, or NULL. */
void forwardings_free(struct connection *connection, const char *lost);

/* Of one channel: the events. forwardings_opened returns -1 when the channel must not be, because
 * that cannot be recorded. */
int forwardings_opened(struct connection *connection, struct forward *forward);
void forwardings_closed(struct connection *connection, struct forward *forward);

/* Refuses a message, and says why in the log and to the person (whose client shows it with -v). */
void forwardings_refuse(struct connection *connection, ssh_message message, const char *what,
                        const char *why);

/* Adds an event to the recording, which is begun for it. Returns -1 when it cannot be recorded, and
 * has to be; *why is then what to tell the person. */
int forwardings_record(struct connection *connection, const char *event, const char **why);

/* Of listen_requests.c. The last one says that all ports are given back. */
void listen_requests_add(struct connection *connection, ssh_message message);
void listen_requests_step(struct connection *connection);
void listen_requests_refuse_all(struct connection *connection);
void listen_requests_close_all(struct connection *connection);

#endif
