/* Each allocation and each system call fails in turn, once or from then on: nothing crashes or
 * leaks, each failure is an error that says why, and when all is well again nothing is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "plugin/recording_plugin.h"
#include "recorder/base/file.h"
#include "recorder/base/id.h"
#include "recorder/base/json.h"
#include "recorder/base/log.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/seal.h"
#include "recorder/settings/settings_edit.h"
#include "recorder/spool/spool.h"
#include "recorder/upload/upload_recording.h"
#include "tests/unit/fault_injection.h"

#define MOST 4000 /* calls of one kind that a scenario makes; it is no scenario that makes more */

static char home[256], settings_path[300], spool_folder[300], store_folder[300];

/* Made by what is tested, but not under test: nothing here may fail. */
static struct settings *settings;
static struct spool *spool;
static struct upload_syncs syncs;
static struct store_cache *stores;
static struct seal_worker *worker;

/* ---- a place ----------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type;
    return at->level == 0 ? 0 : remove(path);
}

static void empty(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_settings(void)
{
    FILE *file = fopen(settings_path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"version\": 1, \"spool\": \"%s\", \"organizations\": {\"acme\": {\"storage\": "
            "{\"type\": \"directory\", \"path\": \"%s\"}}}, \"sockets\": {"
            "\"end\": {\"organization\": \"acme\", \"input\": true, \"on_failure\": \"end\"}, "
            "\"refuse\": {\"organization\": \"acme\", \"on_failure\": \"refuse\"}, "
            "\"continue\": {\"organization\": \"acme\", \"on_failure\": \"continue\"}}}\n",
            spool_folder, store_folder);
    fclose(file);
}

static int set_up(void **state)
{
    struct error error = ERROR_INIT;
    const char *tmp = getenv("TMPDIR");
    (void)state;
    /* In memory if that is possible: there are thousands of syncs. */
    snprintf(home, sizeof(home), "/dev/shm/castbucket-torture-XXXXXX");
    if (!mkdtemp(home)) {
        snprintf(home, sizeof(home), "%s/castbucket-torture-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(home));
    }
    snprintf(settings_path, sizeof(settings_path), "%s/settings.json", home);
    snprintf(spool_folder, sizeof(spool_folder), "%s/spool", home);
    snprintf(store_folder, sizeof(store_folder), "%s/store", home);
    write_settings();
    assert_int_equal(settings_load(settings_path, &settings, &error), 0);
    assert_int_equal(spool_open(spool_folder, &spool, &error), 0);
    assert_int_equal(store_cache_new(&clock_system, &stores, &error), 0);
    upload_syncs_init(&syncs);
    assert_int_equal(seal_worker_new(6, &worker, &error), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    seal_worker_free(worker);
    store_cache_free(stores);
    upload_syncs_deinit(&syncs);
    spool_free(spool);
    settings_unref(settings);
    empty(home);
    rmdir(home);
    return 0;
}

static int descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* ---- a session through the plugin ------------------------------------------------------------ */

static char shown[200000]; /* what the plugin said is recorded, in order */
static size_t shown_length, not_shown;
static bool end_is_recorded;

static int errors_logged;

static void count_errors(void *context, int level, const char *line)
{
    (void)context, (void)line;
    errors_logged += level == RECORDING_LOG_ERROR;
}

static const struct recording_host host = {.size = sizeof(host),
                                           .major = RECORDING_PLUGIN_MAJOR,
                                           .minor = RECORDING_PLUGIN_MINOR,
                                           .name = "torture",
                                           .version = "1",
                                           .log = count_errors};

recording_plugin_entry_fn recording_plugin_entry;

static void put(const struct recording_plugin *plugin, struct recording_session *session,
                const char *data, size_t length, int *verdict)
{
    if (*verdict == RECORDING_END)
        return;
    *verdict = plugin->output(session, RECORDING_STDOUT, data, length);
    if (*verdict == RECORDING_CONTINUE) {
        memcpy(shown + shown_length, data, length);
        shown_length += length;
    } else {
        not_shown += length;
        assert_true(errors_logged > 0);
    }
}

static const char *much(void)
{
    static char text[60000];
    uint32_t dice = 1;
    for (size_t i = 0; i < sizeof(text); i++) {
        dice = dice * 1664525 + 1013904223;
        text[i] = i % 64 ? "a line of output\r\n"[i % 18] : (char)(dice >> 24);
    }
    return text;
}

/* Returns whether it was opened as a session to record. */
static bool session(const char *socket)
{
    struct recording_error error = {.size = sizeof(error)};
    struct recording_instance *instance = NULL;
    struct recording_session *opened = NULL;
    struct recording_answer answer = {.size = sizeof(answer)};
    const struct recording_session_info info = {.size = sizeof(info),
                                                .socket = socket,
                                                .user = "ann",
                                                .kind = RECORDING_SHELL,
                                                .has_terminal = 1,
                                                .columns = 80,
                                                .rows = 24};
    const struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED, .status = 3};
    shown_length = not_shown = 0;
    errors_logged = 0;
    const struct recording_plugin *plugin = recording_plugin_entry(&host, &error);
    assert_non_null(plugin);
    if (plugin->create(&host, settings_path, &instance, &error)) {
        assert_true(strlen(error.text) > 0);
        return false;
    }
    plugin->session_open(instance, &info, &opened, &answer);
    if (opened) {
        int verdict = RECORDING_CONTINUE;
        assert_int_equal(answer.decision, RECORDING_RECORD);
        put(plugin, opened, "$ \xc3", 3, &verdict);
        plugin->input(opened, "ls\r", 3);
        put(plugin, opened, "\xa4ls\r\n", 6, &verdict);
        put(plugin, opened, much(), 60000, &verdict);
        plugin->resize(opened, 100, 50);
        plugin->marker(opened, "here");
        put(plugin, opened, much(), 60000, &verdict);
        put(plugin, opened, "$ ", 2, &verdict);
        end_is_recorded = plugin->session_close(opened, &how) == RECORDING_CONTINUE;
    } else {
        bool goes_on = strcmp(socket, "continue") == 0;
        assert_int_equal(answer.decision, goes_on ? RECORDING_IGNORE : RECORDING_REFUSE);
        assert_true(strlen(answer.reason) > 0);
        assert_true(errors_logged > 0);
    }
    plugin->destroy(instance);
    return opened != NULL;
}

