/* Carries bytes between the person and the child until the session is over, recording first. */
#ifndef CASTBUCKET_HOOKS_SHELL_RELAY_H
#define CASTBUCKET_HOOKS_SHELL_RELAY_H

#include <stdbool.h>
#include <termios.h>

#include "hooks/shell/child.h"
#include "plugin/recording_plugin.h"

/* How the session ended. */
struct relay_result {
    int status;           /* the child's, as waitpid() gives it */
    bool recording_ended; /* the plugin said RECORDING_END; the child was killed */
    bool lost;            /* the person's side went away */
};

/* Lets the child go first. `signals` is a signalfd with SIGCHLD, SIGWINCH, SIGTSTP, SIGCONT,
 * SIGHUP, SIGINT, SIGQUIT and SIGTERM, which are blocked. `modes`: the person's terminal's; NULL
 * without one. Takes the child's descriptors over. -1 and errno when it could not begin; the child
 * is killed then. */
int relay_run(const struct recording_plugin *plugin, struct recording_session *session,
              struct child *child, int signals, const struct termios *modes,
              struct relay_result *result);

#endif
