/* Editing the settings file: wholly, atomically, and with nothing lost. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/base/buffer.h"
#include "recorder/base/file.h"
#include "recorder/settings/settings.h"
#include "recorder/settings/settings_edit.h"

struct folder {
    char path[256];
    char file[300];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    const char *base = getenv("TMPDIR");
    assert_non_null(folder);
    snprintf(folder->path, sizeof(folder->path), "%s/settings-edit-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/settings.json", folder->path);
    *state = folder;
    return 0;
}

/* Names of files other than "." and "..", removed on the way. */
static int count_and_remove(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        unlinkat(dirfd(directory), entry->d_name, 0);
        count++;
    }
    closedir(directory);
    return count;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    count_and_remove(folder->path);
    rmdir(folder->path);
    free(folder);
    return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    struct error error = ERROR_INIT;
    assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), mode, &error), 0);
}

static void expect_file(const char *path, const char *text)
{
    struct buffer buffer = BUFFER_INIT(1 << 20);
    struct error error = ERROR_INIT;
    assert_int_equal(file_read(AT_FDCWD, path, &buffer, &error), 0);
    assert_string_equal(buffer.data, text);
    buffer_free(&buffer);
}

static int set_spool(void *context, json_t *root, struct error *error)
{
    return settings_edit_set(root, "spool", json_string(context), error);
}

static int edit_spool(const struct folder *folder, const char *spool, struct error *error)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", spool);
    *error = ERROR_INIT;
    return settings_edit(folder->file, set_spool, copy, error);
}

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode & 07777;
}

static void a_file_that_is_not_there_is_made(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    assert_int_equal(edit_spool(folder, "/spool", &error), 0);
    expect_file(folder->file, "{\n  \"version\": 1,\n  \"spool\": \"/spool\"\n}\n");
    assert_int_equal(mode_of(folder->file), 0640);
    assert_int_equal(count_and_remove(folder->path), 1);
}

static void an_edit_keeps_mode_and_order(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    write_file(folder->file, "{\"spool\":\"/a\",\"organizations\":{},\"cast_version\":3}", 0604);
    assert_int_equal(edit_spool(folder, "/b", &error), 0);
    expect_file(folder->file, "{\n  \"spool\": \"/b\",\n  \"organizations\": {},\n"
                              "  \"cast_version\": 3\n}\n");
    assert_int_equal(mode_of(folder->file), 0604);
    assert_int_equal(count_and_remove(folder->path), 1);
}

static void an_edit_keeps_the_owner(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    struct stat info;
    if (geteuid() != 0)
        skip();
    write_file(folder->file, "{}", 0640);
    assert_int_equal(chown(folder->file, 12345, 23456), 0);
    assert_int_equal(edit_spool(folder, "/b", &error), 0);
    assert_int_equal(stat(folder->file, &info), 0);
    assert_int_equal(info.st_uid, 12345);
    assert_int_equal(info.st_gid, 23456);
    assert_int_equal(info.st_mode & 07777, 0640);
}

static void a_change_that_makes_the_file_invalid_leaves_it_as_it_was(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    write_file(folder->file, "{\"spool\":\"/a\"}", 0600);
    assert_int_equal(edit_spool(folder, "relative", &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "settings.json: spool: "));
    expect_file(folder->file, "{\"spool\":\"/a\"}");
    assert_int_equal(count_and_remove(folder->path), 1);
    assert_int_equal(edit_spool(folder, "relative", &error), ERR_INVALID);
    assert_int_equal(count_and_remove(folder->path), 0);
}

static void a_damaged_file_is_not_overwritten(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    static const char *const damaged[] = {"", "{", "[]", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        write_file(folder->file, damaged[i], 0600);
        assert_int_equal(edit_spool(folder, "/b", &error), ERR_INVALID);
        assert_non_null(strstr(error.text, folder->file));
        expect_file(folder->file, damaged[i][0] ? damaged[i] : "");
    }
    write_file(folder->file, "{}", 0666);
    assert_int_equal(edit_spool(folder, "/b", &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "chmod o-w"));
}

