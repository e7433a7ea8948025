#include "recorder/seal/chain.h"

#include <string.h>

int chain_start(uint8_t link[SHA256_SIZE], const char *id)
{
    return sha256(id, strlen(id), link);
}

int chain_add(uint8_t link[SHA256_SIZE], const uint8_t chunk[SHA256_SIZE])
{
    uint8_t both[2 * SHA256_SIZE];
    memcpy(both, link, SHA256_SIZE);
    memcpy(both + SHA256_SIZE, chunk, SHA256_SIZE);
    return sha256(both, sizeof(both), link);
}
