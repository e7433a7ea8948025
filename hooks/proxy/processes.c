#include "hooks/proxy/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hooks/proxy/address.h"
#include "hooks/proxy/child.h"
#include "hooks/proxy/log.h"

/* A recorder that dies at once is started again after 1 s, then 2 s, up to a minute; one that ran
 * for a minute is forgiven. */
#define FIRST_DELAY_MS 1000
#define LONGEST_DELAY_MS 60000

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void processes_init(struct processes *processes, const struct proxy_config *config, int config_fd)
{
    *processes = (struct processes){
        .config = config,
        .config_fd = config_fd,
        .recorder_delay_ms = FIRST_DELAY_MS,
        .recorder_due_ms = now_ms(),
        .last_refusal_ms = now_ms() - 60000,
        .room = (size_t)config->max_connections,
        .connections = calloc((size_t)config->max_connections, sizeof(struct connection_process)),
    };
}

void processes_take_over(struct processes *processes, pid_t recorder,
                         const struct connection_process *connections, size_t count)
{
    /* There may be more of them than a new configuration allows. */
    if (count > processes->room) {
        struct connection_process *more = realloc(processes->connections, count * sizeof(*more));
        if (!more) {
            log_error("out of memory");
            count = processes->room;
        } else {
            processes->connections = more;
            processes->room = count;
        }
    }
    for (size_t i = 0; i < count; i++) {
        processes->connections[processes->connection_count++] = connections[i];
        processes->unauthenticated += connections[i].status >= 0;
    }
    processes->recorder = recorder;
    processes->recorder_started_ms = now_ms();
    processes_stop_recorder(processes, SIGTERM);
}

size_t processes_room(const struct processes *processes)
{
    return processes->room;
}

static void close_status(struct processes *processes, struct connection_process *one)
{
    if (one->status < 0)
        return;
    close(one->status);
    one->status = -1;
    processes->unauthenticated--;
}

void processes_free(struct processes *processes)
{
    for (size_t i = 0; i < processes->connection_count; i++)
        close_status(processes, &processes->connections[i]);
    free(processes->connections);
}

/* At most one line a second, however many knock. */
static void refuse(struct processes *processes, int socket, const char *why)
{
    int64_t now = now_ms();
    if (now - processes->last_refusal_ms >= 1000) {
        char from[ADDRESS_TEXT_SIZE];
        address_of_socket(from, socket, ADDRESS_PEER);
        log_warning("connection from %s refused: %s", from, why);
        processes->last_refusal_ms = now;
    }
}

static size_t unauthenticated_from(const struct processes *processes, const char *source)
{
    size_t count = 0;
    for (size_t i = 0; i < processes->connection_count; i++)
        count += processes->connections[i].status >= 0 &&
                 strcmp(processes->connections[i].source, source) == 0;
    return count;
}

void processes_connect(struct processes *processes, int socket)
{
    int status[2];
    struct connection_process one = {.pid = 0};
    address_of_socket(one.source, socket, ADDRESS_PEER);
    char *colon = strrchr(one.source, ':');
    if (colon)
        *colon = '\0';
    if (!processes->connections ||
        processes->connection_count >= (size_t)processes->config->max_connections) {
        refuse(processes, socket, "max_connections is reached");
        return;
    }
    if (processes->unauthenticated >= (size_t)processes->config->max_unauthenticated) {
        refuse(processes, socket, "max_unauthenticated is reached");
        return;
    }
    if (unauthenticated_from(processes, one.source) >=
        (size_t)processes->config->max_unauthenticated_per_source) {
        refuse(processes, socket, "max_unauthenticated_per_source is reached");
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, status) < 0) {
        refuse(processes, socket, strerror(errno));
        return;
    }
    pid_t pid = child_start(CHILD_CONNECTION, processes->config->path, processes->config_fd, socket,
                            status[1]);
    close(status[1]);
    if (pid < 0) {
        refuse(processes, socket, strerror(errno));
        close(status[0]);
        return;
    }
    one.pid = pid;
    one.status = status[0];
    processes->connections[processes->connection_count++] = one;
    processes->unauthenticated++;
}

