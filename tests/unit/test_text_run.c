/* Runs of text that needs no escape, against one character at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "recorder/cast/text_run.h"
#include "recorder/cast/utf8.h"

#define MOST 100

static size_t by_characters(const uint8_t *p, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t size = 1;
        if (p[at] < 0x20 || p[at] == '"' || p[at] == '\\' ||
            utf8_next(p + at, length - at, &size) != UTF8_GOOD)
            break;
        at += size;
    }
    return at;
}

static void check(const uint8_t *p, size_t length)
{
    char to[MOST + 1], other[MOST + 1];
    size_t wanted = by_characters(p, length);
    assert_true(length <= MOST);
    to[length] = other[length] = '#';
    size_t got = text_run_copy(to, p, length);
    if (got != wanted || text_run_copy_portable(other, p, length) != wanted)
        fail_msg("of %zu bytes, %zu and not %zu", length, got, wanted);
    assert_memory_equal(to, p, wanted);
    assert_memory_equal(other, p, wanted);
    assert_int_equal(to[length], '#');
    assert_int_equal(other[length], '#');
}

/* The bytes where UTF-8's ranges begin and end, and those that JSON escapes. */
static const uint8_t edges[] = {0x00, 0x1f, 0x20, '"',  '\\', 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
#define EDGES (sizeof(edges) / sizeof(*edges))

/* Each four of them, within a block, over the border of two, and at the end. */
static void any_four_bytes_are_judged_as_one_by_one(void **state)
{
    static const size_t places[] = {0, 1, 28, 29, 30, 31, 32, 61};
    uint8_t text[MOST];
    (void)state;
    for (size_t n = 0; n < EDGES * EDGES * EDGES * EDGES; n++) {
        size_t rest = n, place = places[n / 7 % 8];
        memset(text, 'a', sizeof(text));
        for (int i = 0; i < 4; i++, rest /= EDGES)
            text[place + (size_t)i] = edges[rest % EDGES];
        check(text, n % 3 ? 72 : place + 4);
    }
}

static void a_run_ends_at_any_byte_of_any_length(void **state)
{
    static const char *const texts[] = {"a",     "é",   "漢",     "😀",
                                        "aé漢😀", "é\"", "漢字\n", "\xed\xa0\x80"};
    uint8_t text[MOST];
    (void)state;
    for (size_t which = 0; which < sizeof(texts) / sizeof(*texts); which++) {
        size_t size = strlen(texts[which]);
        for (size_t i = 0; i < MOST; i++)
            text[i] = (uint8_t)texts[which][i % size];
        for (size_t length = 0; length <= MOST; length++) {
            check(text, length);
            for (size_t skip = 1; skip < size && skip <= length; skip++)
                check(text + skip, length - skip);
        }
    }
}

static void a_bad_byte_anywhere_ends_the_run_before_its_character(void **state)
{
    static const uint8_t bad[] = {0x80, 0xc0, 0xe2, 0xf0, 0xff, 'a', '"', 0};
    uint8_t text[96];
    (void)state;
    for (size_t at = 0; at < sizeof(text); at++)
        for (size_t which = 0; which < sizeof(bad); which++) {
            for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (uint8_t) "漢😀é"[i % 9];
            text[at] = bad[which];
            check(text, sizeof(text));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_four_bytes_are_judged_as_one_by_one),
        cmocka_unit_test(a_run_ends_at_any_byte_of_any_length),
        cmocka_unit_test(a_bad_byte_anywhere_ends_the_run_before_its_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
