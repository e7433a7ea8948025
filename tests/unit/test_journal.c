/* The journal: what was appended is read back, whatever happens to writer, disk or bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/journal/journal.h"
#include "recorder/journal/journal_format.h"

#define NAME "019ab0c5-4f20-7abc-8def-0123456789ab.journal"

static char folder[256];
static int directory;

/* A disk that is full, or a file system without fallocate() or O_TMPFILE: these stand before
 * libc's. 0: they work. */
static int fallocate_errno, linkat_errno;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (fallocate_errno) {
        errno = fallocate_errno;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int linkat(int from, const char *old, int to, const char *name, int flags)
{
    if (linkat_errno) {
        errno = linkat_errno;
        return -1;
    }
    return (int)syscall(SYS_linkat, from, old, to, name, flags);
}

static int64_t fake_now;

static int64_t fake_monotonic(const struct clock *clock)
{
    (void)clock;
    return fake_now;
}

static const struct clock fake_clock = {fake_monotonic, fake_monotonic};

static const struct journal_meta facts = {
    .id = "019ab0c5-4f20-7abc-8def-0123456789ab",
    .organization = "acme",
    .socket = "web-1\n../../x",
    .user = "alice\xff",
    .key_fingerprint = "SHA256:abc",
    .target_user = "root",
    .target_address = "10.0.0.1:22",
    .client_address = "[::1]:5555",
    .command = "ls -l",
    .term = "xterm",
    .connection_id = "c-1",
    .host = "bastion",
    .kind = JOURNAL_EXEC,
    .has_terminal = 1,
    .columns = 80,
    .rows = 24,
    .cast_version = 3,
    .input_recorded = 1,
    .started_ns = INT64_C(1795465321123456000),
};

static int set_up(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/journal.XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake_now = 5;
    return directory < 0;
}

static int clean_up(void **state)
{
    (void)state;
    fallocate_errno = linkat_errno = 0;
    DIR *list = fdopendir(directory);
    for (struct dirent *entry; (entry = readdir(list));)
        unlinkat(directory, entry->d_name, 0);
    closedir(list);
    return rmdir(folder);
}

static int entries(void)
{
    int count = 0;
    DIR *list = opendir(folder);
    while (readdir(list))
        count++;
    closedir(list);
    return count - 2;
}

static int descriptors(void)
{
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    while (readdir(list))
        count++;
    closedir(list);
    return count - 3;
}

static struct journal *new_journal(const char *name)
{
    struct journal *journal;
    struct error error = ERROR_INIT;
    if (journal_create(directory, name, &facts, &fake_clock, &journal, &error))
        fail_msg("%s", error.text);
    return journal;
}

static struct journal_reader *new_reader(const char *name)
{
    struct journal_reader *reader;
    struct error error = ERROR_INIT;
    if (journal_reader_open(directory, name, &reader, &error))
        fail_msg("%s", error.text);
    return reader;
}

static void append(struct journal *journal, enum journal_type type, const void *data, size_t length)
{
    struct error error = ERROR_INIT;
    if (journal_append(journal, type, data, length, &error))
        fail_msg("%s", error.text);
}

static void expect_frame(struct journal_reader *reader, enum journal_type type, const void *data,
                         size_t length)
{
    struct journal_frame frame;
    struct error error = ERROR_INIT;
    if (journal_reader_next(reader, &frame, &error) != JOURNAL_FRAME)
        fail_msg("no frame: %s", error.text);
    assert_int_equal(frame.type, type);
    assert_int_equal(frame.length, length);
    assert_memory_equal(frame.data, data, length);
}

static void expect_wait(struct journal_reader *reader)
{
    struct journal_frame frame;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_WAIT);
}

