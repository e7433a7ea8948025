#include "recorder/aws/sts.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "recorder/aws/clock_skew.h"
#include "recorder/aws/endpoint.h"
#include "recorder/aws/sigv4.h"
#include "recorder/aws/sts_error.h"
#include "recorder/aws/xml.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

#define MAX_FORM ((size_t)64 * 1024)
#define MAX_ANSWER ((size_t)64 * 1024)

static bool all_of(const char *text, const char *extra)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && !strchr(extra, *p))
            return false;
    return true;
}

/* The limits of the API reference, checked here so that the error names the field. */
static int check_role(const struct sts_role *role, struct error *error)
{
    size_t arn = strlen(role->role_arn), external_id = strlen(role->external_id);
    if (arn < 20 || arn > 2048 || strncmp(role->role_arn, "arn:", 4) != 0 ||
        !all_of(role->role_arn, "+=,.@:/-"))
        return error_set(error, ERR_INVALID,
                         "'%.100s' is not a role ARN (arn:aws:iam::ACCOUNT:role/NAME)",
                         role->role_arn);
    if (external_id &&
        (external_id < 2 || external_id > 1224 || !all_of(role->external_id, "+=,.@:/-")))
        return error_set(error, ERR_INVALID,
                         "the external ID for %.200s must have 2 to 1224 characters of "
                         "A-Z a-z 0-9 _ + = , . @ : / -",
                         role->role_arn);
    if (strlen(role->policy) > 2048)
        return error_set(error, ERR_LIMIT,
                         "the session policy for %.200s has more than 2048 "
                         "characters",
                         role->role_arn);
    if (role->duration_seconds < 900 || role->duration_seconds > 43200)
        return error_set(error, ERR_INVALID, "a role is assumed for 900 to 43200 seconds, not %u",
                         role->duration_seconds);
    return 0;
}

#define SESSION_NAME_SIZE 65

/* 2 to 64 of [\w+=,.@-]: what CloudTrail shows, so keep as much as can be kept. */
static void session_name(char to[SESSION_NAME_SIZE], const char *wanted)
{
    size_t length = 0;
    for (const char *p = wanted; *p && length < SESSION_NAME_SIZE - 1; p++) {
        bool fits = (unsigned char)*p < 0x80 &&
                    (isalnum((unsigned char)*p) || *p == '_' || strchr("+=,.@-", *p));
        to[length++] = fits ? *p : '-';
    }
    to[length] = '\0';
    if (length < 2)
        snprintf(to, SESSION_NAME_SIZE, "castbucket");
}

static int add_field(struct buffer *form, const char *name, const char *value)
{
    int rc = buffer_printf(form, "%s%s=", form->length ? "&" : "", name);
    return rc ? rc : sigv4_encode(form, value, strlen(value), false);
}

static int build_form(const struct sts_role *role, struct buffer *form)
{
    char name[SESSION_NAME_SIZE], seconds[16];
    session_name(name, role->session_name);
    snprintf(seconds, sizeof(seconds), "%u", role->duration_seconds);
    int rc = add_field(form, "Action", "AssumeRole");
    if (rc == 0)
        rc = add_field(form, "Version", "2011-06-15");
    if (rc == 0)
        rc = add_field(form, "RoleArn", role->role_arn);
    if (rc == 0)
        rc = add_field(form, "RoleSessionName", name);
    if (rc == 0)
        rc = add_field(form, "DurationSeconds", seconds);
    if (rc == 0 && *role->external_id)
        rc = add_field(form, "ExternalId", role->external_id);
    if (rc == 0 && *role->policy)
        rc = add_field(form, "Policy", role->policy);
    return rc;
}

/* Signs the form for `time_ns` and sends it. */
static int send_form(struct http_client *client, const struct aws_credentials *base,
                     const struct aws_endpoint *endpoint, const char *region,
                     const struct buffer *form, int64_t time_ns, struct http_response *response,
                     struct error *error)
{
    static const struct sigv4_pair content_type = {
        "content-type", "application/x-www-form-urlencoded; charset=utf-8"};
    struct buffer target = BUFFER_INIT(4096), headers = BUFFER_INIT(65536), url = BUFFER_INIT(4096);
    uint8_t hash[SHA256_SIZE];
    char payload[2 * SHA256_SIZE + 1];
    int rc = sha256(form->data, form->length, hash);
    if (rc == 0)
        rc = buffer_reserve(&headers, 16384);
    if (rc) {
        error_set(error, rc, "no memory for a request");
        goto out;
    }
    text_hex(payload, hash, sizeof(hash));
    const struct sigv4_request request = {.method = "POST",
                                          .host = endpoint->host,
                                          .path = "/",
                                          .headers = &content_type,
                                          .header_count = 1,
                                          .payload_sha256 = payload,
                                          .region = region,
                                          .service = "sts",
                                          .time_ns = time_ns};
    rc = sigv4_sign(&request, base, &target, &headers, error);
    if (rc)
        goto out;
    rc = buffer_printf(&url, "%s://%s%s", endpoint->scheme, endpoint->host, target.data);
    if (rc) {
        error_set(error, rc, "no memory for a request");
        goto out;
    }
    const struct http_request post = {.method = "POST",
                                      .url = url.data,
                                      .headers = headers.data,
                                      .body = {.data = form->data, .length = form->length}};
    rc = http_perform(client, &post, response, error);
out:
    buffer_free(&url);
    buffer_free(&target);
    buffer_cleanse(&headers);
    return rc;
}

