/* The journal's bytes, shared by its writer and its reader. The picture is in journal.h. */
#ifndef CASTBUCKET_JOURNAL_FORMAT_H
#define CASTBUCKET_JOURNAL_FORMAT_H

#include <endian.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "recorder/base/buffer.h"
#include "recorder/base/crc32c.h"
#include "recorder/journal/journal.h"

#define JOURNAL_MAGIC "CBJOURN\n"
#define JOURNAL_VERSION 1
#define JOURNAL_HEADER_SIZE 128        /* where the frames start, in files made here */
#define JOURNAL_HEADER_MOST 4096       /* and the furthest that a reader believes */
#define JOURNAL_BLOCK ((uint64_t)4096) /* what space is given back in */

/* The start of the file. `published` is the only field that changes; it is on a cache line of its
 * own. */
struct journal_header {
    char magic[8];
    uint32_t version;     /* little-endian, like all here */
    uint32_t header_size; /* where the frames start: a multiple of 8 */
    uint32_t crc;         /* CRC-32C of the 16 bytes before it */
    uint8_t unused[44];
    _Atomic uint64_t published; /* end of the last whole frame: file offset, a multiple of 8 */
};
_Static_assert(offsetof(struct journal_header, published) == 64, "a cache line of its own");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "published is shared between processes");

/* What goes before each payload. */
struct journal_frame_header {
    uint32_t length_type; /* length | type << 24 */
    uint32_t crc;
    uint64_t time_ns;
};
#define JOURNAL_FRAME_HEADER sizeof(struct journal_frame_header)
_Static_assert(sizeof(struct journal_frame_header) == 16, "no holes");

/* Bytes a frame takes in the file. */
static inline size_t journal_frame_size(size_t length)
{
    return (JOURNAL_FRAME_HEADER + length + 7) & ~(size_t)7;
}

/* The CRC of a frame that lies at `frame` whole, its own CRC left out. */
static inline uint32_t journal_frame_crc(const void *frame, size_t length)
{
    const char *p = frame;
    uint32_t crc = crc32c(0, p + offsetof(struct journal_frame_header, length_type), 4);
    return crc32c(crc, p + offsetof(struct journal_frame_header, time_ns), 8 + length);
}

static inline uint32_t journal_header_crc(const struct journal_header *header)
{
    return crc32c(0, header, offsetof(struct journal_header, crc));
}

/* Payloads of JOURNAL_META and JOURNAL_END: numbers, then a count and as many strings. A string is
 * a u16 length, its bytes and a NUL. A later version appends strings; readers skip what they do not
 * know and take what is missing as "". */
#define JOURNAL_META_STRINGS 14
#define JOURNAL_END_STRINGS 2
#define JOURNAL_META_MAX (40 + JOURNAL_META_STRINGS * (JOURNAL_META_TEXT + 2))
#define JOURNAL_END_SIGNAL 64    /* longest signal name, its NUL counted; longer is cut */
#define JOURNAL_END_MESSAGE 2048 /* longest message, its NUL counted; longer is cut */
#define JOURNAL_END_MAX (16 + 2 + JOURNAL_END_SIGNAL + 2 + JOURNAL_END_MESSAGE)

__attribute__((warn_unused_result)) int journal_encode_meta(const struct journal_meta *meta,
                                                            struct buffer *out);
__attribute__((warn_unused_result)) int journal_encode_end(const struct journal_end *end,
                                                           struct buffer *out);

/* The results' strings point into `data`. ERR_DAMAGED if it is not what the encoder writes. */
__attribute__((warn_unused_result)) int journal_decode_meta(const void *data, size_t length,
                                                            struct journal_meta *meta,
                                                            struct error *error);
__attribute__((warn_unused_result)) int
journal_decode_end(const void *data, size_t length, struct journal_end *end, struct error *error);

#endif