static void the_facts_of_a_session_are_read_back(void **state)
{
    (void)state;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    const struct journal_meta *meta = journal_reader_meta(reader);
    assert_string_equal(meta->id, facts.id);
    assert_string_equal(meta->organization, facts.organization);
    assert_string_equal(meta->socket, facts.socket);
    assert_string_equal(meta->user, facts.user);
    assert_string_equal(meta->key_fingerprint, facts.key_fingerprint);
    assert_string_equal(meta->target_user, facts.target_user);
    assert_string_equal(meta->target_address, facts.target_address);
    assert_string_equal(meta->client_address, facts.client_address);
    assert_string_equal(meta->command, facts.command);
    assert_string_equal(meta->term, facts.term);
    assert_string_equal(meta->connection_id, facts.connection_id);
    assert_string_equal(meta->host, facts.host);
    assert_int_equal(meta->kind, facts.kind);
    assert_int_equal(meta->has_terminal, 1);
    assert_int_equal(meta->columns, 80);
    assert_int_equal(meta->rows, 24);
    assert_int_equal(meta->cast_version, 3);
    assert_int_equal(meta->input_recorded, 1);
    assert_int_equal(meta->started_ns, facts.started_ns);
    journal_reader_free(reader);
    journal_free(journal);
}

static void overlong_facts_are_cut_not_refused(void **state)
{
    (void)state;
    char *text = malloc(100000);
    memset(text, 'x', 99999);
    text[99999] = '\0';
    struct journal_meta meta = facts;
    meta.command = meta.user = meta.socket = meta.host = meta.term = text;
    struct journal *journal;
    assert_int_equal(journal_create(directory, NAME, &meta, &fake_clock, &journal, NULL), 0);
    struct journal_reader *reader = new_reader(NAME);
    assert_int_equal(strlen(journal_reader_meta(reader)->command), JOURNAL_META_TEXT - 1);
    assert_string_equal(journal_reader_meta(reader)->target_user, "root");
    journal_reader_free(reader);
    journal_free(journal);
    free(text);
}

static void a_reader_follows_a_live_writer(void **state)
{
    (void)state;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    assert_int_equal(journal_reader_pending(reader), 0);
    expect_wait(reader);
    append(journal, JOURNAL_STDOUT, "hello", 5);
    assert_true(journal_reader_pending(reader) > 0);
    expect_frame(reader, JOURNAL_STDOUT, "hello", 5);
    assert_int_equal(journal_reader_pending(reader), 0);
    expect_wait(reader);
    append(journal, JOURNAL_INPUT, "", 0);
    append(journal, JOURNAL_STDERR, "\0\xff", 2);
    expect_frame(reader, JOURNAL_INPUT, "", 0);
    expect_frame(reader, JOURNAL_STDERR, "\0\xff", 2);
    struct journal_end end = {JOURNAL_SIGNALED, 0, "TERM", "killed"}, got;
    assert_int_equal(journal_end(journal, &end, NULL), 0);
    assert_int_equal(journal_append(journal, JOURNAL_STDOUT, "x", 1, NULL), ERR_INVALID);
    struct journal_frame frame;
    assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
    assert_int_equal(journal_reader_end(reader, &frame, &got, NULL), 0);
    assert_int_equal(got.kind, JOURNAL_SIGNALED);
    assert_string_equal(got.signal, "TERM");
    assert_string_equal(got.message, "killed");
    expect_wait(reader);
    journal_reader_free(reader);
    journal_free(journal);
}

static void times_are_since_the_start_and_never_go_back(void **state)
{
    (void)state;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    struct journal_frame frame;
    static const struct {
        int64_t now, seen;
    } steps[] = {{105, 100}, {205, 200}, {55, 200}, {0, 200}, {305, 300}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        fake_now = steps[i].now;
        append(journal, JOURNAL_STDOUT, "x", 1);
        assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
        assert_int_equal(frame.time_ns, steps[i].seen);
    }
    journal_reader_free(reader);
    journal_free(journal);
}

/* Fills `data` so that each event differs from the others. */
static void pattern(char *data, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (char)(seed >> 24);
    }
}

/* Between ticks of the kernel the clock is not read: times lag by a tick, which a busy machine may
 * stretch, but not by more. */
