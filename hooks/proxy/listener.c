#include "hooks/proxy/listener.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/address.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/processes.h"

static int bind_one(const struct proxy_config *config, const struct address *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int fd = -1, one = 1;
    int rc = getaddrinfo(address->host, address->port, &hints, &found);
    if (rc != 0) {
        log_error("%s: listen: %s: %s", config->path, address->host, gai_strerror(rc));
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto fail;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* So that "[::]" and "0.0.0.0" with one port can both be listened on. */
    if (found->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 128) < 0)
        goto fail;
    freeaddrinfo(found);
    return fd;
fail:
    log_error("%s: listen: cannot listen on %s port %s: %m", config->path, address->host,
              address->port);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return -1;
}

static int bind_all(const struct proxy_config *config, struct pollfd *polled)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        polled[i].events = POLLIN;
        polled[i].fd = bind_one(config, &config->listen[i]);
        if (polled[i].fd < 0)
            return -1;
        address_of_socket(text, polled[i].fd, ADDRESS_LOCAL);
        printf("listening on %s\n", text);
        log_info("listening on %s", text);
    }
    return fflush(stdout) == 0 ? 0 : -1;
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
    if (sigprocmask(SIG_BLOCK, &watched, NULL) < 0)
        return -1;
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Returns whether the parent has been asked to stop. */
static int take_signals(struct processes *processes, int fd)
{
    struct signalfd_siginfo one;
    int stop = 0;
    while (read(fd, &one, sizeof(one)) == sizeof(one))
        if (one.ssi_signo != SIGCHLD)
            stop = 1;
    processes_reap(processes);
    return stop;
}

/* Waits for what `done` asks about, reaping, for at most `milliseconds`. */
static void wait_for(struct processes *processes, int signals, int milliseconds,
                     int (*done)(const struct processes *))
{
    struct pollfd polled = {.fd = signals, .events = POLLIN};
    for (int left = milliseconds; left > 0 && !done(processes); left -= 100) {
        poll(&polled, 1, 100);
        take_signals(processes, signals);
    }
}

int listener_run(const struct proxy_config *config, int config_fd)
{
    int result = 1, stop = 0, signals = -1;
    size_t listening = config->listen_count;
    size_t room = listening + 1 + (size_t)config->max_unauthenticated;
    struct processes processes;
    struct pollfd *polled = calloc(room, sizeof(*polled));
    processes_init(&processes, config, config_fd);
    if (!polled)
        goto out;
    for (size_t i = 0; i < room; i++)
        polled[i].fd = -1;
    signal(SIGPIPE, SIG_IGN);
    signals = watch_signals();
    if (signals < 0) {
        log_error("cannot watch for signals: %m");
        goto out;
    }
    if (bind_all(config, polled) < 0)
        goto out;
    polled[listening] = (struct pollfd){.fd = signals, .events = POLLIN};

    while (!stop) {
        int timeout = processes_keep_recorder(&processes);
        size_t waiting = processes_waiting(&processes, &polled[listening + 1]);
        if (poll(polled, listening + 1 + waiting, timeout) < 0 && errno != EINTR) {
            log_error("cannot wait for connections: %m");
            break;
        }
        processes_logged_in(&processes, &polled[listening + 1], waiting);
        stop = take_signals(&processes, signals);
        for (size_t i = 0; i < listening; i++)
            if (polled[i].revents)
                accept_one(&processes, polled[i].fd);
    }
    result = stop ? 0 : 1;
    for (size_t i = 0; i < listening; i++) {
        close(polled[i].fd);
        polled[i].fd = -1;
    }
    log_info("stopping");
    processes_signal_connections(&processes, SIGTERM);
    wait_for(&processes, signals, PROCESSES_CONNECTION_STOP_MS, processes_no_connections);
    processes_signal_connections(&processes, SIGKILL);
    processes_stop_recorder(&processes, SIGTERM);
    wait_for(&processes, signals, PROCESSES_RECORDER_STOP_MS, processes_no_recorder);
    processes_stop_recorder(&processes, SIGKILL);
out:
    for (size_t i = 0; polled && i < listening; i++)
        if (polled[i].fd >= 0)
            close(polled[i].fd);
    if (signals >= 0)
        close(signals);
    processes_free(&processes);
    free(polled);
    return result;
}
