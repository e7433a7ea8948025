/* Who may log in: a directory with a file per user, lines as in OpenSSH's authorized_keys
 * (sshd(8)).
 *
 * The first line that has a key decides about it. Its options (key_options.h) are kept whatever the
 * socket allows; a key whose options cannot be kept is refused. */
#ifndef CASTBUCKET_PROXY_AUTHORIZED_KEYS_H
#define CASTBUCKET_PROXY_AUTHORIZED_KEYS_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stddef.h>

#include "hooks/proxy/key_options.h"

#define AUTHORIZED_KEYS_MAX_USER 64

/* 1 to 64 of letters, digits and . _ @ + -, not starting with a dot or a dash: a name that is
 * always a file name inside the directory. */
bool authorized_keys_valid_user(const char *user);

/* Whether `key` may log in as `user` now and from `address` (numeric, without a port), by the first
 * line that lists it, and within which limits: `options` is to be cleared then, else it is empty.
 * Anything that cannot be read is a no, and is logged. */
bool authorized_keys_allow(const char *directory, const char *user, ssh_key key,
                           const char *address, struct key_options *options);

/* What one line says about a key. */
enum authorized_line {
    LINE_NOTHING, /* a comment, another key, or not a line that is understood */
    LINE_ALLOWS,
    LINE_REFUSES, /* this key; `reason` says what is wrong with its options, unescaped */
};

/* Changes the line. `options` is to be cleared with LINE_ALLOWS; else it is empty. A line that is
 * not understood but has this key in it refuses it: whoever wrote it may have meant a limit. */
enum authorized_line authorized_keys_line(char *line, ssh_key key, struct key_options *options,
                                          char reason[KEY_OPTIONS_REASON_SIZE]);

#endif
