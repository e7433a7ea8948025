#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/service/recorder.h"
#include "recorder/service/sealing.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"
#include "recorder/upload/uploader.h"

/* One run, and what it leaves behind. */
struct once {
    const struct recorder_once *report;
    struct uploader *uploader;
    size_t left; /* recordings that are still in the spool */
    char causes[900];
};

static void on_complete(void *context, const char *id)
{
    const struct once *once = context;
    uploader_add(once->uploader, id);
}

static void on_quarantine(void *context, const char *id, const char *reason)
{
    (void)context, (void)id, (void)reason; /* counted at the end, with those of earlier runs */
}

static void add_cause(struct once *once, const char *organization, size_t count, const char *why)
{
    size_t used = strlen(once->causes);
    snprintf(once->causes + used, sizeof(once->causes) - used, "%s%s%s%s", used ? "; " : "",
             organization, organization[0] ? ": " : "", why);
    once->left += count;
    if (once->report->on_waiting)
        once->report->on_waiting(once->report->context, organization, count, why);
}

static void on_waiting(void *context, const char *organization, size_t count, const char *why)
{
    add_cause(context, organization, count, why[0] ? why : "not uploaded yet");
}

static int count_one(void *context, const char *id)
{
    (void)id;
    ++*(size_t *)context;
    return 0;
}

/* What the spool still has when all that can be done is done. */
static int take_stock(struct once *once, struct spool *spool, const struct sealing *sealing,
                      struct error *error)
{
    char why[1200];
    size_t live = sealing_count(sealing), quarantined = 0;
    uploader_waiting(once->uploader, on_waiting, once);
    if (live) {
        const struct error *problem = sealing_problem(sealing);
        snprintf(why, sizeof(why), "%zu session%s live or not sealed%s%s", live,
                 live == 1 ? " is" : "s are", problem->code ? ": " : "", problem->text);
        add_cause(once, "", live, why);
    }
    int rc = spool_each(spool, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX, count_one, &quarantined,
                        error);
    if (!rc && quarantined) {
        snprintf(why, sizeof(why), "%zu in quarantine: see %.900s/quarantine/*%s", quarantined,
                 spool_path(spool), SPOOL_REASON_SUFFIX);
        add_cause(once, "", quarantined, why);
    }
    if (!rc && once->left)
        rc = error_set(error, ERR_RETRY, "%zu recording%s still in the spool %s: %s", once->left,
                       once->left == 1 ? " is" : "s are", spool_path(spool), once->causes);
    return rc;
}

static int seal_and_upload(struct once *once, struct spool *spool, struct settings_watch *settings,
                           const struct clock *clock, struct error *error)
{
    const struct recorder_once *report = once->report;
    const struct uploader_options upload = {
        .once = true, .on_stored = report->on_stored, .context = report->context};
    const atomic_bool stop = false;
    const struct sealing_options options = {on_complete, on_quarantine, once, &stop};
    struct sealing *sealing = NULL;
    struct settings *now = settings_watch_get(settings, NULL);
    int rc = sealing_new(spool, clock, &options, &sealing, error);
    if (!rc)
        rc = sealing_sign_with(sealing, settings_signing_key(now), error);
    settings_unref(now);
    if (!rc)
        rc = sealing_orphans(sealing, error);
    if (!rc)
        rc = sealing_scan(sealing, error);
    if (!rc)
        rc = uploader_new(spool, settings, clock, &upload, &once->uploader, error);
    if (rc)
        goto out;
    size_t before;
    do {
        before = sealing_count(sealing);
        sealing_retry(sealing);
        while (sealing_pass(sealing, INT64_MAX))
            ;
        uploader_wait(once->uploader, UINT_MAX);
        /* On a full disk, what was uploaded has made space to seal more. */
    } while (sealing_problem(sealing)->code == ERR_NO_SPACE && sealing_count(sealing) < before);
    spool_measure(spool, 0);
    rc = take_stock(once, spool, sealing, error);
out:
    sealing_free(sealing);
    uploader_free(once->uploader, 0);
    return rc;
}

int recorder_once(const char *settings_path, const struct clock *clock,
                  const struct recorder_once *report, struct error *error)
{
    struct once once = {.report = report};
    struct settings_watch *watch = NULL;
    struct spool *spool = NULL;
    int rc = settings_watch_new(settings_path, &watch, error);
    if (rc)
        return rc;
    struct settings *settings = settings_watch_get(watch, NULL);
    rc = spool_open(settings_spool(settings), &spool, error);
    settings_unref(settings);
    if (!rc)
        rc = spool_lock(spool, error);
    if (!rc)
        rc = seal_and_upload(&once, spool, watch, clock, error);
    spool_free(spool);
    settings_watch_free(watch);
    return rc;
}
