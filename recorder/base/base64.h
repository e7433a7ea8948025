/* Base64 (RFC 4648, 4), with padding, without line breaks. */
#ifndef CASTBUCKET_BASE_BASE64_H
#define CASTBUCKET_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#define BASE64_SIZE(length) (((length) + 2) / 3 * 4)

/* Writes BASE64_SIZE(first_length + length) characters for the two parts together; no NUL. */
void base64_encode(char *to, const uint8_t *first, size_t first_length, const uint8_t *data,
                   size_t length);

/* The same for one part, with a NUL: BASE64_SIZE(length) + 1 bytes. */
void base64_text(char *to, const void *data, size_t length);

/* Writes at most length / 4 * 3 bytes, and how many in *decoded. ERR_INVALID for anything but the
 * one form that base64_encode() writes. `to` may be `text` itself. */
__attribute__((warn_unused_result)) int base64_decode(uint8_t *to, const char *text, size_t length,
                                                      size_t *decoded);

#endif
