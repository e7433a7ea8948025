/* S3's operations against a scripted store: what is asked, and what is made of every answer. What a
 * real store enforces is tested against RADOS Gateway; this is for what it will not do on demand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/aws/s3.h"
#include "recorder/base/base64.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "tests/unit/scripted_server.h"

#define NOON INT64_C(1795435200) /* 2026-11-23T12:00:00Z */

static int64_t wall_s;

static int64_t test_time(const struct clock *clock)
{
    (void)clock;
    return wall_s * NS_PER_SECOND;
}

static const struct clock test_clock = {test_time, test_time};

struct fixture {
    struct scripted_server *server, *sts;
    struct http_client *client;
    struct sts_session *session;
    struct s3_bucket *bucket;
    struct s3_object object;
    struct error error;
    char answers[8][1024];
    size_t used;
};

static void open_bucket(struct fixture *f, const char *region, bool with_role)
{
    const struct s3_options options = {
        .bucket = "acme", .region = region, .endpoint = scripted_server_url(f->server)};
    s3_bucket_free(f->bucket);
    assert_int_equal(s3_bucket_new(f->client, with_role ? f->session : NULL, &options, &test_clock,
                                   &f->bucket, &f->error),
                     0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct http_options http = {.stall_timeout_ms = 2000};
    assert_non_null(f);
    wall_s = NOON;
    setenv("AWS_ACCESS_KEY_ID", "AKIDBASE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "base-secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    f->server = scripted_server_new();
    f->sts = scripted_server_new();
    assert_int_equal(http_client_new(&http, &f->client, &f->error), 0);
    const struct sts_role role = {.role_arn = "arn:aws:iam::123456789012:role/castbucket",
                                  .external_id = "",
                                  .session_name = "castbucket",
                                  .policy = "",
                                  .duration_seconds = 900,
                                  .endpoint = scripted_server_url(f->sts),
                                  .region = ""};
    assert_int_equal(sts_session_new(f->client, &role, &test_clock, &f->session, &f->error), 0);
    open_bucket(f, "us-east-1", false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    s3_bucket_free(f->bucket);
    s3_bucket_free(NULL);
    sts_session_free(f->session);
    http_client_free(f->client);
    scripted_server_free(f->server);
    scripted_server_free(f->sts);
    free(f);
    return 0;
}

static void answer(struct fixture *f, int status, const char *headers, const char *body)
{
    scripted_server_add(
        f->server, (struct scripted_answer){.status = status, .headers = headers, .body = body});
}

static void add_role_credentials(struct fixture *f, const char *id, int64_t seconds)
{
    char when[TEXT_TIME_SIZE], *text = f->answers[f->used++];
    text_time(when, (wall_s + seconds) * NS_PER_SECOND);
    snprintf(text, sizeof(f->answers[0]),
             "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId>"
             "<SecretAccessKey>s</SecretAccessKey><SessionToken>token-%s</SessionToken>"
             "<Expiration>%.19sZ</Expiration></Credentials></AssumeRoleResult>"
             "</AssumeRoleResponse>",
             id, id, when);
    scripted_server_add(f->sts, (struct scripted_answer){.status = 200, .body = text});
}

static const char *head_of(struct fixture *f, size_t number)
{
    const struct scripted_request *request = scripted_server_request(f->server, number);
    assert_non_null(request);
    return request->head;
}

static void assert_says(const struct fixture *f, const char *sentence)
{
    if (!strstr(f->error.text, sentence))
        fail_msg("'%s' is not in: %s", sentence, f->error.text);
    assert_null(strstr(f->error.text, "Signature="));
    assert_null(strstr(f->error.text, "base-secret"));
}

static void assert_asked(struct fixture *f, size_t number, const char *line)
{
    if (strncmp(head_of(f, number), line, strlen(line)) != 0)
        fail_msg("'%s' does not begin: %s", line, head_of(f, number));
}

static void assert_header(struct fixture *f, size_t number, const char *line)
{
    if (!strstr(head_of(f, number), line))
        fail_msg("'%s' is not in: %s", line, head_of(f, number));
}

static int put(struct fixture *f)
{
    uint8_t hash[SHA256_SIZE];
    assert_int_equal(sha256("hello", 5, hash), 0);
    const struct s3_put request = {.key = "org=a/b c.gz",
                                   .body = {.data = "hello", .length = 5},
                                   .sha256 = hash,
                                   .content_type = "application/gzip",
                                   .if_none_match = true};
    f->error = ERROR_INIT;
    return s3_put(f->bucket, &request, &f->object, &f->error);
}

/* Of "hello". */
#define MD5_HEX "5d41402abc4b2a76b9719d911017c592"
#define MD5_BASE64 "XUFAKrxLKna5cZ2REBfFkg=="
#define SHA_HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA_BASE64 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

#define ERROR(code, message) "<Error><Code>" code "</Code><Message>" message "</Message></Error>"

static void a_put_says_all_about_its_body(void **state)
{
    struct fixture *f = *state;
    answer(f, 200, "ETag: \"" MD5_HEX "\"\r\nx-amz-checksum-sha256: " SHA_BASE64 "\r\n", NULL);
    assert_int_equal(put(f), 0);
    assert_asked(f, 0, "PUT /acme/org%3Da/b%20c.gz HTTP/1.1\r\n");
    assert_header(f, 0, "\r\nx-amz-content-sha256: " SHA_HEX "\r\n");
    assert_header(f, 0, "\r\nx-amz-checksum-sha256: " SHA_BASE64 "\r\n");
    assert_header(f, 0, "\r\nx-amz-meta-sha256: " SHA_HEX "\r\n");
    assert_header(f, 0, "\r\ncontent-md5: " MD5_BASE64 "\r\n");
    assert_header(f, 0, "\r\nif-none-match: *\r\n");
    assert_header(f, 0, "\r\nx-amz-acl: bucket-owner-full-control\r\n");
    assert_header(f, 0, "\r\ncontent-type: application/gzip\r\n");
    assert_header(f, 0, "Credential=AKIDBASE/20261123/us-east-1/s3/aws4_request");
    assert_memory_equal(scripted_server_request(f->server, 0)->body, "hello", 5);
    assert_int_equal(f->object.size, 5);
    assert_string_equal(f->object.etag, MD5_HEX);
    assert_string_equal(f->object.checksum, SHA_BASE64);
    assert_string_equal(f->object.meta_sha256, SHA_HEX);
}

static void a_store_that_got_other_bytes_is_caught(void **state)
{
    struct fixture *f = *state;
    answer(f, 200, "ETag: \"" MD5_HEX "\"\r\nx-amz-checksum-sha256: AAAA\r\n", NULL);
    assert_int_equal(put(f), ERR_DAMAGED);
    answer(f, 200, "ETag: \"00000000000000000000000000000000\"\r\n", NULL);
    assert_int_equal(put(f), ERR_DAMAGED);
    assert_says(f, "s3://");
    answer(f, 200,
           "ETag: \"00000000000000000000000000000000\"\r\n"
           "x-amz-server-side-encryption: aws:kms\r\n",
           NULL);
    assert_int_equal(put(f), 0);
    answer(f, 200, "ETag: \"opaque-1\"\r\n", NULL);
    assert_int_equal(put(f), 0);
}

static const struct {
    int status;
    const char *body;
    int code;
    const char *says;
} refusals[] = {
    {412, ERROR("PreconditionFailed", "x"), ERR_EXISTS, "already"},
    {412, "", ERR_EXISTS, "already"},
    {409, ERROR("ConditionalRequestConflict", ""), ERR_RETRY, "ConditionalRequestConflict"},
    {409, ERROR("OperationAborted", ""), ERR_RETRY, "OperationAborted"},
    {503, ERROR("SlowDown", "Please reduce your request rate."), ERR_RETRY, "reduce"},
    {500, ERROR("InternalError", ""), ERR_RETRY, "InternalError"},
    {502, "<html>bad gateway", ERR_RETRY, "502"},
    {400, ERROR("RequestTimeout", ""), ERR_RETRY, "RequestTimeout"},
    {429, "", ERR_RETRY, "429"},
    {404, ERROR("NoSuchBucket", ""), ERR_NOT_FOUND, "bucket acme does not exist"},
    {400, ERROR("BadDigest", ""), ERR_DAMAGED, "BadDigest"},
    {400, ERROR("XAmzContentSHA256Mismatch", ""), ERR_DAMAGED, "checksum"},
    {403, ERROR("InvalidAccessKeyId", ""), ERR_DENIED, "credentials"},
    {403, ERROR("SignatureDoesNotMatch", ""), ERR_DENIED, "credentials"},
    {400, ERROR("ExpiredToken", ""), ERR_DENIED, "expired"},
    {400, ERROR("KeyTooLongError", "Your key is too long"), ERR_INVALID, "too long"},
    {400, "", ERR_INVALID, "400"},
    {301, ERROR("PermanentRedirect", ""), ERR_INVALID, "another region"},
};

static void refusals_become_codes_to_act_on(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        size_t before = scripted_server_count(f->server);
        answer(f, refusals[i].status, NULL, refusals[i].body);
        int rc = put(f);
        if (rc != refusals[i].code)
            fail_msg("%s gave %s: %s", refusals[i].body, error_name(rc), f->error.text);
        assert_says(f, refusals[i].says);
        assert_says(f, "s3://acme/org=a/b c.gz: PutObject");
        assert_int_equal(scripted_server_count(f->server), before + 1);
    }
}

static void a_missing_permission_is_named(void **state)
{
    struct fixture *f = *state;
    char region[64];
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    assert_int_equal(put(f), ERR_DENIED);
    assert_says(f, "s3:PutObject on arn:aws:s3:::acme/*");
    answer(f, 403, NULL, NULL);
    assert_int_equal(s3_head(f->bucket, "k", &f->object, &f->error), ERR_DENIED);
    assert_says(f, "s3:GetObject on arn:aws:s3:::acme/*");
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    assert_int_equal(s3_list(f->bucket, "", "", NULL, NULL, &f->error), ERR_DENIED);
    assert_says(f, "s3:ListBucket on arn:aws:s3:::acme");
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    assert_int_equal(s3_location(f->bucket, region, sizeof(region), &f->error), ERR_DENIED);
    assert_says(f, "s3:GetBucketLocation on arn:aws:s3:::acme");
}

static void network_failures_may_be_tried_again(void **state)
{
    static const enum scripted_fault faults[] = {FAULT_RESET, FAULT_CLOSE, FAULT_CUT};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        scripted_server_add(f->server, (struct scripted_answer){.status = 200, .fault = faults[i]});
        assert_int_equal(put(f), ERR_RETRY);
        assert_says(f, "s3://acme/org=a/b c.gz");
    }
}

static void an_endless_list_is_cut(void **state)
{
    struct fixture *f = *state;
    scripted_server_add(f->server, (struct scripted_answer){.status = 200, .fault = FAULT_ENDLESS});
    assert_int_equal(s3_list(f->bucket, "", "", NULL, NULL, &f->error), ERR_LIMIT);
}

static void an_acl_that_is_refused_is_left_out_from_then_on(void **state)
{
    struct fixture *f = *state;
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    answer(f, 200, NULL, NULL);
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_int_equal(put(f), 0);
    assert_header(f, 0, "x-amz-acl");
    assert_null(strstr(head_of(f, 1), "x-amz-acl"));
    assert_null(strstr(head_of(f, 2), "x-amz-acl"));
    assert_int_equal(scripted_server_count(f->server), 3);
}

static void checksums_that_are_refused_are_left_out_from_then_on(void **state)
{
    struct fixture *f = *state;
    answer(f, 400, NULL, ERROR("InvalidArgument", "unsupported checksum header"));
    answer(f, 200, NULL, NULL);
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_int_equal(put(f), 0);
    assert_header(f, 0, "x-amz-checksum-sha256");
    for (size_t i = 1; i < 3; i++) {
        assert_null(strstr(head_of(f, i), "x-amz-checksum"));
        assert_header(f, i, "x-amz-content-sha256: " SHA_HEX);
        assert_header(f, i, "content-md5: " MD5_BASE64);
    }
}

static void what_is_not_implemented_for_another_reason_keeps_the_checksums(void **state)
{
    struct fixture *f = *state;
    answer(f, 501, NULL, ERROR("NotImplemented", "A header you provided"));
    answer(f, 501, NULL, ERROR("NotImplemented", "A header you provided"));
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), ERR_INVALID);
    assert_int_equal(put(f), 0);
    assert_header(f, 2, "x-amz-checksum-sha256");
}

