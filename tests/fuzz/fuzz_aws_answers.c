/* Any answer of a store or of STS: read without harm, and a failure has a code and a sentence.
 *
 * Input: a byte for the operation, a byte for the status, header lines ("name: value\n"), an empty
 * line, the body. Linked with --wrap=http_perform: each request of one run gets that answer. */
#include "recorder/aws/s3.h"
#include "recorder/base/text.h"
#include "tests/fuzz/fuzz.h"

int __wrap_http_perform(struct http_client *client, const struct http_request *request,
                        struct http_response *response, struct error *error);

static struct {
    int status;
    const uint8_t *headers, *body;
    size_t headers_length, body_length;
    unsigned requests;
} answer;

int __wrap_http_perform(struct http_client *client, const struct http_request *request,
                        struct http_response *response, struct error *error)
{
    (void)client;
    fuzz_require(++answer.requests < 100);
    /* Nothing that a store said may add a header or a line to a request. */
    fuzz_require(!text_has_control(request->url) && !strchr(request->url, ' '));
    for (const char *p = request->headers; *p; p++)
        fuzz_require(*p == '\n' || (unsigned char)*p >= ' ');
    buffer_clear(&response->headers);
    buffer_clear(&response->body);
    response->status = answer.status;
    int rc = buffer_append(&response->headers, answer.headers, answer.headers_length);
    if (rc)
        return error_set(error, ERR_RETRY, "too many headers");
    if (request->on_body && answer.status >= 200 && answer.status < 300)
        return request->on_body(request->context, answer.body, answer.body_length)
                   ? error_set(error, ERR_CANCELLED, "stopped")
                   : 0;
    rc = buffer_append(&response->body, answer.body, answer.body_length);
    return rc ? error_set(error, ERR_RETRY, "too long") : 0;
}

static int64_t fixed_time(const struct clock *clock)
{
    (void)clock;
    return INT64_C(1795465321123456000);
}

static const struct clock fixed_clock = {fixed_time, fixed_time};

static int see_entry(void *context, const struct s3_list_entry *entry)
{
    const char **last = context;
    fuzz_require(entry->key);
    *last = entry->key;
    return 0;
}

static int see_body(void *context, const void *data, size_t length)
{
    (void)context, (void)data, (void)length;
    return 0;
}

static int assume_role(struct error *error)
{
    static const struct aws_credentials base = {.access_key_id = "AKIDEXAMPLE",
                                                .secret_access_key = "secret"};
    const struct sts_role role = {.role_arn = "arn:aws:iam::111122223333:role/castbucket",
                                  .external_id = "",
                                  .session_name = "castbucket",
                                  .policy = "",
                                  .duration_seconds = 900,
                                  .endpoint = "http://sts.test",
                                  .region = ""};
    struct aws_credentials credentials;
    int rc = sts_assume_role(NULL, &base, &role, &fixed_clock, &credentials, error);
    if (rc == 0) {
        fuzz_require(credentials.access_key_id[0] && credentials.secret_access_key[0]);
        fuzz_require(!text_has_control(credentials.session_token));
    }
    return rc;
}

static int call_s3(uint8_t operation, struct s3_bucket *bucket, struct error *error)
{
    static const uint8_t sha256[32];
    static const struct s3_part parts[1];
    const struct http_body body = {.data = "x", .length = 1};
    const struct s3_put put = {.key = "a/b",
                               .body = body,
                               .sha256 = sha256,
                               .content_type = "application/gzip",
                               .if_none_match = true};
    struct s3_object object;
    char text[S3_UPLOAD_ID_SIZE], etag[128];
    const char *last = NULL;
    switch (operation % 9) {
    case 0:
        return s3_list(bucket, "a/", "/", see_entry, &last, error);
    case 1:
        return s3_multipart_create(bucket, "a/b", "text/plain", sha256, text, error);
    case 2:
        return s3_multipart_complete(bucket, "a/b", "c:id", parts, 1, true, &object, error);
    case 3:
        return s3_location(bucket, text, 64, error);
    case 4:
        return s3_region(bucket, text, error);
    case 5:
        return s3_put(bucket, &put, &object, error);
    case 6:
        return s3_head(bucket, "a/b", &object, error);
    case 7:
        return s3_get(bucket, "a/b", 0, 10, see_body, NULL, error);
    default:
        return s3_multipart_part(bucket, "a/b", "c:id", 1, &body, sha256, etag, error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 206, 301, 307, 400, 403, 404, 409, 412, 416, 500, 503};
    struct fuzz_input input = {data, size};
    struct s3_bucket *bucket = NULL;
    struct error error = ERROR_INIT;
    size_t length = 0;
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    uint8_t operation = fuzz_byte(&input);
    answer.status = statuses[fuzz_byte(&input) % (sizeof(statuses) / sizeof(statuses[0]))];
    answer.requests = 0;
    while (length < input.left && input.data[length] != '\n')
        while (length < input.left && input.data[length++] != '\n')
            ;
    answer.headers = fuzz_bytes(&input, length, &answer.headers_length);
    fuzz_byte(&input);
    answer.body = fuzz_bytes(&input, input.left, &answer.body_length);

    int rc;
    if (operation >= 0xc0) {
        rc = assume_role(&error);
    } else {
        const struct s3_options options = {.bucket = "acme",
                                           .region = operation & 0x40 ? "eu-west-1" : "",
                                           .endpoint = operation & 0x80 ? "http://s3.test" : ""};
        fuzz_require(s3_bucket_new(NULL, NULL, &options, &fixed_clock, &bucket, NULL) == 0);
        rc = call_s3(operation & 0x3f, bucket, &error);
        s3_bucket_free(bucket);
    }
    fuzz_require(rc == 0 || (rc == error.code && error.text[0]));
    return 0;
}
