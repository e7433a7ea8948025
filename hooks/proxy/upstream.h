/* The connection to the far side. */
#ifndef CASTBUCKET_PROXY_UPSTREAM_H
#define CASTBUCKET_PROXY_UPSTREAM_H

#include <libssh/libssh.h>
#include <stddef.h>

#include "hooks/proxy/config.h"

/* Seconds for each step: connecting to one address, the key exchange, the login. */
#define UPSTREAM_TIMEOUT 15

/* Connects, checks the host key against the socket's known_hosts, and logs in as `user` with the
 * socket's identity. Waits while it does. Returns a session in non-blocking mode, or NULL and a
 * printable line in `reason` for the person; the operator's side of it is logged. */
ssh_session upstream_connect(const struct socket_config *socket, const char *user, char *reason,
                             size_t size);

#endif
