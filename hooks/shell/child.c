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
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "hooks/shell/options.h"
#include "hooks/shell/privileges.h"

bool child_is_ourselves(const char *path)
{
    struct stat shell, self;
    return stat(path, &shell) == 0 && stat("/proc/self/exe", &self) == 0 &&
           shell.st_dev == self.st_dev && shell.st_ino == self.st_ino;
}

const char *child_default_shell(void)
{
    const struct passwd *user = getpwuid(getuid());
    const char *path = user && user->pw_shell && user->pw_shell[0] ? user->pw_shell : "/bin/sh";
    /* As somebody's login shell, this program must not start itself for ever. */
    return child_is_ourselves(path) ? "/bin/sh" : path;
}

int child_exec(const struct command *command)
{
    const char *slash = strrchr(command->shell, '/');
    const char *base = slash ? slash + 1 : command->shell;
    char login[256];
    /* sshd says what the password database says, which may be this program. */
    setenv("SHELL", command->shell, 1);
    /* It is done; a session within this one is not asked for it again. */
    unsetenv("SSH_ORIGINAL_COMMAND");
    sigaction(SIGPIPE, &command->pipe, NULL);
    sigprocmask(SIG_SETMASK, &command->mask, NULL);
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

/* In the new process: nothing of the person's runs before the host is out of their reach.
 * die_with() comes second, because the kernel forgets it with a change of user. */
static void wait_at(int gate, pid_t host)
{
    char go;
    ssize_t got;
    if (privileges_become_person())
        _exit(EXIT_NOT_STARTED);
    die_with(host);
    do
        got = read(gate, &go, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(EXIT_NOT_STARTED);
}

void child_give_up(struct child *child)
{
    int fds[] = {child->gate, child->input, child->output, child->errors};
    if (fds[1] == fds[2])
        fds[1] = -1; /* a terminal's master */
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    waitpid(child->pid, NULL, 0);
    *child = (struct child){-1, -1, -1, -1, -1};
}

int child_let_go(struct child *child)
{
    ssize_t wrote = write(child->gate, "", 1);
    int number = errno;
    close(child->gate);
    child->gate = -1;
    errno = number;
    return wrote == 1 ? 0 : -1;
}

static void close_pair(const int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int child_start_terminal(struct child *child, const struct command *command,
                         const struct termios *modes, const struct winsize *size)
{
    int master, slave, gate[2] = {-1, -1};
    *child = (struct child){-1, -1, -1, -1, -1};
    privileges_files_of_person(); /* the terminal is theirs, as sshd's would be */
    int rc = openpty(&master, &slave, NULL, modes, size);
    privileges_files_of_recorder();
    if (rc)
        return -1;
    if (fcntl(master, F_SETFD, FD_CLOEXEC) || set_nonblocking(master) || pipe2(gate, O_CLOEXEC))
        goto failed;
    pid_t host = getpid();
    child->pid = fork();
    if (child->pid < 0)
        goto failed;
    if (child->pid == 0) {
        close(master);
        close(gate[1]);
        if (login_tty(slave))
            _exit(EXIT_NOT_STARTED);
        wait_at(gate[0], host);
        _exit(child_exec(command));
    }
    close(slave);
    close(gate[0]);
    child->input = child->output = master;
    child->gate = gate[1];
    return 0;
failed:
    close(master);
    close(slave);
    close_pair(gate);
    return -1;
}

/* Fewer and longer turns for the processes at its ends. The kernel may refuse it to a user who has
 * many pipes, which is no reason to fail. */
#define PIPE_SIZE (1 << 20)

int child_start_pipes(struct child *child, const struct command *command)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}; /* of the child's descriptors 0, 1 and 2 */
    int gate[2] = {-1, -1};
    *child = (struct child){-1, -1, -1, -1, -1};
    for (int i = 0; i < 3; i++) {
        int ours = i == 0;
        if (pipe2(pipes[i], O_CLOEXEC) || set_nonblocking(pipes[i][ours]))
            goto failed;
    }
    (void)fcntl(pipes[1][0], F_SETPIPE_SZ, PIPE_SIZE);
    if (pipe2(gate, O_CLOEXEC))
        goto failed;
    pid_t host = getpid();
    child->pid = fork();
    if (child->pid < 0)
        goto failed;
    if (child->pid == 0) {
        close(gate[1]);
        setsid();
        if (dup2(pipes[0][0], 0) < 0 || dup2(pipes[1][1], 1) < 0 || dup2(pipes[2][1], 2) < 0)
            _exit(EXIT_NOT_STARTED);
        wait_at(gate[0], host);
        _exit(child_exec(command));
    }
    close(gate[0]);
    child->gate = gate[1];
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    child->input = pipes[0][1];
    child->output = pipes[1][0];
    child->errors = pipes[2][0];
    return 0;
failed:
    for (int i = 0; i < 3; i++)
        close_pair(pipes[i]);
    close_pair(gate);
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
