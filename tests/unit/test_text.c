/* Text from outside: shown on one line, times, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/base/id.h"
#include "recorder/base/text.h"

static void hostile_text_becomes_one_printable_line(void **state)
{
    (void)state;
    char line[64];
    text_escape(line, sizeof(line), "a\nb\x1b[2J\xff \xc3\xa9");
    assert_string_equal(line, "a\\nb\\x1b[2J\\xff \xc3\xa9");
}

static void what_a_terminal_obeys_or_hides_is_written_out(void **state)
{
    (void)state;
    char line[64];
    text_escape(line, sizeof(line),
                "a\xc2\x9b"
                "2Jb\xe2\x80\xae"
                "c\xe2\x80\x8b");
    assert_string_equal(line, "a\\u{9b}2Jb\\u{202e}c\\u{200b}");
}

static void escaping_never_splits_a_character_at_the_end(void **state)
{
    (void)state;
    char line[4];
    text_escape(line, sizeof(line), "ab\xc3\xa9");
    assert_string_equal(line, "ab");
    text_escape(line, sizeof(line), "ab\n");
    assert_string_equal(line, "ab");
}

static void utf8_is_what_unicode_says(void **state)
{
    (void)state;
    assert_true(text_is_utf8("\xf4\x8f\xbf\xbf", 4));
    assert_false(text_is_utf8("\xf4\x90\x80\x80", 4));
    assert_false(text_is_utf8("\xed\xa0\x80", 3));
    assert_false(text_is_utf8("\xc0\x80", 2));
    assert_false(text_is_utf8("\xe2\x82", 2));
}

static void times_are_read_and_written_in_utc(void **state)
{
    (void)state;
    int64_t ns;
    char text[TEXT_TIME_SIZE];
    assert_true(text_parse_time("2026-11-23T20:22:01.123456Z", &ns));
    assert_int_equal(ns, INT64_C(1795465321123456000));
    text_time(text, ns);
    assert_string_equal(text, "2026-11-23T20:22:01.123456Z");
    assert_true(text_parse_time("2026-11-23T22:22:01+02:00", &ns));
    assert_int_equal(ns, INT64_C(1795465321000000000));
    assert_true(text_parse_time("2026-11-23", &ns));
    assert_false(text_parse_time("2026-11-23T20:22", &ns));
    assert_false(text_parse_time("2026-13-23", &ns));
    assert_false(text_parse_time("yesterday", &ns));
    assert_false(text_parse_time("2026-11-23T-1:+2: 3Z", &ns));
}

static void a_time_that_nanoseconds_cannot_hold_is_refused(void **state)
{
    (void)state;
    int64_t ns;
    assert_false(text_parse_time("0001-01-01T00:00:00-23:59", &ns));
    assert_false(text_parse_time("9999-12-31T23:59:59Z", &ns));
    assert_true(text_parse_time("2240-12-31T23:59:59.999999999-99:99", &ns));
    assert_true(text_parse_time("1700-01-01T00:00:00+99:99", &ns));
}

static void ids_sort_by_time_and_carry_it(void **state)
{
    (void)state;
    char first[ID_SIZE], second[ID_SIZE];
    int64_t now = INT64_C(1795465321123000000);
    assert_int_equal(id_new(first, now, NULL), 0);
    assert_int_equal(id_new(second, now + 1000000, NULL), 0);
    assert_true(id_is_valid(first));
    assert_true(strcmp(first, second) < 0);
    assert_int_equal(id_time_ns(first), now);
    assert_false(id_is_valid("../../../../etc/passwd"));
    assert_false(id_is_valid(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_becomes_one_printable_line),
        cmocka_unit_test(what_a_terminal_obeys_or_hides_is_written_out),
        cmocka_unit_test(escaping_never_splits_a_character_at_the_end),
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(times_are_read_and_written_in_utc),
        cmocka_unit_test(a_time_that_nanoseconds_cannot_hold_is_refused),
        cmocka_unit_test(ids_sort_by_time_and_carry_it),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
