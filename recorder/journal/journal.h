/* The journal: the append-only file of one session's raw events.
 *
 * One writer (the host's side) and one reader (the recorder), in different processes, share it
 * through the page cache. The writer copies each event behind a small header into a mapped window
 * and then publishes the new end; the reader follows the published end. Neither ever waits for the
 * other. kill -9 of the writer loses nothing that was published: the pages are the kernel's.
 *
 * The file (all integers little-endian; every frame starts at a multiple of 8):
 *
 *     0     header, 128 bytes: struct journal_header in journal_format.h
 *     128   frames, one after another, each:
 *               u32 length of payload (low 24 bits) | type << 24
 *               u32 CRC-32C of the other 12 header bytes and the payload
 *               u64 nanoseconds since the session began (monotonic); exact for the first frame in
 *                   each tick of the kernel's clock (4 ms at 250 Hz), and the same for those after
 *                   it in that tick
 *               payload, then zero bytes up to a multiple of 8
 *           up to the published end; zeros after it, up to the preallocated size
 *
 * The first frame is JOURNAL_META. Space is preallocated with fallocate() before it is mapped, so a
 * full disk shows as an error of journal_append(), never as SIGBUS. What is left to the recorder,
 * which needs space to make space, is in recorder/base/space.h.
 *
 * Is the writer alive? It holds flock(LOCK_EX) on the file, through its mapping of the first page
 * and no descriptor: 10,000 sessions need 10,000 mappings, a page each while they are idle, and no
 * descriptors. The kernel drops the lock when the process ends, however it ends. The mappings are
 * MADV_DONTFORK, so that a child process does not keep the lock.
 */
#ifndef CASTBUCKET_JOURNAL_JOURNAL_H
#define CASTBUCKET_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/base/space.h"

#define JOURNAL_MAX_PAYLOAD ((size_t)0xffffff) /* longer events are split, by journal_append */

enum journal_type {
    JOURNAL_META = 1,   /* struct journal_meta, encoded; the first frame and only it */
    JOURNAL_STDOUT = 2, /* bytes shown to the person */
    JOURNAL_STDERR = 3,
    JOURNAL_INPUT = 4,  /* bytes typed, already masked */
    JOURNAL_RESIZE = 5, /* u32 columns, u32 rows */
    JOURNAL_MARKER = 6, /* label, UTF-8 */
    JOURNAL_GAP = 7,    /* u64 bytes that could not be recorded before this point */
    JOURNAL_END = 8,    /* struct journal_end, encoded; the last frame */
};

/* The facts of a session, as they were when it opened. Strings are NUL-terminated, never NULL here
 * (unknown is ""), any bytes, each at most JOURNAL_META_TEXT - 1 bytes (longer is cut). */
#define JOURNAL_META_TEXT 4096

enum journal_kind {
    JOURNAL_SHELL = 1,
    JOURNAL_EXEC = 2,
    JOURNAL_SUBSYSTEM = 3,
    JOURNAL_FORWARDING = 4, /* the forwardings of a connection: markers only */
};

struct journal_meta {
    const char *id; /* UUIDv7 */
    const char *organization;
    const char *socket;
    const char *user;
    const char *key_fingerprint;
    const char *target_user;
    const char *target_address;
    const char *client_address;
    const char *command;
    const char *term;
    const char *connection_id;
    const char *host; /* name of the machine */
    /* Of a file transfer transfer_protocol_key(), and then INPUT frames have all that the person's
     * side sent, whatever input_recorded says; else "". `contents` is "kept" when the cast is to
     * have these bytes, too. */
    const char *transfer, *contents;
    uint32_t kind; /* enum journal_kind */
    uint32_t has_terminal;
    uint32_t columns, rows;
    uint32_t cast_version;   /* 2 or 3, by settings when it opened */
    uint32_t input_recorded; /* 1: INPUT frames may follow */
    int64_t started_ns;      /* wall clock, since 1970 */
};

enum journal_end_kind { JOURNAL_EXITED = 1, JOURNAL_SIGNALED = 2, JOURNAL_LOST = 3 };

struct journal_end {
    uint32_t kind; /* enum journal_end_kind */
    uint32_t status;
    const char *signal;  /* never NULL */
    const char *message; /* never NULL */
};

/* ---- writing ---------------------------------------------------------------------------------
 * One thread at a time per journal; different journals concurrently, sharing nothing. */

struct journal;

/* Creates `name` (mode 0600; ERR_EXISTS if it is there) in `directory`, with the meta frame in it:
 * the name appears when the journal is whole and locked, so a reader never sees half a one. The
 * directory's descriptor must stay open and valid until journal_free(), and the file must keep its
 * name: a growing journal opens it again. */
