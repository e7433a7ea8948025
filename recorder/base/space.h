/* Space on the spool's disk, and what of it is kept for whom.
 *
 * A recorder has to write before it can give back: a chunk of the cast before the journal's pages,
 * a manifest before the journal. On a disk that is full of journals nothing would ever move again.
 * So journals leave a reserve, and each leaves as much again as it takes itself: what is sealed is
 * never more than twice the journal (bytes that are no text are in the cast as text and exactly),
 * so every recording can be completed when those before it are uploaded.
 *
 * The spool's quota is the other limit: how much the spool's own files may take. What they take is
 * measured by the recorder, each second, or by a host that opens a session while there is none, and
 * kept in a page that all of them map; hosts add to it what they take in between. The recorder may
 * go beyond the quota: it must be able to complete what is there. */
#ifndef CASTBUCKET_BASE_SPACE_H
#define CASTBUCKET_BASE_SPACE_H

#include <stdatomic.h>
#include <stdint.h>

#include "recorder/base/error.h"

/* A quarter of the file system, at most 64 MiB. */
struct space {
    uint64_t total;     /* bytes of the file system */
    uint64_t available; /* to this process */
    uint64_t reserve;   /* of these, what journals leave to the recorder */
};

/* Of the file system that `fd` is on. */
__attribute__((warn_unused_result)) int space_of(int fd, struct space *space, struct error *error);

/* What all processes of one spool know of its size. Not kept over a restart of the machine. */
struct space_used {
    _Atomic uint64_t bytes;
    _Atomic int64_t measured_ns; /* CLOCK_BOOTTIME; 0: never */
};
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");

/* The most that the spool's files may take: the smaller one of those that are not 0. */
struct space_quota {
    uint64_t bytes;
    unsigned percent; /* of the file system */
};

/* A quota, and what is used of it; `used` NULL: that is not known, and nothing is refused for it.
 */
struct space_limit {
    struct space_quota quota;
    struct space_used *used;
};

/* In bytes; UINT64_MAX: none. */
uint64_t space_quota_bytes(const struct space_quota *quota, const struct space *space);

/* Whether the journal behind `fd` may take `length` more bytes, which are then counted. `limit` may
 * be NULL. ERR_NO_SPACE: they are kept, or the quota is reached. */
__attribute__((warn_unused_result)) int
space_for_journal(int fd, uint64_t length, const struct space_limit *limit, struct error *error);

#endif
