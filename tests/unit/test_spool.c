/* The spool's directories, its lock, and what is listed, removed and quarantined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/base/clock.h"
#include "recorder/base/file.h"
#include "recorder/base/id.h"
#include "recorder/spool/spool.h"

#define ID_OLD "019363a0-0000-7000-8000-000000000001"
#define ID_NEW "019363a1-0000-7000-8000-000000000001"

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

struct place {
    char path[256];
    struct spool *spool;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *base = getenv("TMPDIR");
    snprintf(place->path, sizeof(place->path), "%s/castbucket-spool-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(place->path));
    struct error error = ERROR_INIT;
    assert_int_equal(spool_open(place->path, &place->spool, &error), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    spool_free(place->spool);
    nftw(place->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static void put(const struct place *place, enum spool_area area, const char *name, const char *text)
{
    struct error error = ERROR_INIT;
    assert_int_equal(
        file_write_atomic(spool_area(place->spool, area), name, text, strlen(text), 0600, &error),
        0);
}

static bool there(const struct place *place, enum spool_area area, const char *name)
{
    return faccessat(spool_area(place->spool, area), name, F_OK, 0) == 0;
}

static void directories_are_made_for_the_owner_alone(void **state)
{
    const struct place *place = *state;
    static const char *const names[] = {"journals", "sealed", "quarantine"};
    for (int i = 0; i < 3; i++) {
        struct stat info;
        assert_int_equal(fstatat(spool_root(place->spool), names[i], &info, 0), 0);
        assert_int_equal(info.st_mode & 07777, 0700);
    }
    struct spool *again = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(spool_open(place->path, &again, &error), 0);
    spool_free(again);
}

static void a_spool_that_is_a_file_is_refused_by_name(void **state)
{
    const struct place *place = *state;
    char path[300];
    snprintf(path, sizeof(path), "%s/journals/file", place->path);
    put(place, SPOOL_JOURNALS, "file", "");
    struct spool *spool = NULL;
    struct error error = ERROR_INIT;
    assert_int_not_equal(spool_open(path, &spool, &error), 0);
    assert_null(spool);
    assert_non_null(strstr(error.text, path));
}

static void a_symbolic_link_in_place_of_an_area_is_refused(void **state)
{
    const struct place *place = *state;
    char path[300];
    snprintf(path, sizeof(path), "%s/other", place->path);
    assert_int_equal(mkdir(path, 0700), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat("/tmp", fd, "sealed"), 0);
    close(fd);
    struct spool *spool = NULL;
    struct error error = ERROR_INIT;
    assert_int_not_equal(spool_open(path, &spool, &error), 0);
    assert_non_null(strstr(error.text, "sealed"));
}

static void only_one_recorder_holds_the_lock(void **state)
{
    struct place *place = *state;
    struct spool *other = NULL;
    struct error error = ERROR_INIT;
    char pid[32];
    assert_int_equal(spool_open(place->path, &other, &error), 0);
    assert_int_equal(spool_lock(place->spool, &error), 0);
    assert_int_equal(spool_lock(other, &error), ERR_EXISTS);
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(error.text, pid));
    spool_unlock(place->spool);
    assert_int_equal(spool_lock(other, &error), 0);
    spool_free(other);
    assert_int_equal(spool_lock(place->spool, &error), 0);
}

static void a_dead_recorder_leaves_no_lock(void **state)
{
    struct place *place = *state;
    pid_t child = fork();
    if (child == 0) {
        struct spool *spool = NULL;
        _exit(spool_open(place->path, &spool, NULL) || spool_lock(spool, NULL));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct error error = ERROR_INIT;
    assert_int_equal(spool_lock(place->spool, &error), 0);
}

struct seen {
    char ids[4][ID_SIZE];
    int count, stop_at;
};

static int see(void *context, const char *id)
{
    struct seen *seen = context;
    assert_in_range(seen->count, 0, 3);
    memcpy(seen->ids[seen->count++], id, ID_SIZE);
    return seen->count == seen->stop_at ? ERR_CANCELLED : 0;
}

static void ids_are_listed_oldest_first_and_nothing_else(void **state)
{
    const struct place *place = *state;
    put(place, SPOOL_SEALED, ID_NEW ".json", "");
    put(place, SPOOL_SEALED, ID_OLD ".json", "");
    put(place, SPOOL_SEALED, ID_OLD ".cast.gz", "");
    put(place, SPOOL_SEALED, ID_OLD ".json.old", "");
    put(place, SPOOL_SEALED, "019363A0-0000-7000-8000-000000000002.json", "");
    put(place, SPOOL_SEALED, "notes.json", "");
    put(place, SPOOL_SEALED, ".json", "");
    struct seen seen = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(
        spool_each(place->spool, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX, see, &seen, &error), 0);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.ids[0], ID_OLD);
    assert_string_equal(seen.ids[1], ID_NEW);

    seen = (struct seen){.stop_at = 1};
    assert_int_equal(
        spool_each(place->spool, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX, see, &seen, &error),
        ERR_CANCELLED);
    assert_int_equal(seen.count, 1);
}

static void removing_twice_is_success(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    put(place, SPOOL_SEALED, ID_OLD ".json", "");
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            spool_remove(place->spool, SPOOL_SEALED, ID_OLD, SPOOL_MANIFEST_SUFFIX, &error), 0);
    assert_false(there(place, SPOOL_SEALED, ID_OLD ".json"));
}

static void quarantine_takes_every_file_and_says_why(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    put(place, SPOOL_JOURNALS, ID_OLD ".journal", "j");
    put(place, SPOOL_SEALED, ID_OLD ".cast.gz", "c");
    put(place, SPOOL_SEALED, ID_OLD ".seal", "s");
    put(place, SPOOL_SEALED, ID_NEW ".cast.gz", "other");
    assert_int_equal(spool_quarantine(place->spool, ID_OLD, "no header\nforged line", &error), 0);
    assert_false(there(place, SPOOL_JOURNALS, ID_OLD ".journal"));
    assert_false(there(place, SPOOL_SEALED, ID_OLD ".cast.gz"));
    assert_true(there(place, SPOOL_QUARANTINE, ID_OLD ".journal"));
    assert_true(there(place, SPOOL_QUARANTINE, ID_OLD ".cast.gz"));
    assert_true(there(place, SPOOL_QUARANTINE, ID_OLD ".seal"));
    assert_true(there(place, SPOOL_SEALED, ID_NEW ".cast.gz"));

    struct buffer reason = BUFFER_INIT(4096);
    assert_int_equal(
        file_read(spool_area(place->spool, SPOOL_QUARANTINE), ID_OLD ".reason", &reason, &error),
        0);
    assert_non_null(strstr(reason.data, "Z no header\\nforged line\n"));
    buffer_free(&reason);
}

static void a_second_quarantine_keeps_the_first(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    put(place, SPOOL_SEALED, ID_OLD ".cast.gz", "first");
    assert_int_equal(spool_quarantine(place->spool, ID_OLD, "one", &error), 0);
    put(place, SPOOL_SEALED, ID_OLD ".cast.gz", "second");
    assert_int_equal(spool_quarantine(place->spool, ID_OLD, "two", &error), 0);

    struct buffer text = BUFFER_INIT(4096);
    int quarantine = spool_area(place->spool, SPOOL_QUARANTINE);
    assert_int_equal(file_read(quarantine, ID_OLD ".cast.gz", &text, &error), 0);
    assert_string_equal(text.data, "first");
    buffer_clear(&text);
    assert_int_equal(file_read(quarantine, ID_OLD ".cast.gz.1", &text, &error), 0);
    assert_string_equal(text.data, "second");
    buffer_clear(&text);
    assert_int_equal(file_read(quarantine, ID_OLD ".reason", &text, &error), 0);
    assert_non_null(strstr(text.data, " one\n"));
    assert_non_null(strstr(text.data, " two\n"));
    buffer_free(&text);
}

static bool is_there(const struct place *place, enum spool_area area, const char *name)
{
    return faccessat(spool_area(place->spool, area), name, F_OK, 0) == 0;
}

static void the_lock_removes_temporary_files_of_a_killed_recorder(void **state)
{
    static const char temporary[] = "." ID_OLD ".upload.05c4bdaf94a79dc4";
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    put(place, SPOOL_SEALED, temporary, "half");
    put(place, SPOOL_QUARANTINE, temporary, "half");
    put(place, SPOOL_SEALED, ".of.somebody.else", "whole");
    put(place, SPOOL_SEALED, ID_OLD ".upload", "whole");
    assert_int_equal(spool_lock(place->spool, &error), 0);
    assert_false(is_there(place, SPOOL_SEALED, temporary));
    assert_false(is_there(place, SPOOL_QUARANTINE, temporary));
    assert_true(is_there(place, SPOOL_SEALED, ".of.somebody.else"));
    assert_true(is_there(place, SPOOL_SEALED, ID_OLD ".upload"));
}

static void its_size_is_measured_and_known_to_all_who_have_it_open(void **state)
{
    const struct place *place = *state;
    static char data[100000];
    struct spool *again = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(spool_open(place->path, &again, &error), 0);
    const struct space_used *used = spool_used(again);
    assert_non_null(used);
    memset(data, 'x', sizeof(data) - 1);
    put(place, SPOOL_JOURNALS, ID_OLD ".journal", data);
    put(place, SPOOL_QUARANTINE, ID_OLD ".cast.gz", data);
    spool_measure(place->spool, 0);
    uint64_t both = atomic_load(&used->bytes);
    assert_in_range(both, 2 * sizeof(data) - 2, 3 * sizeof(data));
    put(place, SPOOL_SEALED, ID_NEW ".cast.gz", data);
    spool_measure(again, 60 * NS_PER_SECOND);
    assert_int_equal(atomic_load(&used->bytes), both);
    spool_measure(again, 0);
    assert_int_equal(atomic_load(&used->bytes), both / 2 * 3);
    /* What a host takes is counted until it is measured. */
    atomic_fetch_add(&spool_used(place->spool)->bytes, 12345);
    assert_int_equal(atomic_load(&used->bytes), both / 2 * 3 + 12345);
    assert_int_equal(spool_remove(again, SPOOL_SEALED, ID_NEW, ".cast.gz", &error), 0);
    spool_measure(again, 0);
    assert_int_equal(atomic_load(&used->bytes), both);
    spool_free(again);
}

static void a_size_of_before_the_machines_start_is_measured_again(void **state)
{
    const struct place *place = *state;
    struct space_used *used = spool_used(place->spool);
    atomic_store(&used->bytes, UINT64_C(1) << 40);
    atomic_store(&used->measured_ns, INT64_MAX);
    spool_measure(place->spool, 60 * NS_PER_SECOND);
    assert_int_equal(atomic_load(&used->bytes), 0);
}

#define spool_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(directories_are_made_for_the_owner_alone),
        spool_test(a_spool_that_is_a_file_is_refused_by_name),
        spool_test(a_symbolic_link_in_place_of_an_area_is_refused),
        spool_test(only_one_recorder_holds_the_lock),
        spool_test(a_dead_recorder_leaves_no_lock),
        spool_test(ids_are_listed_oldest_first_and_nothing_else),
        spool_test(removing_twice_is_success),
        spool_test(quarantine_takes_every_file_and_says_why),
        spool_test(a_second_quarantine_keeps_the_first),
        spool_test(the_lock_removes_temporary_files_of_a_killed_recorder),
        spool_test(its_size_is_measured_and_known_to_all_who_have_it_open),
        spool_test(a_size_of_before_the_machines_start_is_measured_again),
    };
    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
