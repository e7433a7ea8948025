/* The recorder's side: follows the published end, and believes only what its CRC confirms. */
#include "recorder/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/journal/journal_file.h"
#include "recorder/journal/journal_format.h"

#define BATCH ((size_t)256 << 10)

struct journal_reader {
    struct journal_header *header; /* mapped, for reading; the file is at least this long */
    uint64_t position;             /* of the next frame */
    int64_t last_time_ns;
    bool gone;         /* the writer is: nothing changes any more */
    uint64_t file_end; /* how far the file goes; asked once the writer is gone; 0: not yet */
    bool ended;
    bool synced; /* once, with its directory entry */

    char *batch; /* bytes [batch_start, batch_start + batch_length) of the file; NULL: none */
    uint64_t batch_start;
    size_t batch_length, batch_capacity;

    uint64_t meta_end;
    uint64_t released; /* where giving space back goes on; starts after the meta frame's pages */
    struct journal_meta meta;
    char *meta_data; /* what meta's strings point into */

    int directory;
    dev_t device;
    ino_t inode;
    char name[NAME_MAX + 1];
};

static uint64_t published(const struct journal_reader *reader)
{
    return le64toh(atomic_load_explicit(&reader->header->published, memory_order_acquire));
}

static int open_again(const struct journal_reader *reader, int flags, int *fd, struct error *error)
{
    int rc = journal_file_open(reader->directory, reader->name, flags, reader->device,
                               reader->inode, fd, error);
    if (rc)
        error_prefix(error, "journal %s", reader->name);
    return rc;
}

static int damaged(const struct journal_reader *reader, struct error *error, const char *what)
{
    return error_set(error, ERR_DAMAGED, "journal %s: %s at offset %llu", reader->name, what,
                     (unsigned long long)reader->position);
}

static void drop_batch(struct journal_reader *reader)
{
    free(reader->batch);
    reader->batch = NULL;
    reader->batch_length = reader->batch_capacity = 0;
}

/* Has [position, position + need) in the batch, or as much of it as the file has. Reads ahead up to
 * `limit`. */
static int fill(struct journal_reader *reader, size_t need, uint64_t limit, struct error *error)
{
    uint64_t skip = reader->position - reader->batch_start;
    if (reader->batch && reader->position >= reader->batch_start && skip <= reader->batch_length &&
        reader->batch_length - skip >= need)
        return 0;
    size_t want = need;
    if (limit > reader->position && limit - reader->position > need)
        want = limit - reader->position < BATCH ? (size_t)(limit - reader->position) : BATCH;
    if (want < need)
        want = need;
    if (want > reader->batch_capacity) {
        drop_batch(reader);
        reader->batch = malloc(want);
        if (!reader->batch)
            return error_set(error, ERR_NO_MEMORY, "journal %s: no memory to read", reader->name);
        reader->batch_capacity = want;
    }
    reader->batch_start = reader->position;
    reader->batch_length = 0;
    int fd;
    int rc = open_again(reader, O_RDONLY, &fd, error);
    if (rc)
        return rc;
    while (reader->batch_length < want) {
        ssize_t got = pread(fd, reader->batch + reader->batch_length, want - reader->batch_length,
                            (off_t)(reader->position + reader->batch_length));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = error_system(error, "journal %s: cannot read", reader->name);
        if (got <= 0)
            break;
        reader->batch_length += (size_t)got;
    }
    close(fd);
    return rc;
}

enum outcome { OUTCOME_FRAME = 1, OUTCOME_NONE = 0 }; /* negative: a failure */

/* The frame at `position`, if its CRC says that it is one that lies before `limit`. OUTCOME_NONE
 * if there is none; *why then says what is wrong. */
