/* Keys: whatever a name holds, the key stays in its organization and belongs to that name alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/store/key.h"

#define ID "019363a0-0000-7000-8000-000000000001"
#define START INT64_C(1795465321123456000) /* 2026-11-23T20:22:01Z */

static void a_key_has_the_folders_that_query_engines_know(void **state)
{
    (void)state;
    char key[KEY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(key_make(key, "", "acme", "web-1", START, ID, KEY_CAST_SUFFIX, &error), 0);
    assert_string_equal(key, "org=acme/socket=web-1/date=2026-11-23/" ID ".cast.gz");
    assert_int_equal(key_make(key, "ssh/", "acme", "web-1", START, ID, KEY_MANIFEST_SUFFIX, &error),
                     0);
    assert_string_equal(key, "ssh/org=acme/socket=web-1/date=2026-11-23/" ID ".json");
}

static void the_date_is_that_of_the_start_in_utc(void **state)
{
    (void)state;
    char key[KEY_SIZE];
    struct error error = ERROR_INIT;
    int64_t midnight = INT64_C(1795478400000000000);
    assert_int_equal(key_make(key, "", "a", "b", midnight - 1, ID, ".json", &error), 0);
    assert_non_null(strstr(key, "/date=2026-11-23/"));
    assert_int_equal(key_make(key, "", "a", "b", midnight, ID, ".json", &error), 0);
    assert_non_null(strstr(key, "/date=2026-11-24/"));
}

static const char *const hostile[] = {
    "../../x",
    "a/b",
    "%2e%2e",
    ".",
    "..",
    "...",
    ".hidden",
    "a.b",
    "a..b",
    "a\nb",
    "a\tb",
    "\x1b[2J",
    "\xc3\xa9",
    "\xff\xfe",
    "org=x/socket=y",
    "a b",
    "a%2Fb",
    "a%2fb",
    "A",
    "a",
    "*",
    "?",
    "${aws:username}",
    "\"",
    "\\",
    "=",
    "-",
    "_",
    "~",
    "%",
    "%%",
    "%25",
    "/",
    "//",
};
#define HOSTILE (sizeof(hostile) / sizeof(*hostile))

static void a_hostile_name_is_one_plain_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTILE; i++) {
        char key[KEY_SIZE];
        struct error error = ERROR_INIT;
        assert_int_equal(key_prefix(key, "p/", hostile[i], NULL, &error), 0);
        assert_memory_equal(key, "p/org=", 6);
        const char *name = key + 6;
        size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789_-.%");
        assert_string_equal(name + length, "/");
        assert_int_not_equal(name[0], '.');
        assert_int_equal(key_prefix(key, "p/", "acme", hostile[i], &error), 0);
        assert_memory_equal(key, "p/org=acme/socket=", 18);
        assert_string_equal(strchr(key + 18, '/'), "/");
    }
}

static void known_names_have_known_encodings(void **state)
{
    (void)state;
    static const char *const expected[][2] = {
        {"../../x", "org=%2E.%2F..%2Fx/"},
        {"%2e%2e", "org=%252e%252e/"},
        {"..", "org=%2E./"},
        {"a\nb", "org=a%0Ab/"},
        {"\xc3\xa9", "org=%C3%A9/"},
        {"org=x/socket=y", "org=org%3Dx%2Fsocket%3Dy/"},
        {"v1.2", "org=v1.2/"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        char key[KEY_SIZE];
        struct error error = ERROR_INIT;
        assert_int_equal(key_prefix(key, "", expected[i][0], NULL, &error), 0);
        assert_string_equal(key, expected[i][1]);
    }
}

static void no_two_names_share_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTILE; i++) {
        for (size_t j = i + 1; j < HOSTILE; j++) {
            char one[KEY_SIZE], other[KEY_SIZE];
            struct error error = ERROR_INIT;
            assert_int_equal(key_prefix(one, "", hostile[i], NULL, &error), 0);
            assert_int_equal(key_prefix(other, "", hostile[j], NULL, &error), 0);
            assert_string_not_equal(one, other);
            /* Nor is one's folder within another's. */
            assert_int_not_equal(strncmp(one, other, strlen(other)), 0);
        }
    }
    /* Every single byte. */
    for (int a = 1; a < 256; a++) {
        for (int b = a + 1; b < 256; b++) {
            char one[KEY_SIZE], other[KEY_SIZE];
            char first[3] = {'x', (char)a, 0}, second[3] = {'x', (char)b, 0};
            struct error error = ERROR_INIT;
            assert_int_equal(key_prefix(one, "", first, NULL, &error), 0);
            assert_int_equal(key_prefix(other, "", second, NULL, &error), 0);
            assert_string_not_equal(one, other);
        }
    }
}

