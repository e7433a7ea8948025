/* The parent: listens, starts a process for each connection and one for the recorder, and reaps. It
 * parses nothing that comes from the network. */
#ifndef CASTBUCKET_PROXY_LISTENER_H
#define CASTBUCKET_PROXY_LISTENER_H

#include "hooks/proxy/config.h"

/* Binds, prints each address as "listening on ADDRESS:PORT" to standard output, and serves until
 * SIGTERM or SIGINT: then connections are ended properly (their recordings are closed), after them
 * the recorder is given time to finish. `config_fd` is what children read. Returns the program's
 * exit code. */
int listener_run(const struct proxy_config *config, int config_fd);

#endif