static int read_frame(struct journal_reader *reader, uint64_t limit, struct journal_frame *frame,
                      const char **why, struct error *error)
{
    struct journal_frame_header header;
    int rc = fill(reader, sizeof(header), limit, error);
    if (rc)
        return rc;
    size_t have = reader->batch_length - (size_t)(reader->position - reader->batch_start);
    if (have < sizeof(header)) {
        *why = "the file ends";
        return OUTCOME_NONE;
    }
    memcpy(&header, reader->batch + (reader->position - reader->batch_start), sizeof(header));
    uint32_t length_type = le32toh(header.length_type);
    size_t length = length_type & 0xffffff, size = journal_frame_size(length);
    uint32_t type = length_type >> 24;
    if (type < JOURNAL_META || type > JOURNAL_END) {
        *why = "there is no frame";
        return OUTCOME_NONE;
    }
    if (size > limit || reader->position > limit - size) {
        *why = "a frame is longer than what was published";
        return OUTCOME_NONE;
    }
    rc = fill(reader, size, limit, error);
    if (rc)
        return rc;
    uint64_t skip = reader->position - reader->batch_start;
    if (reader->batch_length - skip < size) {
        *why = "the file ends within a frame";
        return OUTCOME_NONE;
    }
    const char *p = reader->batch + skip;
    if (journal_frame_crc(p, length) != le32toh(header.crc)) {
        *why = "a frame's checksum is wrong";
        return OUTCOME_NONE;
    }
    uint64_t time = le64toh(header.time_ns);
    if (time <= INT64_MAX && (int64_t)time > reader->last_time_ns)
        reader->last_time_ns = (int64_t)time;
    reader->position += size;
    *frame = (struct journal_frame){
        .type = (enum journal_type)type,
        .time_ns = reader->last_time_ns,
        .data = p + sizeof(header),
        .length = length,
        .end = reader->position,
    };
    return OUTCOME_FRAME;
}

static int file_size(const struct journal_reader *reader, uint64_t *size, struct error *error)
{
    struct stat info;
    if (fstatat(reader->directory, reader->name, &info, AT_SYMLINK_NOFOLLOW))
        return error_system(error, "journal %s: cannot look at it", reader->name);
    *size = (uint64_t)info.st_size;
    return 0;
}

int journal_reader_next(struct journal_reader *reader, struct journal_frame *frame,
                        struct error *error)
{
    uint64_t end = published(reader), limit = end;
    const char *why = "";
    if (reader->gone) {
        int rc = reader->file_end ? 0 : file_size(reader, &reader->file_end, error);
        if (rc)
            return rc;
        limit = reader->file_end;
    }
    if (reader->ended || reader->position >= limit) {
        drop_batch(reader);
        if (reader->position < end && !reader->ended)
            return damaged(reader, error, "the file ends");
        if (reader->gone && reader->position > limit)
            return damaged(reader, error, "the file ends before what was once read, which ended");
        return JOURNAL_WAIT;
    }
    int outcome = read_frame(reader, limit, frame, &why, error);
    if (outcome < 0)
        return outcome;
    if (outcome == OUTCOME_NONE) {
        drop_batch(reader);
        /* What was not published may be there in part, when the writer was killed. */
        if (reader->gone && reader->position >= end)
            return JOURNAL_WAIT;
        return damaged(reader, error, why);
    }
    if (frame->type == JOURNAL_META)
        return error_set(error, ERR_DAMAGED, "journal %s: a second meta frame before offset %llu",
                         reader->name, (unsigned long long)frame->end);
    reader->ended = frame->type == JOURNAL_END;
    return JOURNAL_FRAME;
}

static int check_header(const struct journal_reader *reader, struct error *error)
{
    struct journal_header header;
    memcpy(&header, reader->header, sizeof(header.magic) + 12);
    if (memcmp(header.magic, JOURNAL_MAGIC, sizeof(header.magic)) != 0 ||
        le32toh(header.crc) != journal_header_crc(&header))
        return error_set(error, ERR_DAMAGED, "journal %s: it has no valid header", reader->name);
    uint32_t start = le32toh(header.header_size);
    if (le32toh(header.version) != JOURNAL_VERSION || start < sizeof(header) ||
        start > JOURNAL_HEADER_MOST || start % 8 != 0)
        return error_set(error, ERR_DAMAGED, "journal %s: its format is version %u, this reads %u",
                         reader->name, le32toh(header.version), JOURNAL_VERSION);
    return 0;
}

/* The meta frame is there before the file has its name, so the published end does not matter. */
static int read_meta(struct journal_reader *reader, uint64_t size, struct error *error)
{
    struct journal_frame frame;
    const char *why = "";
    int rc = read_frame(reader, size, &frame, &why, error);
    if (rc < 0)
        return rc;
    if (rc == OUTCOME_NONE)
        return damaged(reader, error, why);
    if (frame.type != JOURNAL_META)
        return error_set(error, ERR_DAMAGED, "journal %s: it does not start with a meta frame",
                         reader->name);
    reader->meta_data = malloc(frame.length + 1);
    if (!reader->meta_data)
        return error_set(error, ERR_NO_MEMORY, "journal %s: no memory to read", reader->name);
    memcpy(reader->meta_data, frame.data, frame.length);
    drop_batch(reader); /* it goes past the published end, which is still being written */
    rc = journal_decode_meta(reader->meta_data, frame.length, &reader->meta, error);
    if (rc)
        error_prefix(error, "journal %s", reader->name);
    reader->meta_end = frame.end;
    reader->released = (frame.end + JOURNAL_BLOCK - 1) & ~(JOURNAL_BLOCK - 1);
    return rc;
}

