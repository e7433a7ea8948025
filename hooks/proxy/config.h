/* The proxy's configuration file, read with libconfuse.
 *
 *     listen = "127.0.0.1:2222"             # or {"...", "[::]:2222"}; port 0: any free port
 *     host_key = "/etc/castbucket/host_ed25519"        # or a list; one of each type
 *     authorized_keys = "/etc/castbucket/authorized_keys.d"  # a file per user, OpenSSH's format
 *     recording_plugin = "/usr/lib/castbucket/castbucket.so"
 *     recording_settings = "/etc/castbucket/settings.json"   # default: the plugin's own
 *     user = "castbucket"                   # who carries connections, when started as root
 *     login_grace_time = 60                 # seconds to log in
 *     max_auth_tries = 20                   # keys that a person may offer
 *     max_unauthenticated = 32              # connections that have not logged in yet
 *     max_unauthenticated_per_source = 16   # of these, from one address
 *     max_connections = 512
 *     max_connections_per_user = 64
 *     max_channels = 64                     # of one connection: sessions and forwardings
 *     keepalive_interval = 30               # seconds of silence before a peer is asked; 0: never
 *     keepalive_count = 4                   # so many times the interval, then it is given up
 *     drain_time = 0                        # seconds that sessions may go on after SIGTERM
 *     log_format = "text"                   # or "json"
 *     socket "web-1" {
 *         upstream = "web-1.internal:22"
 *         upstream_user = "deploy"          # default: the person's own name
 *         identity = "/etc/castbucket/web-1_ed25519"
 *         known_hosts = "/etc/castbucket/known_hosts"
 *         interactive_login = false         # the server may ask people for passwords and codes
 *         local_forwarding = false          # ssh -L, -D, -W, -J; each is recorded as events
 *         permit_open = {"db.internal:5432", "*:443"}    # where to; default: anywhere
 *         remote_forwarding = false         # ssh -R
 *         x11_forwarding = false
 *         agent_forwarding = false
 *     }
 */
#ifndef CASTBUCKET_PROXY_CONFIG_H
#define CASTBUCKET_PROXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_MAX_FILE ((size_t)1 << 20)
/* As long as castbucket's own limit on a socket's name. */
#define CONFIG_MAX_SOCKET_NAME 80
#define CONFIG_MAX_DESTINATION 300
/* sun_path of unix(7), with its NUL. */
#define CONFIG_MAX_AGENT 107

struct address {
    char host[256]; /* without brackets */
    char port[6];
};

struct socket_config {
    const char *name;
    const char *upstream; /* as written: host:port */
    struct address address;
    const char *upstream_user;  /* "": the person's own name */
    const char *identity;       /* NULL: identity_agent is given, or there is interactive_login */
    const char *identity_agent; /* path of an agent's socket; NULL: likewise */
    const char *known_hosts;
    bool interactive_login;
    bool local_forwarding, remote_forwarding, x11_forwarding, agent_forwarding;
    const char **permit_open; /* "HOST:PORT", either may be "*" */
    size_t permit_open_count; /* 0: anywhere */
};

/* Strings are never NULL unless said. */
struct proxy_config {
    const char *path;
    struct address *listen;
    size_t listen_count;
    const char **host_keys;
    size_t host_key_count;
    const char *authorized_keys;
    const char *plugin;
    const char *settings; /* NULL: the plugin's default */
    const char *user;     /* NULL: not given */
    int login_grace_time; /* seconds */
    int max_auth_tries;
    int max_unauthenticated, max_unauthenticated_per_source;
    int max_connections, max_connections_per_user;
    int max_channels;
    int keepalive_interval; /* seconds; 0: none */
    int keepalive_count;
    int drain_time; /* seconds */
    bool log_json;
    struct socket_config *sockets;
    size_t socket_count;
    void *parsed; /* the parser's, which owns the strings */
};

/* Copies the file into memory that the children share, so that all of them go by the bytes that
 * were checked, whatever becomes of the file. Returns a descriptor or -1. */
int config_snapshot(const char *path);

/* Reads from the descriptor `fd`, which is closed; `path` is what errors call it, and must outlive
 * the configuration. Returns 0, or -1 after errors with file, line and key were logged. */
int config_read(const char *path, int fd, struct proxy_config *config);
void config_free(struct proxy_config *config);

/* NULL when there is none of that name. */
const struct socket_config *config_socket(const struct proxy_config *config, const char *name);

/* Whether `text` is "HOST:PORT" or "[ADDRESS]:PORT", of which either may be "*". */
bool config_is_destination(const char *text);

/* Whether a list of "HOST:PORT", of which either may be "*", has this destination. An empty list
 * has all. Names are compared as text, without regard to case: nothing is looked up. */
bool config_permits(const char *const *list, size_t count, const char *host, unsigned port);

/* Reads "host:port" or "[address]:port". Returns 0 or -1. */
int address_parse(struct address *address, const char *text, int lowest_port);

#endif
