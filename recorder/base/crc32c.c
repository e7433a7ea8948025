#include "recorder/base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* 0x1edc6f41 with its bits reversed */

/* The instruction has a latency of three cycles and starts every cycle, so three stretches of
 * STRETCH bytes are taken side by side and their CRCs joined. 512: long enough that joining (a few
 * table reads) costs little, short enough that frames of 1.5 KiB gain already. */
#define STRETCH 512

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t slices[8][256];  /* slices[k][b]: byte b followed by k zero bytes */
static uint32_t shifted[4][256]; /* shifted[k][b]: b << 8k followed by STRETCH zero bytes */

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        slices[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++)
            slices[k][byte] = slices[k - 1][byte] >> 8 ^ slices[0][slices[k - 1][byte] & 255];

    /* A CRC register is linear in its bits: 32 of them make the other values. */
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = UINT32_C(1) << bit;
        for (int i = 0; i < STRETCH; i++)
            crc = crc >> 8 ^ slices[0][crc & 255];
        for (int byte = 0; byte < 256; byte++)
            if (byte >> bit % 8 & 1)
                shifted[bit / 8][byte] ^= crc;
    }
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const unsigned char *p = data;
    pthread_once(&once, make_tables);
    crc = ~crc;
    for (; length >= 8; length -= 8, p += 8) {
        uint32_t low = crc ^
                       (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = slices[7][low & 255] ^ slices[6][low >> 8 & 255] ^ slices[5][low >> 16 & 255] ^
              slices[4][low >> 24] ^ slices[3][p[4]] ^ slices[2][p[5]] ^ slices[1][p[6]] ^
              slices[0][p[7]];
    }
    for (; length; length--, p++)
        crc = crc >> 8 ^ slices[0][(crc ^ *p) & 255];
    return ~crc;
}

#ifdef __x86_64__

static uint32_t shift(uint32_t crc)
{
    return shifted[0][crc & 255] ^ shifted[1][crc >> 8 & 255] ^ shifted[2][crc >> 16 & 255] ^
           shifted[3][crc >> 24];
}

static uint64_t word_at(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t
with_instruction(uint32_t crc, const unsigned char *p, size_t length)
{
    uint64_t a = ~crc;
    if (length >= 3 * STRETCH)
        pthread_once(&once, make_tables);
    for (; length >= 3 * STRETCH; length -= 3 * STRETCH, p += 3 * STRETCH) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < STRETCH; i += 8) {
            a = __builtin_ia32_crc32di(a, word_at(p + i));
            b = __builtin_ia32_crc32di(b, word_at(p + STRETCH + i));
            c = __builtin_ia32_crc32di(c, word_at(p + 2 * STRETCH + i));
        }
        a = shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    for (; length >= 8; length -= 8, p += 8)
        a = __builtin_ia32_crc32di(a, word_at(p));
    crc = (uint32_t)a;
    if (length & 4) {
        uint32_t word;
        memcpy(&word, p, sizeof(word));
        crc = __builtin_ia32_crc32si(crc, word);
        p += 4;
    }
    if (length & 2) {
        uint16_t half;
        memcpy(&half, p, sizeof(half));
        crc = __builtin_ia32_crc32hi(crc, half);
        p += 2;
    }
    return ~(length & 1 ? __builtin_ia32_crc32qi(crc, *p) : crc);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    if (__builtin_cpu_supports("sse4.2"))
        return with_instruction(crc, data, length);
    return crc32c_portable(crc, data, length);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    return crc32c_portable(crc, data, length);
}

#endif
