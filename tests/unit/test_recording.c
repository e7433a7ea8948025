/* Recordings as their readers see them, from a store that fails where a test wants it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "recorder/base/clock.h"
#include "recorder/base/id.h"
#include "recorder/read/recording.h"
#include "recorder/store/key.h"

/* ---- the store ---- */

#define MAX_OBJECTS 1000

struct store {
    struct object {
        char key[KEY_SIZE];
        char *data;
        size_t size;
    } objects[MAX_OBJECTS];
    size_t count;
    pthread_mutex_t lock;
    unsigned gets;
    unsigned broken_gets; /* so many gets give half of what was asked for and then ERR_RETRY */
    int get_code;         /* all gets end so */
};

static int compare_objects(const void *a, const void *b)
{
    return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

int store_list(struct store *store, const char *prefix,
               int (*each)(void *context, const char *key, uint64_t size), void *context,
               struct error *error)
{
    (void)error;
    qsort(store->objects, store->count, sizeof(store->objects[0]), compare_objects);
    for (size_t i = 0; i < store->count; i++) {
        if (strncmp(store->objects[i].key, prefix, strlen(prefix)) != 0)
            continue;
        int rc = each(context, store->objects[i].key, store->objects[i].size);
        if (rc)
            return rc;
    }
    return 0;
}

int store_get(struct store *store, const char *key, uint64_t offset, uint64_t length,
              int (*sink)(void *context, const void *data, size_t length), void *context,
              struct error *error)
{
    pthread_mutex_lock(&store->lock);
    store->gets++;
    int code = store->get_code;
    bool broken = store->broken_gets > 0;
    store->broken_gets -= broken;
    pthread_mutex_unlock(&store->lock);
    if (code)
        return error_set(error, code, "the store says no");
    for (size_t i = 0; i < store->count; i++) {
        const struct object *object = &store->objects[i];
        if (strcmp(object->key, key) != 0)
            continue;
        size_t want = length ? (size_t)length : object->size - (size_t)offset;
        if (broken)
            want /= 2;
        for (size_t at = 0; at < want; at += 1000) {
            int rc = sink(context, object->data + offset + at, want - at < 1000 ? want - at : 1000);
            if (rc)
                return rc;
        }
        return broken ? error_set(error, ERR_RETRY, "the line is cut") : 0;
    }
    return error_set(error, ERR_NOT_FOUND, "no %s", key);
}

const char *store_url(const struct store *store)
{
    (void)store;
    return "test://";
}

const char *store_prefix(const struct store *store)
{
    (void)store;
    return "ssh/";
}

static void put(struct store *store, const char *key, const void *data, size_t size)
{
    assert_true(store->count < MAX_OBJECTS);
    struct object *object = &store->objects[store->count++];
    snprintf(object->key, sizeof(object->key), "%s", key);
    object->data = malloc(size + 1);
    memcpy(object->data, data, size);
    object->size = size;
}

static int set_up(void **state)
{
    struct store *store = calloc(1, sizeof(*store));
    pthread_mutex_init(&store->lock, NULL);
    *state = store;
    return 0;
}

static int tear_down(void **state)
{
    struct store *store = *state;
    for (size_t i = 0; i < store->count; i++)
        free(store->objects[i].data);
    pthread_mutex_destroy(&store->lock);
    free(store);
    return 0;
}

/* ---- recordings in it ---- */

#define START INT64_C(1795465321000000000)
#define MINUTE (60 * NS_PER_SECOND)

static void write_manifest(struct store *store, const char *key, const char *id, const char *socket,
                           int64_t started_ns, uint64_t size)
{
    const struct manifest manifest = {
        .id = id,
        .organization = "acme",
        .socket = socket,
        .user = "alice",
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
        .size = size,
    };
    struct buffer text = BUFFER_INIT(100000);
    assert_int_equal(manifest_write(&manifest, &text, NULL), 0);
    put(store, key, text.data, text.length);
    buffer_free(&text);
}

static void make_key(char key[KEY_SIZE], const char *socket, int64_t started_ns, const char *id,
                     const char *suffix)
{
    assert_int_equal(key_make(key, "ssh/", "acme", socket, started_ns, id, suffix, NULL), 0);
}

/* A whole recording of 4 bytes. */
static void record(struct store *store, const char *socket, int64_t started_ns, char id[ID_SIZE])
{
    char key[KEY_SIZE];
    assert_int_equal(id_new(id, started_ns, NULL), 0);
    make_key(key, socket, started_ns, id, KEY_CAST_SUFFIX);
    put(store, key, "cast", 4);
    make_key(key, socket, started_ns, id, KEY_MANIFEST_SUFFIX);
    write_manifest(store, key, id, socket, started_ns, 4);
}

struct seen {
    size_t count;
    char ids[MAX_OBJECTS][ID_SIZE];
    bool has_manifest[MAX_OBJECTS];
    char problem[MAX_OBJECTS][200];
    size_t stop_at;
};

static int see(void *context, const char *key, const char *id, uint64_t size,
               const struct manifest *manifest, const char *problem, struct error *error)
{
    struct seen *seen = context;
    (void)size;
    assert_true(strstr(key, id) && strstr(key, KEY_CAST_SUFFIX));
    snprintf(seen->ids[seen->count], ID_SIZE, "%s", id);
    seen->has_manifest[seen->count] = manifest != NULL;
    snprintf(seen->problem[seen->count], 200, "%s", problem ? problem : "");
    seen->count++;
    if (seen->count == seen->stop_at)
        return error_set(error, ERR_LIMIT, "enough");
    return 0;
}

static struct seen *list(struct store *store, const struct recording_query *query, int wanted)
{
    struct seen *seen = calloc(1, sizeof(*seen));
    struct error error = ERROR_INIT;
    assert_int_equal(recording_list(store, query, see, seen, &error), wanted);
    return seen;
}

static const struct recording_query everything = {.organization = "acme"};

static void a_list_is_in_order_of_start_across_sockets(void **state)
{
    struct store *store = *state;
    char ids[300][ID_SIZE];
    for (int i = 0; i < 300; i++)
        record(store, i % 3 ? "b" : "a", START + i * MINUTE, ids[i]);
    struct seen *seen = list(store, &everything, 0);
    assert_int_equal(seen->count, 300);
    for (int i = 0; i < 300; i++) {
        assert_string_equal(seen->ids[i], ids[i]);
        assert_true(seen->has_manifest[i]);
        assert_string_equal(seen->problem[i], "");
    }
    free(seen);
    struct recording_query one = {.organization = "acme", .socket = "a"};
    seen = list(store, &one, 0);
    assert_int_equal(seen->count, 100);
    free(seen);
    one.organization = "other";
    seen = list(store, &one, 0);
    assert_int_equal(seen->count, 0);
    free(seen);
}

static void times_limit_what_is_listed_and_what_is_fetched(void **state)
{
    struct store *store = *state;
    char id[ID_SIZE];
    for (int i = 0; i < 100; i++)
        record(store, "a", START + i * MINUTE, id);
    struct recording_query query = {
        .organization = "acme", .since_ns = START + 10 * MINUTE, .until_ns = START + 15 * MINUTE};
    struct seen *seen = list(store, &query, 0);
    assert_int_equal(seen->count, 5);
    assert_int_equal(id_time_ns(seen->ids[0]), START + 10 * MINUTE);
    assert_true(store->gets <= 6);
    free(seen);
}

static void what_is_wrong_with_one_recording_is_said_and_the_rest_is_listed(void **state)
{
    struct store *store = *state;
    char good[ID_SIZE], young[ID_SIZE], broken[ID_SIZE], short_one[ID_SIZE], gone[ID_SIZE];
    char key[KEY_SIZE];
    record(store, "a", START, good);

    assert_int_equal(id_new(young, START + MINUTE, NULL), 0);
    make_key(key, "a", START + MINUTE, young, KEY_CAST_SUFFIX);
    put(store, key, "cast", 4);

    assert_int_equal(id_new(broken, START + 2 * MINUTE, NULL), 0);
    make_key(key, "a", START + 2 * MINUTE, broken, KEY_CAST_SUFFIX);
    put(store, key, "cast", 4);
    make_key(key, "a", START + 2 * MINUTE, broken, KEY_MANIFEST_SUFFIX);
    put(store, key, "{]", 2);

    assert_int_equal(id_new(short_one, START + 3 * MINUTE, NULL), 0);
    make_key(key, "a", START + 3 * MINUTE, short_one, KEY_CAST_SUFFIX);
    put(store, key, "cas", 3);
    make_key(key, "a", START + 3 * MINUTE, short_one, KEY_MANIFEST_SUFFIX);
    write_manifest(store, key, short_one, "a", START + 3 * MINUTE, 4);

    assert_int_equal(id_new(gone, START + 4 * MINUTE, NULL), 0);
    make_key(key, "a", START + 4 * MINUTE, gone, KEY_MANIFEST_SUFFIX);
    write_manifest(store, key, gone, "a", START + 4 * MINUTE, 4);

    put(store, "ssh/org=acme/notes.txt", "x", 1);
    struct seen *seen = list(store, &everything, 0);
    assert_int_equal(seen->count, 5);
    assert_true(seen->has_manifest[0] && !*seen->problem[0]);
    assert_true(!seen->has_manifest[1] && !*seen->problem[1]);
    assert_true(!seen->has_manifest[2] && strstr(seen->problem[2], "unreadable"));
    assert_true(strstr(seen->problem[3], "3 bytes are stored, but the manifest says 4"));
    assert_true(strstr(seen->problem[4], "but the recording is not"));
    free(seen);
}

static void a_recording_copied_to_another_key_is_not_believed(void **state)
{
    struct store *store = *state;
    char id[ID_SIZE], key[KEY_SIZE];
    record(store, "a", START, id);
    make_key(key, "b", START, id, KEY_CAST_SUFFIX);
    put(store, key, "cast", 4);
    make_key(key, "b", START, id, KEY_MANIFEST_SUFFIX);
    write_manifest(store, key, id, "a", START, 4);
    struct seen *seen = list(store, &everything, 0);
    assert_int_equal(seen->count, 2);
    assert_string_equal(seen->problem[0], "");
    assert_true(!seen->has_manifest[1] && strstr(seen->problem[1], "another recording's"));
    free(seen);
}

static void a_listing_that_is_stopped_or_fails_says_so(void **state)
{
    struct store *store = *state;
    char id[ID_SIZE];
    for (int i = 0; i < 100; i++)
        record(store, "a", START + i * MINUTE, id);
    struct seen *seen = calloc(1, sizeof(*seen));
    struct error error = ERROR_INIT;
    seen->stop_at = 3;
    assert_int_equal(recording_list(store, &everything, see, seen, &error), ERR_LIMIT);
    assert_int_equal(seen->count, 3);
    assert_string_equal(error.text, "enough");
    free(seen);
    store->get_code = ERR_CANCELLED;
    seen = list(store, &everything, ERR_CANCELLED);
    assert_int_equal(seen->count, 0);
    free(seen);
    store->get_code = 0;
    store->broken_gets = 2;
    seen = list(store, &everything, 0);
    assert_int_equal(seen->count, 100);
    assert_string_equal(seen->problem[0], "");
    free(seen);
}

static void an_id_or_its_beginning_finds_one_recording(void **state)
{
    struct store *store = *state;
    char first[ID_SIZE], second[ID_SIZE], key[KEY_SIZE], part[ID_SIZE];
    struct error error = ERROR_INIT;
    record(store, "a", START, first);
    record(store, "b", START + NS_PER_MS, second);
    assert_int_equal(recording_find(store, "acme", second, key, sizeof(key), &error), 0);
    assert_non_null(strstr(key, "socket=b/"));
    snprintf(part, sizeof(part), "%.13s", first);
    assert_int_equal(recording_find(store, "acme", part, key, sizeof(key), &error), 0);
    assert_non_null(strstr(key, first));
    snprintf(part, sizeof(part), "%.8s", first);
    assert_int_equal(recording_find(store, "acme", part, key, sizeof(key), &error), ERR_INVALID);
    assert_true(strstr(error.text, first) && strstr(error.text, second));
    snprintf(part, sizeof(part), "%.7s", first);
    assert_int_equal(recording_find(store, "acme", part, key, sizeof(key), &error), ERR_INVALID);
    assert_int_equal(recording_find(store, "acme", "../../..", key, sizeof(key), &error),
                     ERR_INVALID);
    assert_int_equal(recording_find(store, "acme", "00000000", key, sizeof(key), &error),
                     ERR_NOT_FOUND);
    assert_int_equal(recording_find(store, "other", first, key, sizeof(key), &error),
                     ERR_NOT_FOUND);
}

/* ---- copying ---- */

static int append(void *context, const void *data, size_t length)
{
    return buffer_append(context, data, length);
}

static int refuse(void *context, const void *data, size_t length)
{
    (void)data, (void)length;
    ++*(int *)context;
    return ERR_CANCELLED;
}

static void a_copy_goes_on_where_the_line_was_cut(void **state)
{
    struct store *store = *state;
    size_t size = ((size_t)9 << 20) + 77;
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * i >> 7);
    put(store, "ssh/k", data, size);
    put(store, "ssh/k2", "other", 5);
    store->broken_gets = 2;

    struct buffer out = BUFFER_INIT((size_t)16 << 20);
    struct sha256 digest;
    uint8_t wanted[SHA256_SIZE], found[SHA256_SIZE];
    uint64_t passed = 0;
    assert_int_equal(sha256_init(&digest), 0);
    const struct recording_source source = {
        .store = store, .key = "ssh/k", .digest = &digest, .size = &passed};
    struct error error = ERROR_INIT;
    assert_int_equal(recording_copy(&source, append, &out, &error), 0);
    assert_int_equal(out.length, size);
    assert_int_equal(passed, size);
    assert_memory_equal(out.data, data, size);
    assert_int_equal(sha256_final(&digest, found), 0);
    assert_int_equal(sha256(data, size, wanted), 0);
    assert_memory_equal(found, wanted, sizeof(found));
    buffer_free(&out);
    free(data);
}

static void a_sink_that_refuses_ends_the_copy(void **state)
{
    struct store *store = *state;
    int calls = 0;
    put(store, "ssh/k", "data", 4);
    const struct recording_source source = {.store = store, .key = "ssh/k"};
    assert_int_equal(recording_copy(&source, refuse, &calls, NULL), ERR_CANCELLED);
    assert_int_equal(calls, 1);
    const struct recording_source none = {.store = store, .key = "ssh/none"};
    assert_int_equal(recording_copy(&none, refuse, &calls, NULL), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_is_in_order_of_start_across_sockets, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(times_limit_what_is_listed_and_what_is_fetched, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_wrong_with_one_recording_is_said_and_the_rest_is_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_recording_copied_to_another_key_is_not_believed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_listing_that_is_stopped_or_fails_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_id_or_its_beginning_finds_one_recording, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_copy_goes_on_where_the_line_was_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_refuses_ends_the_copy, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
