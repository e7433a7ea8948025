/* The scan that most of encoding's and decoding's time goes into, alone so that it can be replaced
 * by a faster one without touching what surrounds it. */
#ifndef CASTBUCKET_CAST_PLAIN_RUN_H
#define CASTBUCKET_CAST_PLAIN_RUN_H

#include <stddef.h>
#include <stdint.h>

/* How many of the first bytes stand for themselves in a JSON string: 0x20 to 0x7f without the
 * quotation mark and the backslash. */
size_t plain_run(const uint8_t *p, size_t length);

#endif
