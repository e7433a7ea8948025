/* One direction of a session: reads a block, shows it to the recorder, writes it on. */
#ifndef CASTBUCKET_HOOKS_SHELL_STREAM_H
#define CASTBUCKET_HOOKS_SHELL_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#define STREAM_BLOCK ((size_t)256 << 10)

struct stream {
    int from, to; /* -1: closed */
    bool socket;  /* `to` is one */
    size_t most;  /* longest write that does not block after poll() */
    char *block;
    size_t start, end; /* of what is read and not yet written */
};

/* Takes `from` over as it is, and `to` with `own`; without, `to` is somebody's descriptor that we
 * may share, and is given a description of our own to be non-blocking with, where that can be had.
 * -1 and errno on failure. */
int stream_open(struct stream *stream, int from, int to, bool own);

/* Reads when there is nothing to write. Bytes read; 0 at the end or when the other side is gone,
 * -1 when there is nothing now. */
int stream_read(struct stream *stream);

/* Writes some of what was read. False when the reader is gone. */
bool stream_write(struct stream *stream);

static inline bool stream_empty(const struct stream *stream)
{
    return stream->start == stream->end;
}

/* Closes both ends, where they are still open. */
void stream_close_from(struct stream *stream);
void stream_close_to(struct stream *stream);
void stream_free(struct stream *stream);

#endif
