#include "recorder/aws/s3_call.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "recorder/aws/clock_skew.h"
#include "recorder/aws/digest.h"
#include "recorder/base/text.h"

#define MAX_HEADERS 24

/* A 403 so close to the credentials' end is taken for that end: clocks differ. */
#define NEARLY_EXPIRED_NS (10 * NS_PER_SECOND)

struct s3_learned s3_learned_get(struct s3_bucket *bucket)
{
    pthread_mutex_lock(&bucket->lock);
    struct s3_learned learned = bucket->learned;
    pthread_mutex_unlock(&bucket->lock);
    return learned;
}

void s3_learned_region(struct s3_bucket *bucket, const char *region)
{
    pthread_mutex_lock(&bucket->lock);
    snprintf(bucket->learned.region, sizeof(bucket->learned.region), "%.63s", region);
    pthread_mutex_unlock(&bucket->lock);
}

/* Whether the name can be a label of a host name, which dots would make several of. */
static bool is_label(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '-')
            return false;
    return length >= 3 && length <= 63 && name[0] != '-' && name[length - 1] != '-';
}

struct place {
    struct aws_endpoint endpoint;
    struct buffer path; /* unencoded */
};

/* Host and path of a key: bucket.s3.REGION.amazonaws.com/key, or endpoint/bucket/key. */
static int find_place(const struct s3_bucket *bucket, const char *key, const char *region,
                      struct place *place, struct error *error)
{
    bool virtual_host = !bucket->own_endpoint && is_label(bucket->name);
    int rc = 0;
    if (bucket->own_endpoint) {
        place->endpoint = bucket->endpoint;
    } else {
        rc = aws_endpoint_of(&place->endpoint, "s3", region, error);
        if (rc)
            return rc;
    }
    if (virtual_host) {
        char host[sizeof(place->endpoint.host)];
        if (snprintf(host, sizeof(host), "%s.%s", bucket->name, place->endpoint.host) >=
            (int)sizeof(host))
            return error_set(error, ERR_INVALID, "the host name of %s is too long", bucket->name);
        memcpy(place->endpoint.host, host, sizeof(host));
        rc = buffer_printf(&place->path, "/%s", key ? key : "");
    } else {
        rc = buffer_printf(&place->path, "/%s%s%s", bucket->name, key ? "/" : "", key ? key : "");
    }
    return rc ? error_set(error, rc, "the key is too long") : 0;
}

static int get_credentials(struct s3_bucket *bucket, struct aws_credentials *credentials,
                           struct error *error)
{
    return bucket->session ? sts_session_get(bucket->session, credentials, error)
                           : aws_credentials_base(bucket->client, credentials, error);
}

static bool is_checksum(const char *name)
{
    return strncasecmp(name, "x-amz-checksum-", 15) == 0;
}

static bool is_acl(const char *name)
{
    return strcasecmp(name, "x-amz-acl") == 0;
}

/* One attempt with what is known so far. */
static int attempt(struct s3_bucket *bucket, const struct s3_call *call,
                   const struct s3_learned *learned, const struct aws_credentials *credentials,
                   struct http_response *response, struct error *error)
{
    struct sigv4_pair headers[MAX_HEADERS];
    struct place place = {.path = BUFFER_INIT(8192)};
    struct buffer target = BUFFER_INIT(65536), lines = BUFFER_INIT(65536), url = BUFFER_INIT(65536);
    char payload[65] = SHA256_OF_NOTHING;
    size_t count = 0;
    const char *region = *learned->region ? learned->region : "us-east-1";
    int rc = find_place(bucket, call->key, region, &place, error);
    if (rc)
        goto out;
    for (size_t i = 0; i < call->header_count && count < MAX_HEADERS; i++) {
        const char *name = call->headers[i].name;
        if ((learned->no_checksums && is_checksum(name)) || (learned->no_acl && is_acl(name)))
            continue;
        headers[count++] = call->headers[i];
    }
    if (call->sha256)
        text_hex(payload, call->sha256, 32);
    const struct sigv4_request request = {.method = call->method,
                                          .host = place.endpoint.host,
                                          .path = place.path.data,
                                          .query = call->query,
                                          .query_count = call->query_count,
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_sha256 = payload,
                                          .region = region,
                                          .service = "s3",
                                          .s3 = true,
                                          .time_ns = clock_wall_ns(bucket->clock) +
                                                     learned->skew_ns};
    rc = buffer_reserve(&lines, 16384);
    if (rc == 0)
        rc = sigv4_sign(&request, credentials, &target, &lines, error);
    if (rc == 0)
        rc = buffer_printf(&url, "%s://%s%s", place.endpoint.scheme, place.endpoint.host,
                           target.data);
    if (rc)
        goto out;
    const struct http_request send = {.method = call->method,
                                      .url = url.data,
                                      .headers = lines.data,
                                      .body = call->body,
                                      .on_body = call->on_body,
                                      .context = call->context};
    rc = http_perform(bucket->client, &send, response, error);
out:
    buffer_free(&place.path);
    buffer_free(&target);
    buffer_cleanse(&lines);
    buffer_free(&url);
    return rc;
}

