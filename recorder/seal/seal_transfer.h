/* A file transfer while it is sealed: what its decoder says becomes events of the cast and a list
 * for the manifest. */
#ifndef CASTBUCKET_SEAL_SEAL_TRANSFER_H
#define CASTBUCKET_SEAL_SEAL_TRANSFER_H

#include "recorder/seal/sealer.h"

/* The manifest's list ends before this many bytes, and the cast's markers after that many: a player
 * holds all of them. The `f` events have everything. */
#define SEAL_TRANSFER_LIST ((size_t)128 << 10)
#define SEAL_TRANSFER_MARKERS 10000

struct seal_transfer;

/* Sets sealer->transfer as of sealer->done, unless it is there or the session is no transfer. */
__attribute__((warn_unused_result)) int seal_transfer_open(struct sealer *sealer,
                                                           struct error *error);
/* Forgets it: the next seal_transfer_open() loads it again. */
void seal_transfer_drop(struct sealer *sealer);

/* Takes a frame of stdout or input. After a failure the decoder is to be dropped, here and below.
 */
__attribute__((warn_unused_result)) int
seal_transfer_take(struct seal_transfer *transfer, struct seal_worker *worker,
                   struct cast_encoder *encoder, enum cast_stream stream,
                   const struct journal_frame *frame, struct error *error);
__attribute__((warn_unused_result)) int seal_transfer_give_up(struct seal_transfer *transfer,
                                                              struct seal_worker *worker,
                                                              struct cast_encoder *encoder,
                                                              int64_t time_ns, const char *reason,
                                                              struct error *error);
__attribute__((warn_unused_result)) int seal_transfer_end(struct seal_transfer *transfer,
                                                          struct seal_worker *worker,
                                                          struct cast_encoder *encoder,
                                                          int64_t time_ns, struct error *error);

/* Appends the state to ID.transfer and enters in *next where it is. */
__attribute__((warn_unused_result)) int
seal_transfer_save(struct sealer *sealer, struct seal_progress *next, struct error *error);

/* *whole: the state that the record is about is in ID.transfer, or it is about none. */
__attribute__((warn_unused_result)) int seal_transfer_check(const struct sealer *sealer,
                                                            const struct seal_progress *progress,
                                                            bool *whole, struct error *error);

/* Gives back the space before the state of sealer->done, which is synced. */
void seal_transfer_release(const struct sealer *sealer);

/* Its strings live as long as `transfer` and `meta`. */
struct manifest_transfer seal_transfer_describe(const struct seal_transfer *transfer,
                                                const struct journal_meta *meta);

#endif