int journal_reader_open(int directory, const char *name, struct journal_reader **opened,
                        struct error *error)
{
    *opened = NULL;
    if (strlen(name) > NAME_MAX)
        return error_set(error, ERR_INVALID, "journal %s: the name is too long", name);
    struct journal_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return error_set(error, ERR_NO_MEMORY, "journal %s: no memory", name);
    reader->directory = directory;
    memcpy(reader->name, name, strlen(name) + 1);

    int rc;
    struct stat info;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info)) {
        rc = error_system(error, "journal %s: cannot open it", name);
        goto out;
    }
    if (!S_ISREG(info.st_mode) || info.st_size < JOURNAL_HEADER_SIZE) {
        rc = error_set(error, ERR_DAMAGED, "journal %s: it has no header", name);
        goto out;
    }
    reader->device = info.st_dev;
    reader->inode = info.st_ino;
    void *header = mmap(NULL, JOURNAL_HEADER_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED) {
        rc = error_system(error, "journal %s: cannot map it", name);
        goto out;
    }
    reader->header = header;
    rc = check_header(reader, error);
    if (!rc) {
        reader->position = le32toh(reader->header->header_size);
        rc = read_meta(reader, (uint64_t)info.st_size, error);
    }
out:
    if (fd >= 0)
        close(fd);
    if (rc)
        journal_reader_free(reader);
    else
        *opened = reader;
    return rc;
}

const struct journal_meta *journal_reader_meta(const struct journal_reader *reader)
{
    return &reader->meta;
}

int journal_reader_seek(struct journal_reader *reader, uint64_t offset, int64_t last_time_ns,
                        struct error *error)
{
    if (offset < JOURNAL_HEADER_SIZE || offset % 8 != 0)
        return error_set(error, ERR_INVALID, "journal %s: no frame can start at offset %llu",
                         reader->name, (unsigned long long)offset);
    drop_batch(reader);
    reader->position = offset > reader->meta_end ? offset : reader->meta_end;
    reader->last_time_ns = last_time_ns > 0 ? last_time_ns : 0;
    reader->ended = false;
    return 0;
}

uint64_t journal_reader_pending(const struct journal_reader *reader)
{
    uint64_t end = published(reader);
    return !reader->ended && end > reader->position ? end - reader->position : 0;
}

bool journal_reader_writer_gone(struct journal_reader *reader)
{
    if (reader->gone)
        return true;
    /* A description of its own: the lock must not stay with the mapping of the header. */
    int fd;
    int rc = open_again(reader, O_RDONLY, &fd, NULL);
    if (rc)
        return false;
    reader->gone = flock(fd, LOCK_SH | LOCK_NB) == 0;
    close(fd);
    return reader->gone;
}

int journal_reader_sync(struct journal_reader *reader, struct error *error)
{
    int fd;
    int rc = open_again(reader, O_RDONLY, &fd, error);
    if (rc)
        return rc;
    if (fdatasync(fd))
        rc = error_system(error, "journal %s: cannot sync", reader->name);
    close(fd);
    if (!rc && !reader->synced) {
        rc = file_sync_directory(reader->directory, error);
        reader->synced = rc == 0;
    }
    return rc;
}

void journal_reader_release(struct journal_reader *reader, uint64_t offset)
{
    int fd;
    offset &= ~(JOURNAL_BLOCK - 1);
    if (offset <= reader->released || open_again(reader, O_RDWR, &fd, NULL))
        return;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)reader->released,
                  (off_t)(offset - reader->released)) == 0)
        reader->released = offset;
    close(fd);
}

int journal_reader_end(struct journal_reader *reader, const struct journal_frame *frame,
                       struct journal_end *end, struct error *error)
{
    int rc = journal_decode_end(frame->data, frame->length, end, error);
    if (rc)
        error_prefix(error, "journal %s", reader->name);
    return rc;
}

void journal_reader_free(struct journal_reader *reader)
{
    if (!reader)
        return;
    drop_batch(reader);
    free(reader->meta_data);
    if (reader->header)
        munmap(reader->header, JOURNAL_HEADER_SIZE);
    free(reader);
}
