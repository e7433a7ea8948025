/* How far something is, on standard error while that is a terminal. */
#ifndef CASTBUCKET_CLI_PROGRESS_H
#define CASTBUCKET_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted, shown;
    int64_t at_ns; /* monotonic; when it was shown last */
};

struct progress progress_begin(void);

/* "12 MiB of 3 GiB", a few times a second; not for what is done at once. `all`: 0 is unknown. */
void progress_show(struct progress *progress, uint64_t done, uint64_t all);

/* Takes it away again, before other words. */
void progress_clear(struct progress *progress);

#endif
