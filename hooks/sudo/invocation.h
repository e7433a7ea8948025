/* What sudo tells an I/O plugin of one invocation, as a recording plugin wants it.
 *
 * sudo passes lists of "name=value", ended by NULL; sudo_plugin(5) says which there are. What it
 * says of people and commands comes from the kernel and from its policy, and not from the
 * environment of who runs it, which is not looked at here. */
#ifndef CASTBUCKET_HOOKS_SUDO_INVOCATION_H
#define CASTBUCKET_HOOKS_SUDO_INVOCATION_H

#include "plugin/recording_plugin.h"

/* The words after the path in sudo.conf's Plugin line. Borrowed from sudo's list. */
struct sudo_options {
    const char *plugin;   /* plugin=FILE */
    const char *settings; /* settings=FILE; NULL: the plugin's default */
    const char *socket;   /* socket=NAME */
};

/* Returns 0, or -1 with one line in `error` that names the option. `words` may be NULL. */
int sudo_options_parse(struct sudo_options *options, char *const words[],
                       struct recording_error *error);

struct sudo_lists {
    char *const *settings, *const *user_info, *const *command_info; /* each may be NULL */
    int argc;
    char *const *argv;
};

/* The strings that are made for a session's info. */
struct invocation {
    struct recording_session_info info;
    char target_user[256], connection[256];
    char *command;
};

/* Fills in `info`, which borrows from `lists`. Returns 0, or -1 when out of memory. */
int invocation_describe(struct invocation *invocation, const struct sudo_lists *lists,
                        const char *socket);
void invocation_free(struct invocation *invocation);

#endif
