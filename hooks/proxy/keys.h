/* The files with keys that a configuration names. */
#ifndef CASTBUCKET_PROXY_KEYS_H
#define CASTBUCKET_PROXY_KEYS_H

#include <libssh/libssh.h>
#include <libssh/server.h>

#include "hooks/proxy/config.h"

/* Gives the host keys to `bind`. Done before privileges are dropped: nobody else need be able to
 * read them. Returns 0, or -1 after all that is wrong was logged. */
int keys_load_host(const struct proxy_config *config, ssh_bind bind);

/* Whether authorized_keys, and each socket's identity and known_hosts, are there and can be read by
 * this process. An agent that does not answer is only warned of: it may come later. Done with
 * dropped privileges. Returns 0, or -1 after all that is wrong was logged.
 */
int keys_check(const struct proxy_config *config);

/* Whether somebody accepts connections at an agent's socket. Returns 0, or -1 and errno. */
int keys_agent_answers(const char *path);

/* "SHA256:..." as OpenSSH writes it; "" when it cannot be made. */
#define KEYS_FINGERPRINT_SIZE 64
void keys_fingerprint(char fingerprint[KEYS_FINGERPRINT_SIZE], ssh_key key);

#endif
