/* Uploading one recording, from its files in the spool to "nothing left". */
#ifndef CASTBUCKET_UPLOAD_UPLOAD_RECORDING_H
#define CASTBUCKET_UPLOAD_UPLOAD_RECORDING_H

#include <stddef.h>

#include "recorder/base/error.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"
#include "recorder/upload/shared_sync.h"
#include "recorder/upload/store_cache.h"

enum upload_outcome {
    UPLOAD_STORED,          /* both objects are confirmed; the local copy is gone or will be */
    UPLOAD_NOTHING,         /* nothing (more) to upload: it is gone, or not sealed yet */
    UPLOAD_STORE_FAILED,    /* the organization's storage is at fault: the others fail too */
    UPLOAD_RECORDING_WAITS, /* this one is at fault: a conflict, a key that cannot be, a file that
                              cannot be read */
    UPLOAD_DAMAGED,         /* its own files contradict one another: it belongs in quarantine */
    UPLOAD_CANCELLED,       /* the process is stopping */
};

/* Of the spool's directories, for all that upload from it at once. */
struct upload_syncs {
    struct shared_sync journals, sealed;
};

void upload_syncs_init(struct upload_syncs *syncs);
void upload_syncs_deinit(struct upload_syncs *syncs);

struct upload_job {
    struct spool *spool;
    struct upload_syncs *syncs;
    struct store_cache *stores;
    const struct settings *settings; /* for this job's whole length */
    const char *id;
    void (*on_stored)(void *context, const char *id, const char *url); /* or NULL */
    void *context;
};

/* `error` says why for all outcomes but the first two. */
enum upload_outcome upload_recording(const struct upload_job *job, struct error *error);

/* Whose recording it is: the manifest's organization, malloc'ed. ERR_NOT_FOUND: there is no
 * manifest. ERR_DAMAGED: the manifest cannot be read as one. */
__attribute__((warn_unused_result)) int upload_owner(const struct spool *spool, const char *id,
                                                     char **organization, struct error *error);

/* Removes what a recorder that was killed left of a confirmed recording; nothing otherwise. */
__attribute__((warn_unused_result)) int upload_finish(const struct spool *spool,
                                                      struct upload_syncs *syncs, const char *id,
                                                      struct error *error);

#endif
