#include "recorder/cli/show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/clock.h"
#include "recorder/base/text.h"

/* Decodes the character at `p`, which is well-formed UTF-8. */
static size_t decode(const unsigned char *p, uint32_t *character)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    *character = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++)
        *character = *character << 6 | (p[i] & 0x3f);
    return length;
}

static bool deceives(uint32_t character)
{
    return (character >= 0x80 && character <= 0x9f) || character == 0xad || character == 0x61c ||
           (character >= 0x200b && character <= 0x200f) ||
           (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2060 && character <= 0x206f) || character == 0xfeff ||
           (character >= 0xfff9 && character <= 0xfffb) ||
           (character >= 0xe0000 && character <= 0xe007f);
}

void show_text(char *to, size_t size, const char *text)
{
    char plain[SHOW_TEXT_SIZE];
    size_t used = 0;
    text_escape(plain, sizeof(plain), text);
    for (const unsigned char *p = (const unsigned char *)plain; *p;) {
        uint32_t character;
        char piece[16];
        size_t taken = decode(p, &character), length = taken;
        if (deceives(character))
            length = (size_t)snprintf(piece, sizeof(piece), "\\u{%" PRIx32 "}", character);
        else
            memcpy(piece, p, taken);
        if (used + length >= size)
            break;
        memcpy(to + used, piece, length);
        used += length;
        p += taken;
    }
    to[used] = '\0';
}

void show_size(char to[SHOW_NUMBER_SIZE], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(to, SHOW_NUMBER_SIZE, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.6 would be shown as 1024. */
    for (; value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    snprintf(to, SHOW_NUMBER_SIZE, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void show_duration(char to[SHOW_NUMBER_SIZE], int64_t ns)
{
    int64_t seconds = ns / NS_PER_SECOND, tenths = ns % NS_PER_SECOND / (NS_PER_SECOND / 10);
    if (seconds < 10)
        snprintf(to, SHOW_NUMBER_SIZE, "%" PRId64 ".%" PRId64 "s", seconds, tenths);
    else if (seconds < 60)
        snprintf(to, SHOW_NUMBER_SIZE, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(to, SHOW_NUMBER_SIZE, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    else
        snprintf(to, SHOW_NUMBER_SIZE, "%" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
}

size_t show_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
