#include "recorder/base/base64.h"

#include "recorder/base/error.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *put_group(char *to, const uint8_t group[3], size_t length)
{
    to[0] = digits[group[0] >> 2];
    to[1] = digits[(group[0] & 3) << 4 | group[1] >> 4];
    to[2] = length > 1 ? digits[(group[1] & 15) << 2 | group[2] >> 6] : '=';
    to[3] = length > 2 ? digits[group[2] & 63] : '=';
    return to + 4;
}

#ifdef __x86_64__

#define WIDE __attribute__((target("avx2")))
#define TAKEN 24 /* bytes at a time, which become 32 digits; 28 are read */
#define READ 28

/* After Mula and Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions" (2018). */
WIDE static __m256i digits_of(__m256i bytes)
{
    /* Each three bytes a, b, c into a word as b a c b; then its four parts of six bits apart. */
    const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0,
                                            2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    __m256i words = _mm256_shuffle_epi8(bytes, spread);
    __m256i first_third = _mm256_mulhi_epu16(_mm256_and_si256(words, _mm256_set1_epi32(0x0fc0fc00)),
                                             _mm256_set1_epi32(0x04000040));
    __m256i second_fourth = _mm256_mullo_epi16(
        _mm256_and_si256(words, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    __m256i values = _mm256_or_si256(first_third, second_fourth);
    /* What to add to a value is found by its range: 13 for 0-25, 0 for 26-51, then 1 to 12. */
    const __m256i add = _mm256_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                         '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62,
                                         '/' - 63, 'A', 0, 0, 'a' - 26, '0' - 52, '0' - 52,
                                         '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                         '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
    __m256i capital = _mm256_and_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(26), values),
                                       _mm256_set1_epi8(13));
    __m256i range = _mm256_or_si256(_mm256_subs_epu8(values, _mm256_set1_epi8(51)), capital);
    return _mm256_add_epi8(values, _mm256_shuffle_epi8(add, range));
}

/* As many times TAKEN bytes as can be. Returns how many bytes. */
WIDE static size_t encode_wide(char *to, const uint8_t *data, size_t length)
{
    size_t at = 0;
    for (; length - at >= READ; at += TAKEN, to += TAKEN / 3 * 4) {
        __m128i low = _mm_loadu_si128((const __m128i_u *)(data + at));
        __m128i high = _mm_loadu_si128((const __m128i_u *)(data + at + TAKEN / 2));
        _mm256_storeu_si256((__m256i_u *)to, digits_of(_mm256_set_m128i(high, low)));
    }
    return at;
}

static size_t encode_many(char *to, const uint8_t *data, size_t length)
{
    return length >= READ && __builtin_cpu_supports("avx2") ? encode_wide(to, data, length) : 0;
}

#else

static size_t encode_many(char *to, const uint8_t *data, size_t length)
{
    (void)to, (void)data, (void)length;
    return 0;
}

#endif

void base64_encode(char *to, const uint8_t *first, size_t first_length, const uint8_t *data,
                   size_t length)
{
    uint8_t group[3];
    size_t have = 0;
    for (size_t i = 0; i < first_length; i++) {
        group[have++] = first[i];
        if (have == 3) {
            to = put_group(to, group, 3);
            have = 0;
        }
    }
    for (; have && length; length--) {
        group[have++] = *data++;
        if (have == 3) {
            to = put_group(to, group, 3);
            have = 0;
        }
    }
    size_t many = encode_many(to, data, length);
    to += BASE64_SIZE(many);
    data += many;
    length -= many;
    for (; length >= 3; length -= 3, data += 3)
        to = put_group(to, data, 3);
    for (; length; length--)
        group[have++] = *data++;
    if (have) {
        for (size_t i = have; i < 3; i++)
            group[i] = 0;
        put_group(to, group, have);
    }
}

void base64_text(char *to, const void *data, size_t length)
{
    base64_encode(to, NULL, 0, data, length);
    to[BASE64_SIZE(length)] = '\0';
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    return -1;
}

int base64_decode(uint8_t *to, const char *text, size_t length, size_t *decoded)
{
    uint8_t *start = to;
    if (length % 4)
        return ERR_INVALID;
    for (size_t i = 0; i < length; i += 4) {
        int a = digit_value(text[i]), b = digit_value(text[i + 1]);
        int c = digit_value(text[i + 2]), d = digit_value(text[i + 3]);
        size_t bytes = 3;
        if (i + 4 == length && text[i + 3] == '=') {
            bytes = 2;
            d = 0;
            if (text[i + 2] == '=') {
                bytes = 1;
                c = 0;
            }
        }
        if (a < 0 || b < 0 || c < 0 || d < 0)
            return ERR_INVALID;
        unsigned group = (unsigned)(a << 18 | b << 12 | c << 6 | d);
        /* Bits that no byte uses must be zero, so that one text stands for one run of bytes. */
        if ((bytes == 1 && (group & 0xffff)) || (bytes == 2 && (group & 0xff)))
            return ERR_INVALID;
        *to++ = (uint8_t)(group >> 16);
        if (bytes > 1)
            *to++ = (uint8_t)(group >> 8);
        if (bytes > 2)
            *to++ = (uint8_t)group;
    }
    *decoded = (size_t)(to - start);
    return 0;
}
