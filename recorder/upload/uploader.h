/* The uploader: takes sealed recordings from the spool to their organizations' stores.
 *
 * One recording is: put the cast, put the manifest, remove the local copy. One that goes in parts
 * has an ID.upload meanwhile, which notes them and, at last, "confirmed". A pool of threads takes
 * recordings in turn from the organizations that have any (round robin: a busy or failing
 * organization never delays another); within one, newest and oldest alternate, so that a backlog
 * drains without starving today's. After ERR_RETRY an organization backs off (1 s doubling to 60 s,
 * with jitter); after ERR_DENIED or ERR_NOT_FOUND it is asked again each minute, and at once when
 * its settings change. A conflict, or a recording whose organization is not in the settings, waits
 * and is reported. Nothing is ever dropped. */
#ifndef CASTBUCKET_UPLOAD_UPLOADER_H
#define CASTBUCKET_UPLOAD_UPLOADER_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/buffer.h"
#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"

struct uploader;

struct uploader_options {
    unsigned threads; /* 0: 32 */
    bool once; /* each recording is tried until it succeeds or fails for good: no waiting for a
                  person; ERR_RETRY is tried a few times (about 10 s) and then left */
    /* Called on a pool thread when a recording is stored; `url` names its .cast.gz. NULL: none. */
    void (*on_stored)(void *context, const char *id, const char *url);
    void *context;
};

/* Starts the threads and takes what is in the spool. All arguments must outlive it. The spool must
 * be locked by the caller. */
__attribute__((warn_unused_result)) int
uploader_new(struct spool *spool, struct settings_watch *settings, const struct clock *clock,
             const struct uploader_options *options, struct uploader **uploader,
             struct error *error);

/* A recording has just been sealed. Any thread. */
void uploader_add(struct uploader *uploader, const char *id);

/* Waits until nothing more can be done now (everything stored, or waiting for a person or a
 * back-off in `once` mode), or until `milliseconds` have passed. Returns the number that wait. */
size_t uploader_wait(struct uploader *uploader, unsigned milliseconds);

/* Appends a JSON object: per organization how many wait, since when, the last error and its code.
 */
__attribute__((warn_unused_result)) int uploader_status(struct uploader *uploader,
                                                        struct buffer *out, struct error *error);

/* Calls `each` for every organization with something waiting, with its last error ("" if none). */
void uploader_waiting(struct uploader *uploader,
                      void (*each)(void *context, const char *organization, size_t count,
                                   const char *why),
                      void *context);

/* Lets uploads under way finish for up to `milliseconds`, cancels the rest (they resume later),
 * ends the threads and frees. NULL does nothing. */
void uploader_free(struct uploader *uploader, unsigned milliseconds);

#endif
