#include "recorder/read/gunzip.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define PIECE ((size_t)128 << 10)
#define GZIP_FIRST_BYTE 0x1f
#define GZIP_ONLY (15 + 16) /* window bits; + 16: a gzip header and nothing else (zlib.h) */

enum form { FORM_UNKNOWN, FORM_GZIP, FORM_PLAIN };

struct gunzip {
    int (*sink)(void *context, const void *data, size_t length, struct error *error);
    void *context;
    z_stream stream;
    enum form form;
    bool between_members; /* the last member has ended, and nothing has followed */
    bool padding;         /* zero bytes follow the last member, as from a tape: nothing else may */
    uint64_t offset;      /* of the next byte to be fed */
    unsigned char piece[PIECE];
};

int gunzip_new(int (*sink)(void *context, const void *data, size_t length, struct error *error),
               void *context, struct gunzip **gunzip, struct error *error)
{
    struct gunzip *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to decompress");
    new->sink = sink;
    new->context = context;
    if (inflateInit2(&new->stream, GZIP_ONLY) != Z_OK) {
        free(new);
        return error_set(error, ERR_NO_MEMORY, "no memory to decompress");
    }
    *gunzip = new;
    return 0;
}

static int damaged(const struct gunzip *gunzip, const char *why, struct error *error)
{
    return error_set(error, ERR_DAMAGED, "damaged at byte %llu: %s",
                     (unsigned long long)gunzip->offset, why);
}

/* Takes the zero bytes that follow a member, and begins the next one if there is one. */
static int skip_padding(struct gunzip *gunzip, const unsigned char *data, size_t length,
                        size_t *skipped, struct error *error)
{
    size_t zeros = 0;
    while (zeros < length && data[zeros] == 0)
        zeros++;
    *skipped = zeros;
    gunzip->padding |= zeros > 0;
    gunzip->offset += zeros;
    if (zeros == length)
        return 0;
    if (gunzip->padding || data[zeros] != GZIP_FIRST_BYTE)
        return damaged(gunzip, "other bytes follow the end of the gzip data", error);
    gunzip->between_members = false;
    if (inflateReset(&gunzip->stream) != Z_OK)
        return error_set(error, ERR_NO_MEMORY, "no memory to decompress");
    return 0;
}

static int inflate_some(struct gunzip *gunzip, const unsigned char *data, size_t length,
                        size_t *taken, struct error *error)
{
    z_stream *stream = &gunzip->stream;
    stream->next_in = (z_const unsigned char *)(uintptr_t)data;
    stream->avail_in = length > UINT_MAX ? UINT_MAX : (uInt)length;
    uInt before = stream->avail_in;
    int status;
    do {
        stream->next_out = gunzip->piece;
        stream->avail_out = PIECE;
        uInt left = stream->avail_in;
        status = inflate(stream, Z_NO_FLUSH);
        gunzip->offset += left - stream->avail_in;
        size_t made = PIECE - stream->avail_out;
        int rc = made ? gunzip->sink(gunzip->context, gunzip->piece, made, error) : 0;
        if (rc)
            return rc;
        if (status == Z_NEED_DICT)
            return damaged(gunzip, "it needs a dictionary", error);
        if (status == Z_DATA_ERROR || status == Z_STREAM_ERROR)
            return damaged(gunzip, stream->msg ? stream->msg : "not gzip data", error);
        if (status == Z_MEM_ERROR)
            return error_set(error, ERR_NO_MEMORY, "no memory to decompress");
    } while (status == Z_OK && (stream->avail_in || stream->avail_out == 0));
    gunzip->between_members = status == Z_STREAM_END;
    *taken = before - stream->avail_in;
    return 0;
}

int gunzip_feed(struct gunzip *gunzip, const void *data, size_t length, struct error *error)
{
    const unsigned char *p = data;
    if (!length)
        return 0;
    if (gunzip->form == FORM_UNKNOWN)
        gunzip->form = p[0] == GZIP_FIRST_BYTE ? FORM_GZIP : FORM_PLAIN;
    if (gunzip->form == FORM_PLAIN) {
        gunzip->offset += length;
        return gunzip->sink(gunzip->context, data, length, error);
    }
    while (length) {
        size_t taken = 0;
        int rc = gunzip->between_members ? skip_padding(gunzip, p, length, &taken, error)
                                         : inflate_some(gunzip, p, length, &taken, error);
        if (rc)
            return rc;
        p += taken;
        length -= taken;
    }
    return 0;
}

int gunzip_finish(struct gunzip *gunzip, struct error *error)
{
    if (gunzip->form == FORM_UNKNOWN)
        return damaged(gunzip, "the recording is empty", error);
    if (gunzip->form == FORM_GZIP && !gunzip->between_members)
        return damaged(gunzip, "the recording ends early", error);
    return 0;
}

void gunzip_free(struct gunzip *gunzip)
{
    if (!gunzip)
        return;
    inflateEnd(&gunzip->stream);
    free(gunzip);
}