/* What was already tried in one call: each remedy once. */
struct tried {
    bool region, credentials, clock, checksums, acl;
};

/* 301, 307 and 400 that name the right region. */
static bool cure_region(const struct s3_failure *failure, const struct s3_call *call,
                        struct s3_learned *learned, struct tried *tried)
{
    bool redirect = failure->status == 301 || failure->status == 307 || failure->status == 400;
    if (tried->region || call->any_region || !redirect || !failure->region[0] ||
        strcmp(failure->region, learned->region) == 0)
        return false;
    tried->region = true;
    memcpy(learned->region, failure->region, sizeof(learned->region));
    return true;
}

/* Whether the failure may be the end of these credentials: AWS says so, RADOS Gateway says
 * AccessDenied. */
static bool cure_credentials(struct s3_bucket *bucket, const struct s3_failure *failure,
                             struct aws_credentials *credentials, struct tried *tried)
{
    if (tried->credentials || !bucket->session)
        return false;
    bool said = strcmp(failure->code, "ExpiredToken") == 0 ||
                strcmp(failure->code, "TokenRefreshRequired") == 0 ||
                strcmp(failure->code, "InvalidToken") == 0 ||
                strcmp(failure->code, "InvalidAccessKeyId") == 0;
    if (!said && failure->status != 401 && failure->status != 403)
        return false;
    bool over = credentials->expires_ns &&
                clock_wall_ns(bucket->clock) >= credentials->expires_ns - NEARLY_EXPIRED_NS;
    if (said || over)
        sts_session_expired(bucket->session, credentials);
    struct aws_credentials fresh;
    bool changed = sts_session_get(bucket->session, &fresh, NULL) == 0 &&
                   (strcmp(fresh.access_key_id, credentials->access_key_id) != 0 ||
                    strcmp(fresh.session_token, credentials->session_token) != 0);
    if (changed)
        *credentials = fresh;
    aws_credentials_cleanse(&fresh);
    tried->credentials = changed;
    return changed;
}

static bool cure_clock(struct s3_bucket *bucket, const struct s3_failure *failure,
                       const struct http_response *response, struct s3_learned *learned,
                       struct tried *tried)
{
    if (tried->clock || strcmp(failure->code, "RequestTimeTooSkewed") != 0)
        return false;
    tried->clock = true;
    return clock_skew_of(response, bucket->clock, &learned->skew_ns);
}

static bool has_header(const struct s3_call *call, bool (*is)(const char *name))
{
    for (size_t i = 0; i < call->header_count; i++)
        if (is(call->headers[i].name))
            return true;
    return false;
}

/* A store that does not know the checksum headers says so in one of these ways. */
static bool cure_checksums(const struct s3_failure *failure, const struct s3_call *call,
                           struct s3_learned *learned, struct tried *tried)
{
    bool named = strcasestr(failure->message, "checksum") &&
                 (strcmp(failure->code, "InvalidRequest") == 0 ||
                  strcmp(failure->code, "InvalidArgument") == 0);
    if (tried->checksums || learned->no_checksums || !has_header(call, is_checksum) ||
        !(named || failure->status == 501))
        return false;
    tried->checksums = learned->no_checksums = true;
    return true;
}