/* ---- what a recorder makes of it --------------------------------------------------------------
 */

static int seal(void *context, const char *id)
{
    struct error *error = context;
    struct sealer *sealer;
    int rc = sealer_open(spool, id, &clock_system, &sealer, error);
    if (rc)
        return rc;
    do
        rc = sealer_run(sealer, worker, true, error);
    while (rc == SEAL_MORE);
    if (!rc)
        rc = sealer_sync(sealer, error);
    sealer_free(sealer);
    return rc == SEAL_COMPLETE ? 0 : rc ? rc : 1; /* 1: it still has a writer */
}

static int seal_all(struct error *error)
{
    return spool_each(spool, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, seal, error, error);
}

static enum upload_outcome outcome;

static int upload(void *context, const char *id)
{
    const struct upload_job job = {
        .spool = spool, .syncs = &syncs, .stores = stores, .settings = settings, .id = id};
    outcome = upload_recording(&job, context);
    return outcome == UPLOAD_STORED || outcome == UPLOAD_NOTHING ? 0 : -1;
}

static int finish(void *context, const char *id)
{
    return upload_finish(spool, &syncs, id, context);
}

static int upload_all(struct error *error)
{
    int rc = spool_each(spool, SPOOL_SEALED, SPOOL_UPLOAD_SUFFIX, finish, error, error);
    if (rc)
        return rc;
    return spool_each(spool, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX, upload, error, error);
}

static char found[2][PATH_MAX]; /* a cast and a manifest */
static int found_count;

static int find_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)at;
    bool incoming = strstr(path, "/.incoming/") != NULL;
    if (type != FTW_F || incoming)
        return 0;
    assert_true(found_count++ < 2);
    snprintf(found[strstr(path, ".json") != NULL], PATH_MAX, "%s", path);
    return 0;
}

static int left_count;

static int count_left(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)at;
    if (type == FTW_F && !strstr(path, "/recorder.lock") && !strstr(path, "/usage")) {
        left_count++;
        print_error("left: %s\n", path);
    }
    return 0;
}

