/* The connection to the far side, and the login there with the socket's own identity. What goes
 * wrong is logged for the operator, and is a printable line in `reason` for the person. */
#ifndef CASTBUCKET_PROXY_UPSTREAM_H
#define CASTBUCKET_PROXY_UPSTREAM_H

#include <libssh/libssh.h>
#include <stddef.h>
#include <stdint.h>

#include "hooks/proxy/config.h"

/* Seconds for each step: connecting to one address, the key exchange, the login. */
#define UPSTREAM_TIMEOUT 15

/* Connects as `user` and checks the host key against the socket's known_hosts. Waits while it does,
 * but not past `deadline_ms` (connection_now_ms(); INT64_MAX: none). Returns a session in blocking
 * mode, or NULL. */
ssh_session upstream_connect(const struct socket_config *socket, const char *user,
                             int64_t deadline_ms, char *reason, size_t size);

/* Logs in with the socket's identity, and waits while it does. Returns 0, with the session in
 * non-blocking mode, or -1. */
int upstream_log_in(ssh_session session, const struct socket_config *socket, char *reason,
                    size_t size);

/* Its steps. The key is the caller's to free; NULL: an agent has it, or there is none. */
int upstream_load_identity(ssh_session session, const struct socket_config *socket, ssh_key *key,
                           char *reason, size_t size);

/* An agent's keys are offered in turn, till one is accepted. Returns libssh's SSH_AUTH_*; to be
 * called again with SSH_AUTH_AGAIN. */
int upstream_offer_identity(ssh_session session, const struct socket_config *socket, ssh_key key);

void upstream_identity_refused(ssh_session session, const struct socket_config *socket,
                               char *reason, size_t size);

void upstream_never_block(ssh_session session);

/* Disconnects, and frees the session. */
void upstream_close(ssh_session session);

#endif