static void a_symbolic_link_stays_and_its_file_changes(void **state)
{
    const struct folder *folder = *state;
    struct error error;
    char real[300];
    snprintf(real, sizeof(real), "%s/real.json", folder->path);
    write_file(real, "{}", 0600);
    assert_int_equal(symlink("real.json", folder->file), 0);
    assert_int_equal(edit_spool(folder, "/b", &error), 0);
    struct stat info;
    assert_int_equal(lstat(folder->file, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    expect_file(real, "{\n  \"spool\": \"/b\"\n}\n");
}

static void a_missing_directory_is_named(void **state)
{
    const struct folder *folder = *state;
    struct error error = ERROR_INIT;
    char path[400];
    snprintf(path, sizeof(path), "%s/none/settings.json", folder->path);
    assert_int_equal(settings_edit(path, set_spool, (char[]){"/a"}, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/none"));
    assert_int_equal(settings_edit("/", set_spool, (char[]){"/a"}, &error), ERR_INVALID);
    assert_int_equal(settings_edit(folder->path, set_spool, (char[]){"/a"}, &error), ERR_INVALID);
}

static int add_socket(void *context, json_t *root, struct error *error)
{
    json_t *sockets, *socket;
    int rc = settings_edit_member(root, "sockets", &sockets, error);
    if (!rc)
        rc = settings_edit_member(sockets, context, &socket, error);
    if (!rc)
        rc = settings_edit_set(socket, "organization", json_string("o"), error);
    return rc;
}

#define WRITERS 4
#define EDITS 10

static void edits_at_the_same_time_all_count(void **state)
{
    const struct folder *folder = *state;
    pid_t children[WRITERS];
    write_file(folder->file,
               "{\"organizations\":{\"o\":{\"storage\":{\"type\":\"directory\",\"path\":\"/x\"}}}}",
               0600);
    for (int w = 0; w < WRITERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] == 0) {
            int failed = 0;
            for (int i = 0; i < EDITS; i++) {
                char name[32];
                struct error error;
                snprintf(name, sizeof(name), "s-%d-%d", w, i);
                failed |= settings_edit(folder->file, add_socket, name, &error);
            }
            _exit(failed ? 1 : 0);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_int_equal(status, 0);
    }
    struct settings *settings;
    struct error error;
    assert_int_equal(settings_load(folder->file, &settings, &error), 0);
    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < EDITS; i++) {
            char name[32];
            snprintf(name, sizeof(name), "s-%d-%d", w, i);
            assert_non_null(settings_socket(settings, name));
        }
    settings_unref(settings);
    assert_int_equal(count_and_remove(folder->path), 1);
}

static int add_under_a_number(void *context, json_t *root, struct error *error)
{
    json_t *object;
    (void)context;
    return settings_edit_member(root, "version", &object, error);
}

static void a_section_of_another_kind_is_not_replaced(void **state)
{
    const struct folder *folder = *state;
    struct error error = ERROR_INIT;
    write_file(folder->file, "{\"version\":1}", 0600);
    assert_int_equal(settings_edit(folder->file, add_under_a_number, NULL, &error), ERR_INVALID);
    expect_file(folder->file, "{\"version\":1}");
}

#define EDIT_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDIT_TEST(a_file_that_is_not_there_is_made),
        EDIT_TEST(an_edit_keeps_mode_and_order),
        EDIT_TEST(an_edit_keeps_the_owner),
        EDIT_TEST(a_change_that_makes_the_file_invalid_leaves_it_as_it_was),
        EDIT_TEST(a_damaged_file_is_not_overwritten),
        EDIT_TEST(a_symbolic_link_stays_and_its_file_changes),
        EDIT_TEST(a_missing_directory_is_named),
        EDIT_TEST(edits_at_the_same_time_all_count),
        EDIT_TEST(a_section_of_another_kind_is_not_replaced),
    };
    return cmocka_run_group_tests_name("settings_edit", tests, NULL, NULL);
}