static void a_wrong_region_is_corrected_once_and_remembered(void **state)
{
    struct fixture *f = *state;
    answer(f, 301, "x-amz-bucket-region: eu-west-1\r\n", ERROR("PermanentRedirect", ""));
    answer(f, 200, NULL, NULL);
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_int_equal(put(f), 0);
    assert_header(f, 0, "/us-east-1/s3/");
    assert_header(f, 1, "/eu-west-1/s3/");
    assert_header(f, 2, "/eu-west-1/s3/");

    answer(f, 400, NULL,
           "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>");
    answer(f, 301, "x-amz-bucket-region: us-west-2\r\n", ERROR("PermanentRedirect", ""));
    assert_int_equal(put(f), ERR_INVALID);
    assert_says(f, "us-west-2");
    assert_int_equal(scripted_server_count(f->server), 5);
}

static void an_unknown_region_is_asked_for(void **state)
{
    struct fixture *f = *state;
    char region[64];
    open_bucket(f, "", false);
    answer(f, 403, "x-amz-bucket-region: ap-south-1\r\n", NULL);
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_asked(f, 0, "HEAD /acme HTTP/1.1");
    assert_header(f, 1, "/ap-south-1/s3/");
    assert_int_equal(s3_region(f->bucket, region, &f->error), 0);
    assert_string_equal(region, "ap-south-1");
    assert_int_equal(scripted_server_count(f->server), 2);
}

