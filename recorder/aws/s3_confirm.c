#include "recorder/aws/s3_confirm.h"

#include <string.h>

#include "recorder/base/base64.h"
#include "recorder/base/text.h"

int s3_sums_of(struct s3_sums *sums, const struct http_body *body, const uint8_t sha256[32],
               struct error *error)
{
    int rc = body_md5(body, &sums->md5, error);
    if (rc)
        return rc;
    text_hex(sums->sha256_hex, sha256, 32);
    base64_text(sums->sha256_base64, sha256, 32);
    base64_text(sums->md5_base64, sums->md5.bytes, sums->md5.known ? 16 : 0);
    return 0;
}

void s3_object_read(struct s3_object *object, const struct http_response *response)
{
    if (!http_header(response, "etag", object->etag, sizeof(object->etag)))
        object->etag[0] = '\0';
    size_t length = strlen(object->etag);
    if (length >= 2 && object->etag[0] == '"' && object->etag[length - 1] == '"') {
        memmove(object->etag, object->etag + 1, length - 2);
        object->etag[length - 2] = '\0';
    }
    if (!http_header(response, "x-amz-checksum-sha256", object->checksum, sizeof(object->checksum)))
        object->checksum[0] = '\0';
    if (!http_header(response, "x-amz-meta-sha256", object->meta_sha256,
                     sizeof(object->meta_sha256)))
        object->meta_sha256[0] = '\0';
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

int s3_confirm(const struct s3_sums *sums, const struct s3_object *object,
               const struct http_response *response, struct error *error)
{
    uint8_t md5[16];
    if (object->checksum[0] && strcmp(object->checksum, sums->sha256_base64) != 0)
        return error_set(error, ERR_DAMAGED,
                         "the store got other bytes than were sent: SHA-256 %s instead of %s",
                         object->checksum, sums->sha256_base64);
    if (sums->md5.known && text_unhex(md5, sizeof(md5), object->etag) &&
        !is_key_encrypted(response) && memcmp(md5, sums->md5.bytes, sizeof(md5)) != 0)
        return error_set(error, ERR_DAMAGED,
                         "the store got other bytes than were sent: their MD5 is %s", object->etag);
    return 0;
}
