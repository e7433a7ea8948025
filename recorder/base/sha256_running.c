/* OpenSSL 3 marks its low-level functions as deprecated, and keeps them: nothing else there can be
 * stopped in the middle and saved. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "recorder/base/sha256_running.h"

#include <string.h>

#include <openssl/sha.h>

_Static_assert(sizeof(((SHA256_CTX *)0)->h) == sizeof(((struct sha256_running *)0)->state), "");
_Static_assert(sizeof(((SHA256_CTX *)0)->data) == sizeof(((struct sha256_running *)0)->block), "");

static SHA256_CTX resume(const struct sha256_running *hash)
{
    SHA256_CTX context = {.Nl = (SHA_LONG)(hash->length << 3),
                          .Nh = (SHA_LONG)(hash->length >> 29),
                          .num = (unsigned)(hash->length % sizeof(hash->block)),
                          .md_len = SHA256_DIGEST_LENGTH};
    memcpy(context.h, hash->state, sizeof(hash->state));
    memcpy(context.data, hash->block, sizeof(hash->block));
    return context;
}

static void keep(struct sha256_running *hash, const SHA256_CTX *context)
{
    memcpy(hash->state, context->h, sizeof(hash->state));
    memcpy(hash->block, context->data, sizeof(hash->block));
}

void sha256_running_start(struct sha256_running *hash)
{
    SHA256_CTX context;
    SHA256_Init(&context);
    hash->length = 0;
    keep(hash, &context);
}

void sha256_running_add(struct sha256_running *hash, const void *data, size_t length)
{
    SHA256_CTX context = resume(hash);
    SHA256_Update(&context, data, length);
    hash->length += length;
    keep(hash, &context);
}

void sha256_running_get(const struct sha256_running *hash, uint8_t out[SHA256_SIZE])
{
    SHA256_CTX context = resume(hash);
    SHA256_Final(out, &context);
}
