/* What the plugin is told of a session: the account as the kernel knows it, the connection as sshd
 * says it, where it can be sshd that says so. */
#ifndef CASTBUCKET_HOOKS_SHELL_FACTS_H
#define CASTBUCKET_HOOKS_SHELL_FACTS_H

#include <sys/ioctl.h>

#include "hooks/shell/authentication.h"
#include "hooks/shell/request.h"
#include "plugin/recording_plugin.h"

#define FACTS_USER_SIZE 256

struct facts {
    struct recording_session_info info; /* points into the rest */
    struct authentication authentication;
    char user[FACTS_USER_SIZE], client[128], connection[256];
};

/* The account's name, or its number. */
void facts_user(char user[FACTS_USER_SIZE]);

/* `size`: of the person's terminal; NULL without one. Does not move afterwards. -1, having said
 * why, when sessions within sessions go too deep. */
int facts_gather(struct facts *facts, const char *socket, const struct request *request,
                 const struct winsize *size);

#endif
