/* The command or shell that is recorded, in a session of its own, under a terminal or with pipes.
 */
#ifndef CASTBUCKET_HOOKS_SHELL_CHILD_H
#define CASTBUCKET_HOOKS_SHELL_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

struct child {
    pid_t pid; /* leads its session and its process group */
    int input; /* our ends, non-blocking; with a terminal `input` and `output` are its master */
    int output;
    int errors; /* -1 with a terminal */
    int gate;   /* closed: it will never run; -1: let go */
};

/* What to run, and the signal state to run it with (what we were started with). */
struct command {
    const char *shell;
    const char *text; /* NULL: a login shell */
    sigset_t mask;
    struct sigaction pipe; /* of SIGPIPE */
};

/* Whether running this file would run this program. */
bool child_is_ourselves(const char *path);

/* The user's shell; /bin/sh when that is unknown or is this program. */
const char *child_default_shell(void);

/* Becomes the command; returns only to fail, with the status to exit with, having said why. */
int child_exec(const struct command *command);

/* Starts a process for it under a new terminal like the given one, which waits to be let go. -1 and
 * errno on failure. */
int child_start_terminal(struct child *child, const struct command *command,
                         const struct termios *modes, const struct winsize *size);

/* The same with pipes. */
int child_start_pipes(struct child *child, const struct command *command);

/* It may run. -1 and errno on failure. */
int child_let_go(struct child *child);

/* It will not run: ends its process and closes our ends. */
void child_give_up(struct child *child);

/* Sends a signal to all that the child's session runs in front. */
void child_signal(const struct child *child, int signal);

#endif
