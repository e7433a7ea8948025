/* output() of the plugin, and journal_append() below it, against memcpy() of the same blocks into
 * the same kind of mapping: windows of a new file, allocated and mapped as the journal does it. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "recorder/journal/journal.h"
#include "recorder/journal/journal_file.h"
#include "tests/bench/bench_plugin.h"

#define ROUNDS 7
/* Bytes a round writes. A session's first 2 MiB come in windows that begin small, whose pages cost
 * more: enough that they are a small part, as they are of a session that prints for long. */
#define VOLUME ((size_t)32 << 20)
#define FIRST_WINDOW ((uint64_t)64 << 10) /* these two as in journal_writer.c */
#define LARGEST_WINDOW ((uint64_t)2 << 20)
#define BLOCK_MAX ((size_t)64 << 10)

static char block[BLOCK_MAX];
static int folder;

/* Nanoseconds a call. The session stays open until it has been measured; its file is removed. */
static double by_plugin(size_t length, size_t calls)
{
    struct recording_answer answer = {.size = sizeof(answer)};
    struct recording_session *session = open_recording(&answer);
    int verdict = 0;
    double begun = thread_ns();
    for (size_t i = 0; i < calls; i++)
        verdict |= plugin->output(session, RECORDING_STDOUT, block, length);
    double took = thread_ns() - begun;
    if (verdict != RECORDING_CONTINUE)
        give_up("output", "not recorded");
    char path[600];
    snprintf(path, sizeof(path), "%s/spool/journals/%s.journal", bench_folder, answer.session_id);
    plugin->session_close(session, NULL);
    if (unlink(path))
        give_up(path, "is not there");
    return took / (double)calls;
}

static double by_journal(size_t length, size_t calls)
{
    struct journal *journal;
    struct error error = ERROR_INIT;
    static const struct journal_meta meta = {.id = "bench"};
    if (journal_create(folder, "bench", &meta, &clock_system, &journal, &error))
        give_up("journal_create", error.text);
    int rc = 0;
    double begun = thread_ns();
    for (size_t i = 0; i < calls; i++)
        rc |= journal_append(journal, JOURNAL_STDOUT, block, length, &error);
    double took = thread_ns() - begun;
    if (rc)
        give_up("journal_append", error.text);
    journal_free(journal);
    unlinkat(folder, "bench", 0);
    return took / (double)calls;
}

static double by_memcpy(size_t length, size_t calls)
{
    int fd = openat(folder, "copy", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        give_up("copy", "cannot be made");
    char *window = NULL;
    uint64_t start = 0, at = 0, end = 0, size = FIRST_WINDOW;
    double begun = thread_ns();
    for (size_t i = 0; i < calls; i++) {
        if (at + length > end) {
            uint64_t old_end = end;
            if (window)
                munmap(window, end - start);
            start = at & ~(size - 1);
            end = (at + length + size - 1) & ~(size - 1);
            if (journal_file_allocate(fd, old_end, end, NULL, NULL))
                give_up("copy", "no space");
            window = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
            if (window == MAP_FAILED)
                give_up("copy", "cannot be mapped");
            madvise(window, end - start, MADV_DONTFORK);
            if (old_end) {
                journal_file_fill(fd, old_end, end);
                madvise(window + (old_end - start), end - old_end, MADV_POPULATE_WRITE);
            }
            size = old_end && size < LARGEST_WINDOW ? size * 2 : size;
        }
        memcpy(window + (at - start), block, length);
        /* Else the compiler could leave out what nobody reads. */
        __asm__ volatile("" : : "r"(window + (at - start)) : "memory");
        at += length;
    }
    double took = thread_ns() - begun;
    munmap(window, end - start);
    close(fd);
    unlinkat(folder, "copy", 0);
    return took / (double)calls;
}

static void report(const char *what, size_t length, double *times, double reference)
{
    char name[64];
    bool small = length < 4096;
    snprintf(name, sizeof(name), "%s, %zu B", what, length);
    double value = median(times, ROUNDS);
    struct figure figure = {.name = name,
                            .unit = "ns",
                            .against = "memcpy",
                            .value = value,
                            .reference = reference,
                            .ratio = reference / value,
                            .target = small ? 40 : 0.5,
                            .kind = small ? VALUE_AT_MOST : RATIO_AT_LEAST};
    print_figure(&figure);
}

int main(void)
{
    static const size_t lengths[] = {64, 4096, 65536};
    bench_make_folder();
    load_plugin();
    folder = open(bench_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fill_like_a_log(block, sizeof(block));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        double copies[ROUNDS], appends[ROUNDS], outputs[ROUNDS];
        size_t calls = VOLUME / lengths[i];
        for (int round = 0; round < ROUNDS; round++) {
            copies[round] = by_memcpy(lengths[i], calls);
            appends[round] = by_journal(lengths[i], calls);
            outputs[round] = by_plugin(lengths[i], calls);
        }
        double reference = median(copies, ROUNDS);
        report("journal_append", lengths[i], appends, reference);
        report("plugin output()", lengths[i], outputs, reference);
    }
    double clocks[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t sum = 0;
        double begun = thread_ns();
        for (int i = 0; i < 100000; i++)
            sum += clock_monotonic_ns(&clock_system);
        clocks[round] = (thread_ns() - begun) / 100000 + (sum == 1);
    }
    struct figure clock = {
        .name = "reading the clock (once a call)", .unit = "ns", .value = median(clocks, ROUNDS)};
    print_figure(&clock);
    plugin->destroy(instance);
    close(folder);
    return 0;
}
