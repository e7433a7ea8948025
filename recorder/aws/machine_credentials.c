#include "recorder/aws/machine_credentials.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/clock.h"
#include "recorder/base/file.h"
#include "recorder/base/text.h"

#define CONTAINER_SERVICE "http://169.254.170.2"
#define INSTANCE_SERVICE "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"

/* It is on this machine or not at all. */
#define TIMEOUT_MS 2000
#define MAX_TOKEN ((size_t)16 << 10)
#define MAX_ANSWER ((size_t)64 << 10)

static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value ? value : "";
}

/* One value of the answer. */
static int take(char *to, size_t size, const json_t *answer, const char *name, const char *from,
                struct error *error)
{
    const char *value = json_string_value(json_object_get(answer, name));
    if (!value || !*value)
        return error_set(error, ERR_RETRY, "%s: its answer has no %s", from, name);
    return aws_credentials_keep(to, size, value, name, from, error);
}

static int read_answer(const struct http_response *response, const char *from,
                       struct aws_credentials *credentials, struct error *error)
{
    int64_t expires_ns = 0;
    json_t *answer = json_loadb(response->body.data ? response->body.data : "",
                                response->body.length, JSON_REJECT_DUPLICATES, NULL);
    const char *code = json_string_value(json_object_get(answer, "Code"));
    const char *expires = json_string_value(json_object_get(answer, "Expiration"));
    int rc = 0;
    if (!json_is_object(answer))
        rc = error_set(error, ERR_RETRY, "%s: its answer is no JSON object", from);
    else if (code && strcmp(code, "Success") != 0) /* an instance's; a container has none */
        rc = error_set(error, ERR_DENIED, "%s: it says %.100s", from, code);
    else if (expires && !text_parse_time(expires, &expires_ns))
        rc = error_set(error, ERR_RETRY, "%s: Expiration is no time", from);
    if (rc == 0)
        rc = take(credentials->access_key_id, sizeof(credentials->access_key_id), answer,
                  "AccessKeyId", from, error);
    if (rc == 0)
        rc = take(credentials->secret_access_key, sizeof(credentials->secret_access_key), answer,
                  "SecretAccessKey", from, error);
    if (rc == 0)
        rc = take(credentials->session_token, sizeof(credentials->session_token), answer, "Token",
                  from, error);
    if (rc == 0)
        credentials->expires_ns = expires_ns;
    else
        aws_credentials_cleanse(credentials);
    json_decref(answer);
    return rc;
}

/* Sends one request, and has its answer: 200, or an error that says which it was. */
static int ask(struct http_client *client, const char *method, const char *url, const char *header,
               const char *value, struct http_response *response, struct error *error)
{
    struct buffer headers = BUFFER_INIT(MAX_TOKEN + 256);
    int rc = buffer_reserve(&headers, MAX_TOKEN + 256); /* growing would leave copies behind */
    if (rc == 0 && *value)
        rc = buffer_printf(&headers, "%s: %s\n", header, value);
    if (rc) {
        rc = error_set(error, rc, "%.200s: no memory to ask it", url);
        goto out;
    }
    const struct http_request request = {.method = method,
                                         .url = url,
                                         .headers = headers.data ? headers.data : "",
                                         .timeout_ms = TIMEOUT_MS};
    rc = http_perform(client, &request, response, error);
    if (rc == 0 && response->status != 200)
        rc = error_set(error,
                       response->status == 404  ? ERR_NOT_FOUND
                       : response->status < 500 ? ERR_DENIED
                                                : ERR_RETRY,
                       "%.200s: it answered %d", url, response->status);
out:
    buffer_cleanse(&headers);
    return rc;
}

static int reserve_answer(struct http_response *response, struct error *error)
{
    response->body.limit = MAX_ANSWER;
    return buffer_reserve(&response->body, MAX_ANSWER)
               ? error_set(error, ERR_NO_MEMORY, "no memory for the machine's credentials")
               : 0;
}

/* The body as a line of visible characters, which may go into a URL or a header. */
static bool is_word(const struct buffer *text)
{
    for (size_t i = 0; i < text->length; i++)
        if ((unsigned char)text->data[i] <= 0x20 || (unsigned char)text->data[i] >= 0x7f)
            return false;
    return text->length > 0;
}

/* ---- containers ------------------------------------------------------------------------------ */

/* The keys come over this: in the clear only where nobody is in between. */
static bool is_private(const char *url)
{
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    if (strncmp(url, "https://", 8) == 0)
        return true;
    if (strncmp(url, "http://", 7) != 0)
        return false;
    const char *host = url + 7;
    size_t length = *host == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/?#@");
    if (!strchr(":/", host[length]))
        return false;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        if (length == strlen(hosts[i]) && strncmp(host, hosts[i], length) == 0)
            return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == length;
}

