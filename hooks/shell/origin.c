#include "hooks/shell/origin.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOST_ANCESTORS 1000

struct process {
    char name[32];
    pid_t parent;
    uid_t user; /* real */
};

static bool look_at(pid_t pid, struct process *process)
{
    char path[48], text[1024];
    long parent;
    unsigned long user;
    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    /* The kernel escapes newlines in names, so that no process can write a line of its own. */
    const char *ppid = strstr(text, "\nPPid:"), *uid = strstr(text, "\nUid:");
    if (sscanf(text, "Name: %31[^\n]", process->name) != 1 || !ppid || !uid ||
        sscanf(ppid, "\nPPid: %ld", &parent) != 1 || sscanf(uid, "\nUid: %lu", &user) != 1)
        return false;
    process->parent = (pid_t)parent;
    process->user = (uid_t)user;
    return true;
}

void origin_find(struct origin *origin, uid_t recorder)
{
    struct process process;
    bool root = false;
    pid_t pid = getppid();
    *origin = (struct origin){0};
    for (int i = 0; i < MOST_ANCESTORS && pid > 0 && look_at(pid, &process); i++) {
        if (process.user == recorder) {
            origin->nested++;
            if (!origin->within)
                origin->within = pid;
        } else if (process.user == 0 && !root) {
            root = true;
            /* Since 9.8 a session's process is a program of its own. */
            origin->sshd = !origin->within && (strcmp(process.name, "sshd") == 0 ||
                                               strcmp(process.name, "sshd-session") == 0);
        }
        pid = process.parent;
    }
}
