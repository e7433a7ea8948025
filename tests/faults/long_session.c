/* One session that lasts a day, for tests: a journal that is written by a clock of our own, which
 * passes a day while so many bytes are written, and the recorder beside it, by the same clock.
 *
 *     long_session SETTINGS SPOOL BYTES CAST_VERSION ORGANIZATION SOCKET
 *
 * Prints a line of JSON now and then, about this process and the session's journal:
 *
 *     {"written": n, "clock": ns, "anonymous": n, "rss": n, "descriptors": n, "journal": n}
 *
 * and at last {"id": "...", "sha256": "...", "events": n}: of the bytes shown. Event number k (from
 * 0) was shown at (k + 1) * STEP_NS, where STEP_NS is the day divided by the number of events,
 * rounded down; all but the last have EVENT bytes. A journal that is not given back while it grows
 * is an error: the writer waits in vain at MOST_JOURNAL. */
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/base/id.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "recorder/journal/journal.h"
#include "recorder/service/recorder.h"
#include "recorder/spool/spool.h"

#define DAY_NS (INT64_C(86400) * NS_PER_SECOND)
#define EVENT ((size_t)20000)
#define MOST_JOURNAL ((uint64_t)32 << 20) /* the writer waits for the recorder at this */
#define PATIENCE 120                      /* seconds */
#define REPORTS 40

static _Atomic int64_t since_start_ns;
static _Atomic int64_t waited_ns; /* the recorder's time, in which the session's stands still */
static int64_t started_ns;

static int64_t session_time(const struct clock *clock)
{
    (void)clock;
    return NS_PER_SECOND + atomic_load(&since_start_ns);
}

static int64_t recorder_time(const struct clock *clock)
{
    return session_time(clock) + atomic_load(&waited_ns);
}

static int64_t recorder_wall(const struct clock *clock)
{
    return started_ns + recorder_time(clock);
}

static const struct clock session_clock = {session_time, session_time};
static const struct clock recorder_clock = {recorder_wall, recorder_time};

__attribute__((noreturn)) static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "long_session: %s: %s\n", what, why);
    exit(1);
}

static void sleep_ms(long milliseconds)
{
    const struct timespec time = {0, milliseconds * 1000000};
    nanosleep(&time, NULL);
}

static void wait_a_moment(void)
{
    sleep_ms(5);
    atomic_fetch_add(&waited_ns, 100 * NS_PER_MS);
}

static unsigned long long memory(const char *wanted)
{
    char line[256];
    unsigned long long kilobytes = 0;
    size_t length = strlen(wanted);
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (!file)
        give_up("/proc/self/smaps_rollup", "cannot be read");
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, wanted, length) == 0 && line[length] == ':')
            kilobytes = strtoull(line + length + 1, NULL, 10);
    fclose(file);
    return kilobytes << 10;
}

static int descriptors(void)
{
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    while (list && readdir(list))
        count++;
    closedir(list);
    return count - 3; /* . and .. and this list */
}

/* Bytes on the disk; 0 when the file is gone. */
static uint64_t space(const struct spool *spool, const char *name)
{
    struct stat info;
    return fstatat(spool_area(spool, SPOOL_JOURNALS), name, &info, 0) == 0
               ? (uint64_t)info.st_blocks * 512
               : 0;
}

static void report(const struct spool *spool, const char *name, uint64_t written)
{
    printf("{\"written\": %llu, \"clock\": %lld, \"anonymous\": %llu, \"rss\": %llu, "
           "\"descriptors\": %d, \"journal\": %llu}\n",
           (unsigned long long)written, (long long)atomic_load(&since_start_ns),
           memory("Anonymous"), memory("Rss"), descriptors(),
           (unsigned long long)space(spool, name));
    fflush(stdout);
}

static void wait_for_space(const struct spool *spool, const char *name)
{
    for (int i = 0; space(spool, name) > MOST_JOURNAL; i++) {
        if (i == PATIENCE * 200)
            give_up(name, "the space of what is sealed is not given back");
        wait_a_moment();
    }
}

/* Lines that say where they are, and are not all alike. */
static void fill(char *event, size_t length, uint64_t number)
{
    char line[128];
    uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t at = 0; at < length;) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int size = snprintf(line, sizeof(line),
                            "\033[3%dmevent %llu, byte %zu: build of module-%u passed\033[m\r\n",
                            (int)(state >> 61), (unsigned long long)number, at,
                            (unsigned)(state >> 40 & 0x3ff));
        size_t take = (size_t)size < length - at ? (size_t)size : length - at;
        memcpy(event + at, line, take);
        at += take;
    }
}

