#include "recorder/upload/upload_schedule.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "recorder/base/clock.h"
#include "recorder/upload/storage_fingerprint.h"

struct schedule_organization *schedule_find(struct upload_schedule *schedule, const char *name)
{
    for (size_t i = 0; i < schedule->count; i++)
        if (strcmp(schedule->organizations[i]->name, name) == 0)
            return schedule->organizations[i];
    struct schedule_organization **grown = reallocarray(schedule->organizations,
                                                        schedule->count + 1, sizeof(*grown));
    if (!grown)
        return NULL;
    schedule->organizations = grown;
    struct schedule_organization *organization = calloc(1, sizeof(*organization));
    if (organization)
        organization->name = strdup(name);
    if (!organization || !organization->name) {
        free(organization);
        return NULL;
    }
    grown[schedule->count++] = organization;
    return organization;
}

/* A storage that has not answered well gets one upload at a time, and all such storages together
 * not every thread: one that hangs holds up nobody else. */
static bool has_room(const struct upload_schedule *schedule,
                     const struct schedule_organization *organization)
{
    unsigned reserved = schedule->threads / 4;
    if (organization->proven)
        return organization->in_flight < (schedule->threads + 1) / 2;
    return organization->in_flight == 0 && schedule->probing < schedule->threads - reserved;
}

static void bring_back(struct schedule_organization *organization)
{
    while (organization->aside.count) {
        const char *id = id_queue_at(&organization->aside, 0);
        if (id_queue_add(&organization->ready, id))
            return;
        id_queue_remove(&organization->aside, id);
    }
}

static const char *choose(struct schedule_organization *organization)
{
    const struct id_queue *ready = &organization->ready;
    bool newest = organization->newest_next;
    const char *id = id_queue_at(ready, newest ? ready->count - 1 : 0);
    if (ready->count > 1 && strcmp(id, organization->suspect) == 0)
        id = id_queue_at(ready, newest ? 0 : ready->count - 1);
    organization->newest_next = !newest;
    return id;
}

bool schedule_take(struct upload_schedule *schedule, int64_t now, struct schedule_pick *pick,
                   int64_t *wake)
{
    *wake = INT64_MAX;
    for (size_t i = 0; i < schedule->count; i++) {
        size_t at = (schedule->next + i) % schedule->count;
        struct schedule_organization *organization = schedule->organizations[at];
        if (organization->given_up)
            continue;
        if (organization->aside.count && !schedule->once) {
            if (now >= organization->aside_at)
                bring_back(organization);
            else if (organization->aside_at < *wake)
                *wake = organization->aside_at;
        }
        if (!organization->ready.count)
            continue;
        if (now < organization->retry_at) {
            if (organization->retry_at < *wake)
                *wake = organization->retry_at;
            continue;
        }
        if (!has_room(schedule, organization))
            continue;
        memcpy(pick->id, choose(organization), ID_SIZE);
        id_queue_remove(&organization->ready, pick->id);
        pick->organization = organization;
        pick->probing = !organization->proven;
        organization->in_flight++;
        schedule->probing += pick->probing;
        schedule->next = at + 1;
        return true;
    }
    return false;
}

/* Between half and one and a half times the delay, so that many recorders do not come at once. */
static int64_t jitter(int64_t delay)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        return delay;
    return delay / 2 + (int64_t)((double)delay * random / UINT32_MAX);
}

static bool needs_a_person(int code)
{
    return code == ERR_DENIED || code == ERR_NOT_FOUND;
}

static void put_aside(struct schedule_organization *organization, const char *id, int64_t now)
{
    /* Counted from the first, or those that keep coming would keep it aside for ever. */
    if (!organization->aside.count) {
        int64_t delay = 2 * organization->aside_delay;
        delay = delay ? delay : SCHEDULE_ASIDE_FIRST;
        organization->aside_delay = delay < SCHEDULE_ASIDE_LONGEST ? delay : SCHEDULE_ASIDE_LONGEST;
        organization->aside_at = now + organization->aside_delay;
    }
    if (id_queue_add(&organization->aside, id) == 0)
        return;
    if (id_queue_add(&organization->ready, id)) {
        /* No memory for 37 bytes: the file is in the spool, and the next start finds it. */
    }
}

static bool remember_error(struct schedule_organization *organization, const struct error *error,
                           int64_t wall_ns)
{
    bool news = organization->error.code != error->code;
    organization->error = *error;
    if (!organization->waiting_since_ns)
        organization->waiting_since_ns = wall_ns;
    return news;
}

