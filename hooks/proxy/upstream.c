#include "hooks/proxy/upstream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks/proxy/connection.h"
#include "hooks/proxy/keys.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/tcp.h"

/* What is left for a step. Not 0, by which libssh means its own default. */
static int left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - connection_now_ms(), most = UPSTREAM_TIMEOUT * 1000;
    return left < 1 ? 1 : (int)(left < most ? left : most);
}

static int connect_one(const struct addrinfo *address, int64_t deadline_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        int failed = errno;
        socklen_t length = sizeof(failed);
        struct pollfd polled = {.fd = fd, .events = POLLOUT};
        if (failed == EINPROGRESS) {
            if (poll(&polled, 1, left_ms(deadline_ms)) <= 0)
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
static int connect_tcp(const struct address *to, int64_t deadline_ms, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int fd = -1, rc = getaddrinfo(to->host, to->port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    for (const struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = connect_one(one, deadline_ms);
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
                       int fd, int64_t deadline_ms)
{
    int left = left_ms(deadline_ms);
    long seconds = left / 1000, microseconds = left % 1000 * 1000L;
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
                   ssh_options_set(session, SSH_OPTIONS_TIMEOUT, &seconds) ||
                   ssh_options_set(session, SSH_OPTIONS_TIMEOUT_USEC, &microseconds) ||
                   ssh_options_set(session, SSH_OPTIONS_FD, &fd)
               ? -1
               : 0;
}

int upstream_load_identity(ssh_session session, const struct socket_config *socket, ssh_key *key,
                           char *reason, size_t size)
{
    *key = NULL;
    if (socket->identity_agent) {
        if (keys_agent_answers(socket->identity_agent) == 0 &&
            ssh_options_set(session, SSH_OPTIONS_IDENTITY_AGENT, socket->identity_agent) == SSH_OK)
            return 0;
        log_error("socket %s: identity_agent: %s: %m", socket->name, socket->identity_agent);
        snprintf(reason, size, "this proxy's agent for %s does not answer. Ask its operator.",
                 socket->name);
        return -1;
    }
    if (!socket->identity ||
        ssh_pki_import_privkey_file(socket->identity, NULL, NULL, NULL, key) == SSH_OK)
        return 0;
    log_error("socket %s: identity: cannot read %s", socket->name, socket->identity);
    snprintf(reason, size, "this proxy has no key for %s. Ask its operator.", socket->name);
    return -1;
}

int upstream_offer_identity(ssh_session session, const struct socket_config *socket, ssh_key key)
{
    return socket->identity_agent ? ssh_userauth_agent(session, NULL)
                                  : ssh_userauth_publickey(session, NULL, key);
}

void upstream_identity_refused(ssh_session session, const struct socket_config *socket,
                               char *reason, size_t size)
{
    bool agent = socket->identity_agent != NULL;
    if (agent)
        log_error("socket %s: %s accepts no key of identity_agent %s: %s", socket->name,
                  socket->upstream, socket->identity_agent, ssh_get_error(session));
    else
        log_error("socket %s: %s does not accept identity %s: %s", socket->name, socket->upstream,
                  socket->identity, ssh_get_error(session));
    snprintf(reason, size, "%s does not accept this proxy's key%s. Ask the operator.", socket->name,
             agent ? "s" : "");
}

int upstream_log_in(ssh_session session, const struct socket_config *socket, char *reason,
                    size_t size)
{
    ssh_key key = NULL;
    if (upstream_load_identity(session, socket, &key, reason, size) < 0)
        return -1;
    int rc = upstream_offer_identity(session, socket, key);
    ssh_key_free(key);
    if (rc != SSH_AUTH_SUCCESS) {
        upstream_identity_refused(session, socket, reason, size);
        return -1;
    }
    upstream_never_block(session);
    return 0;
}

void upstream_never_block(ssh_session session)
{
    ssh_set_blocking(session, 0);
    tcp_never_block(ssh_get_fd(session));
}

void upstream_close(ssh_session session)
{
    /* libssh leaves a descriptor that it was given to its giver. */
    int fd = ssh_get_fd(session);
    ssh_disconnect(session);
    ssh_free(session);
    if (fd >= 0)
        close(fd);
}

/* Whatever the far side wants to open or to know of us, we refuse. */
static int refuse_message(ssh_session session, ssh_message message, void *unused)
{
    (void)session;
    (void)message;
    (void)unused;
    return 1;
}

ssh_session upstream_connect(const struct socket_config *socket, const char *user,
                             int64_t deadline_ms, char *reason, size_t size)
{
    const char *why = "";
    char text[1024];
    ssh_session session = NULL;
    int fd = connect_tcp(&socket->address, deadline_ms, &why);
    if (fd < 0)
        goto unreachable;
    session = ssh_new();
    if (!session || set_options(session, socket, user, fd, deadline_ms) < 0) {
        why = "out of memory";
        goto unreachable;
    }
    ssh_set_message_callback(session, refuse_message, NULL);
    if (ssh_connect(session) != SSH_OK) {
        why = ssh_get_error(session);
        goto unreachable;
    }
    if (check_host_key(session, socket, reason, size) < 0)
        goto fail;
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
    if (fd >= 0)
        close(fd);
    return NULL;
}