static int authorization(struct buffer *token, struct error *error)
{
    const char *file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    int rc = buffer_reserve(token, MAX_TOKEN);
    if (rc)
        return error_set(error, rc, "no memory for a container's token");
    if (!*file) {
        rc = buffer_append_text(token, environment("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    } else {
        rc = file_read(AT_FDCWD, file, token, error);
        if (rc) {
            error_prefix(error, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            return rc;
        }
        while (token->length && strchr("\r\n", token->data[token->length - 1]))
            token->data[--token->length] = '\0';
    }
    if (rc || (token->length && !is_word(token)))
        return error_set(error, ERR_INVALID, "%s is too long, or has spaces or control characters",
                         *file ? file : "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    return 0;
}

static int from_container(struct http_client *client, const char *relative, const char *full,
                          struct aws_credentials *credentials, struct error *error)
{
    struct buffer url = BUFFER_INIT(8192), token = BUFFER_INIT(MAX_TOKEN);
    struct http_response response = HTTP_RESPONSE_INIT;
    int rc = *relative ? buffer_printf(&url, CONTAINER_SERVICE "%s", relative)
                       : buffer_append_text(&url, full);
    if (rc || !is_word(&url) || (*relative && *relative != '/'))
        rc = error_set(error, ERR_INVALID, "AWS_CONTAINER_CREDENTIALS_%s_URI is no %s",
                       *relative ? "RELATIVE" : "FULL", *relative ? "path" : "URL");
    else if (!is_private(url.data))
        rc = error_set(error, ERR_INVALID,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http to this machine");
    if (rc == 0)
        rc = authorization(&token, error);
    if (rc == 0)
        rc = reserve_answer(&response, error);
    if (rc == 0)
        rc = ask(client, "GET", url.data, "Authorization", token.data ? token.data : "", &response,
                 error);
    if (rc == 0)
        rc = read_answer(&response, url.data, credentials, error);
    else if (rc == ERR_NOT_FOUND)
        rc = ERR_DENIED; /* the environment promised some */
    if (rc)
        error_prefix(error, "credentials of this container");
    buffer_cleanse(&token);
    http_response_free(&response);
    buffer_free(&url);
    return rc;
}

/* ---- instances ------------------------------------------------------------------------------- */

/* GET of a path under the metadata service, with its token. */
static int get(struct http_client *client, const char *service, const char *path, const char *more,
               const char *token, struct http_response *response, struct error *error)
{
    struct buffer url = BUFFER_INIT(4096);
    int rc = buffer_printf(&url, "%s%s%s", service, path, more);
    if (rc)
        rc = error_set(error, rc, "%.200s: its answer is too long", service);
    else
        rc = ask(client, "GET", url.data, "X-aws-ec2-metadata-token", token, response, error);
    buffer_free(&url);
    return rc;
}

static int from_instance(struct http_client *client, const char *service,
                         struct aws_credentials *credentials, struct error *error)
{
    struct http_response token = HTTP_RESPONSE_INIT, role = HTTP_RESPONSE_INIT,
                         answer = HTTP_RESPONSE_INIT;
    struct buffer url = BUFFER_INIT(4096);
    int rc = buffer_printf(&url, "%s/latest/api/token", service);
    if (rc == 0)
        rc = reserve_answer(&token, error);
    if (rc == 0)
        rc = reserve_answer(&answer, error);
    if (rc)
        goto out;
    role.body.limit = 1024;
    rc = ask(client, "PUT", url.data, "X-aws-ec2-metadata-token-ttl-seconds", "60", &token, error);
    if (rc == ERR_RETRY && token.status == 0) {
        /* Nobody there: this is no EC2 instance. Or it is, and this is a container in it. */
        error_prefix(error, "no instance metadata (in a container on EC2 its hop limit must be 2)");
        rc = ERR_NOT_FOUND;
        goto out;
    }
    if (rc == 0 && (token.body.length >= MAX_TOKEN || !is_word(&token.body)))
        rc = error_set(error, ERR_RETRY, "%.200s: its answer is no token", url.data);
    if (rc == 0) {
        rc = get(client, service, ROLES, "", token.body.data, &role, error);
        if (rc == ERR_NOT_FOUND)
            error_prefix(error, "this instance has no role");
    }
    if (rc)
        goto out;
    /* One role, or one a line. */
    role.body.length = strcspn(role.body.data ? role.body.data : "", "\r\n");
    if (role.body.data)
        role.body.data[role.body.length] = '\0';
    if (!is_word(&role.body) || strpbrk(role.body.data, "/?#%")) {
        rc = error_set(error, ERR_RETRY, "%.200s: it does not name a role", service);
        goto out;
    }
    rc = get(client, service, ROLES, role.body.data, token.body.data, &answer, error);
    if (rc == 0)
        rc = read_answer(&answer, role.body.data, credentials, error);
    if (rc)
        error_prefix(error, "credentials of this instance's role");
out:
    if (rc == ERR_NO_MEMORY)
        error_set(error, rc, "no memory for the machine's credentials");
    buffer_cleanse(&token.body);
    http_response_free(&token);
    http_response_free(&role);
    buffer_cleanse(&answer.body);
    http_response_free(&answer);
    buffer_free(&url);
    return rc;
}

int machine_credentials(struct http_client *client, struct aws_credentials *credentials,
                        struct error *error)
{
    const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *service = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    memset(credentials, 0, sizeof(*credentials));
    if (*relative || *full)
        return from_container(client, relative, full, credentials, error);
    if (strcasecmp(environment("AWS_EC2_METADATA_DISABLED"), "true") == 0)
        return error_set(error, ERR_NOT_FOUND,
                         "instance metadata is not asked, by AWS_EC2_METADATA_DISABLED");
    char place[512];
    int length = snprintf(place, sizeof(place), "%s", *service ? service : INSTANCE_SERVICE);
    while (length > 0 && length < (int)sizeof(place) && place[length - 1] == '/')
        place[--length] = '\0';
    if (length <= 0 || length >= (int)sizeof(place))
        return error_set(error, ERR_INVALID, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL");
    return from_instance(client, place, credentials, error);
}