static void a_store_without_region_headers_is_asked_for_the_location(void **state)
{
    static const char *const answers[][2] = {
        {"<LocationConstraint>EU</LocationConstraint>", "eu-west-1"},
        {"<LocationConstraint/>", "us-east-1"},
        {"<LocationConstraint>default</LocationConstraint>", "default"}};
    struct fixture *f = *state;
    char region[64];
    for (size_t i = 0; i < 3; i++) {
        open_bucket(f, "", false);
        answer(f, 200, NULL, NULL);
        answer(f, 200, NULL, answers[i][0]);
        assert_int_equal(s3_region(f->bucket, region, &f->error), 0);
        assert_string_equal(region, answers[i][1]);
        assert_asked(f, 2 * i + 1, "GET /acme?location= HTTP/1.1");
    }
    open_bucket(f, "", false);
    answer(f, 403, NULL, NULL);
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    assert_int_equal(s3_region(f->bucket, region, &f->error), 0);
    assert_string_equal(region, "us-east-1");
    open_bucket(f, "", false);
    answer(f, 404, NULL, NULL);
    assert_int_equal(s3_region(f->bucket, region, &f->error), ERR_NOT_FOUND);
    assert_says(f, "acme does not exist");
}

static void an_expired_token_is_replaced_once(void **state)
{
    struct fixture *f = *state;
    open_bucket(f, "us-east-1", true);
    add_role_credentials(f, "A", 900);
    add_role_credentials(f, "B", 900);
    answer(f, 400, NULL, ERROR("ExpiredToken", "The provided token has expired."));
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_header(f, 0, "x-amz-security-token: token-A\r\n");
    assert_header(f, 1, "x-amz-security-token: token-B\r\n");

    add_role_credentials(f, "C", 900);
    answer(f, 400, NULL, ERROR("ExpiredToken", ""));
    answer(f, 400, NULL, ERROR("ExpiredToken", ""));
    assert_int_equal(put(f), ERR_RETRY);
    assert_int_equal(scripted_server_count(f->sts), 3);
    assert_int_equal(scripted_server_count(f->server), 4);
}

