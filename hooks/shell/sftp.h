/* SFTP as sshd asks a ForceCommand for it. */
#ifndef CASTBUCKET_HOOKS_SHELL_SFTP_H
#define CASTBUCKET_HOOKS_SHELL_SFTP_H

#include <stdbool.h>

/* Whether SSH_ORIGINAL_COMMAND is what sshd sets for `Subsystem sftp internal-sftp` (perhaps with
 * arguments). That server is within sshd and no program that could be run; sshd_config(5). NULL is
 * not. */
bool sftp_is_internal(const char *original);

/* A shell's command for the same: OpenSSH's sftp-server, with the same arguments, which it shares
 * with internal-sftp. malloc'ed. NULL, having said why, when there is none or no memory. */
char *sftp_command(const char *original);

#endif
