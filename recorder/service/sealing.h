/* The sessions of a spool that are being sealed: found, followed, completed. One thread at a time.
 * Sessions share nothing with one another, so that more threads could each have a part of them. */
#ifndef CASTBUCKET_SERVICE_SEALING_H
#define CASTBUCKET_SERVICE_SEALING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/spool/spool.h"

struct sealing;

struct sealing_options {
    /* A recording is whole. */
    void (*on_complete)(void *context, const char *id);
    /* A session went to quarantine. */
    void (*on_quarantine)(void *context, const char *id, const char *reason);
    void *context;
    const atomic_bool *stop; /* a pass ends early when this becomes true */
};

/* All must outlive it. */
__attribute__((warn_unused_result)) int sealing_new(struct spool *spool, const struct clock *clock,
                                                    const struct sealing_options *options,
                                                    struct sealing **sealing, struct error *error);

/* Recordings completed from now on are signed with the key in this file; "": they are not. */
__attribute__((warn_unused_result)) int sealing_sign_with(struct sealing *sealing, const char *path,
                                                          struct error *error);

/* Begins to follow this journal, or all journals that are there. Known ones are left alone. */
__attribute__((warn_unused_result)) int sealing_add(struct sealing *sealing, const char *id);
__attribute__((warn_unused_result)) int sealing_scan(struct sealing *sealing, struct error *error);

/* Quarantines casts that have neither a manifest nor a journal: nothing could complete them. For
 * the start, before anything else works on the spool. */
__attribute__((warn_unused_result)) int sealing_orphans(struct sealing *sealing,
                                                        struct error *error);

/* One chunk for each session that has something due; no system call for the others. Stops when
 * `stop` is set or `until` (monotonic) has passed, and goes on from there the next time. True:
 * there is more to do at once. */
bool sealing_pass(struct sealing *sealing, int64_t until);

/* Sessions that wait after a failure are tried in the next pass: there may be space again. */
void sealing_retry(struct sealing *sealing);

/* Syncs what is due to be synced. */
void sealing_sync(struct sealing *sealing);

/* Whether what is left to do may be done slowly: it is little, all of live sessions, and there is
 * space. Sealing runs on the processors that they run on, and they pause sooner or later. */
bool sealing_may_rest(const struct sealing *sealing);

/* Sessions that are being followed: live, or not completed yet. */
size_t sealing_count(const struct sealing *sealing);

/* Why sessions cannot be sealed now; code 0: they can. */
const struct error *sealing_problem(const struct sealing *sealing);

/* What is not complete goes on with the next one. NULL does nothing. */
void sealing_free(struct sealing *sealing);

#endif
