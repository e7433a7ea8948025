/* The sessions of a spool together: synced each by itself while they are few, all together when
 * they are many, and each by itself again when that fails; and when sealing them is not urgent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/journal/journal.h"
#include "recorder/service/sealing.h"

#define MANY 40
#define BYTES ((size_t)300 << 10) /* more than a chunk */

static int syncfs_calls, fdatasync_calls, syncfs_errno;

int syncfs(int fd)
{
    assert_true(fcntl(fd, F_GETFD) >= 0);
    syncfs_calls++;
    errno = syncfs_errno;
    return syncfs_errno ? -1 : 0;
}

int fdatasync(int fd)
{
    assert_true(fcntl(fd, F_GETFD) >= 0);
    fdatasync_calls++;
    return 0;
}

static int64_t now_ns = 1000 * NS_PER_SECOND;

static int64_t fake_time(const struct clock *clock)
{
    (void)clock;
    return now_ns;
}

static const struct clock fake_clock = {fake_time, fake_time};
static const atomic_bool go_on = false;

struct place {
    char path[200];
    struct spool *spool;
    struct sealing *sealing;
    struct journal *journals[MANY];
    char ids[MANY][ID_SIZE];
    int count;
};

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void keep_quiet(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

static void ignore_complete(void *context, const char *id)
{
    (void)context, (void)id;
}

static void ignore_quarantine(void *context, const char *id, const char *reason)
{
    (void)context, (void)id, (void)reason;
}

static int set_up(void **state)
{
    static struct place place;
    const char *base = getenv("TMPDIR");
    const struct sealing_options options = {ignore_complete, ignore_quarantine, NULL, &go_on};
    log_set_sink(keep_quiet, NULL);
    memset(&place, 0, sizeof(place));
    snprintf(place.path, sizeof(place.path), "%s/castbucket-sync-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(place.path));
    assert_int_equal(spool_open(place.path, &place.spool, NULL), 0);
    assert_int_equal(sealing_new(place.spool, &fake_clock, &options, &place.sealing, NULL), 0);
    syncfs_calls = fdatasync_calls = syncfs_errno = 0;
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    sealing_free(place->sealing);
    for (int i = 0; i < place->count; i++)
        journal_free(place->journals[i]);
    spool_free(place->spool);
    return nftw(place->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Sessions that have printed a chunk and more, which is sealed and not synced. */
static void begin(struct place *place, int count)
{
    static char data[BYTES];
    struct journal_meta meta = {.organization = "acme",
                                .socket = "web-1",
                                .user = "",
                                .key_fingerprint = "",
                                .target_user = "",
                                .target_address = "",
                                .client_address = "",
                                .command = "",
                                .term = "",
                                .connection_id = "",
                                .host = "",
                                .kind = JOURNAL_SHELL,
                                .cast_version = 2,
                                .started_ns = now_ns};
    memset(data, 'x', sizeof(data));
    place->count = count;
    for (int i = 0; i < count; i++) {
        char name[SPOOL_NAME_SIZE];
        assert_int_equal(id_new(place->ids[i], now_ns, NULL), 0);
        meta.id = place->ids[i];
        spool_name(name, meta.id, SPOOL_JOURNAL_SUFFIX);
        assert_int_equal(journal_create(spool_area(place->spool, SPOOL_JOURNALS), name, &meta,
                                        &fake_clock, &place->journals[i], NULL),
                         0);
        assert_int_equal(journal_append(place->journals[i], JOURNAL_STDOUT, data, BYTES, NULL), 0);
        assert_int_equal(sealing_add(place->sealing, meta.id), 0);
    }
    now_ns += 20 * NS_PER_SECOND;
    while (sealing_pass(place->sealing, INT64_MAX))
        ;
    now_ns += 2 * NS_PER_SECOND;
}

/* Bytes that the sessions' journals take on the disk. */
static uint64_t journal_space(const struct place *place)
{
    uint64_t space = 0;
    for (int i = 0; i < place->count; i++) {
        struct stat info;
        char name[SPOOL_NAME_SIZE];
        spool_name(name, place->ids[i], SPOOL_JOURNAL_SUFFIX);
        assert_int_equal(fstatat(spool_area(place->spool, SPOOL_JOURNALS), name, &info, 0), 0);
        space += (uint64_t)info.st_blocks * 512;
    }
    return space;
}

static void expect_space_given_back(const struct place *place, uint64_t before)
{
    uint64_t most = before - (uint64_t)place->count * (BYTES - 16384);
    assert_true(journal_space(place) <= most);
}

static void few_sessions_are_synced_one_by_one(void **state)
{
    struct place *place = *state;
    begin(place, 3);
    uint64_t before = journal_space(place);
    sealing_sync(place->sealing);
    assert_int_equal(syncfs_calls, 0);
    assert_int_equal(fdatasync_calls, 3);
    expect_space_given_back(place, before);
}

static void many_sessions_are_synced_together(void **state)
{
    struct place *place = *state;
    begin(place, MANY);
    uint64_t before = journal_space(place);
    sealing_sync(place->sealing);
    assert_int_equal(syncfs_calls, 1);
    assert_int_equal(fdatasync_calls, 0);
    expect_space_given_back(place, before);

    /* What is on disk is not synced again; what comes later is, by itself. */
    now_ns += 2 * NS_PER_SECOND;
    sealing_sync(place->sealing);
    assert_int_equal(fdatasync_calls, 0);
    assert_int_equal(journal_append(place->journals[7], JOURNAL_STDOUT, "more", 4, NULL), 0);
    sealing_sync(place->sealing);
    assert_int_equal(syncfs_calls, 1);
    assert_int_equal(fdatasync_calls, 1);
}

static void when_that_fails_each_is_synced_by_itself(void **state)
{
    struct place *place = *state;
    begin(place, MANY);
    uint64_t before = journal_space(place);
    syncfs_errno = EIO;
    sealing_sync(place->sealing);
    assert_int_equal(syncfs_calls, 1);
    assert_int_equal(fdatasync_calls, MANY);
    expect_space_given_back(place, before);
}

static void print(struct place *place, size_t megabytes)
{
    size_t size = (size_t)1 << 20;
    char *data = calloc(1, size);
    assert_non_null(data);
    for (size_t i = 0; i < megabytes; i++)
        assert_int_equal(journal_append(place->journals[0], JOURNAL_STDOUT, data, size, NULL), 0);
    free(data);
}

static void rest_is_for_live_sessions_of_which_little_waits(void **state)
{
    struct place *place = *state;
    begin(place, 1);
    print(place, 8);
    assert_true(sealing_may_rest(place->sealing));
    print(place, 32);
    assert_false(sealing_may_rest(place->sealing));
    while (sealing_pass(place->sealing, INT64_MAX))
        ;
    assert_true(sealing_may_rest(place->sealing));
    print(place, 8);
    journal_free(place->journals[0]); /* its host is gone: nobody is disturbed any more */
    place->journals[0] = NULL;
    now_ns += 20 * NS_PER_SECOND;
    assert_true(sealing_pass(place->sealing, 0));
    assert_false(sealing_may_rest(place->sealing));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(few_sessions_are_synced_one_by_one),
        TEST(many_sessions_are_synced_together),
        TEST(when_that_fails_each_is_synced_by_itself),
        TEST(rest_is_for_live_sessions_of_which_little_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
