/* The filter between a recording and the terminal of the person who replays it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/read/terminal_filter.h"

/* What passes, when the text comes in pieces of `piece` bytes. */
static char *filtered(const char *text, size_t length, size_t piece, unsigned long *dropped)
{
    struct terminal_filter filter = TERMINAL_FILTER_INIT;
    struct buffer out = BUFFER_INIT(1 << 20);
    for (size_t at = 0; at < length; at += piece)
        assert_int_equal(
            terminal_filter(&filter, text + at, length - at < piece ? length - at : piece, &out),
            0);
    if (dropped)
        *dropped = filter.dropped;
    char *made = buffer_take(&out);
    return made ? made : calloc(1, 1);
}

static void expect_text(const char *text, const char *wanted, unsigned long wanted_dropped)
{
    for (size_t piece = 1; piece <= 4; piece++) {
        unsigned long dropped;
        char *made = filtered(text, strlen(text), piece == 4 ? 4096 : piece, &dropped);
        assert_string_equal(made, wanted);
        assert_int_equal(dropped, wanted_dropped);
        free(made);
    }
}

static void expect_passes(const char *text)
{
    expect_text(text, text, 0);
}

static void expect_dropped(const char *sequence)
{
    char around[512];
    snprintf(around, sizeof(around), "a%sb", sequence);
    expect_text(around, "ab", 1);
}

static void what_draws_passes_unchanged(void **state)
{
    (void)state;
    expect_passes("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 text\r\n\ttab\bback\a");
    expect_passes("\x1b[1;38;5;208;48:2::1:2:3mcolour\x1b[m");
    expect_passes("\x1b[2J\x1b[H\x1b[10;20H\x1b[3A\x1b[K\x1b[4L\x1b[2M\x1b[3P\x1b[5@\x1b[6X");
    expect_passes("\x1b[1;24r\x1b[2S\x1b[2T\x1b[s\x1b[u\x1b"
                  "7\x1b"
                  "8\x1b"
                  "D\x1b"
                  "M\x1b"
                  "E");
    expect_passes("\x1b[?1049h\x1b[?25l\x1b[?7h\x1b[4h\x1b[4l\x1b[?25h\x1b[?1049l");
    expect_passes("\x1b(0lqqk\x1b(B\x0e\x0f\x1b#8\x1b[!p\x1b[2 q\x1b[3b");
    expect_passes("\x1b]8;;https://example.org/\x1b\\link\x1b]8;;\x1b\\");
}

static void what_makes_a_terminal_answer_is_dropped(void **state)
{
    (void)state;
    static const char *const questions[] = {
        "\x1b[c",        "\x1b[0c",          "\x1b[>c",
        "\x1b[=c",       "\x1b[5n",          "\x1b[6n",
        "\x1b[?6n",      "\x1b[x",           "\x1b[18t",
        "\x1b[21t",      "\x1b[>q",          "\x1b[?1$p",
        "\x1b[?u",       "\x1bP$qm\x1b\\",   "\x1bP+q544e\x1b\\",
        "\x1bZ",         "\x1b[?1;1;1S",     "\x1b[1;1;1;1;1T",
        "\x1b]11;?\x07", "\x1b]4;1;?\x1b\\", "\x1b[1;1;1;1;1;1*y",
        "\x1b[1$w"};
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        expect_dropped(questions[i]);
    expect_text("a\x05"
                "b",
                "ab", 0); /* ENQ */
}

static void what_changes_more_than_the_picture_is_dropped(void **state)
{
    (void)state;
    static const char *const deeds[] = {
        "\x1b]52;c;ZXZpbA==\x07",            /* the clipboard */
        "\x1b]0;title\x07",                  /* the title */
        "\x1b]1337;File=name=eA==:eA==\x07", /* a file */
        "\x1b]777;notify;a;b\x1b\\",
        "\x1bktitle\x1b\\",
        "\x1b_Gf=32\x1b\\",
        "\x1b^private\x1b\\",
        "\x1bXstring\x1b\\",
        "\x1b[8;10;10t", /* the window's size */
        "\x1b[2h",       /* locks the keyboard */
        "\x1b[5i",       /* prints */
        "\x1b[?3h",
        "\x1b[20000h",
        "\x1b[1004h", /* no private mode */
        "\x1b%@",
        "\x1b G",
    };
    for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
        expect_dropped(deeds[i]);
}

/* Every shell and editor sets these: who replays need not be told. */
static void what_only_keys_and_mouse_send_is_dropped_and_not_counted(void **state)
{
    (void)state;
    static const char *const quiet[] = {
        "\x1b[?2004h", "\x1b[?2004l", "\x1b[?1000h", "\x1b[?1002;1006h", "\x1b[?1004h", "\x1b[?1h",
        "\x1b[?66l",   "\x1b[?1034h", "\x1b[>4;2m",  "\x1b[>4n",         "\x1b[>1u",    "\x1b[<u",
        "\x1b[=1;1u",  "\x1b=",       "\x1b>"};
    for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++)
        expect_text(quiet[i], "", 0);
}

