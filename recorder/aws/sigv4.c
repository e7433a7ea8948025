#include "recorder/aws/sigv4.h"

#include <stdio.h>
#include <string.h>

#include "recorder/aws/digest.h"
#include "recorder/aws/sigv4_canonical.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

static struct sigv4_style style_of(const struct sigv4_request *request)
{
    return (struct sigv4_style){.normalize_path = !request->s3,
                                .encode_path_twice = !request->s3,
                                .content_header = request->s3};
}

static int signing_key(const struct aws_credentials *credentials, const char *scope,
                       const struct sigv4_request *request, uint8_t key[32])
{
    char secret[4 + sizeof(credentials->secret_access_key)];
    int length = snprintf(secret, sizeof(secret), "AWS4%s", credentials->secret_access_key);
    int rc = hmac_sha256(secret, (size_t)length, scope, 8, key);
    if (rc == 0)
        rc = hmac_sha256(key, 32, request->region, strlen(request->region), key);
    if (rc == 0)
        rc = hmac_sha256(key, 32, request->service, strlen(request->service), key);
    if (rc == 0)
        rc = hmac_sha256(key, 32, "aws4_request", 12, key);
    explicit_bzero(secret, sizeof(secret));
    return rc;
}

/* The signature of a canonical request, in hex. */
static int signature_of(const struct sigv4_request *request,
                        const struct aws_credentials *credentials, const char *when,
                        const char *scope, const struct buffer *canonical, char signature[65])
{
    uint8_t hash[SHA256_SIZE], key[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1], text[512];
    int rc = sha256(canonical->data, canonical->length, hash);
    if (rc)
        return rc;
    text_hex(hex, hash, sizeof(hash));
    int length = snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s\n%s", when, scope, hex);
    rc = signing_key(credentials, scope, request, key);
    if (rc == 0)
        rc = hmac_sha256(key, sizeof(key), text, (size_t)length, hash);
    if (rc == 0)
        text_hex(signature, hash, sizeof(hash));
    explicit_bzero(key, sizeof(key));
    return rc;
}

static int append_target(struct buffer *target, const char *path, const struct buffer *query)
{
    int rc = sigv4_encode(target, path, strlen(path), true);
    if (rc == 0 && query->length)
        rc = buffer_printf(target, "?%s", query->data);
    return rc;
}

static int too_large(struct error *error, int rc)
{
    return error_set(error, rc, "cannot sign: the request is too large");
}

int sigv4_sign_styled(const struct sigv4_request *request, const struct sigv4_style *style,
                      const struct aws_credentials *credentials, struct buffer *target,
                      struct buffer *headers, struct error *error)
{
    char when[SIGV4_TIME_SIZE], scope[SIGV4_SCOPE_SIZE], signature[65];
    struct sigv4_pair all[SIGV4_MAX_PAIRS];
    struct sigv4_canonical canonical = SIGV4_CANONICAL_INIT;
    size_t count = 0;
    if (request->header_count > SIGV4_MAX_PAIRS - 4)
        return error_set(error, ERR_INVALID, "cannot sign: too many headers");
    int rc = sigv4_scope(request, when, scope, error);
    if (rc)
        return rc;
    all[count++] = (struct sigv4_pair){"host", request->host};
    all[count++] = (struct sigv4_pair){"x-amz-date", when};
    if (credentials->session_token[0])
        all[count++] = (struct sigv4_pair){"x-amz-security-token", credentials->session_token};
    if (style->content_header)
        all[count++] = (struct sigv4_pair){"x-amz-content-sha256", request->payload_sha256};
    for (size_t i = 0; i < request->header_count; i++)
        all[count++] = request->headers[i];
    rc = sigv4_canonical_build(request, style, request->query, request->query_count, all, count,
                               &canonical, error);
    if (rc)
        goto out;
    rc = signature_of(request, credentials, when, scope, &canonical.text, signature);
    if (rc == 0)
        rc = append_target(target, request->path, &canonical.query);
    if (rc == 0)
        rc = buffer_append(headers, canonical.sent_headers.data, canonical.sent_headers.length);
    if (rc == 0)
        rc = buffer_printf(
            headers,
            "Authorization: " ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s\n",
            credentials->access_key_id, scope, canonical.signed_headers.data, signature);
    if (rc)
        rc = too_large(error, rc);
out:
    sigv4_canonical_free(&canonical);
    return rc;
}

