#include "recorder/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Length of the well-formed UTF-8 sequence at `p`, or 0 (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (left >= 1 && p[0] < 0x80)
        return 1;
    if (left >= 2 && p[0] >= 0xc2 && p[0] <= 0xdf && (p[1] & 0xc0) == 0x80)
        return 2;
    if (left >= 3 && (p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
        if (p[0] == 0xe0 && p[1] < 0xa0)
            return 0;
        if (p[0] == 0xed && p[1] > 0x9f)
            return 0;
        return 3;
    }
    if (left >= 4 && p[0] >= 0xf0 && p[0] <= 0xf4 && (p[1] & 0xc0) == 0x80 &&
        (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80) {
        if (p[0] == 0xf0 && p[1] < 0x90)
            return 0;
        if (p[0] == 0xf4 && p[1] > 0x8f)
            return 0;
        return 4;
    }
    return 0;
}

/* Decodes the character at `p`, which is well-formed UTF-8. */
static size_t decode(const unsigned char *p, uint32_t *character)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    *character = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++)
        *character = *character << 6 | (p[i] & 0x3f);
    return length;
}

/* What a terminal acts on or hides: C1 controls (U+009B is a CSI), marks of direction, characters
 * without width. A hostile name could look like another one, or like another line. */
static bool deceives(uint32_t character)
{
    return (character >= 0x80 && character <= 0x9f) || character == 0xad || character == 0x61c ||
           (character >= 0x200b && character <= 0x200f) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
           (character >= 0xfff9 && character <= 0xfffb) ||
           (character >= 0xe0000 && character <= 0xe007f);
}

void text_escape(char *to, size_t size, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = strlen(text);
    size_t used = 0;
    if (size == 0)
        return;
    while (left) {
        char piece[16];
        uint32_t character;
        size_t take = utf8_length(p, left), length;
        if (take == 0 || *p < 0x20 || *p == 0x7f) {
            take = 1;
            if (*p == '\n')
                length = (size_t)snprintf(piece, sizeof(piece), "\\n");
            else if (*p == '\t')
                length = (size_t)snprintf(piece, sizeof(piece), "\\t");
            else
                length = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", *p);
        } else if (decode(p, &character), deceives(character)) {
            length = (size_t)snprintf(piece, sizeof(piece), "\\u{%" PRIx32 "}", character);
        } else {
            memcpy(piece, p, take);
            length = take;
        }
        if (used + length >= size)
            break;
        memcpy(to + used, piece, length);
        used += length;
        p += take;
        left -= take;
    }
    to[used] = '\0';
}

bool text_is_utf8(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    while (length) {
        size_t take = utf8_length(p, length);
        if (take == 0)
            return false;
        p += take;
        length -= take;
    }
    return true;
}

bool text_has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            return true;
    return false;
}

void text_hex(char *to, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < length; i++) {
        to[2 * i] = digits[p[i] >> 4];
        to[2 * i + 1] = digits[p[i] & 15];
    }
    to[2 * length] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_unhex(void *to, size_t length, const char *hex)
{
    unsigned char *p = to;
    if (strlen(hex) != 2 * length)
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

void text_time(char to[TEXT_TIME_SIZE], int64_t unix_ns)
{
    int64_t seconds = unix_ns / 1000000000, rest = unix_ns % 1000000000;
    if (rest < 0) {
        seconds--;
        rest += 1000000000;
    }
    time_t when = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        memcpy(to, "0000-00-00T00:00:00.000000Z", TEXT_TIME_SIZE);
        return;
    }
    char whole[64];
    snprintf(whole, sizeof(whole), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(rest / 1000));
    memcpy(to, whole, TEXT_TIME_SIZE - 1);
    to[TEXT_TIME_SIZE - 1] = '\0';
}

/* Whole years that 64 bits of nanoseconds since 1970 have room for, and some room to calculate. */
#define FIRST_YEAR 1700
#define LAST_YEAR 2240

/* Whether `text` starts as `shape` does, where 0 stands for any digit: sscanf's %2d would take
 * signs and spaces, too. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; shape++, text++)
        if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
            return false;
    return true;
}

bool text_parse_time(const char *text, int64_t *unix_ns)
{
    struct tm tm = {0};
    int used = 0;
    if (!has_shape(text, "0000-00-00") ||
        sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) != 3)
        return false;
    int64_t rest = 0, offset = 0;
    const char *p = text + used;
    if (*p) {
        if ((*p != 'T' && *p != 't' && *p != ' ') || !has_shape(p + 1, "00:00:00") ||
            sscanf(p + 1, "%2d:%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 3)
            return false;
        p += 1 + used;
        if (*p == '.') {
            int64_t scale = 100000000;
            for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
                rest += (*p - '0') * scale;
        }
        if (*p == 'Z' || *p == 'z') {
            p++;
        } else if (*p == '+' || *p == '-') {
            int hours, minutes;
            if (!has_shape(p + 1, "00:00") ||
                sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2)
                return false;
            offset = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
            p += 1 + used;
        } else {
            return false;
        }
    }
    if (*p || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_year < FIRST_YEAR ||
        tm.tm_year > LAST_YEAR)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *unix_ns = ((int64_t)timegm(&tm) - offset) * 1000000000 + rest;
    return true;
}
