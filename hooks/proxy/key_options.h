/* The options in front of a key in authorized_keys, as sshd(8) has them: what a key may not be used
 * for, from where, until when, and what it runs. Only reads text: no files, no sessions.
 *
 * Known are: restrict; [no-]port-forwarding, [no-]agent-forwarding, [no-]X11-forwarding, [no-]pty,
 * [no-]user-rc; from, expiry-time, permitopen, permitlisten, command. An option that is not among
 * them, is malformed, or is given twice (but permitopen and permitlisten) makes all of them
 * invalid: a limit that would not be kept must not be taken for one that is. As in sshd, "restrict"
 * holds for what stands before it, and what stands behind it gives rights back. */
#ifndef CASTBUCKET_PROXY_KEY_OPTIONS_H
#define CASTBUCKET_PROXY_KEY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Of one key. More is an error. */
#define KEY_OPTIONS_MAX_LENGTH ((size_t)16384) /* bytes of all options together */
#define KEY_OPTIONS_MAX_PERMITS 64             /* permitopen, and as many permitlisten */
#define KEY_OPTIONS_MAX_COMMAND 4096           /* bytes */
/* Of a reason: what was read is quoted in it, cut short. */
#define KEY_OPTIONS_REASON_SIZE 256

enum key_right {
    KEY_PORT_FORWARDING,
    KEY_AGENT_FORWARDING,
    KEY_X11_FORWARDING,
    KEY_PTY,
    KEY_USER_RC, /* which the proxy never runs */
    KEY_RIGHT_COUNT
};

/* All zero: a key without options. */
struct key_options {
    bool forbids[KEY_RIGHT_COUNT];
    bool expires;
    time_t expiry;       /* the last second that the key is good for */
    const char *from;    /* address_patterns.h; NULL: from anywhere */
    const char *command; /* NULL: what the person asks for */
    /* Lists for config_permits(). */
    const char *permit_open[KEY_OPTIONS_MAX_PERMITS];
    size_t permit_open_count;
    const char *permit_listen[KEY_OPTIONS_MAX_PERMITS];
    size_t permit_listen_count;
    char *text; /* what the strings above are in */
};

/* Returns 0, or -1 with `options` empty and one line about which option is wrong, and how. That is
 * not escaped. */
int key_options_parse(struct key_options *options, const char *text,
                      char reason[KEY_OPTIONS_REASON_SIZE]);

/* Whether somebody from `address` (numeric, without a port) may log in now. If not: why. */
bool key_options_admit(const struct key_options *options, const char *address, time_t now,
                       char reason[KEY_OPTIONS_REASON_SIZE]);

/* Frees what the struct holds, and empties it. */
void key_options_clear(struct key_options *options);

#endif