/* An ACL needs s3:PutObjectAcl where that is enforced, and is refused where ACLs are off. */
static bool cure_acl(const struct s3_failure *failure, const struct s3_call *call,
                     struct s3_learned *learned, struct tried *tried)
{
    bool denied = !failure->code[0] || strcmp(failure->code, "AccessDenied") == 0;
    bool refused = (failure->status == 403 && denied) ||
                   strcmp(failure->code, "AccessControlListNotSupported") == 0;
    if (tried->acl || learned->no_acl || !refused || !has_header(call, is_acl))
        return false;
    tried->acl = learned->no_acl = true;
    return true;
}

/* Keeps what made the difference. */
static void remember(struct s3_bucket *bucket, const struct s3_learned *learned,
                     const struct tried *tried)
{
    pthread_mutex_lock(&bucket->lock);
    if (tried->region)
        memcpy(bucket->learned.region, learned->region, sizeof(learned->region));
    if (tried->clock)
        bucket->learned.skew_ns = learned->skew_ns;
    if (tried->checksums)
        bucket->learned.no_checksums = true;
    if (tried->acl)
        bucket->learned.no_acl = true;
    pthread_mutex_unlock(&bucket->lock);
}

int s3_call(struct s3_bucket *bucket, const struct s3_call *call, struct http_response *response,
            struct error *error)
{
    struct aws_credentials credentials;
    struct s3_failure failure = {0}, first;
    struct tried tried = {.region = false};
    char region[S3_REGION_SIZE];
    response->status = 0;
    int rc = call->any_region ? 0 : s3_region(bucket, region, error);
    if (rc)
        return rc;
    rc = get_credentials(bucket, &credentials, error);
    if (rc) {
        if (error)
            error_prefix(error, "s3://%.80s: %s", bucket->name, call->operation);
        return rc;
    }
    struct s3_learned learned = s3_learned_get(bucket);
    for (bool again = true, failed_before = false; again; failed_before = true) {
        rc = attempt(bucket, call, &learned, &credentials, response, error);
        if (rc) {
            if (error)
                error_prefix(error, "s3://%.80s/%.300s: %s", bucket->name,
                             call->key ? call->key : "", call->operation);
            break;
        }
        if (!s3_failure_read(&failure, response, call->error_in_200)) {
            remember(bucket, &learned, &tried);
            break;
        }
        if (!failed_before)
            first = failure;
        again = cure_region(&failure, call, &learned, &tried) ||
                cure_clock(bucket, &failure, response, &learned, &tried) ||
                cure_credentials(bucket, &failure, &credentials, &tried) ||
                cure_checksums(&failure, call, &learned, &tried) ||
                cure_acl(&failure, call, &learned, &tried);
        if (again)
            continue;
        /* A remedy whose failure was another one did help so far. */
        if (strcmp(failure.code, first.code) != 0 || failure.status != first.status)
            remember(bucket, &learned, &tried);
        rc = s3_failure_explain(&failure, bucket, call, error);
    }
    aws_credentials_cleanse(&credentials);
    return rc;
}

int s3_call_presign(struct s3_bucket *bucket, const char *key, unsigned seconds, struct buffer *url,
                    struct error *error)
{
    struct aws_credentials credentials;
    struct place place = {.path = BUFFER_INIT(8192)};
    struct buffer target = BUFFER_INIT(65536);
    char region[S3_REGION_SIZE];
    int rc = s3_region(bucket, region, error);
    if (rc)
        return rc;
    rc = get_credentials(bucket, &credentials, error);
    if (rc)
        return rc;
    struct s3_learned learned = s3_learned_get(bucket);
    rc = find_place(bucket, key, region, &place, error);
    if (rc)
        goto out;
    const struct sigv4_request request = {.method = "GET",
                                          .host = place.endpoint.host,
                                          .path = place.path.data,
                                          .payload_sha256 = "UNSIGNED-PAYLOAD",
                                          .region = region,
                                          .service = "s3",
                                          .s3 = true,
                                          .time_ns = clock_wall_ns(bucket->clock) +
                                                     learned.skew_ns};
    rc = sigv4_presign(&request, &credentials, seconds, &target, error);
    if (rc)
        goto out;
    rc = buffer_printf(url, "%s://%s%s", place.endpoint.scheme, place.endpoint.host, target.data);
    if (rc)
        error_set(error, rc, "no room for a presigned URL");
out:
    aws_credentials_cleanse(&credentials);
    buffer_free(&place.path);
    buffer_cleanse(&target);
    return rc;
}
