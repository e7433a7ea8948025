/* Who may log in: a directory with a file per user, lines as in OpenSSH's authorized_keys
 * (sshd(8)).
 *
 * Of the options in front of a key, no-agent-forwarding, no-port-forwarding and no-X11-forwarding
 * are kept whatever the socket allows, and no-user-rc forbids what the proxy never does; a key with
 * any other option is refused, because its limit would not be kept. */
#ifndef CASTBUCKET_PROXY_AUTHORIZED_KEYS_H
#define CASTBUCKET_PROXY_AUTHORIZED_KEYS_H

#include <libssh/libssh.h>
#include <stdbool.h>

#define AUTHORIZED_KEYS_MAX_USER 64

/* 1 to 64 of letters, digits and . _ @ + -, not starting with a dot or a dash: a name that is
 * always a file name inside the directory. */
bool authorized_keys_valid_user(const char *user);

/* What a key must not be used for. */
struct key_limits {
    bool no_port_forwarding, no_agent_forwarding, no_x11_forwarding;
};

/* Whether `key` may log in as `user`, by the first line that lists it, and within which limits.
 * Anything that cannot be read is a no, and is logged. */
bool authorized_keys_allow(const char *directory, const char *user, ssh_key key,
                           struct key_limits *limits);

/* What one line says about a key. */
enum authorized_line {
    LINE_NOTHING, /* a comment, another key, or not a line that is understood */
    LINE_ALLOWS,
    LINE_REFUSES, /* this key, with an option we do not implement */
};

/* `limits` is only good with LINE_ALLOWS. */
enum authorized_line authorized_keys_line(char *line, ssh_key key, struct key_limits *limits);

#endif