static bool storage_failed(struct upload_schedule *schedule, const struct schedule_pick *pick,
                           const struct error *error, int64_t now, int64_t wall_ns)
{
    struct schedule_organization *organization = pick->organization;
    const char *id = pick->id;
    bool begins = organization->failures == 0;
    memcpy(organization->suspect, id, ID_SIZE);
    /* Uploads that were under way together fail together: that is one failure. */
    if (organization->proven || pick->probing)
        organization->failures++;
    organization->proven = false;
    int64_t delay = SCHEDULE_PERSON_DELAY;
    if (!needs_a_person(error->code)) {
        delay = SCHEDULE_FIRST_DELAY;
        for (unsigned i = 1; i < organization->failures && delay < SCHEDULE_LONGEST_DELAY; i++)
            delay *= 2;
        if (delay > SCHEDULE_LONGEST_DELAY)
            delay = SCHEDULE_LONGEST_DELAY;
        delay = jitter(delay);
    }
    organization->retry_at = now + delay;
    if (schedule->once &&
        (needs_a_person(error->code) || organization->failures >= SCHEDULE_ONCE_ATTEMPTS))
        organization->given_up = true;
    if (id_queue_add(&organization->ready, id))
        put_aside(organization, id, now);
    return remember_error(organization, error, wall_ns) || begins;
}

static void judge_suspect(struct schedule_organization *organization, int64_t now)
{
    const char *id = organization->suspect;
    if (id[0] && id_queue_remove(&organization->ready, id)) {
        /* Without memory to accuse it, it is at fault at once. */
        bool again = id_queue_remove(&organization->accused, id) ||
                     id_queue_add(&organization->accused, id);
        if (again || id_queue_add(&organization->ready, id))
            put_aside(organization, id, now);
    }
    organization->suspect[0] = '\0';
}

static bool storage_works(struct schedule_organization *organization, int64_t now)
{
    bool news = organization->failures > 0;
    organization->proven = true;
    organization->failures = 0;
    organization->retry_at = 0;
    judge_suspect(organization, now);
    if (schedule_waiting(organization) == 0)
        organization->aside_delay = 0;
    return news;
}

bool schedule_done(struct upload_schedule *schedule, const struct schedule_pick *pick,
                   enum upload_outcome outcome, const struct error *error, int64_t now,
                   int64_t wall_ns)
{
    struct schedule_organization *organization = pick->organization;
    bool news = false;
    organization->in_flight--;
    schedule->probing -= pick->probing;
    if (outcome != UPLOAD_STORE_FAILED && outcome != UPLOAD_CANCELLED)
        id_queue_remove(&organization->accused, pick->id);
    switch (outcome) {
    case UPLOAD_STORED:
        news = storage_works(organization, now);
        break;
    case UPLOAD_STORE_FAILED:
        news = storage_failed(schedule, pick, error, now, wall_ns);
        break;
    case UPLOAD_RECORDING_WAITS:
        put_aside(organization, pick->id, now);
        news = remember_error(organization, error, wall_ns);
        break;
    case UPLOAD_CANCELLED:
        put_aside(organization, pick->id, now);
        break;
    case UPLOAD_NOTHING:
    case UPLOAD_DAMAGED:
        break;
    }
    if (!schedule_waiting(organization) ||
        (outcome == UPLOAD_STORED && !organization->aside.count)) {
        organization->error = ERROR_INIT;
        organization->waiting_since_ns = 0;
    }
    return news;
}

void schedule_settings(struct upload_schedule *schedule, const struct settings *settings)
{
    for (size_t i = 0; i < schedule->count; i++) {
        struct schedule_organization *organization = schedule->organizations[i];
        const struct organization_settings *now = settings_organization(settings,
                                                                        organization->name);
        uint8_t sum[SHA256_SIZE] = {0};
        if (now && storage_fingerprint(&now->storage, sum))
            continue;
        if (memcmp(sum, organization->settings, sizeof(sum)) == 0)
            continue;
        memcpy(organization->settings, sum, sizeof(sum));
        organization->retry_at = 0;
        organization->failures = 0;
        organization->suspect[0] = '\0';
        id_queue_free(&organization->accused);
        bring_back(organization);
    }
}

size_t schedule_waiting(const struct schedule_organization *organization)
{
    return organization->ready.count + organization->aside.count + organization->in_flight;
}

void schedule_free(struct upload_schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++) {
        id_queue_free(&schedule->organizations[i]->ready);
        id_queue_free(&schedule->organizations[i]->aside);
        id_queue_free(&schedule->organizations[i]->accused);
        free(schedule->organizations[i]->name);
        free(schedule->organizations[i]);
    }
    free(schedule->organizations);
    *schedule = (struct upload_schedule){0};
}
