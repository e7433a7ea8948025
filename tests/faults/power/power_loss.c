/* A session, its sealing and its upload on a simulated disk, whose power is cut before each call
 * that syncs or changes names, for tests:
 *
 *     power_loss ROOT IMAGES KIND SEED [FLOOR]
 *
 * ROOT has settings.json, whose spool and store are ROOT/spool and ROOT/store. What the session
 * shows is written to IMAGES/shown before. For each cut, and each kind of luck, an image is made
 * and a line printed:
 *
 *     IMAGE FLOOR CALL LUCK
 *
 * where FLOOR is how many of the shown bytes must be in the image's recording: all that were there
 * when the sync interval passed last. Then a line is read, so that images do not pile up. KIND:
 *
 *     short     shows a few lines, in one chunk
 *     long      some chunks, whose journal is given back meanwhile
 *     transfer  the same, as sftp that is none
 *     waiting   sealing fails for a while, for want of the signing key, after the session's end
 *     killed    the host ends without closing the session
 *     recover   none: what is in ROOT is recovered and uploaded, and has FLOOR bytes
 *     many      40 sessions, which are synced together; it is the first that is told of */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/journal/journal.h"
#include "recorder/service/recorder.h"
#include "recorder/service/sealing.h"
#include "recorder/spool/spool.h"
#include "tests/faults/power/simulated_disk.h"

#define STEPS 6
#define MANY 40
#define MOST ((size_t)2 << 20)

static const char *images;
static unsigned dice;
static unsigned stride = 1; /* each so-manieth cut is looked at */
static unsigned cuts, image_count;
static size_t floor_bytes;

static int64_t now_ns;

static int64_t fake_time(const struct clock *clock)
{
    (void)clock;
    return now_ns;
}

static const struct clock fake_clock = {fake_time, fake_time};

__attribute__((noreturn)) static void give_up(const char *what, const struct error *error)
{
    fprintf(stderr, "power_loss: %s: %s\n", what, error ? error->text : "");
    _exit(2);
}

static void cut_power(const char *call)
{
    static const char *const lucks[] = {"nothing", "names-before-bytes", "anything", "anything"};
    char path[4096], line[16];
    if (cuts++ % stride)
        return;
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%u", images, image_count++);
        disk_image(path, i < DISK_LUCKS ? (enum disk_luck)i : DISK_ANYTHING, &dice);
        printf("%s %zu %s %s\n", path, floor_bytes, call, lucks[i]);
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin))
            _exit(4);
    }
}

static void nothing_to_do(void *context, const char *id)
{
    (void)context, (void)id;
}

static void say_quarantined(void *context, const char *id, const char *reason)
{
    (void)context;
    fprintf(stderr, "quarantined while nothing was wrong: %s: %s\n", id, reason);
    _exit(5);
}

static void keep_quiet(void *context, enum log_level level, const char *line)
{
    (void)context;
    if (level <= LOG_LEVEL_WARNING)
        fprintf(stderr, "%s\n", line);
}

/* Lines of text with bytes among them that are none. */
static char *make_shown(size_t length)
{
    char path[4096], *shown = malloc(length);
    snprintf(path, sizeof(path), "%s/shown", images);
    FILE *file = fopen(path, "wb");
    if (!shown || !file)
        give_up(path, NULL);
    for (size_t i = 0; i < length; i++)
        shown[i] = i % 61 == 60        ? '\n'
                   : rand_r(&dice) % 9 ? (char)('a' + (int)(i % 26))
                                       : (char)rand_r(&dice);
    if (fwrite(shown, 1, length, file) != length || fclose(file))
        give_up(path, NULL);
    return shown;
}

static struct journal *open_journal(const struct spool *spool, bool transfer)
{
    char id[ID_SIZE], name[SPOOL_NAME_SIZE];
    struct error error = ERROR_INIT;
    struct journal *journal = NULL;
    if (id_new(id, now_ns, &error))
        give_up("id", &error);
    const struct journal_meta meta = {.id = id,
                                      .organization = "acme",
                                      .socket = "web-1",
                                      .user = "ann",
                                      .key_fingerprint = "",
                                      .target_user = "",
                                      .target_address = "",
                                      .client_address = "",
                                      .command = "",
                                      .term = "",
                                      .connection_id = "",
                                      .host = "",
                                      .transfer = transfer ? "sftp" : "",
                                      .contents = transfer ? "kept" : "",
                                      .kind = transfer ? JOURNAL_SUBSYSTEM : JOURNAL_SHELL,
                                      .has_terminal = !transfer,
                                      .columns = 80,
                                      .rows = 24,
                                      .cast_version = 2,
                                      .started_ns = now_ns};
    spool_name(name, id, SPOOL_JOURNAL_SUFFIX);
    if (journal_create(spool_area(spool, SPOOL_JOURNALS), name, &meta, &fake_clock, &journal,
                       &error))
        give_up("journal", &error);
    return journal;
}

