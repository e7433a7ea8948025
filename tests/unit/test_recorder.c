/* The recorder as a whole, from a journal to a directory store: while it runs, once, and in turns
 * with another one. */
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
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/journal/journal.h"
#include "recorder/service/recorder.h"
#include "recorder/spool/spool.h"
#include "recorder/store/key.h"

struct place {
    char path[200], settings[256];
    struct spool *spool;
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

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *base = getenv("TMPDIR");
    struct error error = ERROR_INIT;
    struct buffer text = BUFFER_INIT(65536);
    char path[256];
    log_set_sink(keep_quiet, NULL);
    snprintf(place->path, sizeof(place->path), "%s/castbucket-recorder-XXXXXX",
             base ? base : "/tmp");
    assert_non_null(mkdtemp(place->path));
    snprintf(place->settings, sizeof(place->settings), "%s/settings.json", place->path);
    assert_int_equal(
        buffer_printf(&text,
                      "{\"version\": 1, \"spool\": \"%s/spool\", \"organizations\": {\"acme\": "
                      "{\"storage\": {\"type\": \"directory\", \"path\": \"%s/store\"}}}, "
                      "\"sockets\": {}}",
                      place->path, place->path),
        0);
    assert_int_equal(
        file_write_atomic(AT_FDCWD, place->settings, text.data, text.length, 0600, &error), 0);
    buffer_free(&text);
    snprintf(path, sizeof(path), "%s/spool", place->path);
    assert_int_equal(spool_open(path, &place->spool, &error), 0);
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

static struct journal *begin(const struct place *place, char id[ID_SIZE])
{
    struct error error = ERROR_INIT;
    char name[SPOOL_NAME_SIZE];
    struct journal *journal = NULL;
    int64_t now = clock_wall_ns(&clock_system);
    assert_int_equal(id_new(id, now, &error), 0);
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
                                      .kind = JOURNAL_SHELL,
                                      .cast_version = 2,
                                      .started_ns = now};
    spool_name(name, id, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(journal_create(spool_area(place->spool, SPOOL_JOURNALS), name, &meta,
                                    &clock_system, &journal, &error),
                     0);
    assert_int_equal(journal_append(journal, JOURNAL_STDOUT, "hello\n", 6, &error), 0);
    return journal;
}

static void finish(struct journal *journal)
{
    struct error error = ERROR_INIT;
    const struct journal_end end = {JOURNAL_EXITED, 0, "", ""};
    assert_int_equal(journal_end(journal, &end, &error), 0);
    journal_free(journal);
}

static bool is_stored(const struct place *place, const char *id)
{
    char key[KEY_SIZE], path[1500];
    struct error error = ERROR_INIT;
    assert_int_equal(
        key_make(key, "", "acme", "web-1", id_time_ns(id), id, KEY_MANIFEST_SUFFIX, &error), 0);
    snprintf(path, sizeof(path), "%s/store/%s", place->path, key);
    return access(path, F_OK) == 0;
}

static bool in_spool(const struct place *place, enum spool_area area, const char *id,
                     const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, suffix);
    return faccessat(spool_area(place->spool, area), name, F_OK, 0) == 0;
}

static bool is_gone(const struct place *place, const char *id)
{
    return !in_spool(place, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_CAST_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_SEAL_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_MANIFEST_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_UPLOAD_SUFFIX);
}

static bool comes_true(bool (*what)(const struct place *place, const char *id),
                       const struct place *place, const char *id)
{
    for (int i = 0; i < 400; i++) {
        if (what(place, id))
            return true;
        usleep(25000);
    }
    return false;
}

struct account {
    int stored, causes;
    size_t waiting;
    char last[1024], why[1024];
};

static void on_stored(void *context, const char *id, const char *url)
{
    struct account *account = context;
    (void)url;
    account->stored++;
    snprintf(account->last, sizeof(account->last), "%s", id);
}

static void on_waiting(void *context, const char *organization, size_t count, const char *why)
{
    struct account *account = context;
    assert_string_equal(organization, "");
    account->causes++;
    account->waiting += count;
    snprintf(account->why, sizeof(account->why), "%s", why);
}

