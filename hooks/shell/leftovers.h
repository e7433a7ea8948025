/* What a session leaves behind: processes that made themselves independent of it (nohup, setsid,
 * two forks). The relay inherits them from their parents and so knows of them; what other services
 * start for the person (cron, at, systemd-run) never was of the session. */
#ifndef CASTBUCKET_HOOKS_SHELL_LEFTOVERS_H
#define CASTBUCKET_HOOKS_SHELL_LEFTOVERS_H

#include <stdbool.h>

#include "plugin/recording_plugin.h"

/* From now on orphans of this process's descendants become its children. */
void leftovers_inherit(void);

/* Adds a marker for each that is there, and with `end` kills them, theirs, and so on, and says so.
 */
void leftovers_mark(const struct recording_plugin *plugin, struct recording_session *session,
                    bool end);

#endif
