/* Whose turn it is: organizations in a round, each with its queue, its back-off and its last error.
 * Knows nothing of files, threads or the network; the uploader's lock guards it. Times are
 * monotonic nanoseconds. */
#ifndef CASTBUCKET_UPLOAD_UPLOAD_SCHEDULE_H
#define CASTBUCKET_UPLOAD_UPLOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/base/sha256.h"
#include "recorder/settings/settings.h"
#include "recorder/upload/id_queue.h"
#include "recorder/upload/upload_recording.h"

#define SCHEDULE_FIRST_DELAY (1 * NS_PER_SECOND)
#define SCHEDULE_LONGEST_DELAY (60 * NS_PER_SECOND)
#define SCHEDULE_PERSON_DELAY (60 * NS_PER_SECOND) /* asks again: a person may have mended it */
/* Doubled each time that those aside come back while any recording still waits: what an outage hit
 * twice goes out soon after it, and a conflict is asked about every five minutes. */
#define SCHEDULE_ASIDE_FIRST (10 * NS_PER_SECOND)
#define SCHEDULE_ASIDE_LONGEST (300 * NS_PER_SECOND)
#define SCHEDULE_ONCE_ATTEMPTS 4 /* after 1, 2 and 4 s: about 10 s with the attempts themselves */

struct schedule_organization {
    char *name;
    struct id_queue ready;
    struct id_queue aside; /* conflicts and the like: each waits for a person, not the others */
    unsigned in_flight;
    bool proven;       /* the last attempt at its storage succeeded */
    bool newest_next;  /* newest and oldest alternate */
    bool given_up;     /* `once`: nothing more is tried */
    unsigned failures; /* of the storage, one after another */
    int64_t retry_at, aside_at;
    int64_t aside_delay;      /* the last one; 0: none yet */
    int64_t waiting_since_ns; /* wall clock; 0: nothing is wrong */
    struct error error;       /* the last one; code 0: none */
    /* Failed last. If another then succeeds, either the storage works again or this one is itself
     * at fault: it is accused, and steps aside when that happens to it a second time. */
    char suspect[ID_SIZE];
    struct id_queue accused;
    uint8_t settings[SHA256_SIZE];
};

struct upload_schedule {
    struct schedule_organization **organizations; /* in the order they came; never removed */
    size_t count, next;
    unsigned threads;
    unsigned probing; /* uploads under way to storages that are not proven */
    bool once;
};

/* Makes it if need be. NULL: no memory. */
struct schedule_organization *schedule_find(struct upload_schedule *schedule, const char *name);

/* Takes the next recording; it is in flight until schedule_done(). False: nothing can be done now;
 * *wake is when there may be (INT64_MAX: only when something changes). */
struct schedule_pick {
    struct schedule_organization *organization;
    char id[ID_SIZE];
    bool probing;
};
bool schedule_take(struct upload_schedule *schedule, int64_t now, struct schedule_pick *pick,
                   int64_t *wake);

/* What came of it. `wall_ns` is for waiting_since_ns. Returns whether the organization's state
 * changed in a way that a person wants to read in the log. */
bool schedule_done(struct upload_schedule *schedule, const struct schedule_pick *pick,
                   enum upload_outcome outcome, const struct error *error, int64_t now,
                   int64_t wall_ns);

/* Organizations whose storage settings are others now are asked at once. */
void schedule_settings(struct upload_schedule *schedule, const struct settings *settings);

/* Everything that is queued, aside or under way. */
size_t schedule_waiting(const struct schedule_organization *organization);

void schedule_free(struct upload_schedule *schedule);

#endif