static char raw[250000];
static size_t raw_length;
static bool has_end;

static int see(void *context, const struct cast_event *event, struct error *error)
{
    (void)context, (void)error;
    if (event->code == 'o') {
        assert_true(raw_length + event->raw_length < sizeof(raw));
        memcpy(raw + raw_length, event->raw, event->raw_length);
        raw_length += event->raw_length;
    }
    has_end = has_end || event->code == 'x';
    return 0;
}

static uint64_t lost_in_manifest(void)
{
    struct error error = ERROR_INIT;
    struct buffer text = BUFFER_INIT((size_t)1 << 20);
    struct manifest *manifest;
    assert_int_equal(file_read(AT_FDCWD, found[1], &text, &error), 0);
    assert_int_equal(manifest_read(text.data, text.length, &manifest, &error), 0);
    uint64_t lost = manifest->lost_bytes;
    assert_string_equal(manifest->damaged, "");
    manifest_free(manifest);
    buffer_free(&text);
    return lost;
}

/* Exactly the recordings that there should be, with exactly what was shown; nothing in the spool.
 */
static void check(bool recorded)
{
    char block[8192];
    int got;
    struct error error = ERROR_INIT;
    found_count = left_count = 0;
    nftw(store_folder, find_one, 16, FTW_PHYS);
    nftw(spool_folder, count_left, 16, FTW_PHYS);
    if (left_count || found_count != (recorded ? 2 : 0))
        print_error("after %s, %d errors logged, %zu bytes not recorded\n", fault_name(),
                    errors_logged, not_shown);
    assert_int_equal(left_count, 0);
    assert_int_equal(found_count, recorded ? 2 : 0);
    if (!recorded)
        return;
    struct cast_decoder *decoder;
    raw_length = 0;
    has_end = false;
    assert_int_equal(cast_decoder_new(see, NULL, &decoder, &error), 0);
    gzFile file = gzopen(found[0], "rb");
    while ((got = gzread(file, block, sizeof(block))) > 0)
        assert_int_equal(cast_decoder_feed(decoder, block, (size_t)got, &error), 0);
    assert_int_equal(gzclose(file), Z_OK);
    assert_int_equal(cast_decoder_finish(decoder, &error), 0);
    cast_decoder_free(decoder);
    assert_int_equal(raw_length, shown_length);
    assert_memory_equal(raw, shown, shown_length);
    if (end_is_recorded) {
        assert_true(lost_in_manifest() >= not_shown);
        assert_true(has_end);
    }
}

static void recover(bool recorded)
{
    struct error error = ERROR_INIT;
    /* A recorder takes the lock first, and then sweeps up what another one left half written. */
    assert_int_equal(spool_lock(spool, &error), 0);
    if (seal_all(&error) || upload_all(&error))
        fail_msg("it is not mended: %s", error.text);
    check(recorded);
    empty(spool_folder);
    empty(store_folder);
    spool_free(spool);
    assert_int_equal(spool_open(spool_folder, &spool, &error), 0);
}

/* ---- each call fails in turn ------------------------------------------------------------------
 */

/* Runs it without faults being armed, then with each; false: it made no call that failed. */
typedef bool scenario(void);

static void torture(enum fault_kind kind, int number, scenario *one)
{
    unsigned long runs = 0;
    for (int lasting = 0; lasting < 2; lasting++) {
        bool failed = true;
        for (unsigned long n = 0; failed && n < MOST; n++, runs++) {
            int before = descriptors();
            fault_arm(kind, number, n, lasting);
            failed = one();
            if (descriptors() != before)
                fail_msg("%d descriptors more after call %lu, %s", descriptors() - before, n,
                         fault_name());
        }
        assert_false(failed);
    }
    print_message("             %lu calls failed\n", runs - 2);
}

static const char *socket_name;

static bool a_session(void)
{
    bool recorded = session(socket_name);
    bool failed = fault_disarm();
    recover(recorded);
    return failed;
}

static void session_survives(enum fault_kind kind, int number)
{
    static const char *const sockets[] = {"end", "refuse", "continue"};
    for (size_t i = 0; i < 3; i++) {
        socket_name = sockets[i];
        torture(kind, number, a_session);
    }
}

