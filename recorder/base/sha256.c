#include "recorder/base/sha256.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "recorder/base/file.h"

#define PIECE ((size_t)256 * 1024) /* read at a time: large enough that reading costs nothing */

int sha256(const void *data, size_t length, uint8_t out[SHA256_SIZE])
{
    return EVP_Digest(data, length, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : ERR_NO_MEMORY;
}

int sha256_init(struct sha256 *hash)
{
    hash->context = EVP_MD_CTX_new();
    if (hash->context && EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) == 1)
        return 0;
    sha256_free(hash);
    return ERR_NO_MEMORY;
}

int sha256_update(struct sha256 *hash, const void *data, size_t length)
{
    return EVP_DigestUpdate(hash->context, data, length) == 1 ? 0 : ERR_NO_MEMORY;
}

int sha256_final(struct sha256 *hash, uint8_t out[SHA256_SIZE])
{
    int rc = EVP_DigestFinal_ex(hash->context, out, NULL) == 1 ? 0 : ERR_NO_MEMORY;
    sha256_free(hash);
    return rc;
}

void sha256_free(struct sha256 *hash)
{
    EVP_MD_CTX_free(hash->context);
    hash->context = NULL;
}

int sha256_file(int fd, uint64_t offset, uint64_t length, uint8_t out[SHA256_SIZE],
                struct error *error)
{
    struct sha256 hash = {0};
    char *piece = malloc(PIECE);
    int rc = piece ? sha256_init(&hash) : ERR_NO_MEMORY;
    while (rc == 0 && length) {
        size_t take = length < PIECE ? (size_t)length : PIECE;
        rc = file_pread_all(fd, piece, take, (off_t)offset, error);
        if (rc)
            goto out;
        rc = sha256_update(&hash, piece, take);
        offset += take;
        length -= take;
    }
    if (rc == 0)
        rc = sha256_final(&hash, out);
    if (rc)
        error_set(error, rc, "no memory to hash a file");
out:
    sha256_free(&hash);
    free(piece);
    return rc;
}
