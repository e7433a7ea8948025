/* A SHA-256 under way that can be saved and gone on with in another process, which OpenSSL's EVP
 * contexts cannot. Plain data, the same on every machine. */
#ifndef CASTBUCKET_BASE_SHA256_RUNNING_H
#define CASTBUCKET_BASE_SHA256_RUNNING_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/base/sha256.h"

struct sha256_running {
    uint32_t state[8]; /* FIPS 180-4's H, after the whole blocks */
    uint64_t length;   /* bytes so far */
    uint8_t block[64]; /* the first length % 64 of them: what is not in `state` yet */
};

void sha256_running_start(struct sha256_running *hash);
void sha256_running_add(struct sha256_running *hash, const void *data, size_t length);

/* The hash of what was added so far; it can go on after that. */
void sha256_running_get(const struct sha256_running *hash, uint8_t out[SHA256_SIZE]);

#endif
