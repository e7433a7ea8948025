/* What a recording may do to the terminal of the person who replays it.
 *
 * A recording is output that somebody else's programs chose, perhaps on purpose. Replayed, it can
 * make a terminal answer (and the answer is typed into the auditor's shell), write the clipboard,
 * move and resize the window, remap keys, print, or fetch files. The filter lets through what draws
 * (text, colours, cursor, scrolling, margins, the alternate screen) and drops every other control:
 * what it does not know does not pass.
 *
 * Sequences: ECMA-48 (CSI, OSC, DCS and so on) and the xterm control sequences document,
 * https://invisible-island.net/xterm/ctlseqs/ctlseqs.html. C1 controls are accepted in their
 * two-byte UTF-8 form and come out in their 7-bit form. Input is UTF-8 (an event's text
 * is), and may be split anywhere. */
#ifndef CASTBUCKET_READ_TERMINAL_FILTER_H
#define CASTBUCKET_READ_TERMINAL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/buffer.h"

#define TERMINAL_FILTER_MAX_CSI 256     /* longest control sequence; a longer one is dropped */
#define TERMINAL_FILTER_MAX_STRING 4096 /* longest hyperlink, likewise */

struct terminal_filter {
    int state;                                 /* of the parser */
    bool c1_lead;                              /* the last byte was 0xc2 */
    bool too_long;                             /* the sequence is dropped at its end */
    size_t length;                             /* of: */
    char sequence[TERMINAL_FILTER_MAX_STRING]; /* what is gathered, after ESC [ or ESC ] */
    bool alternate_screen;                     /* the recording is in it now */
    unsigned long dropped;                     /* sequences that did not pass; not counted: those
                                                  that concern only what keys and mouse send */
};

#define TERMINAL_FILTER_INIT ((struct terminal_filter){0})

/* Appends to `out` what passes. */
__attribute__((warn_unused_result)) int terminal_filter(struct terminal_filter *filter,
                                                        const char *text, size_t length,
                                                        struct buffer *out);

#endif
