/* ID.seal: how far sealing is. Records of SEAL_RECORD_SIZE bytes, one after another, so that they
 * can be read from the last one backwards. The last record of a session (`final`) is followed by
 * the texts that say how it ended. All integers little-endian; each record has a CRC-32C. */
#ifndef CASTBUCKET_SEAL_SEAL_RECORD_H
#define CASTBUCKET_SEAL_SEAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/seal/manifest.h"

#define SEAL_RECORD_SIZE ((size_t)256)
#define SEAL_TAIL_MAX ((size_t)8192)

/* Everything needed to go on, as of the end of a chunk. */
struct seal_progress {
    uint64_t chunks;         /* sealed so far */
    uint64_t journal_offset; /* where to read on; 0: at the first frame */
    int64_t journal_time_ns; /* of the last frame read */
    uint64_t cast_size;      /* bytes of cast so far */
    uint64_t size;           /* bytes of ID.cast.gz so far */
    uint32_t crc;            /* CRC-32 (RFC 1952) of the cast so far */
    bool final;              /* there is nothing more to seal */
    struct cast_encoder encoder;
    uint64_t output_bytes, input_bytes, lost_bytes;
    struct manifest_chunk chunk; /* the chunk this record is about; size 0: the frames read since
                                    the record before made no cast, so there is none */
    uint8_t chain[32];
    uint64_t synced; /* so many records, and what they are about, were on disk before this one */
    /* Of a file transfer, where its decoder's state as of here is in ID.transfer, and its CRC-32C;
     * size 0: there is none. */
    uint64_t transfer_offset;
    uint32_t transfer_size, transfer_crc;
};

/* How the session ended; goes with the final record. */
struct seal_end {
    char end[16]; /* as in the manifest */
    int exit_status;
    char signal[64], message[2048];
    char damaged[sizeof(((struct error *)0)->text)];
};

/* Appends the record, and for a final one its texts. */
__attribute__((warn_unused_result)) int seal_record_encode(const struct seal_progress *progress,
                                                           const struct seal_end *end,
                                                           struct buffer *out);

/* False if it is not a record, or not whole. `tail` is what follows a record in the file, looked at
 * only for a final one, whose *end is set. */
bool seal_record_decode(const uint8_t record[SEAL_RECORD_SIZE], const void *tail,
                        size_t tail_length, struct seal_progress *progress, struct seal_end *end);

#endif
