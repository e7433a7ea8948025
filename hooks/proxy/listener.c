#include "hooks/proxy/listener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/notify.h"

struct listener {
    const struct proxy_config *config;
    struct processes processes;
    struct listening listening[HANDOVER_MAX_LISTENING];
    size_t listening_count;
    int config_fd, signals;
    char program[4096]; /* the path of what runs, and of what may take its place */
    pid_t checking;     /* the check of a new configuration; 0: none */
    int checked_fd;     /* that configuration; -1: none */
    bool reload;        /* was asked for */
    int stops;          /* how often stopping was asked for */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void accept_one(struct processes *processes, int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        /* Out of descriptors or memory: the connection stays in the queue; do not spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_error("cannot accept a connection: %m");
            poll(NULL, 0, 100);
        }
        return;
    }
    processes_connect(processes, fd);
    close(fd);
}

/* The signals the parent acts on, as a descriptor. */
static int watch_signals(void)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &watched, NULL) < 0)
        return -1;
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signals(struct listener *listener)
{
    struct signalfd_siginfo one;
    while (read(listener->signals, &one, sizeof(one)) == sizeof(one)) {
        if (one.ssi_signo == SIGHUP)
            listener->reload = true;
        else if (one.ssi_signo != SIGCHLD)
            listener->stops++;
    }
    processes_reap(&listener->processes);
}

static void stay_as_it_is(struct listener *listener)
{
    log_error("%s: the new configuration is not used; the old one stays in force",
              listener->config->path);
    notify("READY=1\nSTATUS=The new configuration is not valid; the old one is in force");
    if (listener->checked_fd >= 0)
        close(listener->checked_fd);
    listener->checked_fd = -1;
}

/* Has the program that is installed now check the configuration. */
static void begin_reload(struct listener *listener)
{
    listener->reload = false;
    log_info("reloading");
    notify_reloading();
    listener->checked_fd = config_snapshot(listener->config->path);
    if (listener->checked_fd >= 0)
        listener->checking = child_start_program(
            CHILD_CHECK, listener->program, listener->config->path, listener->checked_fd, -1, -1);
    if (listener->checked_fd < 0 || listener->checking < 0) {
        listener->checking = 0;
        stay_as_it_is(listener);
    }
}

static void look_at_reload(struct listener *listener)
{
    int status;
    if (listener->checking > 0 &&
        waitpid(listener->checking, &status, WNOHANG) == listener->checking) {
        listener->checking = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            handover_exec(listener->program, listener->config->path, listener->checked_fd,
                          listener->listening, listener->listening_count, &listener->processes);
        stay_as_it_is(listener);
    }
    if (listener->reload && !listener->checking && !listener->stops)
        begin_reload(listener);
}

static void stop_listening(struct listener *listener)
{
    for (size_t i = 0; i < listener->listening_count; i++)
        close(listener->listening[i].fd);
    listener->listening_count = 0;
}

/* One round: waits for something to happen for at most so long, and deals with it. */
static int serve_once(struct listener *listener, struct pollfd *polled, int most_ms)
{
    struct processes *processes = &listener->processes;
    size_t listening = listener->listening_count;
    int timeout = processes_keep_recorder(processes);
    for (size_t i = 0; i < listening; i++)
        polled[i] = (struct pollfd){.fd = listener->listening[i].fd, .events = POLLIN};
    polled[listening] = (struct pollfd){.fd = listener->signals, .events = POLLIN};
    size_t waiting = processes_waiting(processes, &polled[listening + 1]);
    if (most_ms >= 0 && (timeout < 0 || timeout > most_ms))
        timeout = most_ms;
    if (poll(polled, listening + 1 + waiting, timeout) < 0 && errno != EINTR) {
        log_error("cannot wait for connections: %m");
        return -1;
    }
    processes_logged_in(processes, &polled[listening + 1], waiting);
    take_signals(listener);
    for (size_t i = 0; i < listening; i++)
        if (polled[i].revents & POLLIN)
            accept_one(processes, polled[i].fd);
    return 0;
}

/* Waits for what `done` asks about, reaping, for at most `milliseconds`. */
static void wait_for(struct listener *listener, int milliseconds,
                     int (*done)(const struct processes *))
{
    struct pollfd polled = {.fd = listener->signals, .events = POLLIN};
    for (int left = milliseconds; left > 0 && !done(&listener->processes); left -= 100) {
        poll(&polled, 1, 100);
        take_signals(listener);
    }
}

static void stop(struct listener *listener, struct pollfd *polled)
{
    struct processes *processes = &listener->processes;
    int drain_ms = listener->config->drain_time * 1000, stops = listener->stops;
    stop_listening(listener);
    log_info("stopping");
    notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
           (long long)drain_ms * 1000 +
               1000LL * (PROCESSES_CONNECTION_STOP_MS + PROCESSES_RECORDER_STOP_MS + 5000));
    /* A second request to stop ends the wait. */
    int64_t until = now_ms() + drain_ms;
    while (now_ms() < until && listener->stops == stops && !processes_no_connections(processes) &&
           serve_once(listener, polled, 100) == 0)
        notify_alive();
    processes_signal_connections(processes, SIGTERM);
    wait_for(listener, PROCESSES_CONNECTION_STOP_MS, processes_no_connections);
    processes_signal_connections(processes, SIGKILL);
    processes_stop_recorder(processes, SIGTERM);
    wait_for(listener, PROCESSES_RECORDER_STOP_MS, processes_no_recorder);
    processes_stop_recorder(processes, SIGKILL);
}

static int set_up(struct listener *listener, const struct handover *handover)
{
    ssize_t length = readlink("/proc/self/exe", listener->program, sizeof(listener->program) - 1);
    if (length <= 0) {
        log_error("cannot find the program itself: %m");
        return -1;
    }
    listener->program[length] = '\0';
    signal(SIGPIPE, SIG_IGN);
    listener->signals = watch_signals();
    if (listener->signals < 0) {
        log_error("cannot watch for signals: %m");
        return -1;
    }
    return sockets_open(listener->config, handover, listener->listening,
                        &listener->listening_count);
}

int listener_run(const struct proxy_config *config, int config_fd, const struct handover *handover)
{
    int result = 1;
    struct listener listener = {
        .config = config, .config_fd = config_fd, .signals = -1, .checked_fd = -1};
    processes_init(&listener.processes, config, config_fd);
    if (handover->config_fd >= 0)
        processes_take_over(&listener.processes, handover->recorder, handover->connections,
                            handover->connection_count);
    struct pollfd *polled = calloc(HANDOVER_MAX_LISTENING + 1 + processes_room(&listener.processes),
                                   sizeof(*polled));
    if (!polled || set_up(&listener, handover) < 0)
        goto out;
    notify("READY=1\nSTATUS=Listening on %zu sockets", listener.listening_count);
    int interval = notify_interval_ms();
    while (!listener.stops && serve_once(&listener, polled, interval) == 0) {
        look_at_reload(&listener);
        notify_alive();
    }
    result = listener.stops ? 0 : 1;
    stop(&listener, polled);
out:
    stop_listening(&listener);
    if (listener.signals >= 0)
        close(listener.signals);
    processes_free(&listener.processes);
    free(polled);
    return result;
}
