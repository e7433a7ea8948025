/* Sealing: turning a journal's bytes into compressed chunks of the cast.
 *
 * ID.cast.gz is one gzip member (RFC 1952): header, chunks, an empty final block, CRC-32 and
 * length. Each chunk is raw deflate ended by a full flush (Z_FULL_FLUSH), so it starts at a byte
 * and refers to nothing before it. A chunk ends at about SEAL_CHUNK_BYTES of cast, always between
 * two frames of the journal, or sooner: when SEAL_CHUNK_SECONDS have passed or the session has
 * ended.
 *
 * After a chunk's bytes are written, a record is appended to ID.seal with everything needed to go
 * on: journal offset, cast and gzip offsets, CRC-32, the encoder's state, counts, the chunk's hash.
 * A record carries its own CRC-32C. A sealer that starts again takes the last valid record whose
 * chunk is in ID.cast.gz with the right hash, cuts both files there, and continues. Journal space
 * is given back only for what is sealed and synced.
 *
 * A file transfer's bytes go through a decoder (recorder/transfer) instead of into the cast. Its
 * state is appended to ID.transfer before each record, which says where; it is given back like the
 * journal's space, when a later one is synced.
 *
 * A damaged journal is kept: when its recording is complete, it is in quarantine/ with ID.reason.
 * Should be opened for every id that has a journal or an ID.seal: a kill may leave only the latter.
 */
#ifndef CASTBUCKET_SEAL_SEAL_H
#define CASTBUCKET_SEAL_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/spool/spool.h"

#define SEAL_CHUNK_BYTES ((size_t)256 << 10)
#define SEAL_CHUNK_SECONDS 10
#define SEAL_SYNC_SECONDS 1

/* One thread's compressor and buffers; serves any number of sessions, one after another. */
struct seal_worker;
__attribute__((warn_unused_result)) int seal_worker_new(int level, struct seal_worker **worker,
                                                        struct error *error);
void seal_worker_free(struct seal_worker *worker);

/* Manifests to come are signed with the private key in this file (signature.h); "": they are not.
 * The file is read for each: when it cannot be used, a recording is not completed without it, and
 * sealer_run() says why. */
__attribute__((warn_unused_result)) int
seal_worker_sign_with(struct seal_worker *worker, const char *path, struct error *error);

/* Sets the level of the chunks to come by what waits to be sealed in all, in bytes of journals:
 * better compression while the worker keeps up, faster the further it is behind. */
void seal_worker_behind(struct seal_worker *worker, uint64_t backlog);

/* One session being sealed. One thread at a time. */
struct sealer;

/* Opens the session's journal and continues where an earlier sealer stopped. If only cleaning up is
 * left, does it, and the first sealer_run() says SEAL_COMPLETE. ERR_DAMAGED: the journal has no
 * readable header, or a sealed chunk is damaged whose journal space was given back: nothing can be
 * sealed, and nothing was changed. ERR_NOT_FOUND: there is no such journal. */
__attribute__((warn_unused_result)) int sealer_open(struct spool *spool, const char *id,
                                                    const struct clock *clock,
                                                    struct sealer **sealer, struct error *error);

enum seal_state {
    SEAL_IDLE = 0,     /* the session is live; nothing to do now */
    SEAL_MORE = 1,     /* more is waiting; call again (this call did about one chunk) */
    SEAL_COMPLETE = 2, /* the recording is whole: manifest written, journal and .seal removed */
    /* negative: an error; try again later unless ERR_DAMAGED */
};

/* Seals about a chunk if one is due: enough bytes, or age, or the session has ended, or `flush`. A
 * journal that is damaged in the middle is sealed up to there, marked in the cast and the manifest.
 * A session whose writer is gone without an end is completed with the marker "cut: ...". */
__attribute__((warn_unused_result)) int
sealer_run(struct sealer *sealer, struct seal_worker *worker, bool flush, struct error *error);

/* Whether journal or sealed chunks have something that is not on disk, also when sealing fails. To
 * be asked each SEAL_SYNC_SECONDS; false when it was synced not half as long ago. */
bool sealer_sync_due(struct sealer *sealer);

/* Syncs them, whatever was synced when. */
__attribute__((warn_unused_result)) int sealer_sync(struct sealer *sealer, struct error *error);

/* Instead, of many sessions together: what was due when that was asked is on disk, because the
 * spool's whole file system was synced after it. */
void sealer_synced(struct sealer *sealer);

/* Whether sealer_run() would have something to do. Cheap: no system call while the session is
 * live, except once in a while to see whether the writer is gone. */
bool sealer_due(struct sealer *sealer);

/* Whether the session has ended, as far as sealer_due() has noticed, and how much of its journal is
 * not sealed yet, in bytes. */
bool sealer_ended(const struct sealer *sealer);
uint64_t sealer_left(const struct sealer *sealer);

/* Bytes of the journal that are not sealed. One memory read. */
uint64_t sealer_backlog(const struct sealer *sealer);

void sealer_free(struct sealer *sealer);

#endif