static void a_403_at_the_credentials_end_is_that_end(void **state)
{
    struct fixture *f = *state;
    open_bucket(f, "us-east-1", true);
    add_role_credentials(f, "A", 8);
    add_role_credentials(f, "B", 900);
    answer(f, 403, NULL, ERROR("AccessDenied", ""));
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_header(f, 1, "x-amz-security-token: token-B\r\n");
}

static void a_403_long_before_the_end_asks_for_no_new_credentials(void **state)
{
    struct fixture *f = *state;
    open_bucket(f, "us-east-1", true);
    add_role_credentials(f, "A", 900);
    answer(f, 403, NULL, NULL);
    assert_int_equal(s3_head(f->bucket, "k", &f->object, &f->error), ERR_DENIED);
    assert_int_equal(scripted_server_count(f->sts), 1);
    assert_int_equal(scripted_server_count(f->server), 1);
}

static void a_role_that_is_refused_is_the_error(void **state)
{
    struct fixture *f = *state;
    open_bucket(f, "us-east-1", true);
    scripted_server_add(f->sts,
                        (struct scripted_answer){.status = 403, .body = ERROR("AccessDenied", "")});
    assert_int_equal(put(f), ERR_DENIED);
    assert_says(f, "s3://acme: PutObject: assuming the role");
    assert_int_equal(scripted_server_count(f->server), 0);
}

static void a_skewed_clock_is_corrected_and_remembered(void **state)
{
    struct fixture *f = *state;
    answer(f, 403, "Date: Mon, 23 Nov 2026 12:20:00 GMT\r\n", ERROR("RequestTimeTooSkewed", ""));
    answer(f, 200, NULL, NULL);
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_int_equal(put(f), 0);
    assert_header(f, 0, "x-amz-date: 20261123T120000Z");
    assert_header(f, 1, "x-amz-date: 20261123T122000Z");
    assert_header(f, 2, "x-amz-date: 20261123T122000Z");
}

static void a_clock_beyond_belief_is_not_followed(void **state)
{
    struct fixture *f = *state;
    static const char *const dates[] = {
        "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n", "Date: Sun, 01 Jan 2290 00:00:00 GMT\r\n",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "Date: soon\r\n", NULL};
    for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++) {
        answer(f, 403, dates[i], ERROR("RequestTimeTooSkewed", ""));
        assert_int_equal(put(f), ERR_RETRY);
        assert_header(f, i, "x-amz-date: 20261123T120000Z");
    }
    answer(f, 200, NULL, NULL);
    assert_int_equal(put(f), 0);
    assert_header(f, sizeof(dates) / sizeof(*dates), "x-amz-date: 20261123T120000Z");
}

static void a_head_that_no_store_gave_is_no_head(void **state)
{
    struct fixture *f = *state;
    answer(f, 200, "Content-Type: text/html\r\n", "please log in");
    assert_int_equal(s3_head(f->bucket, "k", &f->object, &f->error), ERR_RETRY);
    assert_says(f, "is the endpoint right?");
}

