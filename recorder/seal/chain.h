/* The hash chain over a recording's chunks, as manifest.h defines it: whoever knows the last link
 * knows that no chunk was changed, removed or moved. */
#ifndef CASTBUCKET_SEAL_CHAIN_H
#define CASTBUCKET_SEAL_CHAIN_H

#include <stdint.h>

#include "recorder/base/sha256.h"

/* Link 0. */
__attribute__((warn_unused_result)) int chain_start(uint8_t link[SHA256_SIZE], const char *id);

/* From one link to the next. */
__attribute__((warn_unused_result)) int chain_add(uint8_t link[SHA256_SIZE],
                                                  const uint8_t chunk[SHA256_SIZE]);

#endif
