#include "hooks/proxy/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hooks/proxy/log.h"

extern char **environ;

const char *child_option(enum child_kind kind)
{
    static const char *const options[] = {"--check", "--recorder", "--connection"};
    return options[kind];
}

/* The service manager hears from the parent only. And a connection only writes journals: the
 * recorder's cloud credentials are none of its business. */
static void forget(enum child_kind kind)
{
    char **to = environ;
    for (char **from = environ; *from; from++)
        if (strncmp(*from, "NOTIFY_SOCKET=", 14) != 0 && strncmp(*from, "WATCHDOG_", 9) != 0 &&
            (kind != CHILD_CONNECTION || strncmp(*from, "AWS_", 4) != 0))
            *to++ = *from;
    *to = NULL;
}

/* Moves a descriptor above those that will be given out, so that none overwrites another. */
static int move_up(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

/* In the new process: arranges descriptors and signals, and becomes the program again. */
static void become(enum child_kind kind, const char *program, const char *config_path,
                   int config_fd, int socket, int status)
{
    const int wanted[] = {CHILD_CONFIG_FD, CHILD_SOCKET_FD, CHILD_STATUS_FD};
    int given[] = {move_up(config_fd), move_up(socket), move_up(status)};
    int empty = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return;
    for (size_t i = 0; i < 3; i++) {
        close(wanted[i]);
        if (given[i] >= 0 && dup2(given[i], wanted[i]) < 0)
            return;
    }
    close_range(CHILD_STATUS_FD + 1, ~0U, 0);
    forget(kind);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A Ctrl-C at the parent's terminal is the parent's to deal with. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    char *arguments[] = {strdup(PROGRAM), strdup(child_option(kind)), strdup("-f"),
                         strdup(config_path), NULL};
    execv(program, arguments);
}

/* The program that runs, whatever is at its place by now: parent and children always fit. */
pid_t child_start(enum child_kind kind, const char *config_path, int config_fd, int socket,
                  int status)
{
    return child_start_program(kind, "/proc/self/exe", config_path, config_fd, socket, status);
}

pid_t child_start_program(enum child_kind kind, const char *program, const char *config_path,
                          int config_fd, int socket, int status)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    /* A recorder goes with its parent, which may be killed before service_run() can see that. */
    if (kind == CHILD_RECORDER &&
        (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent))
        _exit(1);
    become(kind, program, config_path, config_fd, socket, status);
    log_error("cannot start %s: %m", child_option(kind));
    _exit(1);
}
