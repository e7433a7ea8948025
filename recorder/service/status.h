/* status.json in the spool: what the recorder is doing, and why what waits is waiting.
 *
 *     {"version": 1, "state": "running" | "stopped", "pid": n, "sessions": n, "updated": "...",
 *      "spool": {"quota_bytes": n, "used_percent": n},
 *      "sealing_error": "...", "settings_error": "...", "organizations": {...}}
 *
 * Errors are left out when there are none, and the spool when its size is not known. `sessions` are
 * live or not sealed yet. For "organizations" see uploader_status(). */
#ifndef CASTBUCKET_SERVICE_STATUS_H
#define CASTBUCKET_SERVICE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/buffer.h"
#include "recorder/base/clock.h"
#include "recorder/base/error.h"
#include "recorder/service/spool_quota.h"
#include "recorder/spool/spool.h"
#include "recorder/upload/uploader.h"

#define STATUS_FILE "status.json"

struct status {
    struct buffer written; /* without the time: what the file says */
    int failure;           /* of the last write, logged when it changes */
};

#define STATUS_INIT ((struct status){.written = BUFFER_INIT((size_t)16 << 20)})

struct status_facts {
    bool running;
    size_t sessions;
    const char *sealing_error, *settings_error; /* "" : none */
    const struct spool_quota *quota;
    struct uploader *uploader;
};

/* Writes the file if the facts changed. A failure is logged, once, and matters no further. */
void status_write(struct status *status, const struct spool *spool, const struct clock *clock,
                  const struct status_facts *facts);
void status_free(struct status *status);

#endif
