#include "hooks/shell/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK belongs to the description, which other processes may use, so it is never set on one
 * that we were given. Pipes and terminals can be opened anew; sockets have MSG_DONTWAIT; for the
 * rest short writes have to do. */
static int take_over(struct stream *stream, int to)
{
    struct stat info;
    char path[32];
    if (fstat(to, &info))
        return -1;
    stream->socket = S_ISSOCK(info.st_mode);
    stream->most = STREAM_BLOCK;
    if (S_ISFIFO(info.st_mode) || isatty(to)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
        stream->to = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (stream->to >= 0)
            return 0;
        stream->most = PIPE_BUF;
    }
    stream->to = fcntl(to, F_DUPFD_CLOEXEC, 3);
    return stream->to < 0 ? -1 : 0;
}

int stream_open(struct stream *stream, int from, int to, bool own)
{
    *stream = (struct stream){.from = from, .to = to, .most = STREAM_BLOCK};
    stream->block = malloc(STREAM_BLOCK);
    if (!stream->block)
        return -1;
    return own ? 0 : take_over(stream, to);
}

int stream_read(struct stream *stream)
{
    ssize_t got = read(stream->from, stream->block, STREAM_BLOCK);
    if (got < 0)
        /* EIO: the last process of a terminal is gone */
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    stream->start = 0;
    stream->end = (size_t)got;
    return (int)got;
}

bool stream_write(struct stream *stream)
{
    const char *p = stream->block + stream->start;
    size_t length = stream->end - stream->start;
    if (length > stream->most)
        length = stream->most;
    ssize_t wrote = stream->socket ? send(stream->to, p, length, MSG_DONTWAIT | MSG_NOSIGNAL)
                                   : write(stream->to, p, length);
    if (wrote < 0)
        return errno == EAGAIN || errno == EINTR;
    stream->start += (size_t)wrote;
    return true;
}

void stream_close_from(struct stream *stream)
{
    if (stream->from > STDERR_FILENO)
        close(stream->from);
    stream->from = -1;
}

void stream_close_to(struct stream *stream)
{
    if (stream->to > STDERR_FILENO)
        close(stream->to);
    stream->to = -1;
    stream->start = stream->end = 0;
}

void stream_free(struct stream *stream)
{
    stream_close_from(stream);
    stream_close_to(stream);
    free(stream->block);
    stream->block = NULL;
}
