/* The HTTP pool: what is sent, what is given back, and every way an answer can fail to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pthread.h>
#include <signal.h>

#include <cmocka.h>

#include "recorder/aws/http.h"
#include "recorder/base/clock.h"
#include "tests/unit/scripted_server.h"

struct fixture {
    struct scripted_server *server;
    struct http_client *client;
    struct http_response response;
    struct error error;
    char url[256];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct http_options options = {.connect_timeout_ms = 2000, .stall_timeout_ms = 1000};
    assert_non_null(f);
    f->server = scripted_server_new();
    f->response = HTTP_RESPONSE_INIT;
    assert_int_equal(http_client_new(&options, &f->client, &f->error), 0);
    snprintf(f->url, sizeof(f->url), "%s/a%%20b/../c?x=1&y=%%2F", scripted_server_url(f->server));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_client_free(f->client);
    scripted_server_free(f->server);
    http_response_free(&f->response);
    free(f);
    return 0;
}

static int get(struct fixture *f)
{
    const struct http_request request = {.method = "GET", .url = f->url};
    return http_perform(f->client, &request, &f->response, &f->error);
}

static void assert_says(const struct fixture *f, const char *sentence)
{
    if (!strstr(f->error.text, sentence))
        fail_msg("'%s' is not in: %s", sentence, f->error.text);
}

static void the_url_and_headers_are_sent_as_given(void **state)
{
    struct fixture *f = *state;
    const struct http_request request = {
        .method = "GET",
        .url = f->url,
        .headers = "X-One: 1\nX-Empty: \nAuthorization: AWS4 a=b\n"};
    scripted_server_add(f->server, (struct scripted_answer){.status = 200, .body = "hello"});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_int_equal(f->response.status, 200);
    assert_string_equal(f->response.body.data, "hello");
    const char *head = scripted_server_request(f->server, 0)->head;
    const char *line = "GET /a%20b/../c?x=1&y=%2F HTTP/1.1\r\n";
    assert_memory_equal(head, line, strlen(line));
    assert_non_null(strstr(head, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(head, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(head, "\r\nAuthorization: AWS4 a=b\r\n"));
    assert_non_null(strstr(head, scripted_server_url(f->server) + strlen("http://")));
}

static void headers_are_found_by_lower_case_name(void **state)
{
    struct fixture *f = *state;
    char value[16];
    scripted_server_add(f->server, (struct scripted_answer){
                                       .status = 404, .headers = "ETag:  \"x\" \r\nX-A: b: c\r\n"});
    assert_int_equal(get(f), 0);
    assert_int_equal(f->response.status, 404);
    assert_true(http_header(&f->response, "etag", value, sizeof(value)));
    assert_string_equal(value, "\"x\"");
    assert_true(http_header(&f->response, "x-a", value, sizeof(value)));
    assert_string_equal(value, "b: c");
    assert_false(http_header(&f->response, "x-a", value, 4));
    assert_false(http_header(&f->response, "x", value, sizeof(value)));
}

static void connections_are_kept_and_bodies_sent_whole(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        const struct http_request request = {.method = i == 1 ? "POST" : "PUT",
                                             .url = f->url,
                                             .body = {.data = "body\0more", .length = 9}};
        scripted_server_add(f->server, (struct scripted_answer){.status = 200});
        assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
        const struct scripted_request *seen = scripted_server_request(f->server, (size_t)i);
        assert_int_equal(seen->length, 9);
        assert_memory_equal(seen->body, "body\0more", 9);
        assert_int_equal(seen->connection, 0);
        assert_null(strstr(seen->head, "Expect"));
        assert_null(strstr(seen->head, "Content-Type"));
        assert_null(strstr(seen->head, "chunked"));
    }
}

static void empty_bodies_have_a_length(void **state)
{
    struct fixture *f = *state;
    const char *const methods[] = {"PUT", "POST"};
    for (size_t i = 0; i < 2; i++) {
        const struct http_request request = {.method = methods[i], .url = f->url};
        scripted_server_add(f->server, (struct scripted_answer){.status = 200});
        assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
        assert_non_null(strstr(scripted_server_request(f->server, i)->head, "Content-Length: 0"));
    }
}

/* A file of `size` bytes, each of which tells its place. */
static FILE *make_file(size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        assert_true(putc((int)(i * 7 + i / 251) & 255, file) != EOF);
    assert_int_equal(fflush(file), 0);
    return file;
}

static void a_stretch_of_a_file_is_sent(void **state)
{
    struct fixture *f = *state;
    size_t size = 3 << 20;
    FILE *file = make_file(size);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    const struct http_request request = {
        .method = "PUT",
        .url = f->url,
        .body = {.fd = fileno(file), .offset = 1000, .length = size - 3000}};
    scripted_server_add(f->server, (struct scripted_answer){.status = 200});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    const struct scripted_request *seen = scripted_server_request(f->server, 0);
    assert_int_equal(seen->length, size - 3000);
    assert_int_equal(pread(fileno(file), bytes, size, 0), size);
    assert_memory_equal(seen->body, bytes + 1000, size - 3000);
    assert_non_null(strstr(seen->head, "Expect: 100-continue"));
    free(bytes);
    fclose(file);
}

