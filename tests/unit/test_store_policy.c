/* The session policy: exactly the four actions, on one organization's prefix, within STS's limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "recorder/store/store_policy.h"

#define ROLE "arn:aws:iam::123456789012:role/recordings"

static void it_allows_four_actions_and_names_the_prefix(void **state)
{
    (void)state;
    char policy[STORE_POLICY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(store_policy(policy, ROLE, "acme-rec", "ssh/", "acme", &error), 0);
    json_t *made = json_loads(policy, JSON_REJECT_DUPLICATES, NULL);
    json_t *expected = json_loads(
        "{\"Version\": \"2012-10-17\", \"Statement\": ["
        "{\"Effect\": \"Allow\", \"Action\": [\"s3:PutObject\", \"s3:GetObject\"],"
        " \"Resource\": \"arn:aws:s3:::acme-rec/ssh/org=acme/*\"},"
        "{\"Effect\": \"Allow\", \"Action\": \"s3:ListBucket\","
        " \"Resource\": \"arn:aws:s3:::acme-rec\","
        " \"Condition\": {\"StringLike\": {\"s3:prefix\": \"ssh/org=acme/*\"}}},"
        "{\"Effect\": \"Allow\", \"Action\": \"s3:GetBucketLocation\","
        " \"Resource\": \"arn:aws:s3:::acme-rec\"}]}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(made, expected));
    json_decref(made);
    json_decref(expected);
}

static void the_partition_is_the_roles(void **state)
{
    (void)state;
    char policy[STORE_POLICY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(
        store_policy(policy, "arn:aws-cn:iam::123456789012:role/r", "b-1", "", "a", &error), 0);
    assert_non_null(strstr(policy, "arn:aws-cn:s3:::b-1/org=a/*"));
    assert_null(strstr(policy, "arn:aws:"));
    assert_int_equal(
        store_policy(policy, "arn:aws-us-gov:iam::123456789012:role/r", "b-1", "", "a", &error), 0);
    assert_non_null(strstr(policy, "arn:aws-us-gov:s3:::b-1"));
    assert_int_equal(store_policy(policy, "role/r", "b-1", "", "a", &error), ERR_INVALID);
    assert_int_equal(store_policy(policy, "arn::iam::1:role/r", "b-1", "", "a", &error),
                     ERR_INVALID);
    assert_int_equal(store_policy(policy, "arn:a\":iam::1:role/r", "b-1", "", "a", &error),
                     ERR_INVALID);
}

/* All that a policy grants beyond its fixed text must be the last character of two strings. */
static void a_name_cannot_widen_it(void **state)
{
    (void)state;
    static const char *const names[] = {
        "*", "?", "${aws:username}", "a/*", "..", "a\"],\"b", "a\\", "\n", "\xff"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char policy[STORE_POLICY_SIZE];
        struct error error = ERROR_INIT;
        assert_int_equal(store_policy(policy, ROLE, "acme-rec", "", names[i], &error), 0);
        int stars = 0;
        for (const char *p = policy; *p; p++) {
            assert_int_not_equal(*p, '?');
            assert_int_not_equal(*p, '$');
            stars += *p == '*';
        }
        assert_int_equal(stars, 2);
        json_t *json = json_loads(policy, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_int_equal(json_array_size(json_object_get(json, "Statement")), 3);
        json_decref(json);
    }
}

static void patterns_in_bucket_or_prefix_are_refused(void **state)
{
    (void)state;
    char policy[STORE_POLICY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(store_policy(policy, ROLE, "acme-rec", "*/", "a", &error), ERR_INVALID);
    assert_int_equal(store_policy(policy, ROLE, "acme-rec", "a?/", "a", &error), ERR_INVALID);
    assert_int_equal(store_policy(policy, ROLE, "acme-rec", "${x}/", "a", &error), ERR_INVALID);
    assert_int_equal(store_policy(policy, ROLE, "*", "", "a", &error), ERR_INVALID);
    assert_int_equal(store_policy(policy, ROLE, "b/x", "", "a", &error), ERR_INVALID);
}

static void a_prefix_that_json_must_escape_stays_itself(void **state)
{
    (void)state;
    char policy[STORE_POLICY_SIZE];
    struct error error = ERROR_INIT;
    assert_int_equal(store_policy(policy, ROLE, "acme-rec", "a\"\\\xe2\x82\xac/", "a", &error), 0);
    for (const char *p = policy; *p; p++)
        assert_in_range((unsigned char)*p, 0x20, 0x7e);
    json_t *json = json_loads(policy, 0, NULL);
    const json_t *objects = json_array_get(json_object_get(json, "Statement"), 0);
    assert_string_equal(json_string_value(json_object_get(objects, "Resource")),
                        "arn:aws:s3:::acme-rec/a\"\\\xe2\x82\xac/org=a/*");
    json_decref(json);
}

static void it_fits_stss_limit_or_is_refused(void **state)
{
    (void)state;
    char policy[STORE_POLICY_SIZE], name[81], bucket[64], prefix[900];
    struct error error = ERROR_INIT;
    memset(name, '/', 80);
    name[80] = '\0';
    memset(bucket, 'b', 63);
    bucket[63] = '\0';
    memset(prefix, 'p', sizeof(prefix));
    memcpy(prefix + 399, "/", 2);
    assert_int_equal(store_policy(policy, "arn:aws-us-gov:iam::123456789012:role/r", bucket, prefix,
                                  name, &error),
                     0);
    assert_in_range(strlen(policy), 1, 2048);
    memset(prefix, 'p', sizeof(prefix));
    memcpy(prefix + 700, "/", 2);
    assert_int_equal(store_policy(policy, ROLE, bucket, prefix, name, &error), ERR_LIMIT);
    assert_non_null(strstr(error.text, "shorter prefix"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_allows_four_actions_and_names_the_prefix),
        cmocka_unit_test(the_partition_is_the_roles),
        cmocka_unit_test(a_name_cannot_widen_it),
        cmocka_unit_test(patterns_in_bucket_or_prefix_are_refused),
        cmocka_unit_test(a_prefix_that_json_must_escape_stays_itself),
        cmocka_unit_test(it_fits_stss_limit_or_is_refused),
    };
    return cmocka_run_group_tests_name("store_policy", tests, NULL, NULL);
}
