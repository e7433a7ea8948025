#include "recorder/cast/plain_run.h"

#include <endian.h>
#include <string.h>

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Sets the top bit of each byte of `v` that is below `limit` (at most 0x80). A borrow may also set
 * bits above the first such byte, never below it, and only the first is looked at. */
static inline uint64_t bytes_below(uint64_t v, uint8_t limit)
{
    return (v - EACH_BYTE(limit)) & ~v;
}

static inline uint64_t bytes_that_stop(uint64_t v)
{
    return (v | bytes_below(v, 0x20) | bytes_below(v ^ EACH_BYTE('"'), 1) |
            bytes_below(v ^ EACH_BYTE('\\'), 1)) &
           EACH_BYTE(0x80);
}

size_t plain_run(const uint8_t *p, size_t length)
{
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        uint64_t stops = bytes_that_stop(le64toh(v));
        if (stops)
            return i + (size_t)__builtin_ctzll(stops) / 8;
    }
    while (i < length && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}
