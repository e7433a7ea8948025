/* What a file transfer's operations are in JSON: recorder/seal/transfer_json.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorder/seal/transfer_json.h"

#define MUCH ((size_t)1 << 16)

static void said(const struct transfer_name *path, const char *expected)
{
    struct transfer_operation operation = {.op = TRANSFER_REMOVE, .path = *path, .result = "ok"};
    struct buffer out = BUFFER_INIT(MUCH);
    assert_int_equal(transfer_json(&operation, 1500000000, &out), 0);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
}

#define NAME(text)                                                                                 \
    &(struct transfer_name)                                                                        \
    {                                                                                              \
        text, sizeof(text) - 1, sizeof(text) - 1                                                   \
    }

static void names_are_text_and_what_is_not_text_has_its_bytes_beside_it(void **state)
{
    (void)state;
    said(NAME("/a \"\303\251"),
         "{\"time\":1.500000,\"op\":\"remove\",\"path\":\"/a \\\"\303\251\",\"result\":\"ok\"}");
    said(NAME("a\377"), "{\"time\":1.500000,\"op\":\"remove\",\"path\":\"a\357\277\275\","
                        "\"path_base64\":\"Yf8=\",\"result\":\"ok\"}");
}

static void a_name_with_a_nul_leaves_none_in_the_json(void **state)
{
    (void)state;
    said(NAME("a\0b"), "{\"time\":1.500000,\"op\":\"remove\",\"path\":\"a\357\277\275b\","
                       "\"path_base64\":\"YQBi\",\"result\":\"ok\"}");
}

static void a_name_that_was_cut_says_how_long_it_was(void **state)
{
    (void)state;
    said(&(struct transfer_name){"abc", 3, 5000},
         "{\"time\":1.500000,\"op\":\"remove\",\"path\":"
         "\"abc\",\"path_length\":5000,\"result\":\"ok\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_text_and_what_is_not_text_has_its_bytes_beside_it),
        cmocka_unit_test(a_name_with_a_nul_leaves_none_in_the_json),
        cmocka_unit_test(a_name_that_was_cut_says_how_long_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
