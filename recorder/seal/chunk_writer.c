#include "recorder/seal/chunk_writer.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/seal/chain.h"

/* Room for a header line, a marker or a piece of output at its largest, and what waits before it.
 */
#define CAST_BUFFER_LIMIT ((size_t)2 << 20)

int seal_worker_new(int level, struct seal_worker **worker, struct error *error)
{
    struct seal_worker *made = calloc(1, sizeof(*made));
    *worker = NULL;
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory for a compressor");
    made->cast = BUFFER_INIT(CAST_BUFFER_LIMIT);
    made->scratch = BUFFER_INIT(SEAL_RECORD_SIZE + SEAL_TAIL_MAX);
    /* A negative window size means raw deflate (RFC 1951): header and trailer are ours. */
    int rc = deflateInit2(&made->stream, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        free(made);
        return rc == Z_MEM_ERROR
                   ? error_set(error, ERR_NO_MEMORY, "no memory for a compressor")
                   : error_set(error, ERR_INVALID, "compression level %d: 0 to 9 are", level);
    }
    made->level = level;
    *worker = made;
    return 0;
}

void seal_worker_behind(struct seal_worker *worker, uint64_t backlog)
{
    /* zlib on a coloured git log: level 7 makes 5.50 times less of it, 6 5.45, 5 5.32, 3 4.80, 1
     * 4.31; and 6 takes 0.85 of the time of 7, 5 0.5, 3 0.37, 1 0.25. What waits is what a session
     * printed faster than it could be sealed, as `cat` of a large file does: it then runs beside
     * us, on the same processors. */
    static const struct {
        uint64_t least;
        int level;
    } steps[] = {{(uint64_t)64 << 20, 1},
                 {(uint64_t)16 << 20, 3},
                 {(uint64_t)2 << 20, 5},
                 {(uint64_t)256 << 10, 6},
                 {0, 7}};
    size_t i = 0;
    while (backlog < steps[i].least)
        i++;
    worker->level = steps[i].level;
}

void seal_worker_free(struct seal_worker *worker)
{
    if (!worker)
        return;
    deflateEnd(&worker->stream);
    sha256_free(&worker->hash);
    free(worker->signing_key);
    buffer_free(&worker->cast);
    buffer_free(&worker->scratch);
    free(worker);
}

int seal_worker_sign_with(struct seal_worker *worker, const char *path, struct error *error)
{
    char *copy = *path ? strdup(path) : NULL;
    if (*path && !copy)
        return error_set(error, ERR_NO_MEMORY, "no memory for the path of the signing key");
    free(worker->signing_key);
    worker->signing_key = copy;
    return 0;
}

int write_at(int fd, const void *data, size_t length, uint64_t offset, struct error *error)
{
    const char *p = data;
    while (length) {
        ssize_t wrote = pwrite(fd, p, length, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_system(error, "cannot write");
        p += wrote;
        offset += (uint64_t)wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

void gzip_header(uint8_t header[GZIP_HEADER_SIZE], int64_t started_ns)
{
    int64_t seconds = started_ns / 1000000000;
    uint32_t mtime = htole32(seconds > 0 && seconds <= UINT32_MAX ? (uint32_t)seconds : 0);
    /* ID1, ID2, deflate, no flags, MTIME, XFL, Unix */
    static const uint8_t fixed[GZIP_HEADER_SIZE] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    memcpy(header, fixed, sizeof(fixed));
    memcpy(header + 4, &mtime, sizeof(mtime));
}

void gzip_trailer(uint8_t trailer[GZIP_TRAILER_SIZE], uint32_t crc, uint64_t cast_size)
{
    uint32_t sum = htole32(crc), size = htole32((uint32_t)cast_size);
    trailer[0] = 3; /* a final block of fixed codes: just its end-of-block code */
    trailer[1] = 0;
    memcpy(trailer + 2, &sum, sizeof(sum));
    memcpy(trailer + 6, &size, sizeof(size));
}

int chunk_start(struct seal_worker *worker, int fd, const struct seal_progress *progress,
                struct error *error)
{
    worker->fd = fd;
    worker->offset = progress->size ? progress->size : GZIP_HEADER_SIZE;
    worker->cast_offset = progress->cast_size;
    worker->size = worker->cast_size = 0;
    worker->crc = progress->crc;
    buffer_clear(&worker->cast);
    sha256_free(&worker->hash);
    if (deflateReset(&worker->stream) != Z_OK ||
        deflateParams(&worker->stream, worker->level, Z_DEFAULT_STRATEGY) != Z_OK ||
        sha256_init(&worker->hash))
        return error_set(error, ERR_NO_MEMORY, "no memory to compress");
    return 0;
}

/* Compresses `length` bytes of worker->cast and writes all that comes out. */
static int run_deflate(struct seal_worker *worker, size_t length, int flush, struct error *error)
{
    z_stream *stream = &worker->stream;
    stream->next_in = (Bytef *)worker->cast.data;
    stream->avail_in = (uInt)length;
    do {
        stream->next_out = worker->packed;
        stream->avail_out = sizeof(worker->packed);
        int status = deflate(stream, flush);
        if (status != Z_OK && status != Z_BUF_ERROR)
            return error_set(error, ERR_SYSTEM, "cannot compress: zlib says %d", status);
        size_t got = sizeof(worker->packed) - stream->avail_out;
        if (got == 0)
            break;
        if (sha256_update(&worker->hash, worker->packed, got))
            return error_set(error, ERR_NO_MEMORY, "no memory to hash");
        int rc = write_at(worker->fd, worker->packed, got, worker->offset + worker->size, error);
        if (rc)
            return rc;
        worker->size += got;
    } while (stream->avail_out == 0);
    return 0;
}

int chunk_compress(struct seal_worker *worker, struct error *error)
{
    size_t length = worker->cast.length;
    if (length == 0)
        return 0;
    worker->crc = (uint32_t)crc32_z(worker->crc, (const Bytef *)worker->cast.data, length);
    worker->cast_size += length;
    int rc = run_deflate(worker, length, Z_NO_FLUSH, error);
    buffer_clear(&worker->cast);
    return rc;
}

int chunk_end(struct seal_worker *worker, struct seal_progress *progress, int64_t time_ns,
              struct error *error)
{
    struct manifest_chunk *chunk = &progress->chunk;
    int rc = chunk_compress(worker, error);
    *chunk = (struct manifest_chunk){.offset = worker->offset,
                                     .cast_offset = worker->cast_offset,
                                     .cast_size = worker->cast_size,
                                     .time_ns = time_ns};
    if (rc || worker->cast_size == 0)
        return rc;
    rc = run_deflate(worker, 0, Z_FULL_FLUSH, error);
    if (rc)
        return rc;
    chunk->size = worker->size;
    if (sha256_final(&worker->hash, chunk->sha256) || chain_add(progress->chain, chunk->sha256))
        return error_set(error, ERR_NO_MEMORY, "no memory to hash");
    progress->chunks++;
    progress->crc = worker->crc;
    progress->cast_size = worker->cast_offset + worker->cast_size;
    progress->size = worker->offset + worker->size;
    return 0;
}