static int once(const struct place *place, struct account *account, struct error *error)
{
    *account = (struct account){.stored = 0};
    const struct recorder_once report = {on_stored, on_waiting, account};
    return recorder_once(place->settings, &clock_system, &report, error);
}

static void once_stores_what_has_ended_and_names_what_lives(void **state)
{
    struct place *place = *state;
    char ended[ID_SIZE], live[ID_SIZE];
    struct account account;
    struct error error = ERROR_INIT;
    assert_int_equal(once(place, &account, &error), 0); /* an empty spool is nothing to do */
    finish(begin(place, ended));
    struct journal *journal = begin(place, live);
    assert_int_equal(once(place, &account, &error), ERR_RETRY);
    assert_int_equal(account.stored, 1);
    assert_string_equal(account.last, ended);
    assert_int_equal(account.causes, 1);
    assert_int_equal(account.waiting, 1);
    assert_non_null(strstr(error.text, "1 session is live"));
    assert_true(is_stored(place, ended) && is_gone(place, ended));
    finish(journal);
    assert_int_equal(once(place, &account, &error), 0);
    assert_int_equal(account.stored, 1);
    assert_true(is_stored(place, live) && is_gone(place, live));
}

static void a_session_whose_host_was_killed_is_stored(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE] = "";
    int fds[2];
    struct account account;
    struct error error = ERROR_INIT;
    assert_int_equal(pipe(fds), 0);
    pid_t host = fork();
    if (host == 0) {
        begin(place, id);
        if (write(fds[1], id, sizeof(id)) != sizeof(id))
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(fds[0], id, sizeof(id)), sizeof(id));
    assert_int_equal(once(place, &account, &error), ERR_RETRY);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    assert_int_equal(once(place, &account, &error), 0);
    assert_int_equal(account.stored, 1);
    assert_true(is_stored(place, id) && is_gone(place, id));
    close(fds[0]);
    close(fds[1]);
}

static void a_journal_that_is_none_goes_to_quarantine_and_is_told(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE], name[SPOOL_NAME_SIZE];
    struct account account;
    struct error error = ERROR_INIT;
    int journals = spool_area(place->spool, SPOOL_JOURNALS);
    assert_int_equal(id_new(id, clock_wall_ns(&clock_system), &error), 0);
    spool_name(name, id, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(file_write_atomic(journals, name, "not a journal", 13, 0600, &error), 0);
    /* It may just be in the making: nothing is decided. */
    assert_int_equal(once(place, &account, &error), ERR_RETRY);
    assert_true(in_spool(place, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX));

    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(journals, name, old, 0), 0);
    assert_int_equal(once(place, &account, &error), ERR_RETRY);
    assert_true(in_spool(place, SPOOL_QUARANTINE, id, SPOOL_JOURNAL_SUFFIX));
    assert_true(in_spool(place, SPOOL_QUARANTINE, id, SPOOL_REASON_SUFFIX));
    assert_non_null(strstr(account.why, "1 in quarantine"));
    assert_non_null(strstr(error.text, "/quarantine/"));
}

static void a_cast_that_nothing_can_complete_goes_to_quarantine(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE], name[SPOOL_NAME_SIZE];
    struct account account;
    struct error error = ERROR_INIT;
    assert_int_equal(id_new(id, clock_wall_ns(&clock_system), &error), 0);
    spool_name(name, id, SPOOL_CAST_SUFFIX);
    assert_int_equal(
        file_write_atomic(spool_area(place->spool, SPOOL_SEALED), name, "x", 1, 0600, &error), 0);
    assert_int_equal(once(place, &account, &error), ERR_RETRY);
    assert_true(in_spool(place, SPOOL_QUARANTINE, id, SPOOL_CAST_SUFFIX));
}