static void times_by_the_systems_clock_lag_by_ticks_only(void **state)
{
    (void)state;
    enum { FRAMES = 60, LAG = 200 * 1000 * 1000, APART_US = 10000 };
    struct journal *journal;
    struct journal_frame frame;
    int64_t before[FRAMES], after[FRAMES];
    int64_t created = clock_monotonic_ns(&clock_system);
    assert_int_equal(journal_create(directory, NAME, &facts, &clock_system, &journal, NULL), 0);
    int64_t ready = clock_monotonic_ns(&clock_system);
    for (int i = 0; i < FRAMES; i++) {
        before[i] = clock_monotonic_ns(&clock_system);
        append(journal, JOURNAL_STDOUT, "x", 1);
        after[i] = clock_monotonic_ns(&clock_system);
        usleep(APART_US);
    }
    struct journal_reader *reader = new_reader(NAME);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
        assert_true(frame.time_ns >= before[i] - ready - LAG);
        assert_true(frame.time_ns <= after[i] - created);
    }
    journal_reader_free(reader);
    journal_free(journal);
}

static void events_of_all_sizes_outgrow_the_window(void **state)
{
    (void)state;
    static char data[300000];
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    uint32_t count = 0;
    for (size_t length = 1; length < sizeof(data); length += length / 7 + 1) {
        pattern(data, length, count++);
        append(journal, JOURNAL_STDOUT, data, length);
    }
    count = 0;
    for (size_t length = 1; length < sizeof(data); length += length / 7 + 1) {
        pattern(data, length, count++);
        expect_frame(reader, JOURNAL_STDOUT, data, length);
    }
    expect_wait(reader);
    journal_reader_free(reader);
    journal_free(journal);
}

static void an_event_that_is_too_long_is_split(void **state)
{
    (void)state;
    size_t length = JOURNAL_MAX_PAYLOAD + 1000;
    char *data = malloc(length);
    pattern(data, length, 1);
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    append(journal, JOURNAL_STDOUT, data, length);
    assert_int_equal(journal_append(journal, JOURNAL_MARKER, data, length, NULL), ERR_LIMIT);
    expect_frame(reader, JOURNAL_STDOUT, data, JOURNAL_MAX_PAYLOAD);
    expect_frame(reader, JOURNAL_STDOUT, data + JOURNAL_MAX_PAYLOAD, 1000);
    expect_wait(reader);
    journal_reader_free(reader);
    journal_free(journal);
    free(data);
}

static void a_full_disk_fails_the_event_and_leaves_room_for_gap_and_end(void **state)
{
    (void)state;
    static char data[4096];
    pattern(data, sizeof(data), 3);
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    int whole = 0;
    fallocate_errno = ENOSPC;
    struct error error = ERROR_INIT;
    while (journal_append(journal, JOURNAL_STDOUT, data, sizeof(data), &error) == 0)
        whole++;
    assert_int_equal(error.code, ERR_NO_SPACE);
    assert_non_null(strstr(error.text, NAME));
    assert_true(whole > 5);
    assert_int_equal(journal_reserve(journal, sizeof(data), NULL), ERR_NO_SPACE);

    fallocate_errno = 0;
    assert_int_equal(journal_reserve(journal, sizeof(data), NULL), 0);
    uint64_t lost = htole64(4096);
    fallocate_errno = ENOSPC;
    append(journal, JOURNAL_GAP, &lost, sizeof(lost));
    append(journal, JOURNAL_STDOUT, data, sizeof(data));
    while (journal_append(journal, JOURNAL_STDOUT, data, sizeof(data), NULL) == 0)
        whole++;
    append(journal, JOURNAL_GAP, &lost, sizeof(lost));
    static char message[10000];
    memset(message, 'm', sizeof(message) - 1);
    struct journal_end end = {JOURNAL_LOST, 0, message, message};
    assert_int_equal(journal_end(journal, &end, &error), 0);

    int gaps = 0;
    struct journal_frame frame;
    while (journal_reader_next(reader, &frame, &error) == JOURNAL_FRAME &&
           frame.type != JOURNAL_END) {
        gaps += frame.type == JOURNAL_GAP;
        whole -= frame.type == JOURNAL_STDOUT;
    }
    assert_int_equal(frame.type, JOURNAL_END);
    assert_int_equal(gaps, 2);
    assert_int_equal(whole, -1); /* the one after the reservation was not counted */
    assert_int_equal(journal_reader_end(reader, &frame, &end, &error), 0);
    assert_int_equal(strlen(end.message), JOURNAL_END_MESSAGE - 1);
    journal_reader_free(reader);
    journal_free(journal);
}

