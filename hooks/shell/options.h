/* castbucket-shell's command line. */
#ifndef CASTBUCKET_HOOKS_SHELL_OPTIONS_H
#define CASTBUCKET_HOOKS_SHELL_OPTIONS_H

#include <stdbool.h>

/* Exit statuses of castbucket-shell's own; any other is the command's (128 + n for signal n). */
#define EXIT_RECORDING_ENDED 124 /* ended, because it could not be recorded any further */
#define EXIT_NOT_STARTED 125 /* options, plugin or settings are wrong, or a system call failed */
#define EXIT_REFUSED 126     /* the plugin refused the session */
#define EXIT_NO_SHELL 127    /* the shell is not there or cannot be executed */

/* Strings point into argv. */
struct options {
    const char *settings; /* NULL: the plugin's default */
    const char *plugin;
    const char *socket;
    const char *command;   /* NULL: an interactive shell */
    const char *shell;     /* NULL: the user's */
    bool log_to_stderr;    /* else to syslog */
    bool end_left_running; /* of shell.conf only */
};

/* Completes them with the operator's file, where one is. Where the person could have given them,
 * `trusted_only`, they must say what the file says. False, having said why. */
struct configuration;
bool options_complete(struct options *options, const struct configuration *configuration,
                      bool trusted_only);

/* Returns true to go on. False: *status is what to exit with, and what there is to say was said
 * (--help, --version, a mistake). */
bool options_parse(int argc, char **argv, struct options *options, int *status);

#endif
