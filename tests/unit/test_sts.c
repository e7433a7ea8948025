/* Assuming roles: the form, the answers, and credentials kept by many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pthread.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "recorder/aws/sts.h"
#include "recorder/base/text.h"
#include "tests/unit/scripted_server.h"

#define ROLE "arn:aws:iam::123456789012:role/castbucket"
#define NOON INT64_C(1795435200) /* 2026-11-23T12:00:00Z */

static _Atomic int64_t wall_s, monotonic_s;

static int64_t test_wall(const struct clock *clock)
{
    (void)clock;
    return wall_s * NS_PER_SECOND;
}

static int64_t test_monotonic(const struct clock *clock)
{
    (void)clock;
    return monotonic_s * NS_PER_SECOND;
}

static const struct clock test_clock = {test_wall, test_monotonic};

static void pass(int64_t seconds)
{
    wall_s += seconds;
    monotonic_s += seconds;
}

struct fixture {
    struct scripted_server *server;
    struct http_client *client;
    struct sts_role role;
    struct aws_credentials base, got;
    struct error error;
    char answers[8][1024];
    size_t used;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    wall_s = NOON;
    monotonic_s = 1000;
    f->server = scripted_server_new();
    assert_int_equal(http_client_new(NULL, &f->client, &f->error), 0);
    f->role = (struct sts_role){.role_arn = ROLE,
                                .external_id = "",
                                .session_name = "castbucket-acme",
                                .policy = "",
                                .duration_seconds = 3600,
                                .endpoint = scripted_server_url(f->server),
                                .region = ""};
    snprintf(f->base.access_key_id, sizeof(f->base.access_key_id), "AKIDBASE");
    snprintf(f->base.secret_access_key, sizeof(f->base.secret_access_key), "base-secret");
    setenv("AWS_ACCESS_KEY_ID", "AKIDBASE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "base-secret", 1);
    unsetenv("AWS_SESSION_TOKEN");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_client_free(f->client);
    scripted_server_free(f->server);
    free(f);
    return 0;
}

/* Script: AssumeRole succeeds; credentials named `id` end `seconds` after now. */
static void add_credentials(struct fixture *f, const char *id, int64_t seconds, int delay_ms)
{
    char when[TEXT_TIME_SIZE], *text = f->answers[f->used++];
    text_time(when, (wall_s + seconds) * NS_PER_SECOND);
    snprintf(text, sizeof(f->answers[0]),
             "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
             "<AssumeRoleResult><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials>"
             "<AccessKeyId>%s</AccessKeyId><SecretAccessKey>secret/%s</SecretAccessKey>"
             "<SessionToken>token+%s=</SessionToken><Expiration>%.19sZ</Expiration></Credentials>"
             "</AssumeRoleResult></AssumeRoleResponse>",
             id, id, id, when);
    scripted_server_add(
        f->server, (struct scripted_answer){.status = 200, .body = text, .delay_ms = delay_ms});
}

static int assume(struct fixture *f)
{
    f->error = ERROR_INIT;
    return sts_assume_role(f->client, &f->base, &f->role, &test_clock, &f->got, &f->error);
}

static const char *form(struct fixture *f, size_t number)
{
    return scripted_server_request(f->server, number)->body;
}

static void assert_says(const struct fixture *f, const char *sentence)
{
    if (!strstr(f->error.text, sentence))
        fail_msg("'%s' is not in: %s", sentence, f->error.text);
    assert_null(strstr(f->error.text, "base-secret"));
}

static void the_form_carries_what_the_role_says(void **state)
{
    struct fixture *f = *state;
    f->role.external_id = "a+b/c=d,e.@:-_";
    f->role.policy = "{\"a\": [1]}";
    f->role.session_name = "org \xc3\xa9/host=1,a.b@c-d+e";
    f->role.region = "eu-west-1";
    add_credentials(f, "ASIA1", 3600, 0);
    assert_int_equal(assume(f), 0);
    assert_string_equal(form(f, 0),
                        "Action=AssumeRole&Version=2011-06-15"
                        "&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fcastbucket"
                        "&RoleSessionName=org----host%3D1%2Ca.b%40c-d%2Be&DurationSeconds=3600"
                        "&ExternalId=a%2Bb%2Fc%3Dd%2Ce.%40%3A-_&Policy=%7B%22a%22%3A%20%5B1%5D%7D");
    const char *head = scripted_server_request(f->server, 0)->head;
    assert_memory_equal(head, "POST / HTTP/1.1\r\n", 17);
    assert_non_null(strstr(head, "/20261123/eu-west-1/sts/aws4_request, "
                                 "SignedHeaders=content-type;host;x-amz-date,"));
    assert_string_equal(f->got.access_key_id, "ASIA1");
    assert_string_equal(f->got.secret_access_key, "secret/ASIA1");
    assert_string_equal(f->got.session_token, "token+ASIA1=");
    assert_int_equal(f->got.expires_ns, (NOON + 3600) * NS_PER_SECOND);
}

static void an_empty_external_id_and_policy_are_left_out(void **state)
{
    struct fixture *f = *state;
    add_credentials(f, "A", 3600, 0);
    assert_int_equal(assume(f), 0);
    assert_null(strstr(form(f, 0), "ExternalId"));
    assert_null(strstr(form(f, 0), "Policy"));
    assert_non_null(strstr(scripted_server_request(f->server, 0)->head, "/us-east-1/sts/"));
}

static void session_names_are_cut_and_never_too_short(void **state)
{
    struct fixture *f = *state;
    char longest[200];
    memset(longest, 'x', 100);
    longest[100] = '\0';
    f->role.session_name = longest;
    add_credentials(f, "A", 3600, 0);
    assert_int_equal(assume(f), 0);
    longest[64] = '\0';
    char expected[300];
    snprintf(expected, sizeof(expected), "&RoleSessionName=%s&", longest);
    assert_non_null(strstr(form(f, 0), expected));
    f->role.session_name = "x";
    add_credentials(f, "A", 3600, 0);
    assert_int_equal(assume(f), 0);
    assert_non_null(strstr(form(f, 1), "&RoleSessionName=castbucket&"));
}

static void roles_that_are_none_are_not_asked_for(void **state)
{
    struct fixture *f = *state;
    struct sts_role good = f->role;
    char large[3000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    f->role.role_arn = "castbucket-writer-in-production";
    assert_int_equal(assume(f), ERR_INVALID);
    assert_says(f, "role ARN");
    f->role = good;
    f->role.external_id = "x";
    assert_int_equal(assume(f), ERR_INVALID);
    f->role.external_id = "sp ace";
    assert_int_equal(assume(f), ERR_INVALID);
    f->role.external_id = large;
    assert_int_equal(assume(f), ERR_INVALID);
    assert_says(f, "external ID");
    f->role = good;
    f->role.policy = large;
    assert_int_equal(assume(f), ERR_LIMIT);
    f->role = good;
    f->role.duration_seconds = 899;
    assert_int_equal(assume(f), ERR_INVALID);
    f->role = good;
    f->role.endpoint = "sts.example.com";
    assert_int_equal(assume(f), ERR_INVALID);
    assert_int_equal(scripted_server_count(f->server), 0);
}

#define AWS_ERROR(code, message)                                                                   \
    "<ErrorResponse "                                                                              \
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"               \
    "<Code>" code "</Code><Message>" message "</Message></Error><RequestId>r</RequestId>"          \
    "</ErrorResponse>"

static const struct {
    int status;
    const char *body;
    int code;
    const char *says;
} refusals[] = {
    {403,
     AWS_ERROR("AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: "
                               "sts:AssumeRole on resource: " ROLE),
     ERR_DENIED, "trust policy"},
    {403, AWS_ERROR("AccessDenied", ""), ERR_DENIED, ROLE},
    {403, AWS_ERROR("AccessDenied", ""), ERR_DENIED, "external ID"},
    {403, AWS_ERROR("AccessDenied", ""), ERR_DENIED, "AKIDBASE"},
    {403, "<Error><Code>AccessDenied</Code><RequestId>tx</RequestId></Error>", ERR_DENIED,
     "trust policy"},
    {403, "", ERR_DENIED, "HTTP status 403"},
    {404, "<Error><Code>NoSuchEntity</Code></Error>", ERR_DENIED, "role exists"},
    {403, AWS_ERROR("ExpiredToken", "The security token included in the request is expired"),
     ERR_DENIED, "have expired"},
    {403, AWS_ERROR("InvalidClientTokenId", "invalid"), ERR_DENIED, "our own credentials"},
    {403, AWS_ERROR("SignatureDoesNotMatch", "The request signature"), ERR_DENIED,
     "our own credentials"},
    {400, AWS_ERROR("MalformedPolicyDocument", "Syntax errors in policy."), ERR_INVALID,
     "Syntax errors"},
    {400, AWS_ERROR("PackedPolicyTooLarge", "120%"), ERR_LIMIT, "too large"},
    {403, AWS_ERROR("RegionDisabledException", "x"), ERR_DENIED, "us-east-1"},
    {400,
     AWS_ERROR("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration "
                                  "set for this role."),
     ERR_INVALID, "maximum session duration"},
    {400, AWS_ERROR("ValidationError", "1 validation error"), ERR_INVALID, "1 validation error"},
    {400, AWS_ERROR("Throttling", "Rate exceeded"), ERR_RETRY, "Rate exceeded"},
    {503, AWS_ERROR("ServiceUnavailable", ""), ERR_RETRY, "ServiceUnavailable"},
    {500, "oops", ERR_RETRY, "HTTP status 500"},
    {429, "", ERR_RETRY, "429"},
    {200, "<html></html>", ERR_RETRY, "endpoint"},
    {200, "<html>", ERR_RETRY, "endpoint"},
    {200, "", ERR_RETRY, "endpoint"},
    {200,
     "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>"
     "<SecretAccessKey>s</SecretAccessKey></Credentials></AssumeRoleResult></AssumeRoleResponse>",
     ERR_RETRY, "endpoint"},
};

static void refusals_say_what_to_do(void **state)
{
    static const struct aws_credentials none;
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        scripted_server_add(f->server, (struct scripted_answer){.status = refusals[i].status,
                                                                .body = refusals[i].body});
        int rc = assume(f);
        if (rc != refusals[i].code)
            fail_msg("%s gave %s: %s", refusals[i].body, error_name(rc), f->error.text);
        assert_says(f, refusals[i].says);
        assert_memory_equal(&f->got, &none, sizeof(none));
        assert_int_equal(scripted_server_count(f->server), i + 1);
    }
}

static void a_skewed_clock_is_corrected_by_the_answers_date(void **state)
{
    struct fixture *f = *state;
    /* STS is an hour ahead of us. */
    scripted_server_add(f->server,
                        (struct scripted_answer){
                            .status = 403,
                            .headers = "Date: Mon, 23 Nov 2026 13:00:00 GMT\r\n",
                            .body = AWS_ERROR("SignatureDoesNotMatch",
                                              "Signature expired: 20261123T120000Z is now earlier "
                                              "than 20261123T124500Z")});
    add_credentials(f, "A", 2 * 3600, 0);
    assert_int_equal(assume(f), 0);
    assert_non_null(strstr(scripted_server_request(f->server, 0)->head, "20261123T120000Z"));
    assert_non_null(strstr(scripted_server_request(f->server, 1)->head, "20261123T130000Z"));
    /* Two hours by STS's clock after noon by ours is one hour by ours. */
    assert_int_equal(f->got.expires_ns, (NOON + 3600) * NS_PER_SECOND);

    for (int i = 0; i < 2; i++)
        scripted_server_add(
            f->server,
            (struct scripted_answer){.status = 403,
                                     .headers = "Date: Mon, 23 Nov 2026 13:00:00 GMT\r\n",
                                     .body = "<Error><Code>RequestTimeTooSkewed</Code></Error>"});
    assert_int_equal(assume(f), ERR_RETRY);
    assert_says(f, "clock");
    assert_int_equal(scripted_server_count(f->server), 4);
}

static void a_lost_answer_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    scripted_server_add(f->server, (struct scripted_answer){.fault = FAULT_RESET});
    assert_int_equal(assume(f), ERR_RETRY);
    assert_says(f, ROLE);
}