static struct journal *begin(const struct spool *spool, char id[ID_SIZE],
                             char name[SPOOL_NAME_SIZE], char **words)
{
    struct journal *journal;
    struct error error = ERROR_INIT;
    if (id_new(id, started_ns, &error))
        give_up("id", error.text);
    const struct journal_meta meta = {.id = id,
                                      .organization = words[5],
                                      .socket = words[6],
                                      .user = "alice",
                                      .key_fingerprint = "",
                                      .target_user = "",
                                      .target_address = "",
                                      .client_address = "",
                                      .command = "",
                                      .term = "xterm",
                                      .connection_id = "",
                                      .host = "",
                                      .kind = JOURNAL_SHELL,
                                      .has_terminal = 1,
                                      .columns = 80,
                                      .rows = 24,
                                      .cast_version = (uint32_t)atoi(words[4]),
                                      .started_ns = started_ns};
    spool_name(name, id, SPOOL_JOURNAL_SUFFIX);
    if (journal_create(spool_area(spool, SPOOL_JOURNALS), name, &meta, &session_clock, &journal,
                       &error))
        give_up(name, error.text);
    return journal;
}

/* A day's output. Returns the number of events. */
static uint64_t write_day(const struct spool *spool, struct journal *journal, const char *name,
                          uint64_t bytes, uint8_t hash[SHA256_SIZE])
{
    static char event[EVENT];
    struct error error = ERROR_INIT;
    struct sha256 sum = {0};
    uint64_t count = (bytes + EVENT - 1) / EVENT, written = 0;
    int64_t step = DAY_NS / (int64_t)count;
    if (sha256_init(&sum))
        give_up("sha256", "no memory");
    for (uint64_t i = 0; i < count; i++) {
        size_t length = bytes - written < EVENT ? (size_t)(bytes - written) : EVENT;
        fill(event, length, i);
        atomic_store(&since_start_ns, (int64_t)(i + 1) * step);
        if (journal_append(journal, JOURNAL_STDOUT, event, length, &error))
            give_up(name, error.text);
        if (sha256_update(&sum, event, length))
            give_up("sha256", "no memory");
        written += length;
        if (i % 256 == 0)
            wait_for_space(spool, name);
        if ((i + 1) % (count / REPORTS + 1) == 0)
            report(spool, name, written);
    }
    report(spool, name, written);
    if (sha256_final(&sum, hash))
        give_up("sha256", "no memory");
    sha256_free(&sum);
    return count;
}

int main(int argc, char **argv)
{
    struct spool *spool;
    struct recorder *recorder;
    struct error error = ERROR_INIT;
    char id[ID_SIZE], name[SPOOL_NAME_SIZE], hex[2 * SHA256_SIZE + 1];
    uint8_t hash[SHA256_SIZE];
    if (argc != 7) {
        fprintf(stderr,
                "usage: long_session SETTINGS SPOOL BYTES CAST_VERSION ORGANIZATION SOCKET\n");
        return 2;
    }
    uint64_t bytes = strtoull(argv[3], NULL, 10);
    started_ns = clock_wall_ns(&clock_system) - DAY_NS;
    if (spool_open(argv[2], &spool, &error))
        give_up(argv[2], error.text);
    struct journal *journal = begin(spool, id, name, argv);
    if (recorder_start(argv[1], &recorder_clock, &recorder, &error))
        give_up("the recorder", error.text);
    uint64_t events = write_day(spool, journal, name, bytes, hash);
    const struct journal_end end = {.kind = JOURNAL_EXITED, .signal = "", .message = ""};
    if (journal_end(journal, &end, &error))
        give_up(name, error.text);
    journal_free(journal);
    for (int i = 0; space(spool, name) && i < PATIENCE * 200; i++)
        wait_a_moment();
    report(spool, name, bytes);
    recorder_stop(recorder, PATIENCE * 1000);
    text_hex(hex, hash, SHA256_SIZE);
    printf("{\"id\": \"%s\", \"sha256\": \"%s\", \"events\": %llu}\n", id, hex,
           (unsigned long long)events);
    spool_free(spool);
    return 0;
}
