/* Space on the spool's disk, and what of it is kept for whom.
 *
 * A recorder has to write before it can give back: a chunk of the cast before the journal's pages,
 * a manifest before the journal. On a disk that is full of journals nothing would ever move again.
 * So journals leave a reserve, and each leaves as much again as it takes itself: what is sealed is
 * never more than twice the journal (bytes that are no text are in the cast as text and exactly),
 * so every recording can be completed when those before it are uploaded. */
#ifndef CASTBUCKET_BASE_SPACE_H
#define CASTBUCKET_BASE_SPACE_H

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

/* Whether the journal behind `fd` may take `length` more bytes. ERR_NO_SPACE: they are kept. */
__attribute__((warn_unused_result)) int space_for_journal(int fd, uint64_t length,
                                                          struct error *error);

#endif
