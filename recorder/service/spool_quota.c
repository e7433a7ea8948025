#include "recorder/service/spool_quota.h"

#include "recorder/base/log.h"

#define INTERVAL (1 * NS_PER_SECOND)
/* Of the recorder's time, what measuring may take: with 100,000 files it is 0.1 s. */
#define PART_OF_TIME 50
/* What a session takes when it opens, and some: with less than this left none can. */
#define FOR_A_SESSION ((uint64_t)128 << 10)
#define NEARLY 80 /* percent */
#define BELOW 75

enum { ROOM, NEARLY_FULL, FULL };

static void tell(struct spool_quota *quota, const struct spool *spool, uint64_t used)
{
    int state = quota->percent >= NEARLY || (quota->told != ROOM && quota->percent >= BELOW)
                    ? NEARLY_FULL
                    : ROOM;
    if (used + FOR_A_SESSION > quota->bytes)
        state = FULL;
    if (state == FULL && quota->told != FULL)
        log_error("the spool %s has reached its quota of %llu bytes: new sessions are not recorded "
                  "until uploads make space; each socket's on_failure says what that means",
                  spool_path(spool), (unsigned long long)quota->bytes);
    else if (state > quota->told)
        log_warning("the spool %s takes %u %% of its quota of %llu bytes", spool_path(spool),
                    quota->percent, (unsigned long long)quota->bytes);
    else if (state < quota->told)
        log_info("the spool %s takes %u %% of its quota of %llu bytes again", spool_path(spool),
                 quota->percent, (unsigned long long)quota->bytes);
    quota->told = state;
}

void spool_quota_look(struct spool_quota *quota, const struct spool *spool,
                      const struct settings *settings, const struct clock *clock)
{
    const struct space_quota limit = settings_quota(settings);
    const struct space_used *page = spool_used(spool);
    struct space disk;
    int64_t begun = clock_monotonic_ns(clock);
    if (begun < quota->next)
        return;
    quota->bytes = 0;
    quota->next = begun + INTERVAL;
    if (!page || space_of(spool_root(spool), &disk, NULL))
        return;
    spool_measure(spool, 0);
    int64_t took = clock_monotonic_ns(clock) - begun;
    if (took * PART_OF_TIME > INTERVAL)
        quota->next = begun + took * PART_OF_TIME;
    uint64_t used = atomic_load(&page->bytes);
    quota->bytes = space_quota_bytes(&limit, &disk);
    quota->percent = quota->bytes ? (unsigned)(used / (quota->bytes / 100 + 1)) : 0;
    tell(quota, spool, used);
}