static void must_append(struct journal *journal, enum journal_type type, const void *data,
                        size_t length)
{
    struct error error = ERROR_INIT;
    if (journal_append(journal, type, data, length, &error))
        give_up("append", &error);
}

static void seal_and_sync(struct sealing *sealing)
{
    struct error error = ERROR_INIT;
    if (sealing_scan(sealing, &error))
        give_up("scan", &error);
    while (sealing_pass(sealing, INT64_MAX))
        ;
    sealing_sync(sealing);
}

static void record(const char *root, const char *kind)
{
    char path[4096];
    struct error error = ERROR_INIT;
    struct spool *spool;
    struct sealing *sealing;
    const atomic_bool go_on = false;
    const struct sealing_options options = {nothing_to_do, say_quarantined, NULL, &go_on};
    bool is_short = strcmp(kind, "short") == 0, transfer = strcmp(kind, "transfer") == 0;
    bool killed = strcmp(kind, "killed") == 0, many = strcmp(kind, "many") == 0;
    bool waiting = strcmp(kind, "waiting") == 0;
    now_ns = clock_wall_ns(&clock_system);
    size_t length = is_short || many ? 9000 : MOST / 2;
    char *shown = make_shown(length);
    snprintf(path, sizeof(path), "%s/spool", root);
    if (spool_open(path, &spool, &error) || spool_lock(spool, &error) ||
        sealing_new(spool, &fake_clock, &options, &sealing, &error))
        give_up(path, &error);

    stride = many ? 101 : 1;
    disk_begin(root, cut_power);
    struct journal *journal = open_journal(spool, transfer), *others[MANY];
    for (int i = 0; i < MANY && many; i++)
        others[i] = open_journal(spool, false);
    for (size_t step = 0, at = 0; step < STEPS; step++) {
        size_t take = step == STEPS - 1 ? length - at : (size_t)rand_r(&dice) % (length - at) / 2;
        must_append(journal, JOURNAL_STDOUT, shown + at, take);
        for (int i = 0; i < MANY && many; i++)
            must_append(others[i], JOURNAL_STDOUT, "other", 5);
        must_append(journal, JOURNAL_MARKER, "here", 4);
        at += take;
        if (waiting && step == STEPS - 1)
            break;
        now_ns += (1 + (int64_t)step * 7) * NS_PER_SECOND;
        seal_and_sync(sealing);
        floor_bytes = at;
    }
    const struct journal_end end = {JOURNAL_EXITED, 0, "", ""};
    if (!killed && journal_end(journal, &end, &error))
        give_up("end", &error);
    journal_free(journal);
    for (int i = 0; i < MANY && many; i++)
        journal_free(others[i]);
    if (waiting && sealing_sign_with(sealing, "/nonexistent", &error))
        give_up("sign", &error);
    if (waiting) {
        now_ns += 10 * NS_PER_SECOND;
        seal_and_sync(sealing);
        floor_bytes = length;
        cut_power("waiting");
        if (sealing_count(sealing) == 0 || sealing_sign_with(sealing, "", &error))
            give_up("it did not wait", &error);
    }
    for (int i = 0; i < 5; i++) {
        now_ns += 10 * NS_PER_SECOND;
        seal_and_sync(sealing);
    }
    if (sealing_count(sealing))
        give_up("not sealed", sealing_problem(sealing));
    sealing_free(sealing);
    spool_free(spool);
    free(shown);
}

int main(int argc, char **argv)
{
    char path[4096];
    struct error error = ERROR_INIT;
    const struct recorder_once report = {0};
    if (argc < 5)
        give_up("usage: power_loss ROOT IMAGES KIND SEED [FLOOR]", NULL);
    bool recover = strcmp(argv[3], "recover") == 0;
    images = argv[2];
    dice = (unsigned)strtoul(argv[4], NULL, 10);
    log_set_sink(keep_quiet, NULL);
    if (recover) {
        floor_bytes = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
        disk_begin(argv[1], cut_power);
    } else {
        record(argv[1], argv[3]);
    }
    /* What is damaged stays in quarantine, which is not done, says the recorder. */
    snprintf(path, sizeof(path), "%s/settings.json", argv[1]);
    if (recorder_once(path, &clock_system, &report, &error) && !recover)
        give_up("recorder", &error);
    stride = 1;
    cut_power("end");
    unsigned early = disk_early_renames();
    disk_end();
    return early ? 1 : 0;
}
