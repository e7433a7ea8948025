/* The directory store: whole or not at all, never over another, never outside. */
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
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/sha256.h"
#include "recorder/store/store.h"

#define KEY "org=acme/socket=web-1/date=2026-11-23/019363a0-0000-7000-8000-000000000001.cast.gz"

struct place {
    char path[200], root[256];
    struct store *store;
};

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static struct store *open_store(const char *path)
{
    const struct organization_settings organization = {
        .name = "acme",
        .storage = {STORAGE_DIRECTORY, "", "", "", "", "", "", "", path},
    };
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(store_open(&organization, NULL, &clock_system, "test", &store, &error), 0);
    return store;
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *base = getenv("TMPDIR");
    snprintf(place->path, sizeof(place->path), "%s/castbucket-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(place->path));
    snprintf(place->root, sizeof(place->root), "%s/deep/root", place->path);
    place->store = open_store(place->root);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    store_free(place->store);
    nftw(place->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static int put(struct store *store, const char *key, const void *data, size_t size,
               struct error *error)
{
    struct store_object object = {
        .key = key, .content_type = "text/plain", .data = data, .fd = -1, .size = size};
    assert_int_equal(sha256(data, size, object.sha256), 0);
    return store_put(store, &object, NULL, NULL, NULL, error);
}

struct text {
    char bytes[256];
    size_t length;
};

static int collect(void *context, const void *data, size_t length)
{
    struct text *text = context;
    if (length > sizeof(text->bytes) - 1 - text->length)
        return ERR_LIMIT;
    memcpy(text->bytes + text->length, data, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    return 0;
}

static void what_was_put_comes_back_whole_or_in_part(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    struct text text = {.length = 0};
    assert_int_equal(put(place->store, KEY, "0123456789", 10, &error), 0);
    assert_int_equal(store_get(place->store, KEY, 0, 0, collect, &text, &error), 0);
    assert_string_equal(text.bytes, "0123456789");
    text.length = 0;
    assert_int_equal(store_get(place->store, KEY, 3, 4, collect, &text, &error), 0);
    assert_string_equal(text.bytes, "3456");
    text.length = 0;
    assert_int_equal(store_get(place->store, KEY, 8, 100, collect, &text, &error), 0);
    assert_string_equal(text.bytes, "89");
    assert_int_equal(store_get(place->store, KEY, 11, 0, collect, &text, &error), ERR_INVALID);
    assert_int_equal(store_get(place->store, KEY "x", 0, 0, collect, &text, &error), ERR_NOT_FOUND);
    assert_int_equal(store_get(place->store, "org=none/x", 0, 0, collect, &text, &error),
                     ERR_NOT_FOUND);
}

static void a_file_is_put_by_its_bytes_wherever_it_is_read_to(void **state)
{
    const struct place *place = *state;
    char path[300];
    snprintf(path, sizeof(path), "%s/source", place->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    size_t size = 1000003;
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 >> 3);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size); /* the position is at the end now */
    struct store_object object = {.key = KEY, .fd = fd, .size = size};
    struct error error = ERROR_INIT;
    assert_int_equal(sha256(bytes, size, object.sha256), 0);
    assert_int_equal(store_put(place->store, &object, NULL, NULL, NULL, &error), 0);

    char stored[600];
    struct stat info;
    snprintf(stored, sizeof(stored), "%s/%s", place->root, KEY);
    assert_int_equal(stat(stored, &info), 0);
    assert_int_equal(info.st_size, size);
    assert_int_equal(info.st_mode & 07777, 0640);

    /* A source that is not what was promised is not stored. */
    object.key = "org=acme/other";
    assert_int_equal(pwrite(fd, "X", 1, 500000), 1);
    assert_int_equal(store_put(place->store, &object, NULL, NULL, NULL, &error), ERR_DAMAGED);
    object.size++;
    assert_int_equal(store_put(place->store, &object, NULL, NULL, NULL, &error), ERR_DAMAGED);
    snprintf(stored, sizeof(stored), "%s/org=acme/other", place->root);
    assert_int_not_equal(access(stored, F_OK), 0);
    free(bytes);
    close(fd);
}

static void the_same_again_is_success_and_another_is_a_conflict(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    struct text text = {.length = 0};
    assert_int_equal(put(place->store, KEY, "mine", 4, &error), 0);
    assert_int_equal(put(place->store, KEY, "mine", 4, &error), 0);
    assert_int_equal(put(place->store, KEY, "his!", 4, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.text, KEY));
    assert_int_equal(put(place->store, KEY, "longer", 6, &error), ERR_CONFLICT);
    assert_int_equal(store_get(place->store, KEY, 0, 0, collect, &text, &error), 0);
    assert_string_equal(text.bytes, "mine");
}

static int count_file(void *context, const char *key, uint64_t size)
{
    (void)key, (void)size;
    ++*(int *)context;
    return 0;
}

static void nothing_is_left_of_what_did_not_succeed(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    char path[400];
    assert_int_equal(put(place->store, KEY, "mine", 4, &error), 0);
    assert_int_equal(put(place->store, KEY, "his!", 4, &error), ERR_CONFLICT);
    struct store_object lying = {.key = "org=acme/lie", .data = "abc", .fd = -1, .size = 3};
    assert_int_equal(store_put(place->store, &lying, NULL, NULL, NULL, &error), ERR_DAMAGED);
    snprintf(path, sizeof(path), "%s/.incoming", place->root);
    assert_int_not_equal(access(path, F_OK), 0);
    int count = 0;
    assert_int_equal(store_list(place->store, "", count_file, &count, &error), 0);
    assert_int_equal(count, 1);
}

static void keys_and_links_lead_nowhere_else(void **state)
{
    const struct place *place = *state;
    static const char *const bad[] = {"../x",        "a/../../x", "/etc/x", "a//b", "",
                                      ".incoming/x", "a/./b",     "a/.b",   "a/"};
    struct error error = ERROR_INIT;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(put(place->store, bad[i], "x", 1, &error), ERR_INVALID);

    char outside[300], link[400];
    assert_int_equal(put(place->store, "org=acme/x", "x", 1, &error), 0);
    snprintf(outside, sizeof(outside), "%s/outside", place->path);
    assert_int_equal(mkdir(outside, 0700), 0);
    snprintf(link, sizeof(link), "%s/org=acme/socket=web-1", place->root);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(put(place->store, KEY, "x", 1, &error), ERR_DENIED);
    assert_int_equal(rmdir(outside), 0);

    /* A link in place of the object is neither followed nor replaced. */
    snprintf(link, sizeof(link), "%s/org=acme/link", place->root);
    snprintf(outside, sizeof(outside), "%s/target", place->path);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(put(place->store, "org=acme/link", "x", 1, &error), ERR_CONFLICT);
    assert_int_not_equal(access(outside, F_OK), 0);
}

struct seen {
    char keys[8][200];
    int count, stop_at;
};

static int see(void *context, const char *key, uint64_t size)
{
    struct seen *seen = context;
    assert_int_equal(size, 1);
    assert_in_range(seen->count, 0, 7);
    snprintf(seen->keys[seen->count++], sizeof(seen->keys[0]), "%s", key);
    return seen->count == seen->stop_at;
}

static void a_list_is_in_the_order_of_keys_as_s3_gives_it(void **state)
{
    const struct place *place = *state;
    /* '-' < '/' < '0': a folder's place is that of its name and the slash. */
    static const char *const keys[] = {"org=a-b/x", "org=a/socket=s/1", "org=a/socket=s/2",
                                       "org=a/z",   "org=a0/x",         "org=b/x"};
    struct error error = ERROR_INIT;
    for (int i = 5; i >= 0; i--)
        assert_int_equal(put(place->store, keys[i], "x", 1, &error), 0);
    struct seen seen = {.count = 0};
    assert_int_equal(store_list(place->store, "", see, &seen, &error), 0);
    assert_int_equal(seen.count, 6);
    for (int i = 0; i < 6; i++)
        assert_string_equal(seen.keys[i], keys[i]);

    seen = (struct seen){.count = 0};
    assert_int_equal(store_list(place->store, "org=a/", see, &seen, &error), 0);
    assert_int_equal(seen.count, 3);
    seen = (struct seen){.count = 0};
    assert_int_equal(store_list(place->store, "org=a/socket=s/2", see, &seen, &error), 0);
    assert_int_equal(seen.count, 1);
    seen = (struct seen){.count = 0};
    assert_int_equal(store_list(place->store, "org=a/socket=s/22", see, &seen, &error), 0);
    assert_int_equal(seen.count, 0);
    seen = (struct seen){.stop_at = 2};
    assert_int_equal(store_list(place->store, "", see, &seen, &error), 1);
    assert_int_equal(seen.count, 2);
}

struct racer {
    struct store *store;
    char text[8];
    int rc;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    racer->rc = put(racer->store, KEY, racer->text, sizeof(racer->text), NULL);
    return NULL;
}

static void of_many_at_once_one_wins_and_the_others_see_a_conflict(void **state)
{
    const struct place *place = *state;
    struct racer racers[8];
    pthread_t threads[8];
    int won = 0, lost = 0;
    for (int i = 0; i < 8; i++) {
        racers[i] = (struct racer){.store = place->store};
        snprintf(racers[i].text, sizeof(racers[i].text), "racer %d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].rc == 0;
        lost += racers[i].rc == ERR_CONFLICT;
    }
    assert_int_equal(won, 1);
    assert_int_equal(lost, 7);
}

static void a_cancelled_store_puts_nothing(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    store_cancel(place->store);
    assert_int_equal(put(place->store, KEY, "x", 1, &error), ERR_CANCELLED);
}

struct steps {
    int count, failed;
    char last[300];
};

static void count_step(void *context, const struct store_check *check)
{
    struct steps *steps = context;
    steps->count++;
    steps->failed += check->code != 0;
    snprintf(steps->last, sizeof(steps->last), "%s", check->detail);
}

static void a_check_tries_everything_and_can_be_repeated(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    for (int i = 0; i < 2; i++) {
        struct steps steps = {.count = 0};
        assert_int_equal(store_check(place->store, count_step, &steps, &error), 0);
        assert_int_equal(steps.count, 5);
        assert_int_equal(steps.failed, 0);
    }
}

static void a_check_says_what_is_wrong(void **state)
{
    const struct place *place = *state;
    struct error error = ERROR_INIT;
    struct steps steps = {.count = 0};
    char file[300];
    snprintf(file, sizeof(file), "%s/file", place->path);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    struct store *store = open_store(file);
    assert_int_not_equal(store_check(store, count_step, &steps, &error), 0);
    assert_int_equal(steps.count, 1);
    assert_int_equal(steps.failed, 1);
    assert_non_null(strstr(error.text, file));
    store_free(store);
}

#define store_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(what_was_put_comes_back_whole_or_in_part),
        store_test(a_file_is_put_by_its_bytes_wherever_it_is_read_to),
        store_test(the_same_again_is_success_and_another_is_a_conflict),
        store_test(nothing_is_left_of_what_did_not_succeed),
        store_test(keys_and_links_lead_nowhere_else),
        store_test(a_list_is_in_the_order_of_keys_as_s3_gives_it),
        store_test(of_many_at_once_one_wins_and_the_others_see_a_conflict),
        store_test(a_cancelled_store_puts_nothing),
        store_test(a_check_tries_everything_and_can_be_repeated),
        store_test(a_check_says_what_is_wrong),
    };
    return cmocka_run_group_tests_name("store_directory", tests, NULL, NULL);
}
