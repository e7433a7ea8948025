#include "recorder/read/when.h"

#include <string.h>

#include "recorder/base/clock.h"
#include "recorder/base/text.h"

#define MAX_SECONDS INT64_C(3155760000) /* a hundred years: far from overflow, and enough */

static int64_t seconds_of(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 7 * 86400;
    default:
        return 0;
    }
}

bool when_parse(const char *text, int64_t now_ns, int64_t *unix_ns)
{
    if (strcmp(text, "now") == 0) {
        *unix_ns = now_ns;
        return true;
    }
    if (text_parse_time(text, unix_ns))
        return true;
    int64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (*p - '0');
        if (number > MAX_SECONDS)
            return false;
    }
    int64_t unit = p == text ? 0 : seconds_of(*p);
    if (!unit || p[1] || number > MAX_SECONDS / unit)
        return false;
    *unix_ns = now_ns - number * unit * NS_PER_SECOND;
    return true;
}
