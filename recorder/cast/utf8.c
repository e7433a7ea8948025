#include "recorder/cast/utf8.h"

/* Unicode 15, table 3-7: only the second byte's range depends on the first. */
enum utf8_state utf8_next(const uint8_t *p, size_t left, size_t *length)
{
    uint8_t first = p[0], low = 0x80, high = 0xbf;
    size_t need;
    *length = 1;
    if (first < 0x80)
        return UTF8_GOOD;
    if (first < 0xc2 || first > 0xf4)
        return UTF8_BAD;
    if (first < 0xe0) {
        need = 2;
    } else if (first < 0xf0) {
        need = 3;
        if (first == 0xe0)
            low = 0xa0;
        else if (first == 0xed)
            high = 0x9f;
    } else {
        need = 4;
        if (first == 0xf0)
            low = 0x90;
        else if (first == 0xf4)
            high = 0x8f;
    }
    for (size_t i = 1; i < need; i++) {
        *length = i;
        if (i == left)
            return UTF8_CUT;
        if (p[i] < low || p[i] > high)
            return UTF8_BAD;
        low = 0x80;
        high = 0xbf;
    }
    *length = need;
    return UTF8_GOOD;
}
