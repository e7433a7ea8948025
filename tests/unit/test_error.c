/* Errors: the code to act on survives, and the sentence can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "recorder/base/error.h"
#include "recorder/base/text.h"
#include "recorder/settings/settings.h"

static void setting_an_error_gives_its_code_with_and_without_a_struct(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    assert_int_equal(error_set(&error, ERR_CONFLICT, "%s and %d", "this", 2), ERR_CONFLICT);
    assert_int_equal(error.code, ERR_CONFLICT);
    assert_string_equal(error.text, "this and 2");
    assert_int_equal(error_set(NULL, ERR_CONFLICT, "%s", "this"), ERR_CONFLICT);
}

static void errno_becomes_the_code_that_fits_and_the_last_words(void **state)
{
    (void)state;
    static const struct {
        int number, code;
    } all[] = {{ENOMEM, ERR_NO_MEMORY}, {ENOSPC, ERR_NO_SPACE}, {EDQUOT, ERR_NO_SPACE},
               {ENOENT, ERR_NOT_FOUND}, {EEXIST, ERR_EXISTS},   {EACCES, ERR_DENIED},
               {EPERM, ERR_DENIED},     {EROFS, ERR_DENIED},    {EIO, ERR_SYSTEM}};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct error error = ERROR_INIT;
        errno = all[i].number;
        assert_int_equal(error_system(&error, "cannot open %s", "it"), all[i].code);
        assert_int_equal(error.code, all[i].code);
        assert_int_equal(errno, all[i].number);
        assert_int_equal(error_system(NULL, "cannot open %s", "it"), all[i].code);
        assert_int_equal(strncmp(error.text, "cannot open it: ", 16), 0);
        assert_string_equal(error.text + 16, strerror(all[i].number));
    }
}

static void context_goes_in_front_and_the_code_stays(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERR_DENIED, "refused");
    error_prefix(&error, "bucket %s", "b");
    error_prefix(&error, "organization %s", "acme");
    assert_string_equal(error.text, "organization acme: bucket b: refused");
    assert_int_equal(error.code, ERR_DENIED);
    error_prefix(NULL, "organization %s", "acme");
}

/* It used to become ERR_SYSTEM on the way through error_prefix(). */
static void a_caller_that_wants_no_sentence_gets_the_same_code(void **state)
{
    (void)state;
    static const char text[] = "{\"spool\": 5}";
    struct settings *settings = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(settings_parse("s.json", text, strlen(text), &settings, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "s.json: spool"));
    assert_int_equal(settings_parse("s.json", text, strlen(text), &settings, NULL), ERR_INVALID);
}

static void hostile_names_stay_on_one_line_in_every_part(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    error_set(&error, ERR_INVALID, "name '%s'", "a\nb\x1b[2J\xff\\");
    assert_string_equal(error.text, "name 'a\\nb\\x1b[2J\\xff\\'");
    error_prefix(&error, "file '%s'", "\r\x07\xc3\xa9");
    assert_string_equal(error.text, "file '\\x0d\\x07\xc3\xa9': name 'a\\nb\\x1b[2J\\xff\\'");
    errno = EIO;
    error_system(&error, "read '%s'", "\n");
    assert_string_equal(error.text, "read '\\n': Input/output error");
}

static void what_is_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    char text[2 * sizeof(((struct error *)0)->text)];
    for (size_t shift = 0; shift < 4; shift++) {
        struct error error = ERROR_INIT;
        size_t length = 0;
        for (; length < shift; length++)
            text[length] = 'x';
        for (; length + 3 < sizeof(text); length += 3)
            memcpy(text + length, "\xe2\x82\xac", 3);
        text[length] = '\0';
        error_set(&error, ERR_LIMIT, "%s", text);
        assert_in_range(strlen(error.text), sizeof(error.text) - 12, sizeof(error.text) - 1);
        assert_true(text_is_utf8(error.text, strlen(error.text)));
        error_prefix(&error, "%.*s", (int)shift + 1, "abcd");
        assert_true(text_is_utf8(error.text, strlen(error.text)));
        assert_null(strstr(error.text, "\\x"));
    }
}

static void a_long_name_does_not_push_the_cause_out(void **state)
{
    (void)state;
    char name[5000];
    struct error error = ERROR_INIT;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    errno = ENOSPC;
    assert_int_equal(error_system(&error, "%s", name), ERR_NO_SPACE);
    assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
    assert_non_null(strstr(error.text, "n: No space left on device"));
    error_set(&error, ERR_DENIED, "the cause");
    error_prefix(&error, "%s", name);
    assert_non_null(strstr(error.text, "n: the cause"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_an_error_gives_its_code_with_and_without_a_struct),
        cmocka_unit_test(errno_becomes_the_code_that_fits_and_the_last_words),
        cmocka_unit_test(context_goes_in_front_and_the_code_stays),
        cmocka_unit_test(a_caller_that_wants_no_sentence_gets_the_same_code),
        cmocka_unit_test(hostile_names_stay_on_one_line_in_every_part),
        cmocka_unit_test(what_is_too_long_is_cut_between_characters),
        cmocka_unit_test(a_long_name_does_not_push_the_cause_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
