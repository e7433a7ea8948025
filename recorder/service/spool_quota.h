/* The spool's quota, watched by the recorder: measures what is used, for hosts to go by, and tells
 * people before it is reached. One thread. */
#ifndef CASTBUCKET_SERVICE_SPOOL_QUOTA_H
#define CASTBUCKET_SERVICE_SPOOL_QUOTA_H

#include "recorder/base/clock.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"

struct spool_quota {
    int64_t next;     /* monotonic; when to measure again */
    int told;         /* how full it was when that was logged last */
    uint64_t bytes;   /* the quota; 0: neither this nor what follows is known */
    unsigned percent; /* of it that is used; may be more than 100 */
};

/* Measures, at most once a second, and less often where that takes long. */
void spool_quota_look(struct spool_quota *quota, const struct spool *spool,
                      const struct settings *settings, const struct clock *clock);

#endif