static void each_allocation_of_a_session_may_fail(void **state)
{
    (void)state;
    session_survives(FAULT_MEMORY, ENOMEM);
}

static void each_system_call_of_a_session_may_fail(void **state)
{
    (void)state;
    session_survives(FAULT_FILES, EIO);
    session_survives(FAULT_FILES, ENOSPC);
}

static bool a_sealing(void)
{
    struct error error = ERROR_INIT;
    int rc = seal_all(&error);
    bool failed = fault_disarm();
    if (rc == ERR_DAMAGED)
        fail_msg("it would go to quarantine after %s: %s", fault_name(), error.text);
    if (rc < 0)
        assert_true(strlen(error.text) > 0 && failed);
    recover(true);
    return failed;
}

#define TRANSFER_ID "019ab1c2-d3e4-7f56-8901-23456789abcd"

/* A file put by sftp, the first half of it sealed: what is sealed next starts in its middle. */
static bool transfer(const char *unused)
{
    static const struct {
        enum journal_type type;
        size_t length;
        const char *bytes;
    } passed[] = {
        {JOURNAL_INPUT, 9, "\0\0\0\5\1\0\0\0\3"},
        {JOURNAL_STDOUT, 9, "\0\0\0\5\2\0\0\0\3"},
        {JOURNAL_INPUT, 22, "\0\0\0\x12\3\0\0\0\1\0\0\0\1f\0\0\0\x1a\0\0\0\0"},
        {JOURNAL_STDOUT, 14, "\0\0\0\x0a\x66\0\0\0\1\0\0\0\1h"},
        {JOURNAL_INPUT, 28, "\0\0\0\x1b\6\0\0\0\2\0\0\0\1h\0\0\0\0\0\0\0\0\0\0\0\5he"},
        {JOURNAL_INPUT, 3, "llo"},
        {JOURNAL_STDOUT, 13, "\0\0\0\x09\x65\0\0\0\2\0\0\0\0"},
        {JOURNAL_INPUT, 14, "\0\0\0\x0a\4\0\0\0\3\0\0\0\1h"},
        {JOURNAL_STDOUT, 13, "\0\0\0\x09\x65\0\0\0\3\0\0\0\0"},
    };
    const struct journal_meta meta = {.id = TRANSFER_ID,
                                      .organization = "acme",
                                      .socket = "end",
                                      .user = "alice",
                                      .command = "sftp",
                                      .kind = JOURNAL_SUBSYSTEM,
                                      .cast_version = 2,
                                      .transfer = "sftp"};
    const struct journal_end end = {.kind = JOURNAL_EXITED, .signal = "", .message = ""};
    struct journal *journal;
    struct error error = ERROR_INIT;
    (void)unused;
    assert_int_equal(journal_create(spool_area(spool, SPOOL_JOURNALS),
                                    TRANSFER_ID SPOOL_JOURNAL_SUFFIX, &meta, &clock_system,
                                    &journal, NULL),
                     0);
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
        assert_int_equal(
            journal_append(journal, passed[i].type, passed[i].bytes, passed[i].length, NULL), 0);
        if (i == 4)
            assert_int_equal(seal_all(&error), 1);
    }
    assert_int_equal(journal_end(journal, &end, NULL), 0);
    journal_free(journal);
    return true;
}

