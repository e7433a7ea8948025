/* The parent's children: the recorder, kept alive, and the connections, counted and capped. */
#ifndef CASTBUCKET_PROXY_PROCESSES_H
#define CASTBUCKET_PROXY_PROCESSES_H

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#include "hooks/proxy/address.h"
#include "hooks/proxy/authorized_keys.h"
#include "hooks/proxy/config.h"

#define PROCESSES_CONNECTION_STOP_MS 10000
#define PROCESSES_RECORDER_STOP_MS 30000

struct connection_process {
    pid_t pid;
    int status;                     /* our end of a socket pair; -1 once the person has logged in */
    char source[ADDRESS_TEXT_SIZE]; /* address, without the port */
    char user[AUTHORIZED_KEYS_MAX_USER + 1]; /* "" before the login */
};

struct processes {
    const struct proxy_config *config;
    int config_fd;
    struct connection_process *connections;
    size_t connection_count, unauthenticated;
    size_t room;    /* of `connections` */
    pid_t recorder; /* 0: none is running */
    int64_t recorder_started_ms, recorder_due_ms;
    int recorder_delay_ms;
    int64_t last_refusal_ms; /* when a refused connection was last logged */
};

void processes_init(struct processes *processes, const struct proxy_config *config, int config_fd);

/* Takes over those of the program before: the recorder is asked to make room for a new one. */
void processes_take_over(struct processes *processes, pid_t recorder,
                         const struct connection_process *connections, size_t count);
void processes_free(struct processes *processes);

/* Starts a process for an accepted socket (which stays the caller's), or refuses it because there
 * are too many. */
void processes_connect(struct processes *processes, int socket);

/* Starts the recorder if it does not run and its time has come. Returns how many milliseconds to
 * wait at most before the next call; -1: no hurry. */
int processes_keep_recorder(struct processes *processes);

/* Fills in what to poll to learn of logins; at most processes_room(). */
size_t processes_waiting(const struct processes *processes, struct pollfd *polled);
size_t processes_room(const struct processes *processes);
void processes_logged_in(struct processes *processes, const struct pollfd *polled, size_t count);

/* Takes leave of those that ended, and logs those that ended badly. */
void processes_reap(struct processes *processes);

void processes_signal_connections(const struct processes *processes, int number);
void processes_stop_recorder(const struct processes *processes, int number);
int processes_no_connections(const struct processes *processes);
int processes_no_recorder(const struct processes *processes);

#endif