static struct sts_session *new_session(struct fixture *f)
{
    struct sts_session *session;
    assert_int_equal(sts_session_new(f->client, &f->role, &test_clock, &session, NULL), 0);
    return session;
}

static void assert_gets(struct fixture *f, struct sts_session *session, const char *id,
                        size_t requests)
{
    f->error = ERROR_INIT;
    int rc = sts_session_get(session, &f->got, &f->error);
    assert_string_equal(f->error.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(f->got.access_key_id, id);
    assert_int_equal(scripted_server_count(f->server), requests);
}

static void credentials_are_kept_and_renewed_early(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    add_credentials(f, "A", 3600, 0);
    assert_gets(f, session, "A", 1);
    pass(3299);
    assert_gets(f, session, "A", 1);
    pass(1); /* five minutes before the end */
    add_credentials(f, "B", 900, 0);
    assert_gets(f, session, "B", 2);
    pass(674);
    assert_gets(f, session, "B", 2);
    pass(1); /* a quarter before the end */
    add_credentials(f, "C", 10, 0);
    assert_gets(f, session, "C", 3);
    pass(4);
    assert_gets(f, session, "C", 3);
    pass(1); /* five seconds before the end */
    add_credentials(f, "D", 3600, 0);
    assert_gets(f, session, "D", 4);
    sts_session_free(session);
    sts_session_free(NULL);
}

static void old_credentials_serve_while_renewing_fails(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    add_credentials(f, "A", 3600, 0);
    assert_gets(f, session, "A", 1);
    pass(3400);
    scripted_server_add(f->server, (struct scripted_answer){.status = 503});
    assert_gets(f, session, "A", 2);
    assert_gets(f, session, "A", 2); /* not asked again at once */
    pass(6);
    add_credentials(f, "B", 3600, 0);
    assert_gets(f, session, "B", 3);
    pass(3600);
    scripted_server_add(f->server, (struct scripted_answer){.status = 503});
    assert_int_equal(sts_session_get(session, &f->got, &f->error), ERR_RETRY);
    sts_session_free(session);
}

static void a_refusal_is_remembered_for_five_seconds(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    scripted_server_add(f->server,
                        (struct scripted_answer){.status = 403, .body = refusals[0].body});
    assert_int_equal(sts_session_get(session, &f->got, &f->error), ERR_DENIED);
    pass(4);
    f->error = ERROR_INIT;
    assert_int_equal(sts_session_get(session, &f->got, &f->error), ERR_DENIED);
    assert_says(f, "trust policy");
    assert_int_equal(scripted_server_count(f->server), 1);
    pass(1);
    add_credentials(f, "A", 3600, 0);
    assert_gets(f, session, "A", 2);
    sts_session_free(session);
}

static void expired_credentials_are_replaced_once(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    add_credentials(f, "A", 3600, 0);
    assert_gets(f, session, "A", 1);
    struct aws_credentials old = f->got;
    sts_session_expired(session, &old);
    add_credentials(f, "B", 3600, 0);
    assert_gets(f, session, "B", 2);
    sts_session_expired(session, &old);
    assert_gets(f, session, "B", 2);
    sts_session_free(session);
}

static void missing_base_credentials_are_a_refusal(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    assert_int_equal(sts_session_get(session, &f->got, &f->error), ERR_DENIED);
    assert_says(f, "AWS_ACCESS_KEY_ID");
    assert_int_equal(scripted_server_count(f->server), 0);
    sts_session_free(session);
}

struct asker {
    struct sts_session *session;
    pthread_t thread;
    int rc;
    char id[32];
};

static void *ask(void *context)
{
    struct asker *asker = context;
    struct aws_credentials credentials;
    asker->rc = sts_session_get(asker->session, &credentials, NULL);
    if (asker->rc == 0)
        snprintf(asker->id, sizeof(asker->id), "%.31s", credentials.access_key_id);
    return NULL;
}

static void ask_from_all(struct asker *askers, size_t count, struct sts_session *session)
{
    for (size_t i = 0; i < count; i++) {
        askers[i] = (struct asker){.session = session};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(askers[i].thread, NULL);
}

static void many_threads_cause_one_request(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    struct asker askers[8];
    add_credentials(f, "A", 3600, 200);
    ask_from_all(askers, 8, session);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(askers[i].rc, 0);
        assert_string_equal(askers[i].id, "A");
    }
    assert_int_equal(scripted_server_count(f->server), 1);
    sts_session_free(session);
}

static void many_threads_share_one_refusal(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    struct asker askers[8];
    scripted_server_add(f->server, (struct scripted_answer){
                                       .status = 403, .body = refusals[0].body, .delay_ms = 200});
    ask_from_all(askers, 8, session);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(askers[i].rc, ERR_DENIED);
    assert_int_equal(scripted_server_count(f->server), 1);
    sts_session_free(session);
}

static void nobody_waits_for_a_renewal_while_the_old_ones_last(void **state)
{
    struct fixture *f = *state;
    struct sts_session *session = new_session(f);
    struct asker renewing = {.session = session};
    add_credentials(f, "A", 3600, 0);
    assert_gets(f, session, "A", 1);
    pass(3400);
    add_credentials(f, "B", 3600, 1500);
    assert_int_equal(pthread_create(&renewing.thread, NULL, ask, &renewing), 0);
    while (scripted_server_count(f->server) < 2)
        usleep(1000);
    int64_t start = clock_monotonic_ns(&clock_system);
    assert_gets(f, session, "A", 2);
    assert_true(clock_monotonic_ns(&clock_system) - start < NS_PER_SECOND);
    pthread_join(renewing.thread, NULL);
    assert_string_equal(renewing.id, "B");
    assert_gets(f, session, "B", 2);
    sts_session_free(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_form_carries_what_the_role_says),
        TEST(an_empty_external_id_and_policy_are_left_out),
        TEST(session_names_are_cut_and_never_too_short),
        TEST(roles_that_are_none_are_not_asked_for),
        TEST(refusals_say_what_to_do),
        TEST(a_skewed_clock_is_corrected_by_the_answers_date),
        TEST(a_lost_answer_may_be_tried_again),
        TEST(credentials_are_kept_and_renewed_early),
        TEST(old_credentials_serve_while_renewing_fails),
        TEST(a_refusal_is_remembered_for_five_seconds),
        TEST(expired_credentials_are_replaced_once),
        TEST(missing_base_credentials_are_a_refusal),
        TEST(many_threads_cause_one_request),
        TEST(many_threads_share_one_refusal),
        TEST(nobody_waits_for_a_renewal_while_the_old_ones_last),
    };
    return cmocka_run_group_tests_name("sts", tests, NULL, NULL);
}
