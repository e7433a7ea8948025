/* recording_plugin.h: the interface between a host, which carries people's sessions, and a plugin,
 * which records them. Neutral: any host may implement one side and any vendor the other.
 *
 * A host loads the shared object with dlopen(RTLD_NOW | RTLD_LOCAL), finds RECORDING_PLUGIN_SYMBOL,
 * calls it with its own struct recording_host and gets the plugin's struct recording_plugin, or
 * NULL with a reason.
 *
 * Versions. Both sides say MAJOR.MINOR. The same major is required; a minor only appends. Every
 * struct that crosses the line starts with `size`, set by whoever fills it in: read a member only
 * if the struct is large enough to have it (RECORDING_HAS), and treat a missing one as zero.
 *
 * Life of a plugin:
 *
 *     entry ── create ──┬── start (optional) ──┬── sessions ... ── quiesce ── destroy
 *                       └──────────────────────┘
 *
 * - create has no side effects outside its own memory: no thread, no file written, no signal. So a
 *   host can create, fork, and go on in the child.
 * - start begins background work (uploading), with threads of the plugin's own. One long-lived
 *   process of a host calls it. Processes that only carry sessions do not, and pay nothing for it.
 *   No fork without exec after start.
 * - A session may be opened in a forked or re-executed child of the process that called start, or
 *   on a machine where nobody has: what it records waits.
 *
 * Threads. create, start, quiesce and destroy: one thread at a time. Session functions: any thread;
 * different sessions concurrently; one session by one thread at a time.
 *
 * Memory. All pointers passed in are borrowed for the call. What a plugin returns belongs to the
 * plugin and lives as long as its text says. Strings are NUL-terminated bytes of unknown encoding
 * and may be hostile; NULL means unknown.
 *
 * The process is the host's: a plugin touches no signal dispositions, umask, locale, working
 * directory, environment or atexit, and blocks all signals in threads it starts.
 *
 * What is shown is recorded: a host calls output before it forwards the bytes, and forwards them
 * only if the verdict lets it. When output has returned, the bytes survive the death of the host.
 */
#ifndef RECORDING_PLUGIN_H
#define RECORDING_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RECORDING_PLUGIN_MAJOR 1
#define RECORDING_PLUGIN_MINOR 1
#define RECORDING_PLUGIN_SYMBOL "recording_plugin_entry"

/* Whether the other side's struct is large enough to have this member. */
#define RECORDING_HAS(pointer, member)                                                             \
    ((pointer)->size >= offsetof(__typeof__(*(pointer)), member) + sizeof((pointer)->member))

/* What every function with an `error` argument fills in when it fails: one line for a person. */
struct recording_error {
    size_t size;
    char text[1024];
};

enum recording_log_level {
    RECORDING_LOG_ERROR = 0,
    RECORDING_LOG_WARNING = 1,
    RECORDING_LOG_INFO = 2,
    RECORDING_LOG_DEBUG = 3,
};

/* The host, as the plugin sees it. Must live until destroy has returned. */
struct recording_host {
    size_t size;
    uint16_t major, minor; /* RECORDING_PLUGIN_MAJOR and _MINOR the host was built with */
    const char *name;      /* such as "castbucket-proxy" */
    const char *version;
    /* One line, already escaped, no newline. Called from any thread. NULL: standard error. */
    void (*log)(void *log_context, int level, const char *line);
    void *log_context;
};

/* How a session is carried. */
enum recording_kind {
    RECORDING_SHELL = 1,     /* an interactive shell */
    RECORDING_EXEC = 2,      /* one command */
    RECORDING_SUBSYSTEM = 3, /* an SSH subsystem, such as sftp; `command` is its name */
    /* Since 1.1: the forwardings of one connection, whether it has sessions or not. Has no output
     * and no input: each thing that happens is a marker. A host does not open one with a plugin
     * that says 1.0, and then has to refuse forwardings. */
    RECORDING_FORWARDING = 4,
};

/* What a host knows of a session when it opens. */
struct recording_session_info {
    size_t size;
    const char *socket;          /* the endpoint asked for; decides whether it is recorded */
    const char *user;            /* who authenticated to the host */
    const char *key_fingerprint; /* "SHA256:..." of the key they did it with */
    const char *target_user;     /* the account at the far side */
    const char *target_address;  /* "host:port" of the far side */
    const char *client_address;  /* "address:port" of the person */
    const char *command;         /* what was asked to run; NULL for a shell */
    const char *term;            /* TERM */
    const char *connection_id;   /* the host's own name for the connection, for correlation */
    uint32_t kind;               /* enum recording_kind */
    uint32_t has_terminal;       /* 1: runs under a terminal of the size below; 0: pipes */
    uint32_t columns, rows;      /* 0 when there is no terminal or its size is unknown */
};