static void a_file_that_is_too_short_is_the_files_fault(void **state)
{
    struct fixture *f = *state;
    FILE *file = make_file(1000);
    const struct http_request request = {
        .method = "PUT", .url = f->url, .body = {.fd = fileno(file), .length = 2000}};
    scripted_server_add(f->server, (struct scripted_answer){.status = 200});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), ERR_DAMAGED);
    assert_says(f, "ends");
    fclose(file);
}

static void a_refusal_comes_before_a_large_body_is_sent(void **state)
{
    struct fixture *f = *state;
    FILE *file = make_file(4 << 20);
    const struct http_request request = {
        .method = "PUT", .url = f->url, .body = {.fd = fileno(file), .length = 4 << 20}};
    scripted_server_add(f->server,
                        (struct scripted_answer){.status = 403, .body = "no", .early = true});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_int_equal(f->response.status, 403);
    assert_int_equal(scripted_server_request(f->server, 0)->length, 0);
    fclose(file);
}

static void a_connection_closed_while_idle_is_replaced(void **state)
{
    struct fixture *f = *state;
    const struct http_request request = {
        .method = "PUT", .url = f->url, .body = {.data = "again", .length = 5}};
    scripted_server_add(f->server, (struct scripted_answer){.status = 200, .fault = FAULT_HANG_UP});
    scripted_server_add(f->server, (struct scripted_answer){.status = 201});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_int_equal(f->response.status, 201);
    assert_memory_equal(scripted_server_request(f->server, 1)->body, "again", 5);
    assert_int_equal(scripted_server_request(f->server, 1)->connection, 1);
}

static void redirects_are_answers(void **state)
{
    struct fixture *f = *state;
    scripted_server_add(
        f->server, (struct scripted_answer){.status = 307, .headers = "Location: /elsewhere\r\n"});
    assert_int_equal(get(f), 0);
    assert_int_equal(f->response.status, 307);
    assert_int_equal(scripted_server_count(f->server), 1);
}

static void answers_that_do_not_come_may_be_tried_again(void **state)
{
    static const enum scripted_fault faults[] = {FAULT_CUT, FAULT_RESET, FAULT_CLOSE};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        scripted_server_add(
            f->server, (struct scripted_answer){.status = 200, .body = "half", .fault = faults[i]});
        assert_int_equal(get(f), ERR_RETRY);
        assert_says(f, "no answer from http://127.0.0.1:");
        assert_null(strstr(f->error.text, "a%20b"));
        assert_null(strstr(f->error.text, "x=1"));
    }
}

static void a_silent_server_is_given_up(void **state)
{
    struct fixture *f = *state;
    int64_t start = clock_monotonic_ns(&clock_system);
    scripted_server_add(f->server, (struct scripted_answer){.fault = FAULT_SILENT});
    assert_int_equal(get(f), ERR_RETRY);
    int64_t took = clock_monotonic_ns(&clock_system) - start;
    assert_true(took >= NS_PER_SECOND / 2 && took < 10 * NS_PER_SECOND);
}

static void a_refused_connection_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    /* A port that was free a moment ago, and is nobody's now. */
    struct scripted_server *gone = scripted_server_new();
    snprintf(f->url, sizeof(f->url), "%s/", scripted_server_url(gone));
    scripted_server_free(gone);
    assert_int_equal(get(f), ERR_RETRY);
    assert_says(f, "127.0.0.1");
}

static void what_is_no_http_is_refused(void **state)
{
    struct fixture *f = *state;
    snprintf(f->url, sizeof(f->url), "file:///etc/passwd");
    assert_int_equal(get(f), ERR_INVALID);
    snprintf(f->url, sizeof(f->url), "nonsense");
    assert_int_equal(get(f), ERR_INVALID);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:1/");
    const struct http_request request = {.method = "DELETE", .url = f->url};
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), ERR_INVALID);
}

static void an_endless_answer_is_cut_at_its_limit(void **state)
{
    struct fixture *f = *state;
    http_response_free(&f->response);
    f->response.body = BUFFER_INIT(100000);
    scripted_server_add(f->server, (struct scripted_answer){.status = 200, .fault = FAULT_ENDLESS});
    assert_int_equal(get(f), ERR_LIMIT);
    assert_says(f, "too large");
}

struct sink {
    struct buffer got;
    int stop_with;
    const struct http_response *response;
    int status_seen;
};

static int receive(void *context, const void *data, size_t length)
{
    struct sink *sink = context;
    sink->status_seen = sink->response->status;
    return sink->stop_with ? sink->stop_with : buffer_append(&sink->got, data, length);
}

