/* Time, passed in, so that tests can live through a day or an expired token in an instant. */
#ifndef CASTBUCKET_BASE_CLOCK_H
#define CASTBUCKET_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*wall_ns)(const struct clock *clock);      /* nanoseconds since 1970, UTC; may jump */
    int64_t (*monotonic_ns)(const struct clock *clock); /* never goes back; origin arbitrary */
};

/* The system's clocks. Safe from any thread. */
extern const struct clock clock_system;

static inline int64_t clock_wall_ns(const struct clock *clock)
{
    return clock->wall_ns(clock);
}

static inline int64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock);
}

/* The monotonic clock as it was at the kernel's last tick, 1 to 10 ms ago by how the kernel was
 * built: tells in a fifth of the time whether a tick has passed. */
int64_t clock_tick_ns(const struct clock *clock);

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

#endif
