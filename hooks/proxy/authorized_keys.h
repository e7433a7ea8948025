/* Who may log in: a directory with a file per user, lines as in OpenSSH's authorized_keys
 * (sshd(8)).
 *
 * Of the options in front of a key, those that forbid what the proxy never allows
 * (no-agent-forwarding, no-port-forwarding, no-user-rc, no-X11-forwarding) are honoured by doing
 * nothing; a key with any other option is refused, because its limit would not be kept. */
#ifndef CASTBUCKET_PROXY_AUTHORIZED_KEYS_H
#define CASTBUCKET_PROXY_AUTHORIZED_KEYS_H

#include <libssh/libssh.h>
#include <stdbool.h>

#define AUTHORIZED_KEYS_MAX_USER 64

/* 1 to 64 of letters, digits and . _ @ + -, not starting with a dot or a dash: a name that is
 * always a file name inside the directory. */
bool authorized_keys_valid_user(const char *user);

/* Whether `key` may log in as `user`. Anything that cannot be read is a no, and is logged. */
bool authorized_keys_allow(const char *directory, const char *user, ssh_key key);

/* What one line says about a key. */
enum authorized_line {
    LINE_NOTHING, /* a comment, another key, or not a line that is understood */
    LINE_ALLOWS,
    LINE_REFUSES, /* this key, with an option we do not implement */
};

enum authorized_line authorized_keys_line(char *line, ssh_key key);

#endif
