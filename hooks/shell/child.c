#include "hooks/shell/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmp.h>

#include "hooks/shell/options.h"

const char *child_default_shell(void)
{
    struct stat shell, self;
    const struct passwd *user = getpwuid(getuid());
    const char *path = user && user->pw_shell && user->pw_shell[0] ? user->pw_shell : "/bin/sh";
    /* As somebody's login shell, this program must not start itself for ever. */
    if (stat(path, &shell) == 0 && stat("/proc/self/exe", &self) == 0 &&
        shell.st_dev == self.st_dev && shell.st_ino == self.st_ino)
        return "/bin/sh";
    return path;
}

int child_exec(const struct command *command)
{
    const char *slash = strrchr(command->shell, '/');
    const char *base = slash ? slash + 1 : command->shell;
    char login[256];
    /* sshd says what the password database says, which may be this program. */
    setenv("SHELL", command->shell, 1);
    sigprocmask(SIG_SETMASK, &command->mask, NULL);
    sigaction(SIGPIPE, &command->pipe, NULL);
    if (command->text) {
        execl(command->shell, base, "-c", command->text, (char *)NULL);
    } else {
        snprintf(login, sizeof(login), "-%s", base);
        execl(command->shell, login, (char *)NULL);
    }
    fprintf(stderr, "castbucket-shell: cannot run the shell %s: %s\n", command->shell,
            strerror(errno));
    return EXIT_NO_SHELL;
}

/* What runs unrecorded must not go on when we are killed: with a terminal it would get a hang-up,
 * with pipes perhaps nothing at all. What it has started itself, it is on its own to end. */
static void die_with(pid_t host)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != host)
        _exit(EXIT_NOT_STARTED);
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int child_start_terminal(struct child *child, const struct command *command,
                         const struct termios *modes, const struct winsize *size)
{
    int master, slave;
    *child = (struct child){-1, -1, -1, -1};
    if (openpty(&master, &slave, NULL, modes, size))
        return -1;
    if (fcntl(master, F_SETFD, FD_CLOEXEC) || set_nonblocking(master))
        goto failed;
    pid_t host = getpid();
    child->pid = fork();
    if (child->pid < 0)
        goto failed;
    if (child->pid == 0) {
        die_with(host);
        close(master);
        if (login_tty(slave))
            _exit(EXIT_NOT_STARTED);
        _exit(child_exec(command));
    }
    close(slave);
    child->input = child->output = master;
    return 0;
failed:
    close(master);
    close(slave);
    return -1;
}

int child_start_pipes(struct child *child, const struct command *command)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}; /* of the child's descriptors 0, 1 and 2 */
    *child = (struct child){-1, -1, -1, -1};
    for (int i = 0; i < 3; i++) {
        int ours = i == 0;
        if (pipe2(pipes[i], O_CLOEXEC) || set_nonblocking(pipes[i][ours]))
            goto failed;
    }
    pid_t host = getpid();
    child->pid = fork();
    if (child->pid < 0)
        goto failed;
    if (child->pid == 0) {
        die_with(host);
        setsid();
        if (dup2(pipes[0][0], 0) < 0 || dup2(pipes[1][1], 1) < 0 || dup2(pipes[2][1], 2) < 0)
            _exit(EXIT_NOT_STARTED);
        _exit(child_exec(command));
    }
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    child->input = pipes[0][1];
    child->output = pipes[1][0];
    child->errors = pipes[2][0];
    return 0;
failed:
    for (int i = 0; i < 6; i++)
        if (pipes[i / 2][i % 2] >= 0)
            close(pipes[i / 2][i % 2]);
    return -1;
}

void child_signal(const struct child *child, int signal)
{
    /* Under a terminal, the job in front has a process group of its own. */
    pid_t front = child->errors < 0 && child->output >= 0 ? tcgetpgrp(child->output) : -1;
    if (front > 0 && front != child->pid)
        kill(-front, signal);
    /* Before the child has made its session there is no group of its number yet. */
    if (kill(-child->pid, signal))
        kill(child->pid, signal);
}
