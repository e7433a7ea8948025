#include "recorder/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t system_wall(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = {system_wall, system_monotonic};

int64_t clock_tick_ns(const struct clock *clock)
{
    return clock == &clock_system ? read_clock(CLOCK_MONOTONIC_COARSE) : clock->monotonic_ns(clock);
}
