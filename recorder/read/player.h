/* Replaying a recording in time. */
#ifndef CASTBUCKET_READ_PLAYER_H
#define CASTBUCKET_READ_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/clock.h"
#include "recorder/read/recording.h"

#define PLAYER_MIN_SPEED 0.01
#define PLAYER_MAX_SPEED 1000.0

struct player_options {
    double speed;          /* 1: as it was; from MIN to MAX_SPEED; 0: without waiting */
    int64_t idle_limit_ns; /* longest pause of the recording that is kept; 0: all are */
    bool unfiltered;       /* pass every control sequence (see terminal_filter.h) */
    int output;            /* descriptor the recording is written to */
    int keys;              /* descriptor to read keys from, or -1 */
    bool terminal;         /* output is a terminal that terminal_enter() took over */
    const struct clock *clock;
    /* Called with the header before anything is written. NULL: not wanted. Non-zero ends the
     * replay and is returned, with nothing in `error`. */
    int (*on_info)(void *context, const struct cast_info *info);
    void *context;
};

struct player_result {
    bool quit;             /* stopped by a key */
    bool ended;            /* an exit event was seen: */
    char status[32];       /* the exit status, as text */
    unsigned long dropped; /* control sequences not passed on, as struct terminal_filter counts */
};

/* Plays from the start to the end, or until `q`. Keys: space pauses and goes on, `.` steps while
 * paused, `+` and `-` double and halve the speed, right arrow skips 10 s, `q` quits.
 * ERR_DAMAGED: what could be read was shown. */
__attribute__((warn_unused_result)) int player_play(const struct recording_source *source,
                                                    const struct player_options *options,
                                                    struct player_result *result,
                                                    struct error *error);

#endif
