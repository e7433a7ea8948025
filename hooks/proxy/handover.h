/* The parent executes its program again, to read its configuration anew and to become a new
 * version: the process stays the same, so its children stay its own. What it needs to know of them
 * and of its descriptors goes with it in memory that both sides of the exec share.
 *
 * The text is lines, read by this version or a later one; lines of unknown words are skipped:
 *
 *     config FD
 *     listen FD ADDRESS            as configured; "activated": the service manager's
 *     recorder PID
 *     connection PID FD SOURCE USER    FD -1: logged in; USER "-": not yet known */
#ifndef CASTBUCKET_PROXY_HANDOVER_H
#define CASTBUCKET_PROXY_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "hooks/proxy/processes.h"

#define HANDOVER_MAX_LISTENING 64
#define HANDOVER_ACTIVATED "activated"

struct listening {
    int fd;
    char address[270]; /* as configured */
};

/* All that is handed over. */
struct handover {
    int config_fd; /* -1: there was no handover */
    struct listening listening[HANDOVER_MAX_LISTENING];
    size_t listening_count;
    pid_t recorder;
    struct connection_process *connections; /* the caller frees it */
    size_t connection_count;
};

/* Takes what a former program left, or what the service manager passes ($LISTEN_FDS), and removes
 * it from the environment. Returns 0, or -1 after it was logged. */
int handover_take(struct handover *handover);
void handover_free(struct handover *handover);

/* Executes `program` with the configuration `path`, whose checked bytes are `config_fd`. Returns
 * only when that fails, after it was logged; then nothing has changed. */
void handover_exec(const char *program, const char *path, int config_fd,
                   const struct listening *listening, size_t listening_count,
                   const struct processes *processes);

#endif