__attribute__((warn_unused_result)) int
journal_create(int directory, const char *name, const struct journal_meta *meta,
               const struct clock *clock, struct journal **journal, struct error *error);

/* The same in a spool with a quota, which holds for the journal's whole life; what is `used` must
 * live as long. ERR_NO_SPACE, here and from appending, also when the quota is reached. */
__attribute__((warn_unused_result)) int
journal_create_within(const struct space_limit *limit, int directory, const char *name,
                      const struct journal_meta *meta, const struct clock *clock,
                      struct journal **journal, struct error *error);

/* Appends an event stamped with the clock's time. On return of 0 it is published. No system call on
 * the common path. ERR_NO_SPACE and others: nothing of this event is published, unless it was
 * longer than JOURNAL_MAX_PAYLOAD; the journal stays usable, and a later append may succeed. */
__attribute__((warn_unused_result)) int journal_append(struct journal *journal,
                                                       enum journal_type type, const void *data,
                                                       size_t length, struct error *error);

/* Makes sure that a JOURNAL_GAP and then an event of `length` bytes can be appended. A GAP takes
 * from the space that is kept for the end, so it must not be spent on a disk that is still full. */
__attribute__((warn_unused_result)) int journal_reserve(struct journal *journal, size_t length,
                                                        struct error *error);

/* Appends JOURNAL_END, the last frame. Space for it was reserved at creation, so it succeeds on a
 * full disk. A very long signal or message is cut (journal_format.h). */
__attribute__((warn_unused_result)) int
journal_end(struct journal *journal, const struct journal_end *end, struct error *error);

/* Unmaps and releases the lock. Without journal_end() before, readers see a session that was cut.
 */
void journal_free(struct journal *journal);

/* ---- reading ---------------------------------------------------------------------------------
 * Reads what another process writes and trusts none of it: every length is checked, every frame's
 * CRC verified. One thread at a time per reader.
 *
 * A reader that waits holds one mapped page, no descriptor and no buffer. It opens the file by its
 * name when there is something to read, so the directory's descriptor must stay open and valid and
 * the file must keep its name until journal_reader_free(). */

struct journal_reader;

struct journal_frame {
    enum journal_type type;
    int64_t time_ns;  /* since the session began; never goes back (clamped) */
    const void *data; /* valid until the next call on this reader */
    size_t length;
    uint64_t end; /* file offset after this frame: where to resume */
};

enum journal_next {
    JOURNAL_FRAME = 1, /* *frame is set */
    JOURNAL_WAIT = 0,  /* nothing more is published now */
    /* negative: ERR_DAMAGED (what is published contradicts itself; nothing after it can be read;
     * the sentence says the offset) or a failed system call */
};

/* Opens for reading; `meta`'s strings live as long as the reader. ERR_DAMAGED when there is no
 * valid header and meta frame (a crash within journal_create). */
__attribute__((warn_unused_result)) int journal_reader_open(int directory, const char *name,
                                                            struct journal_reader **reader,
                                                            struct error *error);
const struct journal_meta *journal_reader_meta(const struct journal_reader *reader);

/* Continues at an offset that an earlier frame's `end` gave. The space before it may be punched.
 * A file that ends before it has lost its end: that is damage to journal_reader_next(), once the
 * writer is gone. */
__attribute__((warn_unused_result)) int journal_reader_seek(struct journal_reader *reader,
                                                            uint64_t offset, int64_t last_time_ns,
                                                            struct error *error);

__attribute__((warn_unused_result)) int journal_reader_next(struct journal_reader *reader,
                                                            struct journal_frame *frame,
                                                            struct error *error);

/* Bytes published but not yet read. One memory read; for polling thousands of live journals. */
uint64_t journal_reader_pending(const struct journal_reader *reader);

/* Whether the writer's process is gone or has released the journal. After true, one more round of
 * journal_reader_next() sees everything there will ever be: it then goes by the frames' CRCs and
 * reads on past a published end that was lost (power) or hit (a flipped bit). System calls. */
bool journal_reader_writer_gone(struct journal_reader *reader);

/* Syncs what was published to disk (against power loss). */
__attribute__((warn_unused_result)) int journal_reader_sync(struct journal_reader *reader,
                                                            struct error *error);

/* Gives the space before `offset` back to the file system: whole pages, and not the ones with the
 * header and the meta frame, which the next reader needs. What is given back must be sealed and
 * synced. Not an error where the file system cannot. */
void journal_reader_release(struct journal_reader *reader, uint64_t offset);

/* Decodes JOURNAL_END's payload; its strings live as long as the frame's data. */
__attribute__((warn_unused_result)) int journal_reader_end(struct journal_reader *reader,
                                                           const struct journal_frame *frame,
                                                           struct journal_end *end,
                                                           struct error *error);

void journal_reader_free(struct journal_reader *reader);

#endif