static bool a_sealing_of_a_transfer(void)
{
    struct error error = ERROR_INIT;
    struct buffer text = BUFFER_INIT(1 << 20);
    struct manifest *manifest;
    int rc = seal_all(&error);
    bool failed = fault_disarm();
    if (rc == ERR_DAMAGED)
        fail_msg("it would go to quarantine after %s: %s", fault_name(), error.text);
    if (rc < 0)
        assert_true(strlen(error.text) > 0 && failed);
    assert_int_equal(spool_lock(spool, &error), 0);
    if (seal_all(&error))
        fail_msg("it is not mended: %s", error.text);
    assert_int_equal(
        file_read(spool_area(spool, SPOOL_SEALED), TRANSFER_ID SPOOL_MANIFEST_SUFFIX, &text, NULL),
        0);
    assert_int_equal(manifest_read(text.data, text.length, &manifest, NULL), 0);
    assert_int_equal(manifest->transfer.operations, 1);
    assert_int_equal(manifest->transfer.put_bytes, 5);
    assert_true(manifest->transfer.understood);
    /* The hash of "hello". */
    assert_non_null(strstr(text.data, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362"));
    manifest_free(manifest);
    buffer_free(&text);
    empty(spool_folder);
    spool_free(spool);
    assert_int_equal(spool_open(spool_folder, &spool, &error), 0);
    return failed;
}

static bool (*prepare)(const char *socket) = session;

/* The session is recorded first, with nothing failing. */
static void torture_prepared(enum fault_kind kind, int number, bool sealed, scenario *one)
{
    unsigned long runs = 0;
    for (int lasting = 0; lasting < 2; lasting++) {
        bool failed = true;
        for (unsigned long n = 0; failed && n < MOST; n++, runs++) {
            struct error error = ERROR_INIT;
            assert_true(prepare("end"));
            if (sealed)
                assert_int_equal(seal_all(&error), 0);
            int before = descriptors();
            fault_arm(kind, number, n, lasting);
            failed = one();
            if (descriptors() != before)
                fail_msg("%d descriptors more after call %lu, %s", descriptors() - before, n,
                         fault_name());
        }
        assert_false(failed);
    }
    print_message("             %lu calls failed\n", runs - 2);
}

static void each_allocation_of_sealing_may_fail(void **state)
{
    (void)state;
    torture_prepared(FAULT_MEMORY, ENOMEM, false, a_sealing);
}

static void each_system_call_of_sealing_may_fail(void **state)
{
    (void)state;
    torture_prepared(FAULT_FILES, EIO, false, a_sealing);
    torture_prepared(FAULT_FILES, ENOSPC, false, a_sealing);
}

static void each_call_of_sealing_a_transfer_may_fail(void **state)
{
    (void)state;
    prepare = transfer;
    torture_prepared(FAULT_MEMORY, ENOMEM, false, a_sealing_of_a_transfer);
    torture_prepared(FAULT_FILES, EIO, false, a_sealing_of_a_transfer);
    torture_prepared(FAULT_FILES, ENOSPC, false, a_sealing_of_a_transfer);
    prepare = session;
}

static bool an_upload(void)
{
    struct error error = ERROR_INIT;
    outcome = UPLOAD_STORED;
    int rc = upload_all(&error);
    bool failed = fault_disarm();
    if (outcome == UPLOAD_DAMAGED)
        fail_msg("it would go to quarantine after %s: %s", fault_name(), error.text);
    if (rc < 0)
        assert_true(strlen(error.text) > 0 && failed);
    recover(true);
    return failed;
}

static void each_allocation_of_an_upload_may_fail(void **state)
{
    (void)state;
    torture_prepared(FAULT_MEMORY, ENOMEM, true, an_upload);
}

static void each_system_call_of_an_upload_may_fail(void **state)
{
    (void)state;
    torture_prepared(FAULT_FILES, EIO, true, an_upload);
    torture_prepared(FAULT_FILES, ENOSPC, true, an_upload);
}

static bool settings_are_read(void)
{
    struct error error = ERROR_INIT;
    struct settings *read;
    int rc = settings_load(settings_path, &read, &error);
    bool failed = fault_disarm();
    if (rc) {
        assert_int_equal(rc, error.code);
        assert_true(failed && strlen(error.text) > 0);
    } else {
        assert_non_null(settings_socket(read, "continue"));
        settings_unref(read);
    }
    return failed;
}

static void settings_are_read_or_it_says_why_not(void **state)
{
    (void)state;
    torture(FAULT_MEMORY, ENOMEM, settings_are_read);
    torture(FAULT_FILES, EIO, settings_are_read);
}

static bool words_are_read(void)
{
    static const char text[] =
        "{\"n\": [1234567890123456789, -9223372036854775808, 12345678901.123456],"
        " \"a key that is long enough\": \"\\u00e4 and a value, too\"}";
    struct error error = ERROR_INIT;
    json_t *json;
    int rc = json_read_object(text, sizeof(text) - 1, &json, &error);
    bool failed = fault_disarm();
    if (rc) {
        assert_int_equal(rc, ERR_NO_MEMORY);
        assert_true(failed);
        return failed;
    }
    const json_t *numbers = json_object_get(json, "n");
    assert_true(json_integer_value(json_array_get(numbers, 0)) == INT64_C(1234567890123456789));
    assert_true(json_integer_value(json_array_get(numbers, 1)) == INT64_MIN);
    assert_string_equal(json_string_value(json_object_get(json, "a key that is long enough")),
                        "\xc3\xa4 and a value, too");
    json_decref(json);
    return failed;
}

static void json_is_read_as_it_stands_or_there_is_no_memory(void **state)
{
    (void)state;
    torture(FAULT_MEMORY, ENOMEM, words_are_read);
    char text[128];
    struct error error = ERROR_INIT;
    json_t *json;
    snprintf(text, sizeof(text), "{\n \"n\": 0.%063d}", 1);
    assert_int_equal(json_read_object(text, strlen(text), &json, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "line 2, column 7: a number of more than 64"));
}

static int set_version(void *context, json_t *root, struct error *error)
{
    (void)context;
    return settings_edit_set(root, "cast_version", json_integer(3), error);
}

static bool settings_are_edited(void)
{
    struct error error = ERROR_INIT;
    int rc = settings_edit(settings_path, set_version, NULL, &error);
    bool failed = fault_disarm();
    struct settings *now;
    assert_int_equal(settings_load(settings_path, &now, NULL), 0);
    int version = settings_cast_version(now);
    settings_unref(now);
    if (rc)
        assert_true(failed && strlen(error.text) > 0);
    else
        assert_int_equal(version, 3);
    write_settings();
    return failed;
}

static void settings_are_the_old_ones_or_the_new_ones(void **state)
{
    (void)state;
    torture(FAULT_MEMORY, ENOMEM, settings_are_edited);
    torture(FAULT_FILES, EIO, settings_are_edited);
    torture(FAULT_FILES, ENOSPC, settings_are_edited);
}

static bool quarantined(void)
{
    char id[ID_SIZE] = "";
    struct error error = ERROR_INIT;
    char folder[320];
    snprintf(folder, sizeof(folder), "%s/journals", spool_folder);
    DIR *journals = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(journals));)
        if (strlen(entry->d_name) > ID_SIZE)
            memcpy(id, entry->d_name, ID_SIZE - 1);
    closedir(journals);
    int rc = spool_quarantine(spool, id, "a test", &error);
    bool failed = fault_disarm();
    if (rc) {
        assert_true(failed && strlen(error.text) > 0);
        assert_int_equal(spool_quarantine(spool, id, "a test", &error), 0);
    }
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(faccessat(spool_area(spool, SPOOL_QUARANTINE), name, F_OK, 0), 0);
    assert_int_equal(faccessat(spool_area(spool, SPOOL_JOURNALS), name, F_OK, 0), -1);
    spool_name(name, id, SPOOL_REASON_SUFFIX);
    assert_int_equal(faccessat(spool_area(spool, SPOOL_QUARANTINE), name, F_OK, 0), 0);
    empty(spool_folder);
    spool_free(spool);
    assert_int_equal(spool_open(spool_folder, &spool, &error), 0);
    return failed;
}

static void what_goes_to_quarantine_gets_there(void **state)
{
    (void)state;
    torture_prepared(FAULT_FILES, EIO, false, quarantined);
}

static void ignore_line(void *context, enum log_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    log_set_sink(ignore_line, NULL);
    json_set_alloc_funcs(malloc, free); /* its allocations are among those that fail */
    const struct CMUnitTest tests[] = {
        TEST(json_is_read_as_it_stands_or_there_is_no_memory),
        TEST(settings_are_read_or_it_says_why_not),
        TEST(settings_are_the_old_ones_or_the_new_ones),
        TEST(each_allocation_of_a_session_may_fail),
        TEST(each_system_call_of_a_session_may_fail),
        TEST(each_allocation_of_sealing_may_fail),
        TEST(each_system_call_of_sealing_may_fail),
        TEST(each_call_of_sealing_a_transfer_may_fail),
        TEST(each_allocation_of_an_upload_may_fail),
        TEST(each_system_call_of_an_upload_may_fail),
        TEST(what_goes_to_quarantine_gets_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
