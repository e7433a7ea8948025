#include "hooks/proxy/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/log.h"

#define VARIABLE "CASTBUCKET_PROXY_HANDOVER"
#define FIRST_ACTIVATED 3

static void keep_on_exec(int fd, bool keep)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void keep_all(int config_fd, const struct listening *listening, size_t listening_count,
                     const struct processes *processes, bool keep)
{
    keep_on_exec(config_fd, keep);
    for (size_t i = 0; i < listening_count; i++)
        keep_on_exec(listening[i].fd, keep);
    for (size_t i = 0; i < processes->connection_count; i++)
        keep_on_exec(processes->connections[i].status, keep);
}

void handover_exec(const char *program, const char *path, int config_fd,
                   const struct listening *listening, size_t listening_count,
                   const struct processes *processes)
{
    char number[16];
    int memory = memfd_create("castbucket-proxy handover", 0);
    FILE *file = memory < 0 ? NULL : fdopen(dup(memory), "w");
    if (!file)
        goto fail;
    fprintf(file, "config %d\n", config_fd);
    for (size_t i = 0; i < listening_count; i++)
        fprintf(file, "listen %d %s\n", listening[i].fd, listening[i].address);
    if (processes->recorder > 0)
        fprintf(file, "recorder %d\n", (int)processes->recorder);
    for (size_t i = 0; i < processes->connection_count; i++) {
        const struct connection_process *one = &processes->connections[i];
        fprintf(file, "connection %d %d %s %s\n", (int)one->pid, one->status,
                one->source[0] ? one->source : "-", one->user[0] ? one->user : "-");
    }
    if (fclose(file) != 0)
        goto fail;
    snprintf(number, sizeof(number), "%d", memory);
    if (setenv(VARIABLE, number, 1) < 0)
        goto fail;
    keep_all(config_fd, listening, listening_count, processes, true);
    char *arguments[] = {strdup(PROGRAM), strdup("-f"), strdup(path), NULL};
    execv(program, arguments);
    keep_all(config_fd, listening, listening_count, processes, false);
    unsetenv(VARIABLE);
fail:
    log_error("cannot execute %s again: %m", program);
    if (memory >= 0)
        close(memory);
}

static int take_line(struct handover *handover, const char *line)
{
    struct connection_process one = {.status = -1};
    char user[sizeof(one.user)];
    int fd, pid;
    if (sscanf(line, "config %d", &fd) == 1) {
        handover->config_fd = fd;
        keep_on_exec(fd, false);
    } else if (sscanf(line, "recorder %d", &pid) == 1) {
        handover->recorder = pid;
    } else if (sscanf(line, "connection %d %d %79s %64s", &pid, &fd, one.source, user) == 4) {
        struct connection_process *more = realloc(handover->connections,
                                                  (handover->connection_count + 1) * sizeof(*more));
        if (!more)
            return -1;
        handover->connections = more;
        one.pid = pid;
        one.status = fd;
        if (strcmp(user, "-") != 0)
            snprintf(one.user, sizeof(one.user), "%s", user);
        keep_on_exec(fd, false);
        more[handover->connection_count++] = one;
    } else if (handover->listening_count < HANDOVER_MAX_LISTENING) {
        struct listening *listening = &handover->listening[handover->listening_count];
        if (sscanf(line, "listen %d %269s", &listening->fd, listening->address) == 2) {
            keep_on_exec(listening->fd, false);
            handover->listening_count++;
        }
    }
    return 0;
}

static int take_former(struct handover *handover, int memory)
{
    char line[512];
    int result = 0;
    FILE *file = fdopen(memory, "r");
    if (!file)
        return -1;
    rewind(file);
    while (result == 0 && fgets(line, sizeof(line), file))
        result = take_line(handover, line);
    fclose(file);
    return handover->config_fd < 0 ? -1 : result;
}

static bool read_number(const char *text, long *number)
{
    char *end;
    errno = 0;
    *number = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

static bool is_listening(int fd)
{
    int family = option(fd, SO_DOMAIN);
    return (family == AF_INET || family == AF_INET6) && option(fd, SO_TYPE) == SOCK_STREAM &&
           option(fd, SO_ACCEPTCONN) == 1;
}

/* As sd_listen_fds(3) has it. A socket that cannot be used is an error: that it is not served would
 * be noticed late. */
static int take_activated(struct handover *handover)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    long pid, count;
    if (!pid_text || !count_text)
        return 0;
    if (!read_number(pid_text, &pid) || !read_number(count_text, &count)) {
        log_error("$LISTEN_PID and $LISTEN_FDS are '%.32s' and '%.32s', not two numbers", pid_text,
                  count_text);
        return -1;
    }
    if (pid != getpid())
        return 0; /* they are a parent's */
    if (count > HANDOVER_MAX_LISTENING) {
        log_error("%ld sockets are passed by $LISTEN_FDS, and at most %d can be listened at: have "
                  "fewer ListenStream= in the socket unit",
                  count, HANDOVER_MAX_LISTENING);
        return -1;
    }
    for (int fd = FIRST_ACTIVATED; fd < FIRST_ACTIVATED + count; fd++) {
        struct listening *one = &handover->listening[handover->listening_count++];
        if (!is_listening(fd)) {
            log_error("descriptor %d, passed by $LISTEN_FDS, is no listening TCP socket: the "
                      "socket unit needs ListenStream=PORT or ADDRESS:PORT, and Accept=no",
                      fd);
            return -1;
        }
        one->fd = fd;
        snprintf(one->address, sizeof(one->address), "%s", HANDOVER_ACTIVATED);
        keep_on_exec(fd, false);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return 0;
}

int handover_take(struct handover *handover)
{
    const char *former = getenv(VARIABLE);
    int result = 0;
    *handover = (struct handover){.config_fd = -1};
    if (!former)
        result = take_activated(handover);
    else if (take_former(handover, (int)strtol(former, NULL, 10)) < 0) {
        log_error("cannot take over from the program before: %m");
        result = -1;
    }
    unsetenv(VARIABLE);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return result;
}

void handover_free(struct handover *handover)
{
    free(handover->connections);
    handover->connections = NULL;
    handover->connection_count = 0;
}