static void a_reached_quota_fails_like_a_full_disk_and_counts_what_is_taken(void **state)
{
    (void)state;
    static char data[300000];
    struct space_used used = {0};
    const struct space_limit limit = {{.bytes = 1 << 20}, &used};
    struct journal *journal, *second;
    struct error error = ERROR_INIT;
    struct stat info;
    assert_int_equal(
        journal_create_within(&limit, directory, NAME, &facts, &fake_clock, &journal, &error), 0);
    assert_int_equal(fstatat(directory, NAME, &info, 0), 0);
    assert_int_equal(atomic_load(&used.bytes), info.st_size);
    for (int i = 0; i < 3; i++)
        append(journal, JOURNAL_STDOUT, data, sizeof(data));
    assert_int_equal(journal_append(journal, JOURNAL_STDOUT, data, sizeof(data), &error),
                     ERR_NO_SPACE);
    assert_non_null(strstr(error.text, "quota of 1048576 bytes"));
    assert_true(atomic_load(&used.bytes) <= 1 << 20);
    /* Somebody else has taken the rest. */
    atomic_store(&used.bytes, UINT64_C(1) << 30);
    assert_int_equal(
        journal_create_within(&limit, directory, "second", &facts, &fake_clock, &second, &error),
        ERR_NO_SPACE);
    assert_null(second);
    assert_int_equal(entries(), 1);
    /* Uploads have made space. */
    atomic_store(&used.bytes, 4096);
    append(journal, JOURNAL_STDOUT, data, sizeof(data));
    assert_true(atomic_load(&used.bytes) > 4096);
    journal_free(journal);
}

static void a_full_disk_refuses_a_new_journal_and_leaves_nothing(void **state)
{
    (void)state;
    struct journal *journal;
    struct error error = ERROR_INIT;
    int before = descriptors();
    fallocate_errno = ENOSPC;
    assert_int_equal(journal_create(directory, NAME, &facts, &fake_clock, &journal, &error),
                     ERR_NO_SPACE);
    assert_null(journal);
    assert_int_equal(entries(), 0);
    assert_int_equal(descriptors(), before);
}

static void poorer_file_systems_work_as_well(void **state)
{
    (void)state;
    static char data[200000];
    pattern(data, sizeof(data), 9);
    fallocate_errno = EOPNOTSUPP;
    linkat_errno = EPERM;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    assert_int_equal(entries(), 1);
    append(journal, JOURNAL_STDOUT, data, sizeof(data));
    expect_frame(reader, JOURNAL_STDOUT, data, sizeof(data));
    assert_false(journal_reader_writer_gone(reader));
    journal_free(journal);
    assert_true(journal_reader_writer_gone(reader));
    journal_reader_free(reader);
}

static void a_journal_is_never_replaced(void **state)
{
    (void)state;
    struct journal *journal = new_journal(NAME), *second;
    assert_int_equal(journal_create(directory, NAME, &facts, &fake_clock, &second, NULL),
                     ERR_EXISTS);
    linkat_errno = EPERM;
    assert_int_equal(journal_create(directory, NAME, &facts, &fake_clock, &second, NULL),
                     ERR_EXISTS);
    assert_int_equal(entries(), 1);
    journal_free(journal);
}