static void what_a_store_says_proves_what_it_has(void **state)
{
    struct fixture *f = *state;
    const struct http_body body = {.data = "abc", .length = 3};
    struct s3_object object = {.size = 3};
    uint8_t sum[SHA256_SIZE];
    assert_int_equal(sha256("abc", 3, sum), 0);
    static const struct {
        const char *etag, *checksum;
        bool opaque, proven;
    } cases[] = {
        {"900150983cd24fb0d6963f7d28e17f72", "", false, true},
        {"900150983cd24fb0d6963f7d28e17f73", "", false, false},
        {"900150983cd24fb0d6963f7d28e17f72", "", true, false},
        {"900150983cd24fb0d6963f7d28e17f72-1", "", false, false},
        {"", "", false, false},
        {"x", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", true, true},
        {"900150983cd24fb0d6963f7d28e17f72", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=", false,
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(object.etag, sizeof(object.etag), "%s", cases[i].etag);
        snprintf(object.checksum, sizeof(object.checksum), "%s", cases[i].checksum);
        object.opaque_etag = cases[i].opaque;
        assert_int_equal(s3_object_prove(&object, &body, sum, &f->error), 0);
        assert_int_equal(object.proven, cases[i].proven);
    }
    /* As computed with md5sum, sha256sum and base64 for parts "abc" and "def". */
    struct s3_part parts[2] = {{.etag = "900150983cd24fb0d6963f7d28e17f72"},
                               {.etag = "4ed9407630eb1000c0f6b63842defa7d"}};
    assert_int_equal(sha256("abc", 3, parts[0].sha256), 0);
    assert_int_equal(sha256("def", 3, parts[1].sha256), 0);
    object = (struct s3_object){.etag = "4c8e93283780e078db9e0c6b9b3f8043-2"};
    assert_int_equal(s3_object_prove_parts(&object, parts, 2, &f->error), 0);
    assert_true(object.proven);
    object.opaque_etag = true;
    assert_int_equal(s3_object_prove_parts(&object, parts, 2, &f->error), 0);
    assert_false(object.proven);
    strcpy(object.checksum, "nATTAFe3VK8bLS1PVnV4LdYaWmWcNO5sKvR1JrZsr6Y=-2");
    assert_int_equal(s3_object_prove_parts(&object, parts, 2, &f->error), 0);
    assert_true(object.proven);
    assert_int_equal(s3_object_prove_parts(&object, parts, 1, &f->error), 0);
    assert_false(object.proven);
}

static void a_head_tells_what_is_stored(void **state)
{
    struct fixture *f = *state;
    answer(f, 200,
           "ETag: \"x-3\"\r\nx-amz-meta-sha256: " SHA_HEX "\r\nx-amz-checksum-sha256: abc=-3\r\n"
           "Content-Length: 123456789012\r\n",
           NULL);
    assert_int_equal(s3_head(f->bucket, "k", &f->object, &f->error), 0);
    assert_int_equal(f->object.size, 123456789012);
    assert_string_equal(f->object.etag, "x-3");
    assert_string_equal(f->object.meta_sha256, SHA_HEX);
    assert_string_equal(f->object.checksum, "abc=-3");
    assert_header(f, 0, "x-amz-checksum-mode: ENABLED");
    answer(f, 404, NULL, NULL);
    assert_int_equal(s3_head(f->bucket, "k", &f->object, &f->error), ERR_NOT_FOUND);
}

static int collect(void *context, const void *data, size_t length)
{
    return buffer_append(context, data, length);
}

static void ranges_are_asked_for_and_checked(void **state)
{
    struct fixture *f = *state;
    struct buffer got = BUFFER_INIT(100);
    answer(f, 200, NULL, "whole");
    assert_int_equal(s3_get(f->bucket, "k", 0, 0, collect, &got, &f->error), 0);
    assert_string_equal(got.data, "whole");
    assert_null(strstr(head_of(f, 0), "range:"));
    answer(f, 206, NULL, "-part");
    assert_int_equal(s3_get(f->bucket, "k", 10, 5, collect, &got, &f->error), 0);
    assert_string_equal(got.data, "whole-part");
    assert_header(f, 1, "\r\nrange: bytes=10-14\r\n");
    answer(f, 206, NULL, "-end");
    assert_int_equal(s3_get(f->bucket, "k", 10, 0, collect, &got, &f->error), 0);
    assert_header(f, 2, "\r\nrange: bytes=10-\r\n");
    answer(f, 200, NULL, "not a range");
    assert_int_equal(s3_get(f->bucket, "k", 10, 0, collect, &got, &f->error), ERR_INVALID);
    assert_string_equal(got.data, "whole-part-end");
    answer(f, 416, NULL, ERROR("InvalidRange", ""));
    assert_int_equal(s3_get(f->bucket, "k", 10, 0, collect, &got, &f->error), ERR_DAMAGED);
    answer(f, 404, NULL, ERROR("NoSuchKey", ""));
    assert_int_equal(s3_get(f->bucket, "k", 0, 0, collect, &got, &f->error), ERR_NOT_FOUND);
    assert_string_equal(got.data, "whole-part-end");
    buffer_free(&got);
}

static int note(void *context, const struct s3_list_entry *entry)
{
    int rc = buffer_printf(context, "%s%s %d;", entry->is_prefix ? "P " : "", entry->key,
                           (int)entry->size);
    return rc ? rc : strcmp(entry->key, "stop") == 0 ? ERR_CANCELLED : 0;
}

static void lists_are_read_page_by_page_in_order(void **state)
{
    struct fixture *f = *state;
    struct buffer seen = BUFFER_INIT(1000);
    answer(f, 200, NULL,
           "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Prefix>x</Prefix>"
           "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
           "<NextContinuationToken>1/+=&amp;</NextContinuationToken>"
           "<Contents><Key>a%2Fb+c%2Bd%25</Key><Size>7</Size></Contents>"
           "<Contents><Key>z%C3%A9</Key><Owner><ID>o</ID></Owner><Size>8</Size></Contents>"
           "<CommonPrefixes><Prefix>m%3D1/</Prefix></CommonPrefixes></ListBucketResult>");
    answer(f, 200, NULL,
           "<ListBucketResult><Contents><Key>zz+%2B</Key><Size>9</Size></Contents>"
           "<IsTruncated>false</IsTruncated></ListBucketResult>");
    assert_int_equal(s3_list(f->bucket, "x y", "/", note, &seen, &f->error), 0);
    assert_string_equal(seen.data, "a/b c+d% 7;P m=1/ 0;z\xc3\xa9 8;zz+%2B 9;");
    assert_asked(f, 0, "GET /acme?delimiter=%2F&encoding-type=url&list-type=2&prefix=x%20y HTTP");
    assert_asked(f, 1, "GET /acme?continuation-token=1%2F%2B%3D%26&delimiter=%2F");
    buffer_free(&seen);
}

static void a_list_stops_when_told_and_does_not_turn_in_circles(void **state)
{
    struct fixture *f = *state;
    struct buffer seen = BUFFER_INIT(1000);
    const char *same = "<ListBucketResult><IsTruncated>true</IsTruncated>"
                       "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    answer(f, 200, NULL,
           "<ListBucketResult><Contents><Key>stop</Key><Size>1</Size></Contents>"
           "<Contents><Key>that</Key><Size>1</Size></Contents></ListBucketResult>");
    assert_int_equal(s3_list(f->bucket, "", "", note, &seen, &f->error), ERR_CANCELLED);
    assert_string_equal(seen.data, "stop 1;");
    answer(f, 200, NULL, same);
    answer(f, 200, NULL, same);
    assert_int_equal(s3_list(f->bucket, "", "", note, &seen, &f->error), ERR_RETRY);
    answer(f, 200, NULL, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>");
    assert_int_equal(s3_list(f->bucket, "", "", note, &seen, &f->error), ERR_RETRY);
    answer(f, 200, NULL, "<html/>");
    assert_int_equal(s3_list(f->bucket, "", "", note, &seen, &f->error), ERR_RETRY);
    assert_says(f, "endpoint");
    buffer_free(&seen);
}

#define CREATED(id)                                                                                \
    "<InitiateMultipartUploadResult><Bucket>acme</Bucket><Key>k</Key><UploadId>" id "</UploadId>"  \
    "</InitiateMultipartUploadResult>"

static int part(struct fixture *f, const char *id, unsigned number, struct s3_part *to)
{
    const struct http_body body = {.data = "hello", .length = 5};
    assert_int_equal(sha256("hello", 5, to->sha256), 0);
    return s3_multipart_part(f->bucket, "k", id, number, &body, to->sha256, to->etag, &f->error);
}

static void uploads_in_parts_carry_checksums_where_the_store_keeps_them(void **state)
{
    struct fixture *f = *state;
    struct s3_part parts[2];
    uint8_t hash[SHA256_SIZE] = {0}, both[2 * SHA256_SIZE];
    char id[S3_UPLOAD_ID_SIZE], base64[BASE64_SIZE(32) + 1], answered[512];
    answer(f, 200, "x-amz-checksum-algorithm: SHA256\r\n", CREATED("2~x+y/z="));
    assert_int_equal(s3_multipart_create(f->bucket, "k", "application/gzip", hash, id, &f->error),
                     0);
    assert_asked(f, 0, "POST /acme/k?uploads= HTTP/1.1");
    assert_header(f, 0, "x-amz-checksum-algorithm: SHA256");
    assert_header(f, 0, "x-amz-meta-sha256: 0000");
    for (unsigned i = 0; i < 2; i++) {
        answer(f, 200, "ETag: \"" MD5_HEX "\"\r\n", NULL);
        assert_int_equal(part(f, id, i + 1, &parts[i]), 0);
        assert_string_equal(parts[i].etag, MD5_HEX);
        memcpy(both + i * SHA256_SIZE, parts[i].sha256, SHA256_SIZE);
    }
    assert_asked(f, 2, "PUT /acme/k?partNumber=2&uploadId=2~x%2By%2Fz%3D HTTP/1.1");
    assert_header(f, 2, "x-amz-checksum-sha256: " SHA_BASE64);
    assert_header(f, 2, "content-md5: " MD5_BASE64);
    assert_int_equal(sha256(both, sizeof(both), hash), 0);
    base64_text(base64, hash, sizeof(hash));
    snprintf(answered, sizeof(answered),
             " \n<CompleteMultipartUploadResult><ETag>&quot;abc-2&quot;</ETag>"
             "<ChecksumSHA256>%s-2</ChecksumSHA256></CompleteMultipartUploadResult>",
             base64);
    answer(f, 200, NULL, answered + 2);
    assert_int_equal(
        s3_multipart_complete(f->bucket, "k", id, parts, 2, true, &f->object, &f->error), 0);
    assert_asked(f, 3, "POST /acme/k?uploadId=2~x%2By%2Fz%3D HTTP/1.1");
    assert_header(f, 3, "if-none-match: *");
    assert_string_equal(
        scripted_server_request(f->server, 3)->body,
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>" MD5_HEX "</ETag>"
        "<ChecksumSHA256>" SHA_BASE64 "</ChecksumSHA256></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>" MD5_HEX "</ETag>"
        "<ChecksumSHA256>" SHA_BASE64 "</ChecksumSHA256></Part></CompleteMultipartUpload>");
    assert_string_equal(f->object.etag, "abc-2");

    answer(f, 200, NULL,
           "<CompleteMultipartUploadResult><ETag>\"abc-2\"</ETag>"
           "<ChecksumSHA256>AAAA-2</ChecksumSHA256></CompleteMultipartUploadResult>");
    assert_int_equal(
        s3_multipart_complete(f->bucket, "k", id, parts, 2, true, &f->object, &f->error),
        ERR_DAMAGED);
}

static void uploads_to_stores_that_keep_no_checksums_list_none(void **state)
{
    struct fixture *f = *state;
    struct s3_part one;
    uint8_t hash[SHA256_SIZE] = {0};
    char id[S3_UPLOAD_ID_SIZE];
    answer(f, 200, NULL, CREATED("2~id"));
    answer(f, 200, "ETag: \"<&>\"\r\n", NULL);
    answer(f, 200, NULL,
           "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>");
    assert_int_equal(s3_multipart_create(f->bucket, "k", "x/y", hash, id, &f->error), 0);
    assert_int_equal(part(f, id, 1, &one), 0);
    assert_int_equal(
        s3_multipart_complete(f->bucket, "k", id, &one, 1, false, &f->object, &f->error), 0);
    const char *list = scripted_server_request(f->server, 2)->body;
    assert_null(strstr(list, "Checksum"));
    assert_non_null(strstr(list, "<ETag>&#60;&#38;&#62;</ETag>"));
    assert_null(strstr(head_of(f, 2), "if-none-match"));
}

static const struct {
    int status;
    const char *body;
    int code;
} completions[] = {
    {200, ERROR("InternalError", "We encountered an internal error."), ERR_RETRY},
    {200, ERROR("SlowDown", ""), ERR_RETRY},
    {200, ERROR("AccessDenied", ""), ERR_DENIED},
    {200, ERROR("PreconditionFailed", ""), ERR_EXISTS},
    {200, "", ERR_RETRY},
    {200, "<html/>", ERR_RETRY},
    {412, ERROR("PreconditionFailed", ""), ERR_EXISTS},
    {409, ERROR("ConditionalRequestConflict", ""), ERR_RETRY},
    {404, ERROR("NoSuchUpload", ""), ERR_NOT_FOUND},
    {400, ERROR("InvalidPart", ""), ERR_NOT_FOUND},
    {400, ERROR("EntityTooSmall", ""), ERR_INVALID},
};

static void completions_that_fail_are_failures_whatever_their_status(void **state)
{
    struct fixture *f = *state;
    const struct s3_part one = {.etag = "e"};
    for (size_t i = 0; i < sizeof(completions) / sizeof(completions[0]); i++) {
        answer(f, completions[i].status, NULL, completions[i].body);
        int rc = s3_multipart_complete(f->bucket, "k", "id", &one, 1, true, &f->object, &f->error);
        if (rc != completions[i].code)
            fail_msg("%s gave %s: %s", completions[i].body, error_name(rc), f->error.text);
    }
}

static void parts_are_confirmed_and_numbered_in_range(void **state)
{
    struct fixture *f = *state;
    struct s3_part one;
    answer(f, 200, "ETag: \"00000000000000000000000000000000\"\r\n", NULL);
    assert_int_equal(part(f, "id", 1, &one), ERR_DAMAGED);
    assert_says(f, "part 1");
    answer(f, 200, NULL, NULL);
    assert_int_equal(part(f, "id", 1, &one), ERR_RETRY);
    answer(f, 404, NULL, ERROR("NoSuchUpload", ""));
    assert_int_equal(part(f, "id", 1, &one), ERR_NOT_FOUND);
    assert_int_equal(part(f, "id", 0, &one), ERR_INVALID);
    assert_int_equal(part(f, "id", 10001, &one), ERR_INVALID);
    assert_int_equal(
        s3_multipart_complete(f->bucket, "k", "id", &one, 0, true, &f->object, &f->error),
        ERR_INVALID);
    assert_int_equal(scripted_server_count(f->server), 3);
}

static void urls_are_presigned_for_aws_and_for_other_stores(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bucket, *region, *begins;
    } cases[] = {
        {"acme", "eu-west-1", "https://acme.s3.eu-west-1.amazonaws.com/a%20b?X-Amz-Algorithm="},
        {"acme.corp", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/acme.corp/a%20b?X-Amz-"},
        {"acme", "cn-north-1", "https://acme.s3.cn-north-1.amazonaws.com.cn/a%20b?X-Amz-"},
    };
    struct buffer url = BUFFER_INIT(4096);
    for (size_t i = 0; i < 3; i++) {
        struct s3_bucket *bucket;
        const struct s3_options options = {
            .bucket = cases[i].bucket, .region = cases[i].region, .endpoint = ""};
        buffer_clear(&url);
        assert_int_equal(s3_bucket_new(f->client, NULL, &options, &test_clock, &bucket, &f->error),
                         0);
        assert_int_equal(s3_presign_get(bucket, "a b", 60, &url, &f->error), 0);
        assert_memory_equal(url.data, cases[i].begins, strlen(cases[i].begins));
        assert_non_null(strstr(url.data, "&X-Amz-Expires=60&X-Amz-SignedHeaders=host"));
        s3_bucket_free(bucket);
    }
    buffer_clear(&url);
    assert_int_equal(s3_presign_get(f->bucket, "a b", 60, &url, &f->error), 0);
    assert_non_null(strstr(url.data, "/acme/a%20b?X-Amz-Algorithm="));
    assert_int_equal(s3_presign_get(f->bucket, "a b", 0, &url, &f->error), ERR_INVALID);
    buffer_free(&url);
}

static void buckets_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"", "a/b", "a\nb"};
    struct s3_bucket *bucket;
    for (size_t i = 0; i < 3; i++) {
        const struct s3_options options = {.bucket = names[i], .region = "", .endpoint = ""};
        assert_int_equal(s3_bucket_new(f->client, NULL, &options, &test_clock, &bucket, &f->error),
                         ERR_INVALID);
    }
    const struct s3_options options = {.bucket = "acme", .region = "", .endpoint = "nonsense"};
    assert_int_equal(s3_bucket_new(f->client, NULL, &options, &test_clock, &bucket, &f->error),
                     ERR_INVALID);
    assert_says(f, "endpoint");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_put_says_all_about_its_body),
        TEST(a_store_that_got_other_bytes_is_caught),
        TEST(refusals_become_codes_to_act_on),
        TEST(a_missing_permission_is_named),
        TEST(network_failures_may_be_tried_again),
        TEST(an_endless_list_is_cut),
        TEST(an_acl_that_is_refused_is_left_out_from_then_on),
        TEST(checksums_that_are_refused_are_left_out_from_then_on),
        TEST(what_is_not_implemented_for_another_reason_keeps_the_checksums),
        TEST(a_wrong_region_is_corrected_once_and_remembered),
        TEST(an_unknown_region_is_asked_for),
        TEST(a_store_without_region_headers_is_asked_for_the_location),
        TEST(an_expired_token_is_replaced_once),
        TEST(a_403_at_the_credentials_end_is_that_end),
        TEST(a_403_long_before_the_end_asks_for_no_new_credentials),
        TEST(a_role_that_is_refused_is_the_error),
        TEST(a_skewed_clock_is_corrected_and_remembered),
        TEST(a_clock_beyond_belief_is_not_followed),
        TEST(a_head_that_no_store_gave_is_no_head),
        TEST(what_a_store_says_proves_what_it_has),
        TEST(a_head_tells_what_is_stored),
        TEST(ranges_are_asked_for_and_checked),
        TEST(lists_are_read_page_by_page_in_order),
        TEST(a_list_stops_when_told_and_does_not_turn_in_circles),
        TEST(uploads_in_parts_carry_checksums_where_the_store_keeps_them),
        TEST(uploads_to_stores_that_keep_no_checksums_list_none),
        TEST(completions_that_fail_are_failures_whatever_their_status),
        TEST(parts_are_confirmed_and_numbered_in_range),
        TEST(urls_are_presigned_for_aws_and_for_other_stores),
        TEST(buckets_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("s3", tests, NULL, NULL);
}
