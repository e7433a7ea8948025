/* castbucket-shell: the smallest host. Runs a command or a shell and has a plugin record it. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "hooks/common/answer.h"
#include "hooks/common/plugin_host.h"
#include "hooks/shell/child.h"
#include "hooks/shell/options.h"
#include "hooks/shell/relay.h"
#include "hooks/shell/sftp.h"
#include "hooks/shell/terminal.h"

/* What the plugin is told of the session; the strings that are made here. */
struct facts {
    struct recording_session_info info;
    char user[256], client[128], connection[256];
};

static void to_syslog(void *context, int level, const char *line)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    (void)context;
    syslog(priorities[level & 3], "%s", line);
}

/* Somebody may have started us without them, and then a pipe of ours must not take their place. */
static void open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* sshd(8): SSH_CONNECTION is "client-address client-port server-address server-port". */
static void connection_facts(struct facts *facts)
{
    char address[64], port[8];
    const char *connection = getenv("SSH_CONNECTION");
    if (connection && sscanf(connection, "%63s %7s", address, port) == 2) {
        bool v6 = strchr(address, ':') != NULL;
        snprintf(facts->client, sizeof(facts->client), v6 ? "[%s]:%s" : "%s:%s", address, port);
        snprintf(facts->connection, sizeof(facts->connection), "%s", connection);
    } else {
        snprintf(facts->connection, sizeof(facts->connection), "process %ld", (long)getpid());
    }
}

static void gather(struct facts *facts, const struct options *options, const char *command,
                   enum recording_kind kind, bool terminal, const struct winsize *size)
{
    const struct passwd *user = getpwuid(getuid());
    *facts = (struct facts){0};
    if (user)
        snprintf(facts->user, sizeof(facts->user), "%s", user->pw_name);
    else
        snprintf(facts->user, sizeof(facts->user), "%lu", (unsigned long)getuid());
    connection_facts(facts);
    facts->info = (struct recording_session_info){
        .size = sizeof(facts->info),
        .socket = options->socket,
        .user = facts->user,
        .target_user = facts->user,
        .client_address = facts->client[0] ? facts->client : NULL,
        .command = command,
        .term = terminal ? getenv("TERM") : NULL,
        .connection_id = facts->connection,
        .kind = kind,
        .has_terminal = terminal,
        .columns = terminal ? size->ws_col : 0,
        .rows = terminal ? size->ws_row : 0,
    };
}

static int take_signals(struct command *command)
{
    static const int taken[] = {SIGCHLD, SIGWINCH, SIGTSTP, SIGCONT,
                                SIGHUP,  SIGINT,   SIGQUIT, SIGTERM};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        sigaddset(&set, taken[i]);
    sigaction(SIGPIPE, &ignore, &command->pipe);
    /* Where it was ignored there would be nothing to wait for. */
    sigaction(SIGCHLD, &normal, NULL);
    sigprocmask(SIG_BLOCK, &set, &command->mask);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static struct recording_exit how_it_ended(const struct relay_result *result)
{
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED};
    if (result->lost) {
        how.end = RECORDING_LOST;
        how.message = "the person's side went away";
    } else if (result->recording_ended) {
        how.end = RECORDING_LOST;
        how.message = "the session was ended because it could not be recorded any further";
    } else if (WIFSIGNALED(result->status)) {
        how.end = RECORDING_SIGNALED;
        how.signal = sigabbrev_np(WTERMSIG(result->status));
    } else {
        how.status = (uint32_t)WEXITSTATUS(result->status);
    }
    return how;
}

/* Runs the session that is being recorded; returns what to exit with. */
static int run(const struct recording_plugin *plugin, struct recording_session *session,
               struct command *command, bool terminal, const struct termios *modes,
               const struct winsize *size)
{
    struct child child;
    struct relay_result result = {0};
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_LOST};
    int signals = take_signals(command);
    int rc = signals < 0 ? -1
             : terminal  ? child_start_terminal(&child, command, modes, size)
                         : child_start_pipes(&child, command);
    if (!rc) {
        if (terminal)
            terminal_raw(modes);
        rc = relay_run(plugin, session, &child, signals, terminal ? modes : NULL, &result);
        int number = errno;
        terminal_restore();
        errno = number;
    }
    if (rc) {
        fprintf(stderr, "castbucket-shell: cannot start the session: %s\n", strerror(errno));
        how.message = "the session could not be started";
    } else {
        how = how_it_ended(&result);
    }
    plugin->session_close(session, &how);
    if (signals >= 0)
        close(signals);
    if (rc)
        return EXIT_NOT_STARTED;
    if (result.recording_ended) {
        fputs("castbucket-shell: the session was ended, because it cannot be recorded any "
              "further; ask the operator of this host\n",
              stderr);
        return EXIT_RECORDING_ENDED;
    }
    return WIFSIGNALED(result.status) ? 128 + WTERMSIG(result.status) : WEXITSTATUS(result.status);
}

int main(int argc, char **argv)
{
    struct options options;
    struct plugin_host host = {0};
    struct recording_error error = {.size = sizeof(error)};
    struct recording_answer answer;
    struct recording_session *session = NULL;
    struct termios modes;
    struct winsize size = {0};
    struct facts facts;
    struct command command = {0};
    char *sftp = NULL;
    int status;

    open_standard_descriptors();
    if (!options_parse(argc, argv, &options, &status))
        return status;
    sigprocmask(SIG_BLOCK, NULL, &command.mask);
    sigaction(SIGPIPE, NULL, &command.pipe);
    command.shell = options.shell ? options.shell : child_default_shell();
    command.text = options.command ? options.command : getenv("SSH_ORIGINAL_COMMAND");
    const char *recorded = command.text;
    int kind = command.text ? RECORDING_EXEC : RECORDING_SHELL;
    if (!options.command && sftp_is_internal(command.text)) {
        command.text = sftp = sftp_command(command.text);
        if (!sftp)
            return EXIT_NOT_STARTED;
        recorded = "sftp";
        kind = RECORDING_SUBSYSTEM;
    }
    if (!options.log_to_stderr) {
        openlog("castbucket-shell", LOG_PID, LOG_AUTH);
        host.host.log = to_syslog;
    }
    if (plugin_host_load(&host, options.plugin, options.settings, "castbucket-shell", &error)) {
        fprintf(stderr, "castbucket-shell: %s\n", error.text);
        free(sftp);
        return EXIT_NOT_STARTED;
    }
    bool terminal = terminal_get(&modes, &size);
    gather(&facts, &options, recorded, kind, terminal, &size);
    enum recording_decision decision = answer_of_session_open(host.plugin, host.instance,
                                                              &facts.info, &session, &answer);
    if (decision == RECORDING_RECORD) {
        status = run(host.plugin, session, &command, terminal, &modes, &size);
    } else if (decision == RECORDING_IGNORE) {
        plugin_host_unload(&host);
        status = child_exec(&command);
        free(sftp);
        return status;
    } else {
        fprintf(stderr, "castbucket-shell: refused: %s\n", answer.reason);
        status = EXIT_REFUSED;
    }
    plugin_host_unload(&host);
    free(sftp);
    return status;
}
