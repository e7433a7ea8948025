#include "recorder/upload/storage_fingerprint.h"

#include <string.h>

static int hash_strings(char type, const char *const *strings, size_t count,
                        uint8_t sum[SHA256_SIZE])
{
    struct sha256 hash = {0};
    int rc = sha256_init(&hash);
    if (!rc)
        rc = sha256_update(&hash, &type, 1);
    for (size_t i = 0; i < count && !rc; i++)
        rc = sha256_update(&hash, strings[i], strlen(strings[i]) + 1);
    if (!rc)
        rc = sha256_final(&hash, sum);
    sha256_free(&hash);
    return rc;
}

int storage_fingerprint(const struct storage_settings *storage, uint8_t sum[SHA256_SIZE])
{
    const char *const strings[] = {storage->bucket, storage->role_arn, storage->external_id,
                                   storage->region, storage->endpoint, storage->sts_endpoint,
                                   storage->prefix, storage->path};
    return hash_strings((char)storage->type, strings, sizeof(strings) / sizeof(*strings), sum);
}

int storage_place(const struct storage_settings *storage, uint8_t sum[SHA256_SIZE])
{
    const char *const strings[] = {storage->bucket, storage->endpoint, storage->prefix,
                                   storage->path};
    return hash_strings((char)storage->type, strings, sizeof(strings) / sizeof(*strings), sum);
}
