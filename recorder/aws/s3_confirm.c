#include "recorder/aws/s3_confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/base64.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

#define MD5_SIZE 16

int s3_sums_of(struct s3_sums *sums, const struct http_body *body, const uint8_t sha256[32],
               struct error *error)
{
    int rc = body_md5(body, &sums->md5, error);
    if (rc)
        return rc;
    text_hex(sums->sha256_hex, sha256, 32);
    base64_text(sums->sha256_base64, sha256, 32);
    base64_text(sums->md5_base64, sums->md5.bytes, sums->md5.known ? MD5_SIZE : 0);
    return 0;
}

void s3_unquote(char *etag)
{
    size_t length = strlen(etag);
    if (length < 2 || etag[0] != '"' || etag[length - 1] != '"')
        return;
    memmove(etag, etag + 1, length - 2);
    etag[length - 2] = '\0';
}

/* Of objects encrypted by such keys, ETags are something else than an MD5. */
static bool is_key_encrypted(const struct http_response *response)
{
    char value[64];
    return (http_header(response, "x-amz-server-side-encryption", value, sizeof(value)) &&
            strncmp(value, "aws:kms", 7) == 0) ||
           http_header(response, "x-amz-server-side-encryption-customer-algorithm", value,
                       sizeof(value));
}

void s3_object_read(struct s3_object *object, const struct http_response *response)
{
    if (!http_header(response, "etag", object->etag, sizeof(object->etag)))
        object->etag[0] = '\0';
    s3_unquote(object->etag);
    if (!http_header(response, "x-amz-checksum-sha256", object->checksum, sizeof(object->checksum)))
        object->checksum[0] = '\0';
    if (!http_header(response, "x-amz-meta-sha256", object->meta_sha256,
                     sizeof(object->meta_sha256)))
        object->meta_sha256[0] = '\0';
    object->opaque_etag = is_key_encrypted(response);
}

int s3_confirm(const struct s3_sums *sums, struct s3_object *object, struct error *error)
{
    uint8_t md5[MD5_SIZE];
    object->proven = false;
    if (object->checksum[0] && strcmp(object->checksum, sums->sha256_base64) != 0)
        return error_set(error, ERR_DAMAGED,
                         "the store got other bytes than were sent: SHA-256 %s instead of %s",
                         object->checksum, sums->sha256_base64);
    bool is_md5 = sums->md5.known && !object->opaque_etag &&
                  text_unhex(md5, sizeof(md5), object->etag);
    if (is_md5 && memcmp(md5, sums->md5.bytes, sizeof(md5)) != 0)
        return error_set(error, ERR_DAMAGED,
                         "the store got other bytes than were sent: their MD5 is %s", object->etag);
    object->proven = is_md5 || object->checksum[0];
    return 0;
}

int s3_object_prove(struct s3_object *object, const struct http_body *body,
                    const uint8_t sha256[32], struct error *error)
{
    struct s3_sums sums = {.md5.known = false};
    struct error contradicted = ERROR_INIT;
    object->proven = false;
    base64_text(sums.sha256_base64, sha256, SHA256_SIZE);
    int rc = body ? s3_sums_of(&sums, body, sha256, error) : 0;
    if (rc)
        return rc;
    /* What contradicts is not believed either: some stores' ETags only look like an MD5. */
    rc = s3_confirm(&sums, object, &contradicted);
    return rc == ERR_DAMAGED ? 0 : rc;
}

int s3_composite(const struct s3_part *parts, unsigned count, char text[S3_COMPOSITE_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    char base64[BASE64_SIZE(SHA256_SIZE) + 1];
    struct sha256 all = {0};
    int rc = sha256_init(&all);
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = sha256_update(&all, parts[i].sha256, SHA256_SIZE);
    if (rc == 0)
        rc = sha256_final(&all, hash);
    sha256_free(&all);
    if (rc == 0) {
        base64_text(base64, hash, sizeof(hash));
        snprintf(text, S3_COMPOSITE_SIZE, "%s-%u", base64, count);
    }
    return rc;
}

/* The ETag of an object of several parts: the MD5 of their MD5s, and their number. "": a part's is
 * no MD5, or MD5 is forbidden here. */
static int composite_etag(const struct s3_part *parts, unsigned count, char *text, size_t size,
                          struct error *error)
{
    char hex[2 * MD5_SIZE + 1];
    struct md5 whole;
    text[0] = '\0';
    uint8_t *all = calloc(count, MD5_SIZE);
    if (!all)
        return error_set(error, ERR_NO_MEMORY, "no memory to compare %u parts", count);
    int rc = 0;
    for (unsigned i = 0; i < count; i++)
        if (!text_unhex(all + (size_t)i * MD5_SIZE, MD5_SIZE, parts[i].etag))
            goto out;
    const struct http_body body = {.data = all, .length = (uint64_t)count * MD5_SIZE};
    rc = body_md5(&body, &whole, error);
    if (rc == 0 && whole.known) {
        text_hex(hex, whole.bytes, MD5_SIZE);
        snprintf(text, size, "%s-%u", hex, count);
    }
out:
    free(all);
    return rc;
}

int s3_object_prove_parts(struct s3_object *object, const struct s3_part *parts, unsigned count,
                          struct error *error)
{
    char checksum[S3_COMPOSITE_SIZE], etag[2 * MD5_SIZE + 16];
    object->proven = false;
    if (object->checksum[0]) {
        int rc = s3_composite(parts, count, checksum);
        if (rc)
            return error_set(error, rc, "no memory to compare %u parts", count);
        object->proven = strcmp(object->checksum, checksum) == 0;
        return 0;
    }
    if (object->opaque_etag)
        return 0;
    int rc = composite_etag(parts, count, etag, sizeof(etag), error);
    object->proven = rc == 0 && etag[0] && strcmp(object->etag, etag) == 0;
    return rc;
}
