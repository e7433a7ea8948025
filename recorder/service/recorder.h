/* The recorder: seals and uploads all that is in a spool. A thread of the plugin in a long-lived
 * host (plugin start), or the `castbucket recorder` service; one at a time per spool, by its lock.
 */
#ifndef CASTBUCKET_SERVICE_RECORDER_H
#define CASTBUCKET_SERVICE_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/clock.h"
#include "recorder/base/error.h"

struct recorder;

/* Starts the recorder's threads (signals blocked in them). If another process holds the spool's
 * lock, waits for it in the background and takes over when it is released. */
__attribute__((warn_unused_result)) int recorder_start(const char *settings_path,
                                                       const struct clock *clock,
                                                       struct recorder **recorder,
                                                       struct error *error);

/* Stops: gives what is under way `milliseconds`, ends the threads, frees. NULL does nothing. */
void recorder_stop(struct recorder *recorder, unsigned milliseconds);

/* `castbucket recorder --once`: seals and uploads what is there, calls on_stored for each stored
 * recording, and returns 0 only if nothing is left in the spool; else an error that names each
 * cause
 * (`on_waiting` is called once per organization, and for live sessions with organization "").
 * ERR_EXISTS when another recorder is at work. */
struct recorder_once {
    void (*on_stored)(void *context, const char *id, const char *url);
    void (*on_waiting)(void *context, const char *organization, size_t count, const char *why);
    void *context;
};
__attribute__((warn_unused_result)) int recorder_once(const char *settings_path,
                                                      const struct clock *clock,
                                                      const struct recorder_once *report,
                                                      struct error *error);

/* The one symbol of castbucket-recorder.so, which the plugin loads in start(), so that hosts that
 * only journal never map HTTP and TLS. Both files are built and installed together; `version` is
 * compared before use. */
struct recorder_library {
    const char *version; /* CASTBUCKET_VERSION of the build */
    int (*start)(const char *settings_path, void (*log)(void *context, int level, const char *line),
                 void *log_context, struct recorder **recorder, struct error *error);
    void (*stop)(struct recorder *recorder, unsigned milliseconds);
};
#define RECORDER_LIBRARY_FILE "castbucket-recorder.so"
#define RECORDER_LIBRARY_SYMBOL "castbucket_recorder_library" /* const struct recorder_library */

#endif
