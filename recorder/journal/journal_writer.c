/* The host's side: appends to a mapped window and publishes. */
#include "recorder/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/journal/journal_file.h"
#include "recorder/journal/journal_format.h"

/* The window starts small, because most sessions are, and doubles as the session proves busy. Each
 * but the first begins and ends at multiples of its size: only so are its folios large, and only so
 * does the kernel map them by few faults and not page by page. The largest is what a page table
 * covers. */
#define FIRST_WINDOW ((uint64_t)64 << 10)
#define LARGEST_WINDOW ((uint64_t)2 << 20)

/* Space that is mapped and allocated beyond the published end at all times, so that a session on a
 * full disk can still say where it has a gap and how it ended. */
#define ROOM_FOR_END (journal_frame_size(JOURNAL_END_MAX))
#define ROOM ((uint64_t)8192)
_Static_assert(16 + JOURNAL_END_MAX + 7 < 4096, "END and many GAPs fit into ROOM");

struct journal {
    char *window; /* of [window_start, window_end) of the file; the first has the header in it */
    uint64_t window_start, window_end; /* allocated to window_end, and zero from `end` on */
    uint64_t end;                      /* where the next frame goes */
    const struct clock *clock;
    int64_t started_ns;            /* monotonic */
    int64_t tick_ns, tick_time_ns; /* the last frame's, see frame_time() */
    struct journal_header *header;
    bool ended;

    /* for growing */
    struct space_limit limit;
    uint64_t next_window; /* size of the next one, a power of two */
    int directory;
    dev_t device;
    ino_t inode;
    char name[NAME_MAX + 1];
};

static uint64_t page_start(uint64_t offset)
{
    return offset & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
}

static uint64_t page_end(uint64_t offset)
{
    return page_start(offset + (uint64_t)sysconf(_SC_PAGESIZE) - 1);
}

static int map(int fd, uint64_t from, uint64_t to, void **mapping, struct error *error)
{
    size_t length = (size_t)(to - from);
    void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)from);
    if (p == MAP_FAILED && errno == ENOMEM)
        return error_set(error, ERR_NO_MEMORY,
                         "cannot map it: no memory, or this process has as many mappings as the "
                         "kernel's vm.max_map_count allows");
    if (p == MAP_FAILED)
        return error_system(error, "cannot map it");
    /* A child must not hold the lock after this process, nor write into this session. */
    if (madvise(p, length, MADV_DONTFORK)) {
        int rc = error_system(error, "cannot keep its mapping from child processes");
        munmap(p, length);
        return rc;
    }
    *mapping = p;
    return 0;
}

/* The header stays mapped where it first was, because the lock lives as long as that mapping. */
static void unmap_window(struct journal *journal)
{
    size_t length = (size_t)(journal->window_end - journal->window_start), kept = 0;
    if (journal->window && journal->window == (char *)journal->header)
        kept = (size_t)page_end(JOURNAL_HEADER_SIZE);
    if (journal->window && length > kept)
        munmap(journal->window + kept, length - kept);
    journal->window = NULL;
}

/* Allocates up to `to` and moves the window to [from, to), which has `end` in it. On failure the
 * old window is still in place. */
static int move_window(struct journal *journal, int fd, uint64_t from, uint64_t to,
                       struct error *error)
{
    void *window = NULL;
    int rc = journal_file_allocate(fd, journal->window_end, to, &journal->limit, error);
    if (!rc)
        rc = map(fd, from, to, &window, error);
    if (rc)
        return rc;
    unmap_window(journal);
    journal->window = window;
    journal->window_start = from;
    journal->window_end = to;
    return 0;
}

/* Takes the pages from `end` on together, which where folios are small costs less than one fault at
 * a time. Not the pages before, whose space may have been given back. Where the kernel cannot
 * (before 5.14), they come by faults. */
static void populate(const struct journal *journal)
{
    uint64_t from = page_start(journal->end);
    madvise(journal->window + (from - journal->window_start), (size_t)(journal->window_end - from),
            MADV_POPULATE_WRITE);
}

