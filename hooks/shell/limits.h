/* Resource limits. A person can give them to a process of theirs, sshd's included, and a
 * set-user-ID program inherits them: `ulimit -f 1` must end no recording. */
#ifndef CASTBUCKET_HOOKS_SHELL_LIMITS_H
#define CASTBUCKET_HOOKS_SHELL_LIMITS_H

/* Takes what the hard limits allow. -1, having said which, when one of them is too tight to record.
 */
int limits_widen(void);

/* As they were, for the command. */
void limits_restore(void);

#endif