static void of_several_modes_those_that_draw_remain(void **state)
{
    (void)state;
    expect_text("\x1b[?1049;3;25h", "\x1b[?1049;25h", 1);
    expect_text("\x1b[?1049;1000;25h", "\x1b[?1049;25h", 0);
    expect_text("\x1b[?1;1000h", "", 0);
    expect_text("\x1b[?1;1000;3h", "", 1);
}

static void c1_controls_are_no_way_around(void **state)
{
    (void)state;
    expect_dropped("\xc2\x9b"
                   "6n");
    expect_dropped("\xc2\x9d"
                   "52;c;eA==\xc2\x9c");
    expect_dropped("\xc2\x90$qm\xc2\x9c");
    expect_text("\xc2\x9b"
                "31mred",
                "\x1b[31mred", 0);
    expect_passes("\xc2\xa0\xc2\xa9");
}

static void strings_end_only_where_a_terminal_ends_them(void **state)
{
    (void)state;
    /* Not one that hides a question behind a broken string. */
    expect_text("\x1b]0;a\x1b[6nb", "b", 2);
    expect_text("\x1b]0;a\x18"
                "b",
                "b", 1);
    expect_text("\x1b[31\x18mb", "mb", 1);
    expect_text("\x1b[3\x1b[31mb", "\x1b[31mb", 1);
    /* Controls inside a sequence are carried out; the sequence goes on. */
    expect_text("\x1b[3\n1mb", "\n\x1b[31mb", 0);
    expect_text("\x1b[6\nnb", "\nb", 1);
    expect_text("\x1b]8;;a\nb\x07x", "x", 1);
}

static void endless_sequences_are_dropped_whole(void **state)
{
    (void)state;
    size_t size = 100000;
    char *text = malloc(size + 8);
    memcpy(text, "\x1b[", 2);
    memset(text + 2, '1', size);
    memcpy(text + 2 + size, "mx", 3);
    unsigned long dropped;
    char *made = filtered(text, size + 4, 777, &dropped);
    assert_string_equal(made, "x");
    assert_int_equal(dropped, 1);
    free(made);
    memcpy(text, "\x1b]8;;", 5);
    text[2 + size] = '\a';
    made = filtered(text, size + 4, 777, &dropped);
    assert_string_equal(made, "x");
    free(made);
    free(text);
}

static void the_alternate_screen_is_noticed(void **state)
{
    (void)state;
    struct terminal_filter filter = TERMINAL_FILTER_INIT;
    struct buffer out = BUFFER_INIT(1000);
    assert_int_equal(terminal_filter(&filter, "\x1b[?10", 5, &out), 0);
    assert_false(filter.alternate_screen);
    assert_int_equal(terminal_filter(&filter, "49h", 3, &out), 0);
    assert_true(filter.alternate_screen);
    assert_int_equal(terminal_filter(&filter, "\x1b[?1049l", 8, &out), 0);
    assert_false(filter.alternate_screen);
    buffer_free(&out);
}

/* Filtering what was filtered changes nothing: so nothing that passes is refused, and no two
 * pieces that pass make together what does not. */
static void whatever_passes_passes_again(void **state)
{
    (void)state;
    static const char alphabet[] =
        "\x1b\x1b\x1b[[]]?>;;1026hlmnctPX\\\a\x18\n\xc2\xc2\x9b\x9d\x9cx ";
    uint32_t random = 12345;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        for (size_t i = 0; i < sizeof(text); i++) {
            random = random * 1664525 + 1013904223;
            text[i] = alphabet[(random >> 16) % (sizeof(alphabet) - 1)];
        }
        char *once = filtered(text, sizeof(text), sizeof(text), NULL);
        char *pieces = filtered(text, sizeof(text), 3, NULL);
        assert_string_equal(once, pieces);
        unsigned long dropped;
        char *twice = filtered(once, strlen(once), 64, &dropped);
        assert_string_equal(twice, once);
        assert_int_equal(dropped, 0);
        free(once);
        free(pieces);
        free(twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_draws_passes_unchanged),
        cmocka_unit_test(what_makes_a_terminal_answer_is_dropped),
        cmocka_unit_test(what_changes_more_than_the_picture_is_dropped),
        cmocka_unit_test(what_only_keys_and_mouse_send_is_dropped_and_not_counted),
        cmocka_unit_test(of_several_modes_those_that_draw_remain),
        cmocka_unit_test(c1_controls_are_no_way_around),
        cmocka_unit_test(strings_end_only_where_a_terminal_ends_them),
        cmocka_unit_test(endless_sequences_are_dropped_whole),
        cmocka_unit_test(the_alternate_screen_is_noticed),
        cmocka_unit_test(whatever_passes_passes_again),
    };
    return cmocka_run_group_tests_name("terminal filter", tests, NULL, NULL);
}