/* Moves the window on, so that `need` bytes from `end` on are in it. */
__attribute__((noinline)) static int grow(struct journal *journal, uint64_t need,
                                          struct error *error)
{
    int fd;
    struct error cause = ERROR_INIT;
    int rc = journal_file_open(journal->directory, journal->name, O_RDWR, journal->device,
                               journal->inode, &fd, &cause);
    if (!rc) {
        uint64_t size = journal->next_window, from = journal->end & ~(size - 1);
        uint64_t least = page_end(journal->end + need), to = (least + size - 1) & ~(size - 1);
        uint64_t old_end = journal->window_end;
        rc = move_window(journal, fd, from, to, &cause);
        if (!rc) {
            journal_file_fill(fd, old_end, to);
            populate(journal);
        }
        if (!rc && size < LARGEST_WINDOW)
            journal->next_window *= 2;
        /* The disk's last bytes are good for this event, if not for the next ones. */
        if (rc == ERR_NO_SPACE)
            rc = move_window(journal, fd, page_start(journal->end), least, &cause);
        close(fd);
    }
    return rc ? error_set(error, rc, "journal %s: %s", journal->name, cause.text) : 0;
}

static uint64_t room_behind(enum journal_type type)
{
    return type == JOURNAL_END ? 0 : type == JOURNAL_GAP ? ROOM_FOR_END : ROOM;
}

static int make_room(struct journal *journal, uint64_t need, struct error *error)
{
    if (journal->end + need <= journal->window_end)
        return 0;
    return grow(journal, need, error);
}

/* Reading the clock takes as long as the rest of a small frame. So it is read for the first frame
 * in each tick of the kernel, and those after it in the same tick get the same time. */
static int64_t frame_time(struct journal *journal)
{
    int64_t tick = clock_tick_ns(journal->clock);
    if (tick != journal->tick_ns) {
        int64_t now = clock_monotonic_ns(journal->clock) - journal->started_ns;
        journal->tick_time_ns = now > 0 ? now : 0;
        journal->tick_ns = tick;
    }
    return journal->tick_time_ns;
}

static int append_frame(struct journal *journal, enum journal_type type, const void *data,
                        size_t length, struct error *error)
{
    size_t size = journal_frame_size(length);
    if (journal->ended)
        return error_set(error, ERR_INVALID, "journal %s: it has ended", journal->name);
    int rc = make_room(journal, size + room_behind(type), error);
    if (rc)
        return rc;

    char *frame = journal->window + (journal->end - journal->window_start);
    struct journal_frame_header header = {
        .length_type = htole32((uint32_t)length | (uint32_t)type << 24),
        .time_ns = htole64((uint64_t)frame_time(journal)),
    };
    memcpy(frame, &header, sizeof(header));
    if (length)
        memcpy(frame + sizeof(header), data, length);
    header.crc = htole32(journal_frame_crc(frame, length));
    memcpy(frame + offsetof(struct journal_frame_header, crc), &header.crc, sizeof(header.crc));
    journal->end += size;
    atomic_store_explicit(&journal->header->published, htole64(journal->end), memory_order_release);
    return 0;
}

int journal_reserve(struct journal *journal, size_t length, struct error *error)
{
    if (journal->ended)
        return error_set(error, ERR_INVALID, "journal %s: it has ended", journal->name);
    if (length > JOURNAL_MAX_PAYLOAD)
        length = JOURNAL_MAX_PAYLOAD;
    return make_room(journal, journal_frame_size(length) + journal_frame_size(8) + ROOM, error);
}

int journal_append(struct journal *journal, enum journal_type type, const void *data, size_t length,
                   struct error *error)
{
    const char *p = data;
    bool bytes = type == JOURNAL_STDOUT || type == JOURNAL_STDERR || type == JOURNAL_INPUT;
    if (length > JOURNAL_MAX_PAYLOAD && !bytes)
        return error_set(error, ERR_LIMIT, "journal %s: an event of %zu bytes is too long",
                         journal->name, length);
    for (;;) {
        size_t part = length < JOURNAL_MAX_PAYLOAD ? length : JOURNAL_MAX_PAYLOAD;
        int rc = append_frame(journal, type, p, part, error);
        length -= part;
        if (rc || length == 0)
            return rc;
        p += part;
    }
}

