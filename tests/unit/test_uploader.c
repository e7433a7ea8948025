/* The uploader, with directory stores: everything arrives, nothing twice, nothing lost, and nobody
 * waits for somebody else's broken storage. A kill is simulated by the files it would leave. */
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
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/base/sha256.h"
#include "recorder/seal/manifest.h"
#include "recorder/store/key.h"
#include "recorder/store/store.h"
#include "recorder/upload/storage_fingerprint.h"
#include "recorder/upload/upload_schedule.h"
#include "recorder/upload/upload_state.h"
#include "recorder/upload/uploader.h"

#define START INT64_C(1795465321123456000) /* 2026-11-23T20:22:01Z */

struct place {
    char path[200], settings_path[256];
    struct spool *spool;
    struct settings_watch *settings;
    pthread_mutex_t lock;
    int stored;
    char last_url[512];
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

/* acme and home have directories; each is "" for a path that cannot work. */
static void write_settings(struct place *place, const char *acme, const char *home)
{
    struct buffer text = BUFFER_INIT(65536);
    struct error error = ERROR_INIT;
    int rc = buffer_printf(
        &text,
        "{\"version\": 1, \"spool\": \"%s/spool\", \"organizations\": {"
        "\"acme\": {\"storage\": {\"type\": \"directory\", \"path\": \"%s/%s\"}}",
        place->path, place->path, acme);
    if (!rc && home)
        rc = buffer_printf(&text,
                           ", \"home\": {\"storage\": {\"type\": \"directory\", "
                           "\"path\": \"%s/%s\"}}",
                           place->path, home);
    if (!rc)
        rc = buffer_append_text(&text, "}, \"sockets\": {}}");
    assert_int_equal(rc, 0);
    assert_int_equal(
        file_write_atomic(AT_FDCWD, place->settings_path, text.data, text.length, 0600, &error), 0);
    buffer_free(&text);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *base = getenv("TMPDIR");
    struct error error = ERROR_INIT;
    char path[256];
    log_set_sink(keep_quiet, NULL);
    pthread_mutex_init(&place->lock, NULL);
    snprintf(place->path, sizeof(place->path), "%s/castbucket-upload-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(place->path));
    snprintf(place->settings_path, sizeof(place->settings_path), "%s/settings.json", place->path);
    write_settings(place, "acme", "home");
    assert_int_equal(settings_watch_new(place->settings_path, &place->settings, &error), 0);
    snprintf(path, sizeof(path), "%s/spool", place->path);
    assert_int_equal(spool_open(path, &place->spool, &error), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    spool_free(place->spool);
    settings_watch_free(place->settings);
    nftw(place->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    pthread_mutex_destroy(&place->lock);
    free(place);
    return 0;
}

static void write_file(const struct place *place, enum spool_area area, const char *id,
                       const char *suffix, const void *data, size_t length)
{
    char name[SPOOL_NAME_SIZE];
    struct error error = ERROR_INIT;
    spool_name(name, id, suffix);
    assert_int_equal(
        file_write_atomic(spool_area(place->spool, area), name, data, length, 0600, &error), 0);
}

/* A sealed recording: a cast (its bytes are not looked at here) and a manifest that fits. */
static void make_recording(const struct place *place, char id[ID_SIZE], const char *organization,
                           int64_t started_ns)
{
    struct error error = ERROR_INIT;
    char cast[100];
    assert_int_equal(id_new(id, started_ns, &error), 0);
    size_t length = (size_t)snprintf(cast, sizeof(cast), "cast of %s\n", id);
    struct manifest_chunk chunk = {.size = length, .cast_size = length};
    struct manifest manifest = {.id = id,
                                .organization = organization,
                                .socket = "web-1",
                                .user = "ann",
                                .key_fingerprint = "",
                                .target_user = "",
                                .target_address = "",
                                .client_address = "",
                                .connection_id = "",
                                .host = "",
                                .kind = "shell",
                                .command = "",
                                .term = "",
                                .started_ns = started_ns,
                                .cast_version = 2,
                                .end = "exited",
                                .signal = "",
                                .message = "",
                                .damaged = "",
                                .cast_bytes = length,
                                .size = length,
                                .chunks = &chunk,
                                .chunk_count = 1};
    struct buffer text = BUFFER_INIT(65536);
    assert_int_equal(sha256(cast, length, manifest.sha256), 0);
    memcpy(chunk.sha256, manifest.sha256, 32);
    assert_int_equal(manifest_write(&manifest, &text, &error), 0);
    write_file(place, SPOOL_SEALED, id, SPOOL_CAST_SUFFIX, cast, length);
    write_file(place, SPOOL_SEALED, id, SPOOL_MANIFEST_SUFFIX, text.data, text.length);
    buffer_free(&text);
}

static bool in_spool(const struct place *place, enum spool_area area, const char *id,
                     const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, suffix);
    return faccessat(spool_area(place->spool, area), name, F_OK, 0) == 0;
}

static bool nothing_is_left(const struct place *place, const char *id)
{
    return !in_spool(place, SPOOL_SEALED, id, SPOOL_CAST_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_MANIFEST_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_UPLOAD_SUFFIX) &&
           !in_spool(place, SPOOL_SEALED, id, SPOOL_SEAL_SUFFIX);
}

static void object_path(const struct place *place, const char *directory, const char *organization,
                        const char *id, const char *suffix, char path[1500])
{
    char key[KEY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(key_make(key, "", organization, "web-1", id_time_ns(id), id, suffix, &error),
                     0);
    snprintf(path, 1500, "%s/%s/%s", place->path, directory, key);
}

static bool is_stored(const struct place *place, const char *directory, const char *organization,
                      const char *id)
{
    char cast[1500], manifest[1500];
    object_path(place, directory, organization, id, KEY_CAST_SUFFIX, cast);
    object_path(place, directory, organization, id, KEY_MANIFEST_SUFFIX, manifest);
    return access(cast, F_OK) == 0 && access(manifest, F_OK) == 0;
}

static void on_stored(void *context, const char *id, const char *url)
{
    struct place *place = context;
    (void)id;
    pthread_mutex_lock(&place->lock);
    place->stored++;
    snprintf(place->last_url, sizeof(place->last_url), "%s", url);
    pthread_mutex_unlock(&place->lock);
}

static struct uploader *start(struct place *place, bool once)
{
    const struct uploader_options options = {
        .threads = 4, .once = once, .on_stored = on_stored, .context = place};
    struct uploader *uploader = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(
        uploader_new(place->spool, place->settings, &clock_system, &options, &uploader, &error), 0);
    return uploader;
}

/* Runs until nothing more can be done; returns what still waits. */
static size_t run_once(struct place *place)
{
    struct uploader *uploader = start(place, true);
    size_t left = uploader_wait(uploader, 60000);
    uploader_free(uploader, 1000);
    return left;
}

static void what_is_in_the_spool_is_stored_and_then_removed(void **state)
{
    struct place *place = *state;
    char ids[20][ID_SIZE];
    for (int i = 0; i < 20; i++)
        make_recording(place, ids[i], i % 2 ? "acme" : "home", START + i * NS_PER_SECOND);
    assert_int_equal(run_once(place), 0);
    assert_int_equal(place->stored, 20);
    for (int i = 0; i < 20; i++) {
        assert_true(is_stored(place, i % 2 ? "acme" : "home", i % 2 ? "acme" : "home", ids[i]));
        assert_true(nothing_is_left(place, ids[i]));
    }
    assert_non_null(strstr(place->last_url, "file://"));
    assert_non_null(strstr(place->last_url, "/date=2026-11-23/"));
}

static void what_is_added_later_is_stored_too(void **state)
{
    struct place *place = *state;
    struct uploader *uploader = start(place, false);
    char id[ID_SIZE];
    make_recording(place, id, "acme", START);
    uploader_add(uploader, id);
    uploader_add(uploader, id);
    assert_int_equal(uploader_wait(uploader, 10000), 0);
    assert_true(is_stored(place, "acme", "acme", id));
    uploader_add(uploader, id); /* nothing is there any more */
    assert_int_equal(uploader_wait(uploader, 10000), 0);
    uploader_free(uploader, 1000);
    assert_int_equal(place->stored, 1);
}

static void a_kill_at_any_point_neither_doubles_nor_loses(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE], cast[1500], name[SPOOL_NAME_SIZE];
    /* What each step leaves: nothing sent; the cast sent; both sent; confirmed; and then the files
     * removed one after another. */
    for (int step = 0; step < 8; step++) {
        make_recording(place, id, "acme", START);
        struct buffer bytes = BUFFER_INIT(65536), manifest = BUFFER_INIT(65536);
        struct error error = ERROR_INIT;
        int sealed = spool_area(place->spool, SPOOL_SEALED);
        spool_name(name, id, SPOOL_CAST_SUFFIX);
        assert_int_equal(file_read(sealed, name, &bytes, &error), 0);
        spool_name(name, id, SPOOL_MANIFEST_SUFFIX);
        assert_int_equal(file_read(sealed, name, &manifest, &error), 0);
        struct upload_state upload = {.confirmed = step >= 3};
        uint8_t sum[SHA256_SIZE];
        struct settings *settings = settings_watch_get(place->settings, &error);
        assert_int_equal(storage_place(&settings_organization(settings, "acme")->storage, sum), 0);
        settings_unref(settings);
        if (step >= 1) {
            object_path(place, "acme", "acme", id, KEY_CAST_SUFFIX, cast);
            char *slash = strrchr(cast, '/');
            *slash = '\0';
            assert_int_equal(file_make_directories(cast, 0700, &error), 0);
            *slash = '/';
            assert_int_equal(
                file_write_atomic(AT_FDCWD, cast, bytes.data, bytes.length, 0600, &error), 0);
        }
        if (step >= 2) {
            object_path(place, "acme", "acme", id, KEY_MANIFEST_SUFFIX, cast);
            assert_int_equal(
                file_write_atomic(AT_FDCWD, cast, manifest.data, manifest.length, 0600, &error), 0);
        }
        if (step >= 3 && step != 7)
            assert_int_equal(upload_state_write(place->spool, id, &upload, &error), 0);
        if (step >= 4)
            assert_int_equal(spool_remove(place->spool, SPOOL_SEALED, id, SPOOL_CAST_SUFFIX, NULL),
                             0);
        if (step == 5 || step == 6)
            assert_int_equal(
                spool_remove(place->spool, SPOOL_SEALED, id, SPOOL_MANIFEST_SUFFIX, NULL), 0);
        if (step == 6)
            assert_int_equal(
                spool_remove(place->spool, SPOOL_SEALED, id, SPOOL_UPLOAD_SUFFIX, NULL), 0);
        /* Step 7: the disk was full, so the cast went before the note. */
        assert_int_equal(run_once(place), 0);
        assert_true(is_stored(place, "acme", "acme", id));
        assert_true(nothing_is_left(place, id));
        buffer_free(&bytes);
        buffer_free(&manifest);
    }
    assert_int_equal(place->stored, 4); /* steps 0, 1, 2 and 7; the others had been reported */
}

static void while_the_journal_is_there_nothing_is_uploaded(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE];
    make_recording(place, id, "acme", START);
    write_file(place, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX, "j", 1);
    struct uploader *uploader = start(place, false);
    assert_int_equal(uploader_wait(uploader, 10000), 0);
    assert_false(is_stored(place, "acme", "acme", id));
    assert_true(in_spool(place, SPOOL_SEALED, id, SPOOL_CAST_SUFFIX));
    /* Sealing ends. */
    assert_int_equal(spool_remove(place->spool, SPOOL_JOURNALS, id, SPOOL_JOURNAL_SUFFIX, NULL), 0);
    uploader_add(uploader, id);
    assert_int_equal(uploader_wait(uploader, 10000), 0);
    assert_true(is_stored(place, "acme", "acme", id));
    uploader_free(uploader, 1000);
}

static void a_recording_that_changed_on_disk_goes_to_quarantine(void **state)
{
    struct place *place = *state;
    char longer[ID_SIZE], other[ID_SIZE], lost[ID_SIZE], broken[ID_SIZE], good[ID_SIZE];
    make_recording(place, longer, "acme", START);
    write_file(place, SPOOL_SEALED, longer, SPOOL_CAST_SUFFIX, "x", 1);
    make_recording(place, other, "acme", START);
    char same_size[100];
    int length = snprintf(same_size, sizeof(same_size), "CAST of %s\n", other);
    write_file(place, SPOOL_SEALED, other, SPOOL_CAST_SUFFIX, same_size, (size_t)length);
    make_recording(place, lost, "acme", START);
    assert_int_equal(spool_remove(place->spool, SPOOL_SEALED, lost, SPOOL_CAST_SUFFIX, NULL), 0);
    make_recording(place, broken, "acme", START);
    write_file(place, SPOOL_SEALED, broken, SPOOL_MANIFEST_SUFFIX, "{", 1);
    make_recording(place, good, "acme", START);

    assert_int_equal(run_once(place), 0);
    assert_true(is_stored(place, "acme", "acme", good));
    const char *const bad[] = {longer, other, lost, broken};
    for (int i = 0; i < 4; i++) {
        assert_false(is_stored(place, "acme", "acme", bad[i]));
        assert_true(in_spool(place, SPOOL_QUARANTINE, bad[i], SPOOL_REASON_SUFFIX));
        assert_true(in_spool(place, SPOOL_QUARANTINE, bad[i], SPOOL_MANIFEST_SUFFIX));
        assert_true(nothing_is_left(place, bad[i]));
    }
    assert_true(in_spool(place, SPOOL_QUARANTINE, other, SPOOL_CAST_SUFFIX));
}

struct report {
    int organizations;
    char name[100], why[1024];
    size_t count;
};

static void note(void *context, const char *organization, size_t count, const char *why)
{
    struct report *report = context;
    report->organizations++;
    report->count = count;
    snprintf(report->name, sizeof(report->name), "%s", organization);
    snprintf(report->why, sizeof(report->why), "%s", why);
}

static void a_conflict_waits_and_is_reported_and_the_others_go_on(void **state)
{
    struct place *place = *state;
    char taken[ID_SIZE], before[ID_SIZE], after[ID_SIZE], path[1500];
    struct error error = ERROR_INIT;
    make_recording(place, before, "acme", START - NS_PER_SECOND);
    make_recording(place, taken, "acme", START);
    make_recording(place, after, "acme", START + NS_PER_SECOND);
    object_path(place, "acme", "acme", taken, KEY_CAST_SUFFIX, path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(file_make_directories(path, 0700, &error), 0);
    *slash = '/';
    assert_int_equal(file_write_atomic(AT_FDCWD, path, "another", 7, 0600, &error), 0);

    struct uploader *uploader = start(place, true);
    assert_int_equal(uploader_wait(uploader, 30000), 1);
    struct report report = {0};
    uploader_waiting(uploader, note, &report);
    assert_int_equal(report.organizations, 1);
    assert_string_equal(report.name, "acme");
    assert_non_null(strstr(report.why, taken));
    assert_non_null(strstr(report.why, "another object"));
    uploader_free(uploader, 1000);
    assert_true(is_stored(place, "acme", "acme", before));
    assert_true(is_stored(place, "acme", "acme", after));
    assert_true(in_spool(place, SPOOL_SEALED, taken, SPOOL_CAST_SUFFIX));
    struct buffer text = BUFFER_INIT(100);
    assert_int_equal(file_read(AT_FDCWD, path, &text, &error), 0);
    assert_string_equal(text.data, "another");
    buffer_free(&text);
}

static void an_organization_that_is_not_in_the_settings_waits_for_them(void **state)
{
    struct place *place = *state;
    char unknown[ID_SIZE], known[ID_SIZE];
    write_settings(place, "acme", NULL);
    make_recording(place, unknown, "home", START);
    make_recording(place, known, "acme", START);
    struct uploader *uploader = start(place, false);
    for (int i = 0; i < 100 && !nothing_is_left(place, known); i++)
        usleep(50000);
    assert_true(is_stored(place, "acme", "acme", known));
    assert_int_equal(uploader_wait(uploader, 5000), 1);
    struct report report = {0};
    uploader_waiting(uploader, note, &report);
    assert_string_equal(report.name, "home");
    assert_non_null(strstr(report.why, "no organization 'home'"));

    /* Within seconds, not after the minute that it would otherwise wait. */
    write_settings(place, "acme", "home");
    for (int i = 0; i < 200 && !nothing_is_left(place, unknown); i++)
        usleep(50000);
    assert_true(is_stored(place, "home", "home", unknown));
    assert_int_equal(uploader_wait(uploader, 5000), 0);
    uploader_free(uploader, 1000);
}

static void a_broken_storage_delays_nobody_else_and_the_status_tells(void **state)
{
    struct place *place = *state;
    char stuck[5][ID_SIZE], id[ID_SIZE];
    struct error error = ERROR_INIT;
    write_settings(place, "acme", "settings.json"); /* a file where the directory should be */
    for (int i = 0; i < 5; i++)
        make_recording(place, stuck[i], "home", START + i * NS_PER_SECOND);
    struct uploader *uploader = start(place, false);
    for (int i = 0; i < 20; i++) {
        make_recording(place, id, "acme", START);
        uploader_add(uploader, id);
    }
    for (int i = 0; i < 200 && uploader_wait(uploader, 0) > 5; i++)
        usleep(50000);
    assert_int_equal(place->stored, 20);
    struct buffer text = BUFFER_INIT(65536);
    assert_int_equal(uploader_status(uploader, &text, &error), 0);
    json_t *json = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
    const json_t *home = json_object_get(json, "home");
    assert_int_equal(json_integer_value(json_object_get(home, "waiting")), 5);
    assert_non_null(strstr(json_string_value(json_object_get(home, "error")), "settings.json"));
    assert_non_null(json_object_get(home, "since"));
    assert_null(json_object_get(json_object_get(json, "acme"), "error"));
    json_decref(json);
    buffer_free(&text);
    uploader_free(uploader, 1000);
    for (int i = 0; i < 5; i++)
        assert_true(in_spool(place, SPOOL_SEALED, stuck[i], SPOOL_CAST_SUFFIX));
}

static void progress_is_remembered_and_forgotten_when_it_is_not_of_this_place(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE];
    struct error error = ERROR_INIT;
    make_recording(place, id, "acme", START);
    struct upload_state written = {.cast_stored = true}, read;
    snprintf(written.place, sizeof(written.place), "%064d", 7);
    snprintf(written.cast_key, sizeof(written.cast_key), "org=acme/%s.cast.gz", id);
    snprintf(written.progress.upload_id, sizeof(written.progress.upload_id), "u\"1");
    written.progress.part_size = UINT64_C(8) << 20;
    written.progress.part_count = 2;
    written.progress.parts = calloc(2, sizeof(*written.progress.parts));
    strcpy(written.progress.parts[1].etag, "e2");
    written.progress.parts[1].sha256[31] = 9;
    assert_int_equal(upload_state_write(place->spool, id, &written, &error), 0);
    assert_int_equal(upload_state_read(place->spool, id, &read, &error), 0);
    assert_string_equal(read.place, written.place);
    assert_string_equal(read.cast_key, written.cast_key);
    assert_true(read.cast_stored);
    assert_false(read.confirmed);
    assert_string_equal(read.progress.upload_id, "u\"1");
    assert_int_equal(read.progress.part_count, 2);
    assert_string_equal(read.progress.parts[1].etag, "e2");
    assert_int_equal(read.progress.parts[1].sha256[31], 9);
    upload_state_free(&read);
    upload_state_free(&written);

    /* It says that the cast is stored, but elsewhere: it is put here. */
    assert_int_equal(run_once(place), 0);
    assert_true(is_stored(place, "acme", "acme", id));

    /* Damage is nothing worse than beginning anew. */
    make_recording(place, id, "acme", START);
    write_file(place, SPOOL_SEALED, id, SPOOL_UPLOAD_SUFFIX, "{\"version\": 1, \"parts\"", 22);
    assert_int_equal(run_once(place), 0);
    assert_true(is_stored(place, "acme", "acme", id));
}

static void every_recording_that_is_stored_was_whole(void **state)
{
    struct place *place = *state;
    char id[ID_SIZE], path[1500];
    struct error error = ERROR_INIT;
    make_recording(place, id, "acme", START);
    char expected[100];
    snprintf(expected, sizeof(expected), "cast of %s\n", id);
    assert_int_equal(run_once(place), 0);
    struct buffer text = BUFFER_INIT(65536);
    object_path(place, "acme", "acme", id, KEY_CAST_SUFFIX, path);
    assert_int_equal(file_read(AT_FDCWD, path, &text, &error), 0);
    assert_string_equal(text.data, expected);
    buffer_free(&text);
}

#define upload_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        upload_test(what_is_in_the_spool_is_stored_and_then_removed),
        upload_test(what_is_added_later_is_stored_too),
        upload_test(a_kill_at_any_point_neither_doubles_nor_loses),
        upload_test(while_the_journal_is_there_nothing_is_uploaded),
        upload_test(a_recording_that_changed_on_disk_goes_to_quarantine),
        upload_test(a_conflict_waits_and_is_reported_and_the_others_go_on),
        upload_test(an_organization_that_is_not_in_the_settings_waits_for_them),
        upload_test(a_broken_storage_delays_nobody_else_and_the_status_tells),
        upload_test(progress_is_remembered_and_forgotten_when_it_is_not_of_this_place),
        upload_test(every_recording_that_is_stored_was_whole),
    };
    return cmocka_run_group_tests_name("uploader", tests, NULL, NULL);
}