static void a_running_recorder_takes_sessions_as_they_come(void **state)
{
    struct place *place = *state;
    struct recorder *recorder = NULL;
    struct error error = ERROR_INIT;
    char before[ID_SIZE], live[ID_SIZE], later[ID_SIZE];
    struct account account;
    finish(begin(place, before));
    struct journal *journal = begin(place, live);
    assert_int_equal(recorder_start(place->settings, &clock_system, &recorder, &error), 0);
    assert_true(comes_true(is_stored, place, before));
    finish(begin(place, later));
    assert_true(comes_true(is_stored, place, later));
    assert_false(is_stored(place, live));
    assert_int_equal(once(place, &account, &error), ERR_EXISTS);
    finish(journal);
    assert_true(comes_true(is_stored, place, live));
    assert_true(comes_true(is_gone, place, live));
    recorder_stop(recorder, 2000);

    struct buffer text = BUFFER_INIT(65536);
    assert_int_equal(file_read(spool_root(place->spool), "status.json", &text, &error), 0);
    json_t *json = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "stopped");
    const json_t *acme = json_object_get(json_object_get(json, "organizations"), "acme");
    assert_int_equal(json_integer_value(json_object_get(acme, "waiting")), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "sessions")), 0);
    const json_t *spool = json_object_get(json, "spool");
    assert_true(json_integer_value(json_object_get(spool, "quota_bytes")) > 1 << 20);
    assert_true(json_is_integer(json_object_get(spool, "used_percent")));
    json_decref(json);
    buffer_free(&text);
}

static void a_stop_stores_sessions_that_have_just_ended(void **state)
{
    struct place *place = *state;
    struct recorder *recorder = NULL;
    struct error error = ERROR_INIT;
    char id[ID_SIZE];
    assert_int_equal(recorder_start(place->settings, &clock_system, &recorder, &error), 0);
    usleep(200000);
    finish(begin(place, id));
    recorder_stop(recorder, 10000);
    assert_true(is_stored(place, id));
    assert_true(is_gone(place, id));
}

static void a_stop_without_time_is_prompt_and_loses_nothing(void **state)
{
    struct place *place = *state;
    struct recorder *recorder = NULL;
    struct error error = ERROR_INIT;
    struct account account;
    char id[ID_SIZE];
    struct journal *journal = begin(place, id);
    for (int i = 0; i < 5; i++) {
        int64_t since = clock_monotonic_ns(&clock_system);
        assert_int_equal(recorder_start(place->settings, &clock_system, &recorder, &error), 0);
        usleep(20000U * (unsigned)i);
        recorder_stop(recorder, 0);
        assert_true(clock_monotonic_ns(&clock_system) - since < 5 * NS_PER_SECOND);
    }
    finish(journal);
    assert_int_equal(once(place, &account, &error), 0);
    assert_true(is_stored(place, id));
}

static void a_second_recorder_takes_over_when_the_first_ends(void **state)
{
    struct place *place = *state;
    struct recorder *first = NULL, *second = NULL;
    struct error error = ERROR_INIT;
    char id[ID_SIZE];
    assert_int_equal(recorder_start(place->settings, &clock_system, &first, &error), 0);
    usleep(200000);
    assert_int_equal(recorder_start(place->settings, &clock_system, &second, &error), 0);
    recorder_stop(first, 0);
    finish(begin(place, id));
    assert_true(comes_true(is_stored, place, id));
    recorder_stop(second, 1000);
}

static void settings_that_cannot_be_used_are_an_error_at_once(void **state)
{
    struct place *place = *state;
    struct recorder *recorder = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(file_write_atomic(AT_FDCWD, place->settings, "{", 1, 0600, &error), 0);
    assert_int_not_equal(recorder_start(place->settings, &clock_system, &recorder, &error), 0);
    assert_null(recorder);
    assert_non_null(strstr(error.text, place->settings));
}

#define recorder_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        recorder_test(once_stores_what_has_ended_and_names_what_lives),
        recorder_test(a_session_whose_host_was_killed_is_stored),
        recorder_test(a_journal_that_is_none_goes_to_quarantine_and_is_told),
        recorder_test(a_cast_that_nothing_can_complete_goes_to_quarantine),
        recorder_test(a_running_recorder_takes_sessions_as_they_come),
        recorder_test(a_stop_stores_sessions_that_have_just_ended),
        recorder_test(a_stop_without_time_is_prompt_and_loses_nothing),
        recorder_test(a_second_recorder_takes_over_when_the_first_ends),
        recorder_test(settings_that_cannot_be_used_are_an_error_at_once),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
