/* Where a session comes from, as the kernel tells it. The environment says much of that, too, and
 * anybody can write an environment: SSH_CONNECTION and its like are believed only below sshd. */
#ifndef CASTBUCKET_HOOKS_SHELL_ORIGIN_H
#define CASTBUCKET_HOOKS_SHELL_ORIGIN_H

#include <stdbool.h>
#include <sys/types.h>

/* So many relays above each other are a shell that starts itself (a script as `shell`, say). */
#define ORIGIN_MOST_NESTED 16

struct origin {
    bool sshd; /* the nearest process of root's above us is sshd, with no relay in between: what the
                  environment says of the connection is sshd's word */
    pid_t within; /* the nearest relay above us: this session runs in a recorded one. 0: none */
    int nested;   /* how many there are */
};

/* Looks at the processes above this one. `recorder`: the relays' real user. Where /proc hides them
 * (hidepid), nothing is known, and all members are zero. */
void origin_find(struct origin *origin, uid_t recorder);

#endif
