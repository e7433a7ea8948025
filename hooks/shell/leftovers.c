#include "hooks/shell/leftovers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_MARKERS 64 /* somebody may leave hundreds */
#define MOST_ROUNDS 200 /* of killing; what they forked meanwhile comes in the next one */
#define ROUND_NS 5000000

void leftovers_inherit(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static ssize_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static void mark(const struct recording_plugin *plugin, struct recording_session *session, long pid,
                 bool end)
{
    char path[48], name[64], label[128];
    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    if (read_text(path, name, sizeof(name)) <= 0)
        snprintf(name, sizeof(name), "unknown");
    name[strcspn(name, "\n")] = '\0';
    for (char *p = name; *p; p++) /* a process chooses its name */
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    snprintf(label, sizeof(label), "%s: process %ld, %s",
             end ? "ended with the session" : "left running", pid, name);
    plugin->marker(session, label);
}

/* As many of the children as one read of the list has. Returns how many; `session` NULL: no
 * markers. */
static int each(const struct recording_plugin *plugin, struct recording_session *session, bool end)
{
    char path[64], list[4096];
    long self = (long)getpid();
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", self, self);
    read_text(path, list, sizeof(list));
    char *space = strrchr(list, ' '); /* the last number may be cut off */
    if (!space)
        return 0;
    space[1] = '\0';
    for (char *p = list, *after; *p; p = after + strspn(after, " ")) {
        long pid = strtol(p, &after, 10);
        if (after == p || pid <= 1)
            break;
        if (count++ < MOST_MARKERS && session)
            mark(plugin, session, pid, end);
        if (end)
            kill((pid_t)pid, SIGKILL);
    }
    return count;
}

/* Takes the dead. Whether there are others. */
static bool any(void)
{
    pid_t pid;
    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0);
    return pid == 0;
}

void leftovers_mark(const struct recording_plugin *plugin, struct recording_session *session,
                    bool end)
{
    const struct timespec pause = {0, ROUND_NS};
    char label[96];
    if (!any())
        return;
    int count = each(plugin, session, end);
    for (int i = 0; end && i < MOST_ROUNDS && any(); i++) {
        nanosleep(&pause, NULL);
        each(plugin, NULL, true);
    }
    /* No list: a kernel without CONFIG_PROC_CHILDREN. Still there: a process of root's, by sudo. */
    if (!count || (end && any()))
        plugin->marker(session, "left running: processes that could not be listed or ended");
    else if (count > MOST_MARKERS) {
        snprintf(label, sizeof(label), "%d processes in all", count);
        plugin->marker(session, label);
    }
}
