/* One direction of a channel: bytes from one side's channel, past the recording, to the other's.
 *
 * Nothing is buffered without bound. What the receiver's window has no room for stays in libssh's
 * buffer of the sender's channel, whose own window then closes. libssh (0.10) opens that window by
 * up to 1.25 MiB at each ssh_channel_read(), however little was read; so when the receiver has room
 * again, the whole of that buffer is taken at once, and what cannot go yet waits here. */
#ifndef CASTBUCKET_PROXY_STREAM_H
#define CASTBUCKET_PROXY_STREAM_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/proxy/recording.h"

enum stream_kind {
    STREAM_INPUT,
    STREAM_OUTPUT,
    STREAM_ERRORS,
    STREAM_FORWARDED, /* counted, not recorded: `recording` is NULL */
};

struct stream {
    enum stream_kind kind;
    ssh_channel from, to; /* NULL once gone */
    struct recording *recording;
    bool open;              /* bytes may flow: the session runs */
    bool discarding;        /* bytes go nowhere any more */
    bool stopped;           /* the recording does not allow the session to go on */
    bool busy;              /* inside forward(): libssh may call back from within a write */
    uint64_t sent;          /* bytes that went to `to`, all in all */
    size_t held;            /* bytes in libssh's buffer of `from` */
    size_t recorded;        /* how many of the next bytes are recorded already */
    unsigned char *waiting; /* bytes taken from libssh */
    size_t start, end, capacity;
};

/* What libssh's data callback is to do and to return: the number of bytes consumed. */
int stream_data(struct stream *stream, void *data, uint32_t length);

/* Moves on what waits, as far as the receiver has room. Call after every round of events. Returns
 * whether something was moved. */
bool stream_pump(struct stream *stream);

/* Whether nothing waits. */
bool stream_is_drained(const struct stream *stream);

/* Drops what waits, and all that still comes. */
void stream_discard(struct stream *stream);

/* Appends a message of the proxy's own, which is not recorded. The stream goes on to deliver it
 * even when it discards. */
void stream_say(struct stream *stream, const char *text);

/* Bytes it holds in memory, libssh's included. */
size_t stream_size(const struct stream *stream);

void stream_free(struct stream *stream);

#endif
