#include "recorder/base/base64.h"

#include "recorder/base/error.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *put_group(char *to, const uint8_t group[3], size_t length)
{
    to[0] = digits[group[0] >> 2];
    to[1] = digits[(group[0] & 3) << 4 | group[1] >> 4];
    to[2] = length > 1 ? digits[(group[1] & 15) << 2 | group[2] >> 6] : '=';
    to[3] = length > 2 ? digits[group[2] & 63] : '=';
    return to + 4;
}

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
