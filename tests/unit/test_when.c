/* Times as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorder/base/clock.h"
#include "recorder/read/when.h"

#define NOW INT64_C(1795465321000000000)

static int64_t read_time(const char *text)
{
    int64_t ns = -1;
    assert_true(when_parse(text, NOW, &ns));
    return ns;
}

static void so_long_ago_counts_from_now(void **state)
{
    (void)state;
    assert_int_equal(read_time("now"), NOW);
    assert_int_equal(read_time("90s"), NOW - 90 * NS_PER_SECOND);
    assert_int_equal(read_time("30m"), NOW - 1800 * NS_PER_SECOND);
    assert_int_equal(read_time("2h"), NOW - 7200 * NS_PER_SECOND);
    assert_int_equal(read_time("7d"), NOW - 7 * 86400 * NS_PER_SECOND);
    assert_int_equal(read_time("4w"), NOW - 28 * 86400 * NS_PER_SECOND);
}

static void dates_and_times_are_utc(void **state)
{
    (void)state;
    assert_int_equal(read_time("2026-11-23"), INT64_C(1795392000000000000));
    assert_int_equal(read_time("2026-11-23T20:22:01Z"), INT64_C(1795465321000000000));
}

static void all_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",        "h",        "2", "2x", "-2h", "2 h", "2hh", " 2h", "99999999999999999999h",
        "100000w", "yesterday"};
    int64_t ns;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(when_parse(wrong[i], NOW, &ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_long_ago_counts_from_now),
        cmocka_unit_test(dates_and_times_are_utc),
        cmocka_unit_test(all_else_is_refused),
    };
    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
