/* Telling storage settings apart without keeping them. */
#ifndef CASTBUCKET_UPLOAD_STORAGE_FINGERPRINT_H
#define CASTBUCKET_UPLOAD_STORAGE_FINGERPRINT_H

#include <stdint.h>

#include "recorder/base/sha256.h"
#include "recorder/settings/settings.h"

/* Of all that is set: another role or external ID makes another one. ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int storage_fingerprint(const struct storage_settings *storage,
                                                            uint8_t sum[SHA256_SIZE]);

/* Of what decides where objects go: kind, bucket, endpoint, prefix, path. ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int storage_place(const struct storage_settings *storage,
                                                      uint8_t sum[SHA256_SIZE]);

#endif