static void a_sink_gets_good_bodies_and_the_response_bad_ones(void **state)
{
    struct fixture *f = *state;
    struct sink sink = {.got = BUFFER_INIT(100), .response = &f->response};
    const struct http_request request = {
        .method = "GET", .url = f->url, .on_body = receive, .context = &sink};
    scripted_server_add(f->server, (struct scripted_answer){.status = 206, .body = "good"});
    scripted_server_add(f->server, (struct scripted_answer){.status = 403, .body = "bad"});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_string_equal(sink.got.data, "good");
    assert_int_equal(sink.status_seen, 206);
    assert_int_equal(f->response.body.length, 0);
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), 0);
    assert_string_equal(sink.got.data, "good");
    assert_string_equal(f->response.body.data, "bad");
    buffer_free(&sink.got);
}

static void a_sinks_refusal_is_the_result(void **state)
{
    struct fixture *f = *state;
    struct sink sink = {
        .got = BUFFER_INIT(100), .response = &f->response, .stop_with = ERR_NO_SPACE};
    const struct http_request request = {
        .method = "GET", .url = f->url, .on_body = receive, .context = &sink};
    scripted_server_add(f->server, (struct scripted_answer){.status = 200, .fault = FAULT_ENDLESS});
    assert_int_equal(http_perform(f->client, &request, &f->response, &f->error), ERR_NO_SPACE);
}

struct caller {
    struct fixture *fixture;
    pthread_t thread;
    int rc;
};

static void *call(void *context)
{
    struct caller *caller = context;
    struct http_response response = HTTP_RESPONSE_INIT;
    const struct http_request request = {.method = "GET", .url = caller->fixture->url};
    caller->rc = http_perform(caller->fixture->client, &request, &response, NULL);
    if (caller->rc == 0 && response.status != 200)
        caller->rc = response.status;
    http_response_free(&response);
    return NULL;
}

static void many_threads_share_the_pool(void **state)
{
    struct fixture *f = *state;
    struct caller callers[16];
    int64_t start = clock_monotonic_ns(&clock_system);
    for (size_t i = 0; i < 16; i++)
        scripted_server_add(f->server, (struct scripted_answer){.status = 200, .delay_ms = 300});
    for (size_t i = 0; i < 16; i++) {
        callers[i] = (struct caller){.fixture = f};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (size_t i = 0; i < 16; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].rc, 0);
    }
    /* One after another would have taken 4.8 s. */
    assert_true(clock_monotonic_ns(&clock_system) - start < 4 * NS_PER_SECOND);
}

static void cancelling_ends_what_waits_and_what_comes(void **state)
{
    struct fixture *f = *state;
    struct caller callers[4];
    for (size_t i = 0; i < 4; i++) {
        scripted_server_add(f->server, (struct scripted_answer){.fault = FAULT_SILENT});
        callers[i] = (struct caller){.fixture = f};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    while (scripted_server_count(f->server) < 4)
        usleep(1000);
    int64_t start = clock_monotonic_ns(&clock_system);
    http_client_cancel(f->client);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].rc, ERR_CANCELLED);
    }
    assert_true(clock_monotonic_ns(&clock_system) - start < NS_PER_SECOND / 2);
    assert_int_equal(get(f), ERR_CANCELLED);
    assert_int_equal(scripted_server_count(f->server), 4);
}

static void loopback_is_reached_in_spite_of_a_proxy(void **state)
{
    struct fixture *f = *state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    scripted_server_add(f->server, (struct scripted_answer){.status = 200});
    int rc = get(f);
    snprintf(f->url, sizeof(f->url), "http://192.0.2.1/");
    int through_proxy = get(f);
    unsetenv("http_proxy");
    assert_int_equal(rc, 0);
    assert_int_equal(through_proxy, ERR_RETRY);
    assert_says(f, "port 1 ");
}

static void the_callers_signals_stay_as_they_are(void **state)
{
    (void)state;
    sigset_t before, after;
    struct http_client *client;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(http_client_new(NULL, &client, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    http_client_free(client);
    http_client_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_url_and_headers_are_sent_as_given),
        TEST(headers_are_found_by_lower_case_name),
        TEST(connections_are_kept_and_bodies_sent_whole),
        TEST(empty_bodies_have_a_length),
        TEST(a_stretch_of_a_file_is_sent),
        TEST(a_file_that_is_too_short_is_the_files_fault),
        TEST(a_refusal_comes_before_a_large_body_is_sent),
        TEST(a_connection_closed_while_idle_is_replaced),
        TEST(redirects_are_answers),
        TEST(answers_that_do_not_come_may_be_tried_again),
        TEST(a_silent_server_is_given_up),
        TEST(a_refused_connection_may_be_tried_again),
        TEST(what_is_no_http_is_refused),
        TEST(an_endless_answer_is_cut_at_its_limit),
        TEST(a_sink_gets_good_bodies_and_the_response_bad_ones),
        TEST(a_sinks_refusal_is_the_result),
        TEST(many_threads_share_the_pool),
        TEST(cancelling_ends_what_waits_and_what_comes),
        TEST(loopback_is_reached_in_spite_of_a_proxy),
        TEST(the_callers_signals_stay_as_they_are),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
