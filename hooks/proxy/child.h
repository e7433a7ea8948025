/* The proxy's child processes: each is this program started afresh, with nothing of the parent's
 * memory and no descriptors but those named here. */
#ifndef CASTBUCKET_PROXY_CHILD_H
#define CASTBUCKET_PROXY_CHILD_H

#include <sys/types.h>

#include "hooks/proxy/config.h"

/* Where a child finds them. */
#define CHILD_CONFIG_FD 3 /* the configuration's bytes, as they were when they were checked */
#define CHILD_SOCKET_FD 4 /* connection: the person's socket */
#define CHILD_STATUS_FD 5 /* connection: a socket: see processes.c about the login */

enum child_kind { CHILD_CHECK, CHILD_RECORDER, CHILD_CONNECTION };

/* The command line option that makes the program that kind of child. */
const char *child_option(enum child_kind kind);

/* Starts one. `socket` and `status` are -1 for kinds that have none. All descriptors stay open in
 * the caller. Returns the process id, or -1 with errno. */
pid_t child_start(enum child_kind kind, const char *config_path, int config_fd, int socket,
                  int status);

/* The same, of another program: one that may take this one's place. */
pid_t child_start_program(enum child_kind kind, const char *program, const char *config_path,
                          int config_fd, int socket, int status);

/* Whether this process may become the configuration's user. Logs and returns -1 if not. */
int privileges_check(const struct proxy_config *config);

/* Becomes that user for good and gives up what a child does not need: other groups, capabilities,
 * gaining privileges by exec, core dumps, being traced (there are private keys in memory).
 * Returns 0, or -1 after it was logged; then the process must end. */
int privileges_drop(const struct proxy_config *config);

#endif