static void the_longest_names_that_settings_allow_fit_a_file_name(void **state)
{
    (void)state;
    char name[81], key[KEY_SIZE];
    struct error error = ERROR_INIT;
    memset(name, '/', 80);
    name[80] = '\0';
    assert_int_equal(key_make(key, "", name, name, START, ID, KEY_CAST_SUFFIX, &error), 0);
    for (const char *part = key; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        assert_in_range(strcspn(part, "/"), 1, 255);
}

static void what_is_too_long_or_empty_is_refused(void **state)
{
    (void)state;
    char name[301], prefix[1100], key[KEY_SIZE];
    memset(name, 'n', 300);
    name[300] = '\0';
    struct error error = ERROR_INIT;
    assert_int_equal(key_prefix(key, "", name, NULL, &error), ERR_LIMIT);
    assert_int_equal(key_prefix(key, "", "acme", name, &error), ERR_LIMIT);
    assert_int_equal(key_prefix(key, "", "", NULL, &error), ERR_INVALID);
    assert_int_equal(key_prefix(key, "", "acme", "", &error), ERR_INVALID);
    assert_int_equal(key_prefix(key, "no-slash", "acme", NULL, &error), ERR_INVALID);

    /* Exactly 1,024 bytes fit, one more does not. */
    size_t fixed = strlen("org=acme/socket=web-1/date=2026-11-23/" ID ".cast.gz");
    memset(prefix, 'p', sizeof(prefix));
    memcpy(prefix + 1024 - fixed - 1, "/", 2);
    assert_int_equal(key_make(key, prefix, "acme", "web-1", START, ID, KEY_CAST_SUFFIX, &error), 0);
    assert_int_equal(strlen(key), 1024);
    memcpy(prefix + 1024 - fixed - 1, "p/", 3);
    assert_int_equal(key_make(key, prefix, "acme", "web-1", START, ID, KEY_CAST_SUFFIX, &error),
                     ERR_LIMIT);
    memset(prefix, 'p', sizeof(prefix));
    memcpy(prefix + 1090, "/", 2);
    assert_int_equal(key_prefix(key, prefix, "acme", NULL, &error), ERR_LIMIT);
}

static void an_id_that_is_none_makes_no_key(void **state)
{
    (void)state;
    char key[KEY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(key_make(key, "", "a", "b", START, "../../etc/passwd", ".json", &error),
                     ERR_INVALID);
}

static void a_key_gives_back_its_id(void **state)
{
    (void)state;
    char id[37];
    bool is_manifest;
    assert_true(key_parse("org=a/socket=b/date=2026-11-23/" ID ".cast.gz", id, &is_manifest));
    assert_string_equal(id, ID);
    assert_false(is_manifest);
    assert_true(key_parse("org=a/socket=b/date=2026-11-23/" ID ".json", id, &is_manifest));
    assert_true(is_manifest);
    assert_false(key_parse("org=a/" ID ".json.bak", id, &is_manifest));
    assert_false(key_parse("org=a/" ID, id, &is_manifest));
    assert_false(key_parse(ID ".json", id, &is_manifest));
    assert_false(key_parse("org=a/castbucket-check", id, &is_manifest));
    assert_false(key_parse("", id, &is_manifest));
    assert_false(key_parse("/", id, &is_manifest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_the_folders_that_query_engines_know),
        cmocka_unit_test(the_date_is_that_of_the_start_in_utc),
        cmocka_unit_test(a_hostile_name_is_one_plain_folder),
        cmocka_unit_test(known_names_have_known_encodings),
        cmocka_unit_test(no_two_names_share_a_key),
        cmocka_unit_test(the_longest_names_that_settings_allow_fit_a_file_name),
        cmocka_unit_test(what_is_too_long_or_empty_is_refused),
        cmocka_unit_test(an_id_that_is_none_makes_no_key),
        cmocka_unit_test(a_key_gives_back_its_id),
    };
    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
