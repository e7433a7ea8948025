#include "recorder/aws/digest.h"

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "recorder/base/file.h"

#define PIECE ((size_t)256 * 1024)

int hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                uint8_t out[32])
{
    return HMAC(EVP_sha256(), key, (int)key_length, data, length, out, NULL) ? 0 : ERR_NO_MEMORY;
}

static int digest_file(EVP_MD_CTX *context, const struct http_body *body, struct error *error)
{
    char *piece = malloc(PIECE);
    int rc = piece ? 0 : error_set(error, ERR_NO_MEMORY, "no memory to read a body");
    uint64_t offset = body->offset, left = body->length;
    while (rc == 0 && left) {
        size_t take = left < PIECE ? (size_t)left : PIECE;
        rc = file_pread_all(body->fd, piece, take, (off_t)offset, error);
        if (rc == 0 && EVP_DigestUpdate(context, piece, take) != 1)
            rc = error_set(error, ERR_NO_MEMORY, "no memory to hash a body");
        offset += take;
        left -= take;
    }
    free(piece);
    return rc;
}

int body_md5(const struct http_body *body, struct md5 *md5, struct error *error)
{
    int rc = 0;
    md5->known = false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return error_set(error, ERR_NO_MEMORY, "no memory to hash a body");
    if (EVP_DigestInit_ex(context, EVP_md5(), NULL) != 1)
        goto out;
    if (!body->data)
        rc = digest_file(context, body, error);
    else if (EVP_DigestUpdate(context, body->data, (size_t)body->length) != 1)
        rc = error_set(error, ERR_NO_MEMORY, "no memory to hash a body");
    if (rc == 0)
        md5->known = EVP_DigestFinal_ex(context, md5->bytes, NULL) == 1;
out:
    EVP_MD_CTX_free(context);
    return rc;
}