static void a_thousand_sessions_need_no_descriptors(void **state)
{
    (void)state;
    static struct journal *journals[1000];
    static struct journal_reader *readers[1000];
    static char data[70000];
    int before = descriptors();
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%d.journal", i);
        journals[i] = new_journal(name);
        readers[i] = new_reader(name);
        if (i % 100 == 0)
            append(journals[i], JOURNAL_STDOUT, data, sizeof(data));
    }
    assert_int_equal(descriptors(), before);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(journal_reader_pending(readers[i]) > 0, i % 100 == 0);
        assert_false(journal_reader_writer_gone(readers[i]));
        journal_free(journals[i]);
        assert_true(journal_reader_writer_gone(readers[i]));
        journal_reader_free(readers[i]);
    }
}

static void a_child_process_does_not_keep_the_writer_alive(void **state)
{
    (void)state;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    int wake[2];
    assert_int_equal(pipe(wake), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        close(wake[1]);
        _exit(read(wake[0], &byte, 1) != 0);
    }
    close(wake[0]);
    assert_false(journal_reader_writer_gone(reader));
    journal_free(journal);
    assert_true(journal_reader_writer_gone(reader));
    close(wake[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    journal_reader_free(reader);
}

/* Appends numbered events for ever and says the number of each only after it is appended. */
static void write_until_killed(int acknowledge)
{
    struct journal *journal;
    if (journal_create(directory, NAME, &facts, &clock_system, &journal, NULL))
        _exit(1);
    for (uint32_t i = 0;; i++) {
        uint32_t event[50];
        for (int k = 0; k < 50; k++)
            event[k] = i;
        if (journal_append(journal, JOURNAL_STDOUT, event, 4 + i % 50 * 4, NULL) ||
            write(acknowledge, &i, sizeof(i)) != sizeof(i))
            _exit(1);
    }
}

static void a_killed_writer_loses_nothing_it_acknowledged(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        write_until_killed(pipes[1]);
    }
    close(pipes[1]);
    uint32_t number = 0, acknowledged = 0, count = 0;
    while (acknowledged < 20000 && read(pipes[0], &number, sizeof(number)) == sizeof(number))
        acknowledged = number + 1;
    assert_int_equal(acknowledged, 20000);
    struct journal_reader *reader = new_reader(NAME);
    assert_false(journal_reader_writer_gone(reader));
    kill(child, SIGKILL);
    while (read(pipes[0], &number, sizeof(number)) == sizeof(number))
        acknowledged = number + 1;
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(pipes[0]);

    assert_true(journal_reader_writer_gone(reader));
    struct journal_frame frame;
    int got;
    while ((got = journal_reader_next(reader, &frame, NULL)) == JOURNAL_FRAME) {
        assert_int_equal(frame.type, JOURNAL_STDOUT);
        assert_int_equal(frame.length, 4 + count % 50 * 4);
        for (size_t i = 0; i < frame.length; i += 4) {
            memcpy(&number, (const char *)frame.data + i, 4);
            assert_int_equal(number, count);
        }
        count++;
    }
    assert_int_equal(got, JOURNAL_WAIT);
    assert_true(count >= acknowledged);
    journal_reader_free(reader);
}

static void *write_in_a_thread(void *argument)
{
    struct journal *journal = argument;
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t event[100] = {i};
        if (journal_append(journal, JOURNAL_STDOUT, event, 4 + i % 100 * 4, NULL))
            break;
    }
    struct journal_end end = {JOURNAL_EXITED, 0, "", ""};
    if (journal_end(journal, &end, NULL) == 0)
        journal_free(journal);
    return NULL;
}

