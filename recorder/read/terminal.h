/* The terminal that a replay is shown on: taken over, and given back as it was, whatever ends the
 * replay: its end, a key, an error, or a signal. One terminal a process; one thread. */
#ifndef CASTBUCKET_READ_TERMINAL_H
#define CASTBUCKET_READ_TERMINAL_H

#include <stdbool.h>

#include "recorder/base/error.h"

/* Turns off line editing, echo and output processing on `fd`, and installs handlers for SIGINT,
 * SIGTERM, SIGHUP, SIGQUIT (give the terminal back, then die of it) and SIGTSTP (give it back while
 * stopped). ERR_SYSTEM when `fd` is no terminal. */
__attribute__((warn_unused_result)) int terminal_enter(int fd, struct error *error);

/* Whether the replay is in the alternate screen now: terminal_leave() must leave that too. */
void terminal_note_alternate(bool active);

/* Gives the terminal back: its modes, colours, cursor, margins, screen; and the signals' former
 * handlers. Does nothing when it was not entered. */
void terminal_leave(void);

/* 0 by 0 when unknown. */
void terminal_size(int fd, unsigned *columns, unsigned *rows);

#endif
