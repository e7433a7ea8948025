/* What the parts of sealing share. */
#ifndef CASTBUCKET_SEAL_SEALER_H
#define CASTBUCKET_SEAL_SEALER_H

#include "recorder/base/id.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/chunk_writer.h"
#include "recorder/seal/seal.h"
#include "recorder/seal/seal_record.h"

/* Holds no descriptor between calls: ten thousand live sessions have a sealer each. */
struct sealer {
    struct spool *spool;
    const struct clock *clock;
    char id[ID_SIZE];
    struct journal_reader *reader;  /* at done.journal_offset between calls; NULL: open it again */
    struct seal_progress done;      /* what is in both files */
    struct seal_end *end;           /* set once done.final is */
    struct seal_transfer *transfer; /* of a file transfer, as of `done`; NULL: load it again */
    uint64_t records;               /* in ID.seal */
    uint64_t records_synced;        /* of them; with what they are about */

    bool complete;
    bool gone;             /* the writer is */
    bool unreadable;       /* the journal is damaged where it would be read on */
    bool unsynced;         /* chunks or records are not on disk yet */
    bool names_synced;     /* the two files' directory entries are on disk */
    bool keep_journal;     /* a sync failed: what it was about may not be on disk, ever */
    uint64_t synced_end;   /* of the journal: what was published at its last sync */
    uint64_t due_end;      /* the same of a sync that is about to be made */
    int64_t waiting_since; /* monotonic; since when something has been waiting; 0: nothing is */
    int64_t gone_checked, synced; /* monotonic */
    uint64_t gone_end;            /* what was published when the writer was asked after */
};

/* Opens ID + suffix in sealed/. */
__attribute__((warn_unused_result)) int sealer_file(const struct sealer *sealer, const char *suffix,
                                                    int flags, int *fd, struct error *error);

/* Makes sure that the reader is open and stands at done.journal_offset. */
__attribute__((warn_unused_result)) int sealer_read_on(struct sealer *sealer, struct error *error);

/* Drops the reader, so that the next read starts at done.journal_offset again. */
void sealer_read_again(struct sealer *sealer);

/* Puts bytes into worker->cast piece by piece, and compresses it when it is large. */
__attribute__((warn_unused_result)) int
sealer_add_bytes(struct seal_worker *worker, struct cast_encoder *encoder, enum cast_stream stream,
                 int64_t time_ns, const void *data, size_t length, struct error *error);

/* seal_resume.c: finds the last chunk that is whole and sets done, end and records by it. */
__attribute__((warn_unused_result)) int sealer_resume(struct sealer *sealer, struct error *error);

/* seal_session.c: seals about a chunk of what the journal has. SEAL_MORE when the journal has more,
 * or the session's last chunk is sealed (then sealer->end is set). */
__attribute__((warn_unused_result)) int
sealer_chunk(struct sealer *sealer, struct seal_worker *worker, struct error *error);

/* The name of an enum journal_kind, or "". */
const char *sealer_kind_name(uint32_t kind);

/* seal_finish.c: from the final record to the manifest. Each step may be repeated after a kill. */
__attribute__((warn_unused_result)) int
sealer_finish(struct sealer *sealer, struct seal_worker *worker, struct error *error);

/* Removes what a complete recording does not need any more. */
__attribute__((warn_unused_result)) int sealer_clean(struct sealer *sealer, struct error *error);

/* Of the chunk about to be made. Both grow with the number of chunks, so that a session that lasts
 * for years has a manifest that can be read (MANIFEST_MAX_SIZE). */
#define SEAL_CHUNKS_WIDEN 32768
static inline unsigned sealer_widening(const struct sealer *sealer)
{
    uint64_t steps = sealer->done.chunks / SEAL_CHUNKS_WIDEN;
    return steps < 8 ? (unsigned)steps : 8;
}

#endif
