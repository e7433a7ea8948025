/* What the session was asked to run. */
#ifndef CASTBUCKET_HOOKS_SHELL_REQUEST_H
#define CASTBUCKET_HOOKS_SHELL_REQUEST_H

#include <stdbool.h>

#include "plugin/recording_plugin.h"

struct request {
    const char *run;      /* for a shell's -c; NULL: a login shell */
    const char *recorded; /* what the recording says of it; NULL: a shell */
    enum recording_kind kind;
    char *made; /* what is freed */
};

/* From -c's argument (NULL: not given) and SSH_ORIGINAL_COMMAND (NULL: not set). Where -c names
 * this program and no more, as sshd does for an account whose login shell it is and that
 * ForceCommand sends here, too, it counts as not given. False, having said why: *status is what to
 * exit with. */
bool request_take(struct request *request, const char *command, const char *original, int *status);

void request_free(struct request *request);

#endif