#define RESULT "AssumeRoleResponse/AssumeRoleResult/Credentials/"

struct answer {
    struct aws_credentials *credentials;
    bool too_long;
    int64_t expires_ns;
};

static void keep(struct answer *answer, char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size || text_has_control(text))
        answer->too_long = true;
    else
        memcpy(to, text, length + 1);
}

static int keep_field(void *context, const char *path, const char *text)
{
    struct answer *answer = context;
    struct aws_credentials *to = answer->credentials;
    if (strcmp(path, RESULT "AccessKeyId") == 0)
        keep(answer, to->access_key_id, sizeof(to->access_key_id), text);
    else if (strcmp(path, RESULT "SecretAccessKey") == 0)
        keep(answer, to->secret_access_key, sizeof(to->secret_access_key), text);
    else if (strcmp(path, RESULT "SessionToken") == 0)
        keep(answer, to->session_token, sizeof(to->session_token), text);
    else if (strcmp(path, RESULT "Expiration") == 0 && !text_parse_time(text, &answer->expires_ns))
        answer->expires_ns = 0;
    return 0;
}

/* `skew_ns`: how far STS's clock was found to be ahead; expiry is wanted by our own clock. */
static int read_credentials(const struct http_response *response, const struct sts_role *role,
                            const struct clock *clock, int64_t skew_ns,
                            struct aws_credentials *credentials, struct error *error)
{
    struct answer answer = {.credentials = credentials};
    memset(credentials, 0, sizeof(*credentials));
    int rc = xml_read(response->body.data ? response->body.data : "", response->body.length,
                      keep_field, &answer, error);
    bool whole = !answer.too_long && credentials->access_key_id[0] &&
                 credentials->secret_access_key[0] && credentials->session_token[0];
    if (rc == 0 && whole) {
        if (!answer.expires_ns)
            credentials->expires_ns = clock_wall_ns(clock) +
                                      (int64_t)role->duration_seconds * NS_PER_SECOND;
        else if (__builtin_sub_overflow(answer.expires_ns, skew_ns, &credentials->expires_ns))
            credentials->expires_ns = INT64_MAX; /* a clock before 1970 and an end after 2200 */
        return 0;
    }
    aws_credentials_cleanse(credentials);
    if (rc == ERR_NO_MEMORY)
        return rc;
    return error_set(error, ERR_RETRY,
                     "assuming %.300s: what answered 200 is not AssumeRole; is the STS endpoint "
                     "right?",
                     role->role_arn);
}

int sts_assume_role(struct http_client *client, const struct aws_credentials *base,
                    const struct sts_role *role, const struct clock *clock,
                    struct aws_credentials *credentials, struct error *error)
{
    struct aws_endpoint endpoint;
    struct buffer form = BUFFER_INIT(MAX_FORM);
    struct http_response response = HTTP_RESPONSE_INIT;
    struct sts_failure failure;
    const char *region = *role->region ? role->region : "us-east-1";
    int64_t skew_ns = 0;
    memset(credentials, 0, sizeof(*credentials));
    int rc = check_role(role, error);
    if (rc)
        return rc;
    rc = *role->endpoint ? aws_endpoint_parse(&endpoint, role->endpoint, error)
                         : aws_endpoint_of(&endpoint, "sts", region, error);
    if (rc)
        return rc;
    rc = build_form(role, &form);
    /* All at once: the answer has secrets, and growing would leave copies behind. */
    response.body.limit = MAX_ANSWER;
    if (rc == 0)
        rc = buffer_reserve(&response.body, MAX_ANSWER);
    if (rc) {
        error_set(error, rc, "no memory to assume %.300s", role->role_arn);
        goto out;
    }
    for (int attempt = 0; attempt < 2; attempt++) {
        rc = send_form(client, base, &endpoint, region, &form, clock_wall_ns(clock) + skew_ns,
                       &response, error);
        if (rc) {
            error_prefix(error, "assuming %.300s", role->role_arn);
            goto out;
        }
        if (response.status == 200) {
            rc = read_credentials(&response, role, clock, skew_ns, credentials, error);
            goto out;
        }
        sts_failure_read(&failure, &response);
        if (!failure.clock || !clock_skew_of(&response, clock, &skew_ns))
            break;
    }
    rc = sts_failure_explain(&failure, role, base, error);
out:
    buffer_cleanse(&form);
    http_response_free(&response);
    return rc;
}