int journal_end(struct journal *journal, const struct journal_end *end, struct error *error)
{
    struct buffer payload = BUFFER_INIT(JOURNAL_END_MAX);
    int rc = journal_encode_end(end, &payload);
    if (rc)
        error_set(error, rc, "journal %s: cannot encode the session's end", journal->name);
    else
        rc = append_frame(journal, JOURNAL_END, payload.data, payload.length, error);
    if (!rc)
        journal->ended = true;
    buffer_free(&payload);
    return rc;
}

static void write_header(struct journal_header *header)
{
    memcpy(header->magic, JOURNAL_MAGIC, sizeof(header->magic));
    header->version = htole32(JOURNAL_VERSION);
    header->header_size = htole32(JOURNAL_HEADER_SIZE);
    header->crc = htole32(journal_header_crc(header));
    atomic_store_explicit(&header->published, htole64(JOURNAL_HEADER_SIZE), memory_order_relaxed);
}

/* Makes the whole journal in a file that nobody sees, then gives it its name. */
static int create(struct journal *journal, bool named, const struct buffer *meta,
                  struct error *error)
{
    struct journal_file file;
    struct stat info;
    int rc = journal_file_make(&file, journal->directory, journal->name, named, error);
    if (rc)
        return rc;
    journal->end = JOURNAL_HEADER_SIZE;
    journal->window_end = 0;
    journal->next_window = FIRST_WINDOW;
    if (fstat(file.fd, &info)) {
        rc = error_system(error, "cannot look at it");
        goto out;
    }
    journal->device = info.st_dev;
    journal->inode = info.st_ino;
    /* Not filled: of most journals a page or two is ever used. */
    rc = move_window(journal, file.fd, page_start(journal->end),
                     page_end(JOURNAL_HEADER_SIZE + meta->length + ROOM) + FIRST_WINDOW, error);
    if (rc)
        goto out;
    journal->header = (struct journal_header *)(void *)journal->window;
    write_header(journal->header);
    rc = append_frame(journal, JOURNAL_META, meta->data, meta->length, error);
    if (!rc)
        rc = journal_file_show(&file, journal->name, error);
out:
    journal_file_close(&file);
    return rc;
}

static void unmap(struct journal *journal)
{
    unmap_window(journal);
    if (journal->header)
        munmap(journal->header, (size_t)page_end(JOURNAL_HEADER_SIZE));
    journal->header = NULL;
}

int journal_create_within(const struct space_limit *limit, int directory, const char *name,
                          const struct journal_meta *meta, const struct clock *clock,
                          struct journal **journal, struct error *error)
{
    *journal = NULL;
    struct buffer encoded = BUFFER_INIT(JOURNAL_META_MAX);
    struct error cause = ERROR_INIT;
    struct journal *made = calloc(1, sizeof(*made));
    int rc;
    if (!made) {
        rc = error_set(&cause, ERR_NO_MEMORY, "no memory");
        goto out;
    }
    made->directory = directory;
    made->limit = *limit;
    made->clock = clock;
    made->started_ns = clock_monotonic_ns(clock);
    made->tick_ns = INT64_MIN;
    if (strlen(name) >= sizeof(made->name)) {
        rc = error_set(&cause, ERR_INVALID, "the name is too long");
        goto out;
    }
    memcpy(made->name, name, strlen(name) + 1);
    rc = journal_encode_meta(meta, &encoded);
    if (rc) {
        error_set(&cause, rc, "cannot encode the session's facts");
        goto out;
    }
    rc = create(made, false, &encoded, &cause);
    /* Without O_TMPFILE or without /proc it takes a hidden name. */
    if (rc && rc != ERR_EXISTS && rc != ERR_NO_SPACE) {
        unmap(made);
        rc = create(made, true, &encoded, &cause);
    }
out:
    if (rc) {
        error_set(error, rc, "journal %s: %s", name, cause.text);
        journal_free(made);
    } else {
        *journal = made;
    }
    buffer_free(&encoded);
    return rc;
}

int journal_create(int directory, const char *name, const struct journal_meta *meta,
                   const struct clock *clock, struct journal **journal, struct error *error)
{
    const struct space_limit none = {.used = NULL};
    return journal_create_within(&none, directory, name, meta, clock, journal, error);
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    unmap(journal);
    free(journal);
}
