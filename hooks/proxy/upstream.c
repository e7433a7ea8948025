#include "hooks/proxy/upstream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/keys.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/tcp.h"

static int connect_one(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        int failed = errno;
        socklen_t length = sizeof(failed);
        struct pollfd polled = {.fd = fd, .events = POLLOUT};
        if (failed == EINPROGRESS) {
            if (poll(&polled, 1, UPSTREAM_TIMEOUT * 1000) <= 0)
                failed = ETIMEDOUT;
            else
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length);
        }
        if (failed) {
            close(fd);
            errno = failed;
            return -1;
        }
    }
    tcp_prepare(fd);
    return fd;
}

/* Tries each of the name's addresses. Returns a descriptor, or -1 and why. */
static int connect_tcp(const struct address *to, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int fd = -1, rc = getaddrinfo(to->host, to->port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    for (const struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = connect_one(one);
    *why = strerror(errno);
    freeaddrinfo(found);
    return fd;
}

/* Returns NULL when it is the key that is known, or what is wrong with it. */
static const char *host_key_problem(ssh_session session)
{
    switch (ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK:
        return NULL;
    case SSH_KNOWN_HOSTS_CHANGED:
        return "has changed";
    case SSH_KNOWN_HOSTS_OTHER:
        return "has changed to one of another type";
    case SSH_KNOWN_HOSTS_UNKNOWN:
    case SSH_KNOWN_HOSTS_NOT_FOUND:
        return "is not known";
    default:
        return "cannot be checked";
    }
}

static int check_host_key(ssh_session session, const struct socket_config *socket, char *reason,
                          size_t size)
{
    char fingerprint[KEYS_FINGERPRINT_SIZE] = "", text[1024];
    ssh_key key = NULL;
    const char *problem = host_key_problem(session);
    if (!problem)
        return 0;
    if (ssh_get_server_publickey(session, &key) == SSH_OK)
        keys_fingerprint(fingerprint, key);
    ssh_key_free(key);
    snprintf(text, sizeof(text),
             "the host key of %s (%s) %s: it offers %s. You were not connected: somebody may be "
             "in between. Ask the operator of this proxy to check the key.",
             socket->name, socket->upstream, problem, fingerprint);
    log_escape(reason, size, text);
    log_error("socket %s: the host key of %s %s: %s; if it is right, put it into %s", socket->name,
              socket->upstream, problem, fingerprint, socket->known_hosts);
    return -1;
}

static int set_options(ssh_session session, const struct socket_config *socket, const char *user,
                       int fd)
{
    long timeout = UPSTREAM_TIMEOUT;
    bool no = false;
    /* No file but those of the configuration decides anything: not the account's, not the host's.
     */
    return ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no) ||
                   ssh_options_set(session, SSH_OPTIONS_SSH_DIR, "/nonexistent") ||
                   ssh_options_set(session, SSH_OPTIONS_HOST, socket->address.host) ||
                   ssh_options_set(session, SSH_OPTIONS_PORT_STR, socket->address.port) ||
                   ssh_options_set(session, SSH_OPTIONS_USER, user) ||
                   ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, socket->known_hosts) ||
                   ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") ||
                   ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &timeout) ||
                   ssh_options_set(session, SSH_OPTIONS_FD, &fd)
               ? -1
               : 0;
}

/* Its keys are offered in turn, till one is accepted. */
static int log_in_by_agent(ssh_session session, const struct socket_config *socket, char *reason,
                           size_t size)
{
    if (keys_agent_answers(socket->identity_agent) < 0) {
        log_error("socket %s: identity_agent: %s: %m", socket->name, socket->identity_agent);
        snprintf(reason, size, "this proxy's agent for %s does not answer. Ask its operator.",
                 socket->name);
        return -1;
    }
    if (ssh_options_set(session, SSH_OPTIONS_IDENTITY_AGENT, socket->identity_agent) == SSH_OK &&
        ssh_userauth_agent(session, NULL) == SSH_AUTH_SUCCESS)
        return 0;
    log_error("socket %s: %s accepts no key of identity_agent %s: %s", socket->name,
              socket->upstream, socket->identity_agent, ssh_get_error(session));
    snprintf(reason, size, "%s does not accept this proxy's keys. Ask the operator.", socket->name);
    return -1;
}

static int log_in(ssh_session session, const struct socket_config *socket, char *reason,
                  size_t size)
{
    ssh_key identity = NULL;
    if (socket->identity_agent)
        return log_in_by_agent(session, socket, reason, size);
    if (ssh_pki_import_privkey_file(socket->identity, NULL, NULL, NULL, &identity) != SSH_OK) {
        log_error("socket %s: identity: cannot read %s", socket->name, socket->identity);
        snprintf(reason, size, "this proxy has no key for %s. Ask its operator.", socket->name);
        return -1;
    }
    int rc = ssh_userauth_publickey(session, NULL, identity);
    ssh_key_free(identity);
    if (rc == SSH_AUTH_SUCCESS)
        return 0;
    log_error("socket %s: %s does not accept identity %s: %s", socket->name, socket->upstream,
              socket->identity, ssh_get_error(session));
    snprintf(reason, size, "%s does not accept this proxy's key. Ask the operator.", socket->name);
    return -1;
}

/* Whatever the far side wants to open or to know of us, we refuse. */
static int refuse_message(ssh_session session, ssh_message message, void *unused)
{
    (void)session;
    (void)message;
    (void)unused;
    return 1;
}

ssh_session upstream_connect(const struct socket_config *socket, const char *user, char *reason,
                             size_t size)
{
    const char *why = "";
    char text[1024];
    ssh_session session = NULL;
    int fd = connect_tcp(&socket->address, &why);
    if (fd < 0)
        goto unreachable;
    session = ssh_new();
    if (!session || set_options(session, socket, user, fd) < 0) {
        why = "out of memory";
        goto unreachable;
    }
    ssh_set_message_callback(session, refuse_message, NULL);
    if (ssh_connect(session) != SSH_OK) {
        why = ssh_get_error(session);
        goto unreachable;
    }
    if (check_host_key(session, socket, reason, size) < 0 ||
        log_in(session, socket, reason, size) < 0)
        goto fail;
    ssh_set_blocking(session, 0);
    tcp_never_block(ssh_get_fd(session));
    return session;
unreachable:
    log_error("socket %s: cannot connect to %s: %s", socket->name, socket->upstream, why);
    snprintf(text, sizeof(text), "cannot connect to %s (%s): %s", socket->name, socket->upstream,
             why);
    log_escape(reason, size, text);
fail:
    if (session) {
        ssh_disconnect(session);
        ssh_free(session);
    }
    /* libssh leaves a descriptor that it was given to its giver. */
    if (fd >= 0)
        close(fd);
    return NULL;
}
