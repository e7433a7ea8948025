/* One channel of the person's and its counterpart at the far side: requests, bytes, and the end.
 *
 * Requests are answered as the far side answers them, one at a time and in order (RFC 4254, 5.4).
 * What libssh 0.10 does not let through: the terminal modes and pixel size of a pty request (the
 * far side's defaults apply), and the kind of an unknown request, so "break" is refused. */
#ifndef CASTBUCKET_PROXY_RELAY_H
#define CASTBUCKET_PROXY_RELAY_H

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/recording.h"
#include "hooks/proxy/stream.h"

struct request; /* one that waits for its turn */

struct relay {
    struct connection *connection;
    ssh_channel client, upstream; /* upstream: NULL before it is opened and once it is gone */
    struct ssh_channel_callbacks_struct client_callbacks, upstream_callbacks;
    struct stream input, output, errors;
    struct recording recording;
    struct request *first, *last;
    unsigned request_count;
    char failure[1024]; /* why there is no far side; "": there is */
    char *term;
    uint32_t columns, rows;
    bool has_terminal, x11;
    bool upstream_opened;
    bool asked;   /* the plugin was asked about the session */
    bool told;    /* the far side: what was asked for, in place of which the key's command runs */
    bool running; /* the far side accepted to run something */
    bool ended;   /* by us: nothing is forwarded any more */
    bool client_eof, client_closed, upstream_eof, upstream_closed;
    bool eof_to_client, eof_to_upstream, exit_to_client;
    bool close_to_client, close_to_upstream;
    /* How it ended: as the far side said, or why it did not. */
    bool exited, signaled;
    int status;
    char *signal, *signal_message;
    bool core_dumped;
    const char *lost; /* NULL: not yet known to be */
};

/* Accepts the request to open a channel. Returns NULL when there is no memory, and refuses. */
struct relay *relay_new(struct connection *connection, ssh_message message);

/* Queues a request; the channel frees it. */
void relay_request(struct relay *relay, ssh_message message);

/* Does what can be done now. */
void relay_step(struct relay *relay);

/* Ends it: `text` is shown to the person, `lost` goes into the recording. */
void relay_end(struct relay *relay, const char *text, const char *lost);

/* The connection to the far side is gone, and the channel's with it. */
void relay_upstream_lost(struct relay *relay);

/* Nothing more will happen; it can be freed. */
bool relay_is_done(const struct relay *relay);

/* Completes the recording, if that was not done: `lost` is why there is no exit status. */
void relay_free(struct relay *relay, const char *lost);

/* Of request.c: handles the next requests. Returns when one has to wait for the far side. */
void request_step(struct relay *relay);
void request_signal(struct relay *relay, const char *name);
void request_agent(struct relay *relay);
void request_refuse_all(struct relay *relay);

/* Completes the recording with what is known of the end. May be called again. */
void relay_close_recording(struct relay *relay);

#endif
