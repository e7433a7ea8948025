/* The operator's file for castbucket-shell, castbucket-shell.conf(5): what a login shell cannot be
 * told by options. Lines of `name = "value"`, `user "NAME" {` or `group "NAME" {` up to `}`, and
 * comments from # on. A value in the first block that fits a person goes before one outside of
 * blocks. */
#ifndef CASTBUCKET_HOOKS_SHELL_CONFIGURATION_H
#define CASTBUCKET_HOOKS_SHELL_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONFIGURATION_PATH "/etc/castbucket/shell.conf"
#define CONFIGURATION_MAX_FILE ((size_t)64 << 10)
#define CONFIGURATION_MAX_GROUPS 65536 /* as the kernel's NGROUPS_MAX */

/* Strings are NULL where the file says nothing, and live until configuration_free(). */
struct configuration {
    const char *plugin;
    const char *settings;
    const char *socket;
    const char *shell;
    bool end_left_running; /* left_running = "end" */
    char *text;
};

/* Reads `path` for `user`, and the groups that this process is in. Not there: an empty one and 0,
 * unless `trusted`, which also demands that nobody but root can write it. -1, having said file,
 * line and what is wrong. */
int configuration_read(struct configuration *configuration, const char *path, bool trusted,
                       const char *user);

void configuration_free(struct configuration *configuration);

#endif
