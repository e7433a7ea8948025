/* SHA-256 of memory, of a stream, of a stretch of a file. */
#ifndef CASTBUCKET_BASE_SHA256_H
#define CASTBUCKET_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/base/error.h"

#define SHA256_SIZE 32

/* ERR_NO_MEMORY when OpenSSL has none, and nothing else, for each call without a struct error. */
__attribute__((warn_unused_result)) int sha256(const void *data, size_t length,
                                               uint8_t out[SHA256_SIZE]);

/* One hash being computed. Start with sha256_init(); after that, sha256_free() is due whatever
 * happens between. Free of a zeroed or a freed struct does nothing. */
struct sha256 {
    void *context; /* EVP_MD_CTX, kept out of this header */
};

__attribute__((warn_unused_result)) int sha256_init(struct sha256 *hash);
__attribute__((warn_unused_result)) int sha256_update(struct sha256 *hash, const void *data,
                                                      size_t length);

/* Gives the hash and frees, whether it fails or not. */
__attribute__((warn_unused_result)) int sha256_final(struct sha256 *hash, uint8_t out[SHA256_SIZE]);

void sha256_free(struct sha256 *hash);

/* Of exactly `length` bytes from `offset`, read with pread(2) (the file's position stays as it is).
 * ERR_DAMAGED when the file ends before. */
__attribute__((warn_unused_result)) int sha256_file(int fd, uint64_t offset, uint64_t length,
                                                    uint8_t out[SHA256_SIZE], struct error *error);

#endif
