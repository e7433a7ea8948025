/* host.c: the smallest whole host of a recording plugin, to begin your own from. It runs one
 * command and has it recorded:
 *
 *     cc -o host host.c $(pkg-config --cflags castbucket)
 *     ./host /usr/lib/castbucket/castbucket.so /etc/castbucket/settings.json web-1 'uptime'
 *
 * recording_plugin.h and recording_plugin(3) say what each side owes the other. */
#define _GNU_SOURCE 1 /* sigabbrev_np() */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <recording_plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void log_line(void *context, int level, const char *line)
{
    (void)context;
    fprintf(stderr, "host: plugin: %s%s\n", level == RECORDING_LOG_ERROR ? "error: " : "", line);
}

/* The plugin keeps a pointer to it until destroy. */
static struct recording_host host = {
    .size = sizeof(host),
    .major = RECORDING_PLUGIN_MAJOR,
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "example-host",
    .version = "1",
    .log = log_line,
};

static const struct recording_plugin *load(const char *path)
{
    union {
        void *address;
        recording_plugin_entry_fn *function;
    } entry;
    struct recording_error error = {.size = sizeof(error)};
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    entry.address = library ? dlsym(library, RECORDING_PLUGIN_SYMBOL) : NULL;
    if (!entry.address) {
        fprintf(stderr, "host: %s\n", dlerror());
        return NULL;
    }
    const struct recording_plugin *plugin = entry.function(&host, &error);
    if (!plugin) {
        fprintf(stderr, "host: %s: %s\n", path, error.text);
        return NULL;
    }
    /* The same major; and the table must reach as far as what this host calls. */
    if (!RECORDING_HAS(plugin, minor) || plugin->major != RECORDING_PLUGIN_MAJOR ||
        !RECORDING_HAS(plugin, destroy)) {
        fprintf(stderr, "host: %s: not a plugin of version %d\n", path, RECORDING_PLUGIN_MAJOR);
        return NULL;
    }
    return plugin;
}

/* Records and shows what comes from `streams` until both have ended. Returns false when nothing
 * more may be shown. */
static int carry(const struct recording_plugin *plugin, struct recording_session *session,
                 struct pollfd streams[2])
{
    static const int names[2] = {RECORDING_STDOUT, RECORDING_STDERR};
    char block[65536];
    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        if (poll(streams, 2, -1) < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < 2; i++) {
            if (streams[i].fd < 0 || !streams[i].revents)
                continue;
            ssize_t got = read(streams[i].fd, block, sizeof(block));
            if (got <= 0) {
                close(streams[i].fd);
                streams[i].fd = -1; /* poll() passes over it */
                continue;
            }
            /* Recorded first, shown after that. What is no known verdict is no permission. */
            int verdict = session ? plugin->output(session, names[i], block, (size_t)got)
                                  : RECORDING_CONTINUE;
            if (verdict != RECORDING_CONTINUE && verdict != RECORDING_DEGRADED)
                return 0;
            for (ssize_t put = 0, now; put < got; put += now)
                if ((now = write(i + 1, block + put, (size_t)(got - put))) <= 0)
                    return 1;
        }
    }
    return 1;
}

static int run(const struct recording_plugin *plugin, struct recording_session *session,
               const char *command)
{
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_LOST};
    int out[2], errors[2], status = 0;
    if (pipe(out) || pipe(errors)) {
        perror("host: pipe");
        exit(125);
    }
    pid_t child = fork();
    if (child < 0) {
        perror("host: fork");
        exit(125);
    }
    if (child == 0) {
        dup2(out[1], 1), dup2(errors[1], 2);
        close(out[0]), close(out[1]), close(errors[0]), close(errors[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(out[1]), close(errors[1]);
    struct pollfd streams[2] = {{.fd = out[0], .events = POLLIN},
                                {.fd = errors[0], .events = POLLIN}};
    int allowed = carry(plugin, session, streams);
    if (!allowed)
        kill(child, SIGKILL);
    waitpid(child, &status, 0);
    if (!allowed) {
        how.message = "it could not be recorded any further";
    } else if (WIFSIGNALED(status)) {
        how.end = RECORDING_SIGNALED;
        how.signal = sigabbrev_np(WTERMSIG(status));
    } else {
        how.end = RECORDING_EXITED;
        how.status = (uint32_t)WEXITSTATUS(status);
    }
    if (session)
        plugin->session_close(session, &how);
    if (!allowed)
        fputs("host: ended: it could not be recorded any further\n", stderr);
    return allowed && WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}

int main(int argc, char **argv)
{
    struct recording_error error = {.size = sizeof(error)};
    struct recording_answer answer = {.size = sizeof(answer)};
    struct recording_instance *instance = NULL;
    struct recording_session *session = NULL;
    if (argc != 5) {
        fprintf(stderr, "Usage: host PLUGIN SETTINGS SOCKET COMMAND\n");
        return 125;
    }
    const struct recording_plugin *plugin = load(argv[1]);
    if (!plugin)
        return 125;
    if (plugin->create(&host, argv[2], &instance, &error)) {
        fprintf(stderr, "host: %s\n", error.text);
        return 125;
    }
    const struct passwd *user = getpwuid(getuid());
    struct recording_session_info info = {
        .size = sizeof(info),
        .socket = argv[3],
        .user = user ? user->pw_name : NULL,
        .command = argv[4],
        .kind = RECORDING_EXEC,
    };
    plugin->session_open(instance, &info, &session, &answer);
    int status = 126;
    if (answer.decision == RECORDING_IGNORE ||
        (answer.decision == RECORDING_RECORD && session != NULL))
        status = run(plugin, answer.decision == RECORDING_RECORD ? session : NULL, argv[4]);
    else
        fprintf(stderr, "host: refused: %.*s\n", (int)sizeof(answer.reason), answer.reason);
    /* A host that lives long calls start() once, and quiesce() before it ends; this one leaves the
     * recording to the recorder of this machine. */
    plugin->destroy(instance);
    return status;
}