static void a_reader_sees_whole_events_while_they_are_written(void **state)
{
    (void)state;
    pthread_t thread;
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    struct journal_frame frame;
    uint32_t count = 0, number;
    assert_int_equal(pthread_create(&thread, NULL, write_in_a_thread, journal), 0);
    for (;;) {
        int got = journal_reader_next(reader, &frame, NULL);
        assert_true(got >= 0);
        if (got == JOURNAL_WAIT) {
            sched_yield();
            continue;
        }
        if (frame.type == JOURNAL_END)
            break;
        memcpy(&number, frame.data, sizeof(number));
        assert_int_equal(number, count);
        assert_int_equal(frame.length, 4 + count % 100 * 4);
        count++;
    }
    assert_int_equal(count, 50000);
    pthread_join(thread, NULL);
    assert_true(journal_reader_writer_gone(reader));
    journal_reader_free(reader);
}

static void a_reader_resumes_where_an_earlier_one_stopped(void **state)
{
    (void)state;
    static char data[100000];
    struct journal *journal = new_journal(NAME);
    struct journal_reader *reader = new_reader(NAME);
    for (uint32_t i = 0; i < 20; i++) {
        pattern(data, sizeof(data), i);
        append(journal, JOURNAL_STDOUT, data, sizeof(data));
    }
    struct journal_frame frame;
    fake_now = 1005;
    for (int i = 0; i < 10; i++)
        assert_int_equal(journal_reader_next(reader, &frame, NULL), JOURNAL_FRAME);
    uint64_t resume = frame.end;
    struct stat before, after;
    assert_int_equal(journal_reader_sync(reader, NULL), 0);
    assert_int_equal(fstatat(directory, NAME, &before, 0), 0);
    journal_reader_release(reader, resume);
    assert_int_equal(fstatat(directory, NAME, &after, 0), 0);
    assert_true(after.st_blocks * 512 <= before.st_blocks * 512 - 900000);
    assert_int_equal(after.st_size, before.st_size);
    journal_reader_free(reader);

    reader = new_reader(NAME);
    assert_string_equal(journal_reader_meta(reader)->id, facts.id);
    assert_int_equal(journal_reader_seek(reader, resume, 77, NULL), 0);
    for (uint32_t i = 10; i < 20; i++) {
        pattern(data, sizeof(data), i);
        expect_frame(reader, JOURNAL_STDOUT, data, sizeof(data));
    }
    expect_wait(reader);
    append(journal, JOURNAL_STDOUT, "on", 2);
    expect_frame(reader, JOURNAL_STDOUT, "on", 2);
    assert_int_equal(journal_reader_seek(reader, 3, 0, NULL), ERR_INVALID);

    struct error error = ERROR_INIT;
    assert_int_equal(journal_reader_seek(reader, 1 << 30, 0, NULL), 0);
    expect_wait(reader);
    assert_int_equal(journal_reader_pending(reader), 0);
    journal_free(journal);
    assert_true(journal_reader_writer_gone(reader));
    assert_int_equal(journal_reader_next(reader, &frame, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "the file ends before"));
    journal_reader_free(reader);
}

/* ---- damage ---------------------------------------------------------------------------------- */

#define EVENTS 4

static const char *const events[EVENTS] = {"first", "", "third event", "4"};

/* A whole small journal as bytes; *end is where its last frame ends. */
static void small_journal(struct buffer *bytes, size_t *end)
{
    struct journal *journal = new_journal("whole");
    for (int i = 0; i < EVENTS; i++)
        append(journal, JOURNAL_STDOUT, events[i], strlen(events[i]));
    struct journal_end how = {JOURNAL_EXITED, 7, "", "bye"};
    assert_int_equal(journal_end(journal, &how, NULL), 0);
    struct journal_reader *reader = new_reader("whole");
    struct journal_frame frame;
    while (journal_reader_next(reader, &frame, NULL) == JOURNAL_FRAME)
        *end = frame.end;
    journal_reader_free(reader);
    journal_free(journal);
    assert_int_equal(file_read(directory, "whole", bytes, NULL), 0);
}

/* Reads bytes as the journal of a writer that is gone. Frames must be the right ones from the first
 * on. Returns how many came (EVENTS + 1 with the end) and whether damage was reported. */