/* The names of the headers to be signed must stand in the query, which is itself signed. */
static int presigned_names(const struct sigv4_request *request, const struct sigv4_pair *headers,
                           size_t count, struct buffer *names, struct error *error)
{
    static const struct sigv4_style plain = {.normalize_path = false};
    struct sigv4_canonical draft = SIGV4_CANONICAL_INIT;
    int rc = sigv4_canonical_build(request, &plain, NULL, 0, headers, count, &draft, error);
    if (rc == 0)
        rc = buffer_append(names, draft.signed_headers.data, draft.signed_headers.length);
    sigv4_canonical_free(&draft);
    return rc;
}

int sigv4_presign_styled(const struct sigv4_request *request, const struct sigv4_style *style,
                         const struct aws_credentials *credentials, unsigned expires_seconds,
                         struct buffer *target, struct error *error)
{
    char when[SIGV4_TIME_SIZE], scope[SIGV4_SCOPE_SIZE], signature[65], expires[16];
    char credential[sizeof(credentials->access_key_id) + SIGV4_SCOPE_SIZE];
    struct sigv4_pair headers[SIGV4_MAX_PAIRS], query[SIGV4_MAX_PAIRS];
    struct sigv4_canonical canonical = SIGV4_CANONICAL_INIT;
    struct buffer names = BUFFER_INIT(8192);
    size_t header_count = 0, count = 0;
    if (expires_seconds < 1 || expires_seconds > 604800)
        return error_set(error, ERR_INVALID,
                         "a presigned URL lasts 1 to 604800 seconds (a week), not %u",
                         expires_seconds);
    if (request->header_count > SIGV4_MAX_PAIRS - 1 || request->query_count > SIGV4_MAX_PAIRS - 6)
        return error_set(error, ERR_INVALID, "cannot sign: too many headers or parameters");
    int rc = sigv4_scope(request, when, scope, error);
    if (rc)
        return rc;
    headers[header_count++] = (struct sigv4_pair){"host", request->host};
    for (size_t i = 0; i < request->header_count; i++)
        headers[header_count++] = request->headers[i];
    rc = presigned_names(request, headers, header_count, &names, error);
    if (rc)
        goto out;
    snprintf(credential, sizeof(credential), "%s/%s", credentials->access_key_id, scope);
    snprintf(expires, sizeof(expires), "%u", expires_seconds);
    query[count++] = (struct sigv4_pair){"X-Amz-Algorithm", ALGORITHM};
    query[count++] = (struct sigv4_pair){"X-Amz-Credential", credential};
    query[count++] = (struct sigv4_pair){"X-Amz-Date", when};
    query[count++] = (struct sigv4_pair){"X-Amz-Expires", expires};
    query[count++] = (struct sigv4_pair){"X-Amz-SignedHeaders", names.data};
    if (credentials->session_token[0])
        query[count++] = (struct sigv4_pair){"X-Amz-Security-Token", credentials->session_token};
    for (size_t i = 0; i < request->query_count; i++)
        query[count++] = request->query[i];
    rc = sigv4_canonical_build(request, style, query, count, headers, header_count, &canonical,
                               error);
    if (rc)
        goto out;
    rc = signature_of(request, credentials, when, scope, &canonical.text, signature);
    if (rc == 0)
        rc = append_target(target, request->path, &canonical.query);
    if (rc == 0)
        rc = buffer_printf(target, "&X-Amz-Signature=%s", signature);
    if (rc)
        rc = too_large(error, rc);
out:
    buffer_free(&names);
    sigv4_canonical_free(&canonical);
    return rc;
}

int sigv4_sign(const struct sigv4_request *request, const struct aws_credentials *credentials,
               struct buffer *target, struct buffer *headers, struct error *error)
{
    struct sigv4_style style = style_of(request);
    return sigv4_sign_styled(request, &style, credentials, target, headers, error);
}

int sigv4_presign(const struct sigv4_request *request, const struct aws_credentials *credentials,
                  unsigned expires_seconds, struct buffer *target, struct error *error)
{
    struct sigv4_style style = style_of(request);
    return sigv4_presign_styled(request, &style, credentials, expires_seconds, target, error);
}