/* What a plugin decides about a session. */
enum recording_decision {
    RECORDING_RECORD = 1, /* *session is set; call the session functions, and close */
    RECORDING_IGNORE = 2, /* not recorded, by settings; *session is NULL; carry it on */
    RECORDING_REFUSE = 3, /* the host must not let this session run; `reason` says why */
};

struct recording_answer {
    size_t size;
    uint32_t decision;   /* enum recording_decision */
    char session_id[64]; /* with RECORD: the recording's id, else "" */
    char reason[512];    /* with IGNORE and REFUSE: one line, fit to show to the person */
};

/* What each call about a recorded session obliges the host to do. */
enum recording_verdict {
    RECORDING_CONTINUE = 0, /* recorded; forward the bytes */
    RECORDING_DEGRADED = 1, /* not all is recorded, and settings say go on; forward the bytes */
    RECORDING_END = 2,      /* not recorded, and settings say so is not allowed: do not forward,
                               end the session, tell the person, and close with what is known */
};

/* Where output came from. */
enum recording_stream { RECORDING_STDOUT = 1, RECORDING_STDERR = 2 };

/* How a session ended. */
enum recording_end {
    RECORDING_EXITED = 1,   /* `status` is its exit status */
    RECORDING_SIGNALED = 2, /* `signal` is the SSH name of the signal, such as "TERM" */
    RECORDING_LOST = 3,     /* the connection or the far side went away; no status */
};

struct recording_exit {
    size_t size;
    uint32_t end; /* enum recording_end */
    uint32_t status;
    const char *signal;
    const char *message; /* for a person: why it was lost, or the far side's message. NULL: none */
};

struct recording_instance; /* what create made; the plugin's own */
struct recording_session;  /* what session_open made; the plugin's own */

struct recording_plugin {
    size_t size;
    uint16_t major, minor;
    const char *name;
    const char *version;

    /* Reads `settings` (a path; NULL: the plugin's default) and makes an instance. Returns 0, or -1
     * and an error: then the host must not carry sessions that ask for recording. */
    int (*create)(const struct recording_host *host, const char *settings,
                  struct recording_instance **instance, struct recording_error *error);

    /* Begins background work. Returns 0, or -1 and an error; sessions can be recorded all the
     * same, and wait for somebody who starts. */
    int (*start)(struct recording_instance *instance, struct recording_error *error);

    /* Decides about a session and opens its recording. Always fills in `answer`; *session is set
     * only with RECORDING_RECORD. */
    void (*session_open)(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer);

    /* Bytes on their way to the person. Any length; 0 does nothing. */
    int (*output)(struct recording_session *session, int stream, const void *data, size_t length);

    /* Bytes on their way from the person. Call always, and before forwarding them, so that a
     * request is recorded before its answer; settings decide whether they are kept. */
    int (*input)(struct recording_session *session, const void *data, size_t length);

    /* The person's terminal has a new size. */
    int (*resize)(struct recording_session *session, uint32_t columns, uint32_t rows);

    /* Something worth finding again: a signal sent, a forwarding opened. UTF-8. */
    int (*marker)(struct recording_session *session, const char *label);

    /* The session is over: completes the recording and frees the session. NULL does nothing.
     * Returns a verdict: RECORDING_DEGRADED if the end could not be recorded. */
    int (*session_close)(struct recording_session *session, const struct recording_exit *how);

    /* Stops background work that start began, giving what is under way `milliseconds` to finish.
     * Nothing is lost: what is not uploaded waits in the spool. May be started again. */
    int (*quiesce)(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error);

    /* Frees the instance. All sessions are closed. Quiesces at once if nobody has. NULL does
     * nothing. */
    void (*destroy)(struct recording_instance *instance);
};

/* The type of RECORDING_PLUGIN_SYMBOL. Returns the plugin's constant table, or NULL and an error,
 * for example when the host's major is not the plugin's. */
typedef const struct recording_plugin *recording_plugin_entry_fn(const struct recording_host *host,
                                                                 struct recording_error *error);

#ifdef __cplusplus
}
#endif

#endif
