/* What is typed is recorded as typed only when it is seen to be echoed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "plugin/input_mask.c"

static struct input_mask *mask;
static char recorded[100000];
static size_t recorded_length;
static int64_t now;

static void record(void *context, const void *data, size_t length)
{
    (void)context;
    assert_true(recorded_length + length < sizeof(recorded));
    memcpy(recorded + recorded_length, data, length);
    recorded_length += length;
    recorded[recorded_length] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    recorded_length = 0;
    recorded[0] = '\0';
    now = 1000;
    mask = input_mask_new(record, NULL);
    return !mask;
}

static int clean_up(void **state)
{
    (void)state;
    input_mask_free(mask);
    return 0;
}

/* 50 ms pass with each step. */
static void typed(const char *text)
{
    now += 50000000;
    input_mask_typed(mask, now, text, strlen(text));
}

static void shown(const char *text)
{
    now += 50000000;
    input_mask_shown(mask, now, text, strlen(text));
}

static void expect(const char *text)
{
    if (strcmp(recorded, text) != 0)
        fail_msg("recorded '%s', not '%s'", recorded, text);
}

/* Types a key at a time; what comes back is the key itself (`echo`) or nothing. */
static void keys(const char *text, bool echo)
{
    for (; *text; text++) {
        char key[2] = {*text, '\0'};
        typed(key);
        if (echo)
            shown(key);
    }
}

static void an_echoed_command_is_recorded_as_typed(void **state)
{
    (void)state;
    shown("$ ");
    keys("ls -l /tmp", true);
    typed("\r");
    shown("\r\ntotal 0\r\n$ ");
    expect("ls -l /tmp\r");
}

static void a_password_at_a_prompt_is_masked(void **state)
{
    (void)state;
    keys("sudo id", true);
    typed("\r");
    shown("\r\n[sudo] password for alice: ");
    keys("hunter2", false);
    typed("\r");
    shown("\r\n");
    expect("sudo id\r*******\r");
    shown("uid=0(root) gid=0(root)\r\n$ ");
    keys("w", true);
    expect("sudo id\r*******\rw");
}

static void a_password_is_masked_however_it_is_typed(void **state)
{
    (void)state;
    shown("Password: ");
    typed("hunter2\r"); /* pasted, or in cooked mode of the client */
    shown("\r\n");
    shown("Welcome, hunter2 is not shown here\r\n");
    expect("*******\r");
}

static void a_password_is_not_uncovered_by_its_characters_in_other_output(void **state)
{
    (void)state;
    shown("Password: ");
    typed("h");
    shown("hello from a job in the background\r\n");
    typed("un");
    shown("u\x1b[Kpdate: n\r\n");
    typed("ter\r");
    shown("\r\n");
    shown("t e r\r\n");
    expect("******\r");
}

static void stars_echoed_for_a_password_do_not_uncover_it(void **state)
{
    (void)state;
    shown("Password: ");
    for (const char *p = "pass"; *p; p++) {
        char key[2] = {*p, '\0'};
        typed(key);
        shown("*");
    }
    typed("\r");
    shown("\r\n");
    expect("****\r");
}

static void characters_not_bytes_are_counted(void **state)
{
    (void)state;
    typed("p\xc3\xa4ss\xe2\x82\xac\r");
    shown("\r\n");
    expect("*****\r");
    typed("\xc3\xa4");
    shown("\xc3\xa4");
    expect("*****\r\xc3\xa4");
}

static void what_is_not_echoed_within_a_second_is_masked(void **state)
{
    (void)state;
    typed("secret");
    expect("");
    now += INPUT_MASK_WAIT_NS;
    shown("secret");
    expect("******");
}

static void what_is_held_at_the_end_is_masked(void **state)
{
    (void)state;
    typed("secret");
    input_mask_finish(mask);
    expect("******");
}

static void a_paste_that_is_echoed_is_recorded_as_pasted(void **state)
{
    (void)state;
    shown("$ ");
    typed("echo one\recho two\r");
    shown("echo one\r\necho two\r\n");
    shown("one\r\n");
    expect("echo one\recho two\r");
}

static void what_is_typed_ahead_is_found_behind_the_prompt(void **state)
{
    (void)state;
    typed("make install\r");
    shown("compiling\xe2\x80\xa6");
    shown("\r\nuser@host:~$ make install\r\n");
    expect("make install\r");
}

static void a_bracketed_paste_keeps_its_brackets(void **state)
{
    (void)state;
    typed("\x1b[200~ls\rpwd\x1b[201~");
    shown("\x1b[7mls\r\n\rpwd\x1b[27m");
    expect("\x1b[200~ls\rpwd\x1b[201~");
}

