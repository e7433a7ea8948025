/* Compresses one chunk into its place in ID.cast.gz. */
#ifndef CASTBUCKET_SEAL_CHUNK_WRITER_H
#define CASTBUCKET_SEAL_CHUNK_WRITER_H

#include <zlib.h>

#include "recorder/base/sha256.h"
#include "recorder/seal/seal.h"
#include "recorder/seal/seal_record.h"

#define GZIP_HEADER_SIZE 10
#define GZIP_TRAILER_SIZE 10 /* the empty final block's two bytes counted */

struct seal_worker {
    z_stream stream;
    int level;             /* of the chunks to come */
    char *signing_key;     /* path of the key that signs manifests; NULL: they are not signed */
    struct buffer cast;    /* encoded, and not compressed yet */
    struct buffer scratch; /* a marker's label, a record */
    uint8_t packed[64 << 10];

    /* The chunk under way. */
    int fd; /* borrowed */
    struct sha256 hash;
    uint64_t offset, cast_offset; /* where it starts */
    uint64_t size, cast_size;     /* so far */
    uint32_t crc;                 /* of the whole cast so far */
};

/* write(2) at an offset, until all is written. */
__attribute__((warn_unused_result)) int write_at(int fd, const void *data, size_t length,
                                                 uint64_t offset, struct error *error);

/* RFC 1952, 2.3. started_ns: becomes MTIME. */
void gzip_header(uint8_t header[GZIP_HEADER_SIZE], int64_t started_ns);
void gzip_trailer(uint8_t trailer[GZIP_TRAILER_SIZE], uint32_t crc, uint64_t cast_size);

/* Starts a chunk after what `progress` says is there; gives up one that was under way. */
__attribute__((warn_unused_result)) int chunk_start(struct seal_worker *worker, int fd,
                                                    const struct seal_progress *progress,
                                                    struct error *error);

/* Compresses what is in worker->cast, and empties it. */
__attribute__((warn_unused_result)) int chunk_compress(struct seal_worker *worker,
                                                       struct error *error);

/* Ends it with a full flush and enters it in *progress; time_ns: of its first event. */
__attribute__((warn_unused_result)) int chunk_end(struct seal_worker *worker,
                                                  struct seal_progress *progress, int64_t time_ns,
                                                  struct error *error);

#endif
