#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/base/text.h"
#include "recorder/upload/uploader_internal.h"

void uploader_wait_on(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t nanoseconds)
{
    int64_t until = clock_monotonic_ns(&clock_system) + nanoseconds;
    const struct timespec when = {.tv_sec = until / NS_PER_SECOND,
                                  .tv_nsec = until % NS_PER_SECOND};
    pthread_cond_timedwait(condition, lock, &when);
}

bool uploader_busy(const struct uploader *uploader)
{
    for (unsigned i = 0; i < uploader->started; i++)
        if (uploader->threads[i].id[0])
            return true;
    return false;
}

/* Whether something is being done or could be done now. */
static bool can_go_on(const struct uploader *uploader)
{
    if (uploader->newcomers.count || uploader_busy(uploader))
        return true;
    int64_t now = clock_monotonic_ns(uploader->clock);
    for (size_t i = 0; i < uploader->schedule.count; i++) {
        const struct schedule_organization *organization = uploader->schedule.organizations[i];
        if (organization->given_up || !organization->ready.count)
            continue;
        /* With `once` a back-off ends in another attempt or in giving up: both are soon. */
        if (uploader->options.once || now >= organization->retry_at)
            return true;
    }
    return false;
}

static size_t count_waiting(const struct uploader *uploader)
{
    size_t count = uploader->newcomers.count;
    for (size_t i = 0; i < uploader->schedule.count; i++)
        count += schedule_waiting(uploader->schedule.organizations[i]);
    return count;
}

size_t uploader_wait(struct uploader *uploader, unsigned milliseconds)
{
    int64_t until = clock_monotonic_ns(&clock_system) + milliseconds * NS_PER_MS;
    pthread_mutex_lock(&uploader->lock);
    while (can_go_on(uploader)) {
        int64_t left = until - clock_monotonic_ns(&clock_system);
        if (left <= 0)
            break;
        uploader_wait_on(&uploader->idle, &uploader->lock, left);
    }
    size_t count = count_waiting(uploader);
    pthread_mutex_unlock(&uploader->lock);
    return count;
}

static json_t *describe(const struct schedule_organization *organization)
{
    json_t *json = json_pack("{s:I, s:I}", "waiting", (json_int_t)schedule_waiting(organization),
                             "uploading", (json_int_t)organization->in_flight);
    if (!json || !organization->error.code)
        return json;
    char since[TEXT_TIME_SIZE], text[sizeof(organization->error.text)];
    /* A sentence that was cut may end within a character, which JSON would refuse. */
    text_escape(text, sizeof(text), organization->error.text);
    text_time(since, organization->waiting_since_ns);
    if (json_object_set_new(json, "since", json_string(since)) ||
        json_object_set_new(json, "code", json_string(error_name(organization->error.code))) ||
        json_object_set_new(json, "error", json_string(text))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

int uploader_status(struct uploader *uploader, struct buffer *out, struct error *error)
{
    json_t *json = json_object();
    int rc = json ? 0 : ERR_NO_MEMORY;
    pthread_mutex_lock(&uploader->lock);
    for (size_t i = 0; i < uploader->schedule.count && !rc; i++) {
        const struct schedule_organization *organization = uploader->schedule.organizations[i];
        if (json_object_set_new(json, organization->name, describe(organization)))
            rc = ERR_NO_MEMORY;
    }
    pthread_mutex_unlock(&uploader->lock);
    char *text = rc ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    rc = text ? buffer_append_text(out, text) : ERR_NO_MEMORY;
    free(text);
    return rc ? error_set(error, rc, "no memory to describe the uploads") : 0;
}

/* A copy, so that `each` is called without the lock and may call us. */
struct waiting {
    char *organization;
    size_t count;
    struct error why;
};

void uploader_waiting(struct uploader *uploader,
                      void (*each)(void *context, const char *organization, size_t count,
                                   const char *why),
                      void *context)
{
    size_t count = 0;
    pthread_mutex_lock(&uploader->lock);
    const struct upload_schedule *schedule = &uploader->schedule;
    struct waiting *waiting = calloc(schedule->count + 1, sizeof(*waiting));
    for (size_t i = 0; i < schedule->count && waiting; i++) {
        const struct schedule_organization *organization = schedule->organizations[i];
        waiting[count].count = schedule_waiting(organization);
        if (!waiting[count].count)
            continue;
        waiting[count].organization = strdup(organization->name);
        waiting[count++].why = organization->error;
    }
    pthread_mutex_unlock(&uploader->lock);
    for (size_t i = 0; i < count; i++) {
        each(context, waiting[i].organization ? waiting[i].organization : "", waiting[i].count,
             waiting[i].why.text);
        free(waiting[i].organization);
    }
    free(waiting);
}