static void editing_with_backspace_is_kept(void **state)
{
    (void)state;
    keys("lx", true);
    typed("\x7f");
    shown("\b \b");
    keys("s", true);
    typed("\r");
    shown("\r\n");
    expect("lx\x7fs\r");
    /* the same at once */
    typed("lx\x7fs\r");
    shown("lx\b \bs\r\n");
    expect("lx\x7fs\rlx\x7fs\r");
}

static void editing_of_a_password_shows_no_more_than_its_length(void **state)
{
    (void)state;
    keys("hunx\x7fter", false);
    typed("\x15\r");
    shown("\r\n");
    expect("****\x7f***\x15\r");
}

static void keys_without_a_character_are_recorded_as_they_are(void **state)
{
    (void)state;
    typed("\x1b[A\x1bOB\x1b[1;5C\x03\t\x1b[<0;10;12M");
    expect("\x1b[A\x1bOB\x1b[1;5C\x03\t\x1b[<0;10;12M");
}

static void the_contents_of_long_sequences_are_masked(void **state)
{
    (void)state;
    typed("\x1b]52;c;aGk=\x07");
    input_mask_finish(mask);
    expect("\x1b]*********\x07");
}

static void a_key_with_alt_may_be_a_secret(void **state)
{
    (void)state;
    typed("\x1bx");
    input_mask_finish(mask);
    expect("\x1b*");
}

static void shells_that_draw_the_line_again_echo_it(void **state)
{
    (void)state;
    typed("l");
    shown("l");
    typed("s");
    shown("\b\x1b[1m\x1b[32ml\x1b[32ms\x1b[0m\x1b[39m");
    expect("ls");
    typed(" ");
    shown(" -la --color"); /* a suggestion behind the cursor */
    expect("ls ");
}

static void a_sequence_cut_by_a_call_stays_one(void **state)
{
    (void)state;
    typed("\x1b");
    typed("[");
    typed("A");
    expect("\x1b[A");
}

static void too_much_to_hold_is_masked(void **state)
{
    (void)state;
    static char many[3 * INPUT_MASK_PENDING + 1];
    memset(many, 's', sizeof(many) - 1);
    typed(many);
    assert_true(recorded_length >= 2 * INPUT_MASK_PENDING);
    input_mask_finish(mask);
    memset(many, '*', sizeof(many) - 1);
    expect(many);
}

/* Whatever is shown, letters that are not in it come out masked, and controls as they are. (No key
 * sequence begins here: that takes a '[' or an 'O'.) */
static void random_bytes_never_come_out_uncovered(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (int round = 0; round < 300; round++) {
        unsigned char in[400], out[400];
        for (size_t i = 0; i < sizeof(in); i++) {
            random = random * 1664525 + 1013904223;
            /* typed: letters and controls; shown: digits, controls and escapes only */
            unsigned char byte = (unsigned char)(random >> 24);
            in[i] = byte & 64 ? (unsigned char)('a' + byte % 26) : byte & 31;
            out[i] = byte & 32 ? (unsigned char)('0' + byte % 10) : byte & 31;
        }
        input_mask_typed(mask, now, in, sizeof(in));
        input_mask_shown(mask, now, out, random % sizeof(out));
        input_mask_finish(mask);
        assert_int_equal(recorded_length, sizeof(in));
        for (size_t i = 0; i < sizeof(in); i++)
            assert_int_equal((unsigned char)recorded[i], in[i] < 0x20 ? in[i] : '*');
        recorded_length = 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_echoed_command_is_recorded_as_typed),
        TEST(a_password_at_a_prompt_is_masked),
        TEST(a_password_is_masked_however_it_is_typed),
        TEST(a_password_is_not_uncovered_by_its_characters_in_other_output),
        TEST(stars_echoed_for_a_password_do_not_uncover_it),
        TEST(characters_not_bytes_are_counted),
        TEST(what_is_not_echoed_within_a_second_is_masked),
        TEST(what_is_held_at_the_end_is_masked),
        TEST(a_paste_that_is_echoed_is_recorded_as_pasted),
        TEST(what_is_typed_ahead_is_found_behind_the_prompt),
        TEST(a_bracketed_paste_keeps_its_brackets),
        TEST(editing_with_backspace_is_kept),
        TEST(editing_of_a_password_shows_no_more_than_its_length),
        TEST(keys_without_a_character_are_recorded_as_they_are),
        TEST(the_contents_of_long_sequences_are_masked),
        TEST(a_key_with_alt_may_be_a_secret),
        TEST(shells_that_draw_the_line_again_echo_it),
        TEST(a_sequence_cut_by_a_call_stays_one),
        TEST(too_much_to_hold_is_masked),
        TEST(random_bytes_never_come_out_uncovered),
    };
    return cmocka_run_group_tests_name("input_mask", tests, NULL, NULL);
}
