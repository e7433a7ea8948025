/* CRC-32C (Castagnoli), as iSCSI, ext4 and S3 use it: RFC 3720, 12.1. Guards journal frames and
 * sealing records against torn and flipped bits; it is no protection against a forger. */
#ifndef CASTBUCKET_BASE_CRC32C_H
#define CASTBUCKET_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of the bytes so far (0 when there are none) continued over `length` more. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

/* The same without the processor's instruction; for machines that have none, and for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif
