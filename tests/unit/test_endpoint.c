/* Endpoints: taken apart, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/aws/endpoint.h"

static void endpoints_are_taken_apart(void **state)
{
    (void)state;
    struct aws_endpoint endpoint;
    struct error error = ERROR_INIT;
    assert_int_equal(aws_endpoint_parse(&endpoint, "HTTP://S3.Example.com:8000/", &error), 0);
    assert_string_equal(endpoint.scheme, "http");
    assert_string_equal(endpoint.host, "s3.example.com:8000");
    assert_int_equal(aws_endpoint_parse(&endpoint, "https://[::1]:443", &error), 0);
    assert_string_equal(endpoint.host, "[::1]");
    assert_int_equal(aws_endpoint_parse(&endpoint, "http://10.0.0.1:80", &error), 0);
    assert_string_equal(endpoint.host, "10.0.0.1");
    assert_int_equal(aws_endpoint_of(&endpoint, "sts", "eu-west-1", &error), 0);
    assert_string_equal(endpoint.host, "sts.eu-west-1.amazonaws.com");
    assert_int_equal(aws_endpoint_of(&endpoint, "s3", "cn-north-1", &error), 0);
    assert_string_equal(endpoint.host, "s3.cn-north-1.amazonaws.com.cn");
}

static void endpoints_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "s3.example.com",
                                      "ftp://a",
                                      "https://",
                                      "https://a:0",
                                      "https://a:70000",
                                      "https://a:99999999999999999999",
                                      "https://user@a",
                                      "https://a/b",
                                      "https://a/?x",
                                      "https://a b",
                                      "https://a\r\nX: y",
                                      "https://a:",
                                      "https://[::1",
                                      "https://:80"};
    struct aws_endpoint endpoint;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(aws_endpoint_parse(&endpoint, bad[i], &error), ERR_INVALID);
        assert_non_null(strstr(error.text, "endpoint"));
    }
    assert_int_equal(aws_endpoint_of(&endpoint, "s3", "", NULL), ERR_INVALID);
    assert_int_equal(aws_endpoint_of(&endpoint, "s3", "evil.com/", NULL), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_taken_apart),
        cmocka_unit_test(endpoints_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
