/* The person's terminal: raw while the session runs, as it was on every way out. */
#ifndef CASTBUCKET_HOOKS_SHELL_TERMINAL_H
#define CASTBUCKET_HOOKS_SHELL_TERMINAL_H

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

/* Whether standard input and output are terminals; then *modes and *size are standard input's. */
bool terminal_get(struct termios *modes, struct winsize *size);

/* Standard input raw. Also after it was restored. */
void terminal_raw(const struct termios *modes);

/* From now on, until it is restored, no process but root's can open the person's terminal (or
 * whatever terminals are among the standard descriptors) by its name: it belongs to them, and what
 * is written to it directly would be shown unrecorded. Again after each terminal_raw(). */
void terminal_claim(void);

/* As it was before terminal_raw() and terminal_claim(). Does nothing without. */
void terminal_restore(void);

#endif
