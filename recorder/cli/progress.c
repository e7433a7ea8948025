#include "recorder/cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "recorder/base/clock.h"
#include "recorder/cli/show.h"

#define INTERVAL_NS (NS_PER_SECOND / 5)

struct progress progress_begin(void)
{
    return (struct progress){.wanted = isatty(STDERR_FILENO) != 0};
}

void progress_show(struct progress *progress, uint64_t done, uint64_t all)
{
    int64_t now = clock_monotonic_ns(&clock_system);
    if (!progress->wanted || now - progress->at_ns < INTERVAL_NS)
        return;
    char shown[SHOW_NUMBER_SIZE], whole[SHOW_NUMBER_SIZE] = "?";
    show_size(shown, done);
    if (all)
        show_size(whole, all);
    /* The first time is only noted: what is done at once needs no progress. */
    if (progress->at_ns) {
        fprintf(stderr, "\r%s of %s\x1b[K", shown, whole);
        progress->shown = true;
    }
    progress->at_ns = now;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r\x1b[K");
    progress->shown = false;
}
