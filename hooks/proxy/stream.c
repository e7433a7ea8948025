#include "hooks/proxy/stream.h"

#include <stdlib.h>
#include <string.h>

static int record(struct stream *stream, const unsigned char *data, size_t length)
{
    if (stream->kind == STREAM_FORWARDED)
        return 0;
    if (stream->kind == STREAM_INPUT)
        return recording_input(stream->recording, data, length);
    return recording_output(stream->recording,
                            stream->kind == STREAM_ERRORS ? RECORDING_STDERR : RECORDING_STDOUT,
                            data, length);
}

/* Records and sends as many of the bytes as the receiver has room for. Returns how many went. */
static size_t forward(struct stream *stream, const unsigned char *data, size_t length)
{
    size_t sent = 0;
    while (sent < length && stream->to && !stream->stopped && ssh_channel_is_open(stream->to)) {
        uint32_t window = ssh_channel_window_size(stream->to);
        size_t now = length - sent < window ? length - sent : window;
        if (now == 0)
            break;
        /* A write may take less than was recorded, during a key exchange: never record twice. */
        if (now > stream->recorded) {
            if (record(stream, data + sent + stream->recorded, now - stream->recorded) < 0) {
                stream->stopped = true;
                break;
            }
            stream->recorded = now;
        }
        stream->busy = true;
        int written = stream->kind == STREAM_ERRORS
                          ? ssh_channel_write_stderr(stream->to, data + sent, (uint32_t)now)
                          : ssh_channel_write(stream->to, data + sent, (uint32_t)now);
        stream->busy = false;
        if (written <= 0)
            break;
        stream->recorded -= (size_t)written;
        sent += (size_t)written;
        stream->sent += (uint64_t)written;
        if ((size_t)written < now)
            break;
    }
    return sent;
}

int stream_data(struct stream *stream, void *data, uint32_t length)
{
    size_t taken = 0;
    if (stream->discarding)
        taken = length;
    else if (stream->open && !stream->busy && stream->start == stream->end)
        taken = forward(stream, data, length);
    stream->held = length - taken;
    return (int)taken;
}

static bool reserve(struct stream *stream, size_t length)
{
    if (stream->capacity >= length)
        return true;
    unsigned char *more = realloc(stream->waiting, length);
    if (!more)
        return false;
    stream->waiting = more;
    stream->capacity = length;
    return true;
}

/* Takes all that libssh holds. Only when nothing waits here. */
static void take_held(struct stream *stream)
{
    if (!reserve(stream, stream->held))
        return;
    int count = ssh_channel_read_nonblocking(stream->from, stream->waiting, (uint32_t)stream->held,
                                             stream->kind == STREAM_ERRORS);
    if (count <= 0) {
        /* The connection broke: libssh does not give them out any more. */
        stream->held = 0;
        return;
    }
    stream->start = 0;
    stream->end = (size_t)count;
    stream->held -= (size_t)count;
}

bool stream_pump(struct stream *stream)
{
    bool moved = false;
    if (!stream->open || stream->busy || !stream->to || stream->stopped)
        return false;
    if (stream->start == stream->end) {
        if (stream->held == 0 || stream->discarding || !stream->from ||
            ssh_channel_window_size(stream->to) == 0)
            return false;
        take_held(stream);
    }
    size_t sent = forward(stream, stream->waiting + stream->start, stream->end - stream->start);
    stream->start += sent;
    moved = sent > 0;
    if (stream->start == stream->end) {
        stream->start = stream->end = 0;
        /* A shell that once printed a lot need not keep a megabyte for ever. */
        if (stream->held == 0) {
            free(stream->waiting);
            stream->waiting = NULL;
            stream->capacity = 0;
        }
    }
    return moved;
}

bool stream_is_drained(const struct stream *stream)
{
    return stream->start == stream->end && (stream->held == 0 || stream->discarding);
}

void stream_discard(struct stream *stream)
{
    stream->discarding = true;
    stream->start = stream->end = 0;
    stream->held = 0;
    stream->recorded = 0;
}

void stream_say(struct stream *stream, const char *text)
{
    size_t length = strlen(text), left = stream->end - stream->start;
    stream->stopped = false;
    stream->open = true;
    if (left > 0)
        memmove(stream->waiting, stream->waiting + stream->start, left);
    stream->start = 0;
    stream->end = left;
    if (!reserve(stream, left + length))
        return;
    memcpy(stream->waiting + left, text, length);
    stream->end = left + length;
    /* What waited before it may not be recorded yet; then the message is recorded with it. */
    if (stream->recorded >= left)
        stream->recorded = left + length;
}

size_t stream_size(const struct stream *stream)
{
    return stream->held + (stream->end - stream->start);
}

void stream_free(struct stream *stream)
{
    free(stream->waiting);
    stream->waiting = NULL;
    stream->start = stream->end = stream->capacity = 0;
}
