/* One forwarded channel and its counterpart at the other side: bytes, both ways, and the end.
 *
 * What goes through is counted, not recorded; that it went is an event of the connection's own
 * recording (forwardings.h). The side that asked is answered when the other side has answered. */
#ifndef CASTBUCKET_PROXY_FORWARD_H
#define CASTBUCKET_PROXY_FORWARD_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

#include "hooks/proxy/stream.h"

struct connection;
struct forward;

enum forward_type { FORWARD_LOCAL, FORWARD_REMOTE, FORWARD_X11, FORWARD_AGENT };

/* Indices of a forward's ends. */
enum forward_side { FORWARD_CLIENT, FORWARD_UPSTREAM };

struct forward_end {
    struct forward *forward;
    ssh_channel channel; /* NULL before it is there and once it is gone */
    struct ssh_channel_callbacks_struct callbacks;
    struct stream arriving; /* from this end's channel to the other end's */
    bool eof_came, close_came, eof_sent, close_sent;
};

struct forward {
    struct connection *connection;
    enum forward_type type;
    enum forward_side opener;
    struct forward_end ends[2];
    ssh_message request;         /* the opener's, until it is answered */
    char *from_host, *to_host;   /* as the opener says; NULL: says nothing */
    unsigned from_port, to_port; /* 0: says nothing */
    uint64_t number;             /* in the recording and in the log; 0 before it is open */
    int64_t opened_ms;
    bool open;          /* both ends were */
    bool over;          /* it was refused, or closed and recorded */
    const char *reason; /* why it ended; NULL: both sides had enough */
};

/* Takes the message, which is a request to open a channel of that type. Returns NULL, and refuses,
 * when there is no memory. */
struct forward *forward_new(struct connection *connection, enum forward_type type,
                            ssh_message message);

/* Does what can be done now. */
void forward_step(struct forward *forward);

/* Closes it at both ends at once. `reason` is constant. */
void forward_end(struct forward *forward, const char *reason);

/* The connection to the far side is gone, and the channel's with it. */
void forward_upstream_lost(struct forward *forward);

/* Nothing more will happen; it can be freed. */
bool forward_is_done(const struct forward *forward);

void forward_free(struct forward *forward);

/* The type as SSH calls it, such as "direct-tcpip". */
const char *forward_type_name(enum forward_type type);

#endif
