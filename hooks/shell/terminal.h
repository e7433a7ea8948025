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

/* As it was before terminal_raw(). Does nothing without one. */
void terminal_restore(void);

#endif