int processes_keep_recorder(struct processes *processes)
{
    if (processes->recorder > 0)
        return -1;
    int64_t now = now_ms();
    if (now < processes->recorder_due_ms)
        return (int)(processes->recorder_due_ms - now);
    pid_t pid = child_start(CHILD_RECORDER, processes->config->path, processes->config_fd, -1, -1);
    if (pid < 0) {
        log_error("cannot start the recorder: %m");
        processes->recorder_due_ms = now + processes->recorder_delay_ms;
        return processes->recorder_delay_ms;
    }
    processes->recorder = pid;
    processes->recorder_started_ms = now;
    return -1;
}

size_t processes_waiting(const struct processes *processes, struct pollfd *polled)
{
    size_t count = 0;
    for (size_t i = 0; i < processes->connection_count; i++)
        if (processes->connections[i].status >= 0)
            polled[count++] = (struct pollfd){.fd = processes->connections[i].status,
                                              .events = POLLIN};
    return count;
}

/* Reads who logged in, counts, and answers: nothing to say, or why the person may not go on. */
static void answer_login(struct processes *processes, struct connection_process *one)
{
    char name[AUTHORIZED_KEYS_MAX_USER + 2], answer[160] = "\n";
    int most = processes->config->max_connections_per_user, count = 0;
    ssize_t length = recv(one->status, name, sizeof(name) - 1, 0);
    if (length <= 0)
        return;
    name[length] = '\0';
    name[strcspn(name, "\n")] = '\0';
    for (size_t i = 0; i < processes->connection_count; i++)
        count += strcmp(processes->connections[i].user, name) == 0;
    if (count >= most)
        snprintf(answer, sizeof(answer),
                 "you have %d connections already, and this proxy allows no more\n", count);
    else
        snprintf(one->user, sizeof(one->user), "%.*s", AUTHORIZED_KEYS_MAX_USER, name);
    /* A connection that does not wait for it is about to end. */
    (void)!send(one->status, answer, strlen(answer), MSG_NOSIGNAL);
}

void processes_logged_in(struct processes *processes, const struct pollfd *polled, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!polled[i].revents)
            continue;
        for (size_t k = 0; k < processes->connection_count; k++)
            if (processes->connections[k].status == polled[i].fd) {
                answer_login(processes, &processes->connections[k]);
                close_status(processes, &processes->connections[k]);
            }
    }
}

static void log_end(const char *what, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_error("%s %d was killed by signal %d (%s)", what, (int)pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        log_error("%s %d ended with code %d", what, (int)pid, WEXITSTATUS(status));
}

static void recorder_ended(struct processes *processes, int status)
{
    int64_t now = now_ms();
    log_end("recorder", processes->recorder, status);
    if (now - processes->recorder_started_ms > LONGEST_DELAY_MS)
        processes->recorder_delay_ms = FIRST_DELAY_MS;
    processes->recorder_due_ms = now + processes->recorder_delay_ms;
    processes->recorder_delay_ms = processes->recorder_delay_ms * 2 > LONGEST_DELAY_MS
                                       ? LONGEST_DELAY_MS
                                       : processes->recorder_delay_ms * 2;
    processes->recorder = 0;
}

void processes_reap(struct processes *processes)
{
    int status;
    /* Each by its own id: the program that started us may have left us children of its own. */
    if (processes->recorder > 0 &&
        waitpid(processes->recorder, &status, WNOHANG) == processes->recorder)
        recorder_ended(processes, status);
    for (size_t i = 0; i < processes->connection_count;) {
        struct connection_process *one = &processes->connections[i];
        if (waitpid(one->pid, &status, WNOHANG) != one->pid) {
            i++;
            continue;
        }
        log_end("connection", one->pid, status);
        close_status(processes, one);
        *one = processes->connections[--processes->connection_count];
    }
}

void processes_signal_connections(const struct processes *processes, int number)
{
    for (size_t i = 0; i < processes->connection_count; i++)
        kill(processes->connections[i].pid, number);
}

void processes_stop_recorder(const struct processes *processes, int number)
{
    if (processes->recorder > 0)
        kill(processes->recorder, number);
}

int processes_no_connections(const struct processes *processes)
{
    return processes->connection_count == 0;
}

int processes_no_recorder(const struct processes *processes)
{
    return processes->recorder == 0;
}
