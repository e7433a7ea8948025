/* libssh marks these accessors as deprecated in favour of callbacks; but callbacks must answer at
 * once, and requests that wait for the far side's answer need messages, for which libssh wants no
 * callbacks set. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include "hooks/proxy/auth.h"

#include <libssh/server.h>
#include <stdio.h>
#include <string.h>

#include "hooks/proxy/address.h"
#include "hooks/proxy/log.h"

/* Finds who and where "USER:SOCKET" means. The user's name is checked; the socket's is looked up.
 */
static const struct socket_config *split_name(struct login *login, const char *name)
{
    const char *colon = strchr(name, ':');
    if (!colon || (size_t)(colon - name) >= sizeof(login->user))
        return NULL;
    memcpy(login->user, name, (size_t)(colon - name));
    login->user[colon - name] = '\0';
    if (!authorized_keys_valid_user(login->user))
        return NULL;
    return config_socket(login->config, colon + 1);
}

static enum login_result try_key(struct login *login, ssh_message message)
{
    const char *name = ssh_message_auth_user(message);
    ssh_key key = ssh_message_auth_pubkey(message);
    enum ssh_publickey_state_e state = ssh_message_auth_publickey_state(message);
    struct key_options options = {0};
    if (!name || !key)
        goto refuse;
    log_escape(login->tried, sizeof(login->tried), name);
    const struct socket_config *socket = split_name(login, name);
    char address[ADDRESS_TEXT_SIZE];
    address_without_port(address, login->client_address);
    /* The keys are read for an unknown socket too, so that it takes as long as for a known one. */
    bool allowed = authorized_keys_allow(login->config->authorized_keys, login->user, key, address,
                                         &options);
    if (!allowed || !socket)
        goto refuse;
    if (state == SSH_PUBLICKEY_STATE_NONE) {
        key_options_clear(&options);
        ssh_message_auth_reply_pk_ok_simple(message);
        return LOGIN_GOES_ON;
    }
    if (state != SSH_PUBLICKEY_STATE_VALID)
        goto refuse;
    keys_fingerprint(login->fingerprint, key);
    login->socket = socket;
    login->options = options;
    if (socket->interactive_login)
        return LOGIN_PROVEN;
    return ssh_message_auth_reply_success(message, 0) == SSH_OK ? LOGIN_DONE : LOGIN_OVER;
refuse:
    key_options_clear(&options);
    ssh_message_reply_default(message);
    return ++login->attempts > (unsigned)login->config->max_auth_tries ? LOGIN_OVER : LOGIN_GOES_ON;
}

enum login_result auth_message(struct login *login, ssh_session session, ssh_message message)
{
    switch (ssh_message_type(message)) {
    case SSH_REQUEST_SERVICE:
        if (strcmp(ssh_message_service_service(message), "ssh-userauth") != 0)
            return LOGIN_OVER;
        return ssh_message_service_reply_success(message) == SSH_OK ? LOGIN_GOES_ON : LOGIN_OVER;
    case SSH_REQUEST_AUTH:
        ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
        if (ssh_message_subtype(message) == SSH_AUTH_METHOD_PUBLICKEY)
            return try_key(login, message);
        ssh_message_reply_default(message);
        return ++login->attempts > (unsigned)login->config->max_auth_tries ? LOGIN_OVER
                                                                           : LOGIN_GOES_ON;
    default:
        ssh_message_reply_default(message);
        return LOGIN_GOES_ON;
    }
}

bool auth_is_same_name(const struct login *login, ssh_message message)
{
    const char *name = ssh_message_auth_user(message);
    size_t length = strlen(login->user);
    return name && strncmp(name, login->user, length) == 0 && name[length] == ':' &&
           strcmp(name + length + 1, login->socket->name) == 0;
}