static int read_damaged(const char *bytes, size_t length, bool *damaged)
{
    int count = 0, rc;
    struct journal_reader *reader;
    struct journal_frame frame;
    struct error error = ERROR_INIT;
    int fd = openat(directory, "copy", O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_int_equal(file_write_all(fd, bytes, length, NULL), 0);
    close(fd);
    rc = journal_reader_open(directory, "copy", &reader, &error);
    *damaged = rc != 0;
    if (rc) {
        assert_int_equal(rc, ERR_DAMAGED);
        assert_int_equal(error.code, ERR_DAMAGED);
        return 0;
    }
    assert_string_equal(journal_reader_meta(reader)->organization, "acme");
    assert_true(journal_reader_writer_gone(reader));
    while ((rc = journal_reader_next(reader, &frame, &error)) == JOURNAL_FRAME) {
        if (frame.type == JOURNAL_END) {
            struct journal_end end;
            assert_int_equal(journal_reader_end(reader, &frame, &end, NULL), 0);
            assert_int_equal(end.status, 7);
            assert_int_equal(count, EVENTS);
        } else {
            assert_true(count < EVENTS);
            assert_int_equal(frame.length, strlen(events[count]));
            assert_memory_equal(frame.data, events[count], frame.length);
        }
        count++;
    }
    assert_true(rc == JOURNAL_WAIT || rc == ERR_DAMAGED);
    *damaged = rc != 0;
    journal_reader_free(reader);
    return count;
}

static void any_flipped_bit_is_found_or_harmless(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT(1 << 20);
    size_t end = 0;
    bool damaged;
    small_journal(&bytes, &end);
    assert_int_equal(read_damaged(bytes.data, bytes.length, &damaged), EVENTS + 1);
    assert_false(damaged);
    for (size_t i = 0; i < end + 32; i++) {
        if (i == 128)
            i = JOURNAL_HEADER_SIZE; /* nothing in between */
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] = (char)(bytes.data[i] ^ 1 << bit);
            int count = read_damaged(bytes.data, end + 64, &damaged);
            assert_true(damaged || count == EVENTS + 1);
            bytes.data[i] = (char)(bytes.data[i] ^ 1 << bit);
        }
    }
    buffer_free(&bytes);
}

static void a_file_cut_at_any_byte_keeps_its_whole_frames(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT(1 << 20);
    size_t end = 0;
    bool damaged;
    small_journal(&bytes, &end);
    int last = 0;
    for (size_t length = JOURNAL_HEADER_SIZE - 2; length < end; length++) {
        int count = read_damaged(bytes.data, length, &damaged);
        assert_true(damaged);
        assert_true(count >= last && count <= EVENTS);
        last = count;
    }
    assert_int_equal(last, EVENTS);
    assert_int_equal(read_damaged(bytes.data, end, &damaged), EVENTS + 1);
    assert_false(damaged);
    assert_int_equal(read_damaged(bytes.data, 0, &damaged), 0);
    assert_true(damaged);
    buffer_free(&bytes);
}

static void after_a_power_loss_the_frames_decide_not_the_published_end(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT(1 << 20);
    size_t end = 0, at = offsetof(struct journal_header, published);
    bool damaged;
    small_journal(&bytes, &end);
    uint64_t early = htole64(JOURNAL_HEADER_SIZE), late = htole64(end + 4096);
    memcpy(bytes.data + at, &early, sizeof(early));
    assert_int_equal(read_damaged(bytes.data, bytes.length, &damaged), EVENTS + 1);
    assert_false(damaged);
    /* A frame that was being written and not yet published is not damage. */
    bytes.data[end - 9] = (char)(bytes.data[end - 9] ^ 1);
    assert_int_equal(read_damaged(bytes.data, bytes.length, &damaged), EVENTS);
    assert_false(damaged);
    /* What was published and is not there is. */
    memcpy(bytes.data + at, &late, sizeof(late));
    assert_int_equal(read_damaged(bytes.data, bytes.length, &damaged), EVENTS);
    assert_true(damaged);
    buffer_free(&bytes);
}

