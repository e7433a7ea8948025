#include "recorder/cli/show.h"

#include <inttypes.h>
#include <stdio.h>

#include "recorder/base/clock.h"

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
