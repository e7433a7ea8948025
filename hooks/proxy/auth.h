/* Logging in: by public key, as "USER:SOCKET". */
#ifndef CASTBUCKET_PROXY_AUTH_H
#define CASTBUCKET_PROXY_AUTH_H

#include <libssh/libssh.h>
#include <stdbool.h>

#include "hooks/proxy/authorized_keys.h"
#include "hooks/proxy/config.h"
#include "hooks/proxy/keys.h"

struct login {
    const struct proxy_config *config;
    const char *client_address; /* with its port */
    unsigned attempts;
    char tried[128]; /* the last name that was tried, escaped; "": none */
    /* Set by a key that was proven. */
    const struct socket_config *socket;
    char user[AUTHORIZED_KEYS_MAX_USER + 1];
    char fingerprint[KEYS_FINGERPRINT_SIZE];
    struct key_options options; /* as they were then; to be cleared */
};

enum login_result { LOGIN_GOES_ON, LOGIN_DONE, LOGIN_PROVEN, LOGIN_OVER };

/* Answers a message of the login; it stays the caller's. An unknown user, an unknown socket and a
 * wrong key all look alike. LOGIN_PROVEN: the key was, which has not been answered, for the socket
 * has interactive_login. LOGIN_OVER: enough was tried, or it is no login at all. */
enum login_result auth_message(struct login *login, ssh_session session, ssh_message message);

/* Whether a message of the login is for the same user and socket as the key that was proven. */
bool auth_is_same_name(const struct login *login, ssh_message message);

#endif
