/* Who does what in a session: the person being recorded must not be able to read, change, stop or
 * outlive the recording, and on an OpenSSH bastion everything that sshd starts runs as them.
 *
 * So castbucket-shell is installed set-user-ID and set-group-ID to an account of its own,
 * castbucket (never to root), and parts into two processes before anything of the person's runs:
 *
 *     relay    real and saved user castbucket, files as castbucket; effective user the person
 *     command  the person in every respect, forked from the relay, with a terminal or pipes of its
 * own
 *
 * - Signals and ptrace ask for the target's real and saved user, which are castbucket's: no process
 * of the person's can kill, stop, trace, or set limits for the relay. It is undumpable, so neither
 * can its memory be read nor its descriptors be opened anew through /proc. The effective user is
 * the person's for one thing: the relay may signal what the person runs.
 * - The spool belongs to castbucket, mode 0700. The journal is never open in a process of theirs.
 * - The death of the relay (by root, or for want of memory) hangs the terminal up and kills the
 * command.
 * - Nothing that it inherits is believed: environment, limits, descriptors, options.
 *
 * Why not a service that is handed the terminal by a socket: sshd ends a session when the process
 * ends that it started, so that process, and the command's parent, would still be the person's to
 * kill; the service would be one thing more that has to run, with all sessions lost when it is
 * restarted; and it would see the session's cgroup, audit identity and limits from outside. Why not
 * set-group-ID alone: the relay would be of the person's user and could be killed and stopped. What
 * set-user-ID costs: this program must mistrust what it is started with. A hole in it would give
 * castbucket's account away, as one in the service would; never root's.
 *
 * Without set-user-ID (a test, a single user who records themself) all of this does nothing, and
 * the recording is as safe as the person is honest. One process, one thread. */
#ifndef CASTBUCKET_HOOKS_SHELL_PRIVILEGES_H
#define CASTBUCKET_HOOKS_SHELL_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

/* First thing in main(): finds out which way it was started, and lets go of what was inherited
 * (descriptors, environment, timers, limits). -1, having said why, when it was installed
 * set-user-ID and that had no effect, or was installed for the wrong account, or limits are too
 * tight. */
int privileges_begin(void);

/* Whether relay and command are of different users. */
bool privileges_separate(void);

/* The account that recordings belong to. Only with privileges_separate(). */
uid_t privileges_recorder(void);

/* Whose rights count for files from now on: the recorder's unless said. */
void privileges_files_of_person(void);
void privileges_files_of_recorder(void);

/* In the relay, once the command's process is forked and before it is let go: out of the person's
 * reach, for good. -1 and errno on failure. */
__attribute__((warn_unused_result)) int privileges_protect(void);

/* In the process that becomes the command: the person in every respect, with their environment and
 * limits. -1 and errno on failure, and then nothing of theirs may run. */
__attribute__((warn_unused_result)) int privileges_become_person(void);

#endif
