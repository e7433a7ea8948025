/* The spool: the directory where the host's side and the recorder meet, and all they share.
 *
 *     journals/ID.journal     being written by a host, or waiting to be sealed
 *     sealed/ID.seal          progress of sealing: one record a chunk, append-only
 *     sealed/ID.transfer      of a file transfer: how far its decoding is, as of each record
 *     sealed/ID.cast.gz       the recording; grows a chunk at a time
 *     sealed/ID.json          its manifest, written atomically when the recording is whole
 *     sealed/ID.upload        how far its upload is, written atomically
 *     quarantine/ID.*         what cannot be sealed or uploaded, with ID.reason; never deleted here
 *     status.json             what the recorder is doing and why what waits is waiting
 *     usage                   how much all of this takes (struct space_used)
 *     recorder.lock           held (flock) by the one recorder at work
 *
 * States of a session, and what a recorder that starts again finds after a kill in between:
 *
 *     live ──> ended or cut ──> sealed ──────────> confirmed ──────────> gone
 *     journal  journal,         manifest: then     ID.upload says so, or nothing left
 *              no writer        journal and .seal  the .cast.gz is gone:
 *                               are removed        then .cast.gz, .json and
 *                                                  .upload go, in this order
 *
 * A manifest without its cast and without ID.upload is of one that was stored in one request; who
 * finds it (after a kill between two removals) asks the store whether it has that cast.
 *
 * Each arrow is one atomic step (a rename or an unlink); doing a removal twice is harmless.
 */
#ifndef CASTBUCKET_SPOOL_SPOOL_H
#define CASTBUCKET_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/base/space.h"

enum spool_area { SPOOL_JOURNALS = 0, SPOOL_SEALED = 1, SPOOL_QUARANTINE = 2 };

#define SPOOL_JOURNAL_SUFFIX ".journal"
#define SPOOL_SEAL_SUFFIX ".seal"
#define SPOOL_TRANSFER_SUFFIX ".transfer"
#define SPOOL_CAST_SUFFIX ".cast.gz"
#define SPOOL_MANIFEST_SUFFIX ".json"
#define SPOOL_UPLOAD_SUFFIX ".upload"
#define SPOOL_REASON_SUFFIX ".reason"
#define SPOOL_NAME_SIZE 64 /* enough for ID + the longest suffix */

/* An open spool. All functions but spool_lock(), spool_unlock() and spool_free() may be called from
 * any thread. */
struct spool;

/* Opens the spool's directories, making those that are missing (mode 0700). */
__attribute__((warn_unused_result)) int spool_open(const char *path, struct spool **spool,
                                                   struct error *error);

const char *spool_path(const struct spool *spool);

/* An area's descriptor, or the spool's own; valid until spool_free(). */
int spool_area(const struct spool *spool, enum spool_area area);
int spool_root(const struct spool *spool);

/* What is known of the size of all that is in the areas; NULL when that cannot be kept. For
 * journal_create_within(). Lives as long as the spool. */
struct space_used *spool_used(const struct spool *spool);

/* Measures it (one system call for each file), if that was `age_ns` ago or longer, or never, and
 * nobody else is at it. */
void spool_measure(const struct spool *spool, int64_t age_ns);

/* ID + suffix. */
void spool_name(char name[SPOOL_NAME_SIZE], const char *id, const char *suffix);

/* The id in "ID" + suffix, into `id` (37 bytes); false for any other name. */
bool spool_name_parse(const char *name, const char *suffix, char *id);

/* Becomes the recorder of this spool until spool_unlock() or the end of the process. ERR_EXISTS
 * when another process is (the error says its pid). Temporary files of a recorder that was killed
 * are removed. */
__attribute__((warn_unused_result)) int spool_lock(struct spool *spool, struct error *error);
void spool_unlock(struct spool *spool);

/* Calls `each` with every valid id that has `suffix` in `area`, oldest first, as they were when the
 * call began. Files whose names are not an id and a known suffix are left alone. A non-zero return
 * stops and is returned. */
__attribute__((warn_unused_result)) int spool_each(const struct spool *spool, enum spool_area area,
                                                   const char *suffix,
                                                   int (*each)(void *context, const char *id),
                                                   void *context, struct error *error);

/* Removes ID + suffix; already gone is success. */
__attribute__((warn_unused_result)) int spool_remove(const struct spool *spool,
                                                     enum spool_area area, const char *id,
                                                     const char *suffix, struct error *error);

/* Moves every file of this session to quarantine/ and adds a line with the time and the reason to
 * ID.reason there. What an earlier quarantine left under the same name is kept. */
__attribute__((warn_unused_result)) int spool_quarantine(const struct spool *spool, const char *id,
                                                         const char *reason, struct error *error);

void spool_free(struct spool *spool); /* unlocks; NULL does nothing */

#endif
