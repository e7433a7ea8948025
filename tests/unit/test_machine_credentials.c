/* Credentials of a container or an instance, from a metadata service that says what a test tells
 * it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/aws/credentials.h"
#include "recorder/aws/machine_credentials.h"
#include "tests/unit/scripted_server.h"

#define ANSWER                                                                                     \
    "{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"ASIA1\","                  \
    "\"SecretAccessKey\": \"s3cr3t/+\", \"Token\": \"t0ken==\","                                   \
    "\"Expiration\": \"2026-11-24T06:00:00Z\"}"

static struct scripted_server *server;
static struct http_client *client;
static struct aws_credentials credentials;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    server = scripted_server_new();
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", scripted_server_url(server), 1);
    error = ERROR_INIT;
    return http_client_new(&(struct http_options){0}, &client, NULL);
}

static int clean_up(void **state)
{
    (void)state;
    http_client_free(client);
    scripted_server_free(server);
    return 0;
}

static void answers(int status, const char *body)
{
    scripted_server_add(server, (struct scripted_answer){.status = status, .body = body});
}

static int get(void)
{
    return machine_credentials(client, &credentials, &error);
}

static void assert_refused(int code, const char *words)
{
    assert_int_equal(get(), code);
    if (!strstr(error.text, words))
        fail_msg("'%s' is not in: %s", words, error.text);
    assert_string_equal(credentials.access_key_id, "");
    assert_string_equal(credentials.secret_access_key, "");
}

static void assert_asked(size_t number, const char *line, const char *header)
{
    const struct scripted_request *request = scripted_server_request(server, number);
    assert_non_null(request);
    if (strncmp(request->head, line, strlen(line)) != 0 || !strstr(request->head, header))
        fail_msg("asked: %s", request->head);
}

static void an_instance_gives_its_roles_credentials_for_a_token(void **state)
{
    (void)state;
    answers(200, "TOKEN==");
    answers(200, "bastion-role\n");
    answers(200, ANSWER);
    assert_int_equal(get(), 0);
    assert_string_equal(credentials.access_key_id, "ASIA1");
    assert_string_equal(credentials.secret_access_key, "s3cr3t/+");
    assert_string_equal(credentials.session_token, "t0ken==");
    assert_true(credentials.expires_ns == INT64_C(1795500000) * 1000000000);
    assert_int_equal(scripted_server_count(server), 3);
    assert_asked(0, "PUT /latest/api/token HTTP/1.1\r\n",
                 "\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n");
    assert_asked(1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n",
                 "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
    assert_asked(2, "GET /latest/meta-data/iam/security-credentials/bastion-role HTTP/1.1\r\n",
                 "\r\nX-aws-ec2-metadata-token: TOKEN==\r\n");
}

static void keys_that_somebody_set_come_first(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "own", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "own", 1);
    assert_int_equal(aws_credentials_base(client, &credentials, &error), 0);
    assert_string_equal(credentials.access_key_id, "own");
    assert_int_equal(scripted_server_count(server), 0);
}

static void the_machine_is_asked_last_and_named_among_what_was_looked_at(void **state)
{
    (void)state;
    answers(200, "TOKEN==");
    answers(200, "bastion-role");
    answers(200, ANSWER);
    assert_int_equal(aws_credentials_base(client, &credentials, &error), 0);
    assert_string_equal(credentials.access_key_id, "ASIA1");
    answers(200, "TOKEN==");
    answers(404, "");
    assert_int_equal(aws_credentials_base(client, &credentials, &error), ERR_DENIED);
    assert_non_null(strstr(error.text, "/nonexistent/credentials"));
    assert_non_null(strstr(error.text, "this instance has no role"));
}

static void where_nobody_answers_there_are_none(void **state)
{
    (void)state;
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/", 1);
    assert_refused(ERR_NOT_FOUND, "no instance metadata");
    setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
    assert_refused(ERR_NOT_FOUND, "AWS_EC2_METADATA_DISABLED");
}

static void a_service_that_never_answers_is_left_after_some_seconds(void **state)
{
    (void)state;
    scripted_server_add(server, (struct scripted_answer){.fault = FAULT_SILENT});
    assert_refused(ERR_NOT_FOUND, "hop limit");
}

static void what_an_instance_says_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *answer, *words;
    } cases[] = {
        {ERR_DENIED, "{\"Code\": \"AssumeRoleUnauthorizedAccess\"}",
         "AssumeRoleUnauthorizedAccess"},
        {ERR_RETRY, "<html>", "no JSON object"},
        {ERR_RETRY, "[]", "no JSON object"},
        {ERR_RETRY, "{}", "no AccessKeyId"},
        {ERR_RETRY, "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": 7}", "no SecretAccessKey"},
        {ERR_RETRY, "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"S\", \"Token\": \"\"}",
         "no Token"},
        {ERR_INVALID, "{\"AccessKeyId\": \"A\\nB\"}", "AccessKeyId"},
        {ERR_RETRY, "{\"Expiration\": \"soon\"}", "Expiration is no time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answers(200, "TOKEN==");
        answers(200, "role");
        answers(200, cases[i].answer);
        assert_refused(cases[i].code, cases[i].words);
    }
}

static void words_of_the_service_do_not_become_another_request(void **state)
{
    (void)state;
    answers(200, "TO KEN\r\nX-More: 1");
    assert_refused(ERR_RETRY, "no token");
    answers(200, "TOKEN==");
    answers(200, "../../user-data");
    assert_refused(ERR_RETRY, "does not name a role");
    answers(200, "TOKEN==");
    answers(200, "");
    assert_refused(ERR_RETRY, "does not name a role");
    answers(403, "no");
    assert_refused(ERR_DENIED, "it answered 403");
    answers(503, "busy");
    assert_refused(ERR_RETRY, "it answered 503");
}

static void a_container_is_asked_with_its_token(void **state)
{
    (void)state;
    char url[200], path[] = "/tmp/castbucket-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    close(fd);
    snprintf(url, sizeof(url), "%s/v4/credentials?id=1", scripted_server_url(server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "direct", 1);
    answers(200, ANSWER);
    assert_int_equal(get(), 0);
    assert_string_equal(credentials.session_token, "t0ken==");
    assert_asked(0, "GET /v4/credentials?id=1 HTTP/1.1\r\n", "\r\nAuthorization: direct\r\n");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
    answers(200, ANSWER);
    assert_int_equal(get(), 0);
    assert_asked(1, "GET ", "\r\nAuthorization: from-file\r\n");
    unlink(path);
    assert_refused(ERR_DENIED, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
}

static void a_containers_failure_is_not_passed_over(void **state)
{
    (void)state;
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", scripted_server_url(server), 1);
    answers(404, "");
    assert_refused(ERR_DENIED, "credentials of this container");
}

static void keys_are_not_fetched_in_the_clear_from_elsewhere(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://192.0.2.1/x",
                                       "http://127.evil.example/x",
                                       "http://localhost.evil.example/x",
                                       "http://169.254.170.2.evil.example/",
                                       "http://169.254.170.222/",
                                       "ftp://127.0.0.1/",
                                       "http"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
        assert_refused(ERR_INVALID, "must be https");
    }
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "", 1);
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/x", 1);
    assert_refused(ERR_INVALID, "RELATIVE_URI is no path");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_gives_its_roles_credentials_for_a_token),
        TEST(keys_that_somebody_set_come_first),
        TEST(the_machine_is_asked_last_and_named_among_what_was_looked_at),
        TEST(where_nobody_answers_there_are_none),
        TEST(a_service_that_never_answers_is_left_after_some_seconds),
        TEST(what_an_instance_says_wrong_is_named),
        TEST(words_of_the_service_do_not_become_another_request),
        TEST(a_container_is_asked_with_its_token),
        TEST(a_containers_failure_is_not_passed_over),
        TEST(keys_are_not_fetched_in_the_clear_from_elsewhere),
    };
    return cmocka_run_group_tests_name("machine_credentials", tests, NULL, NULL);
}
