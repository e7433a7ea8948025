/* Inside recorder/service: what sealing.c and sealing_scarce.c share. */
#ifndef CASTBUCKET_SERVICE_SEALING_INTERNAL_H
#define CASTBUCKET_SERVICE_SEALING_INTERNAL_H

#include "recorder/base/id.h"
#include "recorder/seal/seal.h"
#include "recorder/service/sealing.h"

struct session {
    char id[ID_SIZE];
    struct sealer *sealer; /* NULL: not open */
    bool done;
    bool due;                       /* to be synced */
    bool ended;                     /* as far as is known */
    uint64_t left;                  /* of its journal, not sealed yet, as far as is known */
    bool no_space;                  /* is what it failed for */
    int64_t since, retry_at, delay; /* monotonic */
};

struct sealing {
    struct spool *spool;
    const struct clock *clock;
    struct sealing_options options;
    struct seal_worker *worker;
    struct session **sessions; /* in order of their ids */
    size_t count, capacity;
    size_t next;          /* where the next pass begins */
    struct error problem; /* the newest kind of failure; code 0: none */
    bool failed_in_pass;
    bool any_done;        /* sessions that are to be dropped */
    bool scarce;          /* there may be no more space than what journals leave us */
    uint64_t failed_with; /* so much space was left when there was too little */
};

/* sealing.c */

/* False: it cannot be opened now; it waits, is done, or went to quarantine. */
bool sealing_open_session(struct sealing *sealing, struct session *session);

/* About a chunk. True: there is more to do at once. */
bool sealing_run(struct sealing *sealing, struct session *session);

/* Later, and said once for each kind of trouble, not for each of 10,000 sessions. */
void sealing_postpone(struct sealing *sealing, struct session *session, const struct error *error);

/* sealing_scarce.c */

/* Whether there is less space than what journals leave to the recorder. */
bool sealing_is_scarce(const struct sealing *sealing);

/* A pass while it is so. True: there is more to do at once. */
bool sealing_pass_scarce(struct sealing *sealing, int64_t until);

/* Bytes that are left on the spool's disk, and how many of them are the reserve. */
uint64_t sealing_space(const struct sealing *sealing, uint64_t *reserve);

#endif