static void a_journal_of_an_earlier_recorder_is_read(void **state)
{
    (void)state;
    enum { EARLIER = 4096 }; /* its frames start at the second page */
    struct buffer bytes = BUFFER_INIT(1 << 20), moved = BUFFER_INIT(1 << 20);
    size_t end = 0;
    bool damaged;
    static const char page[EARLIER];
    small_journal(&bytes, &end);
    assert_int_equal(buffer_append(&moved, page, sizeof(page)), 0);
    assert_int_equal(
        buffer_append(&moved, bytes.data + JOURNAL_HEADER_SIZE, bytes.length - JOURNAL_HEADER_SIZE),
        0);
    struct journal_header header;
    memcpy(&header, bytes.data, sizeof(header));
    header.header_size = htole32(EARLIER);
    header.crc = htole32(journal_header_crc(&header));
    atomic_store(&header.published, htole64(end - JOURNAL_HEADER_SIZE + EARLIER));
    memcpy(moved.data, &header, sizeof(header));
    assert_int_equal(read_damaged(moved.data, moved.length, &damaged), EVENTS + 1);
    assert_false(damaged);
    buffer_free(&bytes);
    buffer_free(&moved);
}

static void what_is_no_journal_is_refused(void **state)
{
    (void)state;
    struct journal_reader *reader;
    struct error error = ERROR_INIT;
    assert_int_equal(journal_reader_open(directory, "none", &reader, &error), ERR_NOT_FOUND);
    assert_int_equal(mkfifoat(directory, "fifo", 0600), 0);
    assert_int_equal(journal_reader_open(directory, "fifo", &reader, &error), ERR_DAMAGED);
    assert_int_equal(symlinkat("/etc/passwd", directory, "link"), 0);
    assert_true(journal_reader_open(directory, "link", &reader, &error) < 0);
}

static void a_journal_that_was_replaced_is_not_written_into(void **state)
{
    (void)state;
    static char data[100000];
    struct journal *journal = new_journal(NAME);
    assert_int_equal(renameat(directory, NAME, directory, "moved"), 0);
    assert_int_equal(journal_append(journal, JOURNAL_STDOUT, data, sizeof(data), NULL),
                     ERR_NOT_FOUND);
    int fd = openat(directory, NAME, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(journal_append(journal, JOURNAL_STDOUT, data, sizeof(data), NULL),
                     ERR_CONFLICT);
    append(journal, JOURNAL_STDOUT, "still", 5);
    journal_free(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_facts_of_a_session_are_read_back),
        TEST(overlong_facts_are_cut_not_refused),
        TEST(a_reader_follows_a_live_writer),
        TEST(times_are_since_the_start_and_never_go_back),
        TEST(times_by_the_systems_clock_lag_by_ticks_only),
        TEST(events_of_all_sizes_outgrow_the_window),
        TEST(an_event_that_is_too_long_is_split),
        TEST(a_full_disk_fails_the_event_and_leaves_room_for_gap_and_end),
        TEST(a_reached_quota_fails_like_a_full_disk_and_counts_what_is_taken),
        TEST(a_full_disk_refuses_a_new_journal_and_leaves_nothing),
        TEST(poorer_file_systems_work_as_well),
        TEST(a_journal_is_never_replaced),
        TEST(a_thousand_sessions_need_no_descriptors),
        TEST(a_child_process_does_not_keep_the_writer_alive),
        TEST(a_killed_writer_loses_nothing_it_acknowledged),
        TEST(a_reader_sees_whole_events_while_they_are_written),
        TEST(a_reader_resumes_where_an_earlier_one_stopped),
        TEST(any_flipped_bit_is_found_or_harmless),
        TEST(a_file_cut_at_any_byte_keeps_its_whole_frames),
        TEST(after_a_power_loss_the_frames_decide_not_the_published_end),
        TEST(a_journal_of_an_earlier_recorder_is_read),
        TEST(what_is_no_journal_is_refused),
        TEST(a_journal_that_was_replaced_is_not_written_into),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
