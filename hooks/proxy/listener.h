/* The parent: listens, accepts, starts a process for each connection, and keeps the recorder alive.
 */
#ifndef CASTBUCKET_PROXY_LISTENER_H
#define CASTBUCKET_PROXY_LISTENER_H

#include "hooks/proxy/config.h"
#include "hooks/proxy/handover.h"

/* Runs until SIGTERM or SIGINT. `config_fd` is the configuration's snapshot, for children.
 * `handover`: what a program before, or the service manager, left. SIGHUP checks the configuration
 * with the program that is installed now, and executes that in this one's place. Returns an exit
 * code. */
int listener_run(const struct proxy_config *config, int config_fd, const struct handover *handover);

/* Of sockets.c: opens what the configuration says, by what was handed over as far as that fits.
 * Prints each address. Returns 0, or -1 after it was logged. */
int sockets_open(const struct proxy_config *config, const struct handover *handover,
                 struct listening *listening, size_t *count);

#endif
