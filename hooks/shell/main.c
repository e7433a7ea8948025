/* castbucket-shell: OpenSSH's host. Runs a command or a shell and has a plugin record it, out of
 * reach of the person who is recorded: privileges.h says how and why. */
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
#include "hooks/shell/configuration.h"
#include "hooks/shell/environment.h"
#include "hooks/shell/facts.h"
#include "hooks/shell/leftovers.h"
#include "hooks/shell/options.h"
#include "hooks/shell/privileges.h"
#include "hooks/shell/relay.h"
#include "hooks/shell/request.h"
#include "hooks/shell/terminal.h"

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

/* What a session needs, in the order in which it is had. */
struct session {
    struct options options;
    struct configuration configuration;
    struct request request;
    struct command command;
    struct termios modes;
    struct winsize size;
    bool terminal;
    int signals;
    struct child child;
    struct facts facts;
    struct plugin_host host;
    struct recording_session *recording;
};

/* Carries the session that is being recorded; returns what to exit with. */
static int carry(struct session *session)
{
    const struct recording_plugin *plugin = session->host.plugin;
    struct relay_result result = {0};
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_LOST};
    if (session->facts.authentication.marker[0])
        plugin->marker(session->recording, session->facts.authentication.marker);
    leftovers_inherit();
    int rc = privileges_protect();
    if (rc) {
        child_give_up(&session->child);
    } else {
        if (session->terminal)
            terminal_raw(&session->modes);
        rc = relay_run(plugin, session->recording, &session->child, session->signals,
                       session->terminal ? &session->modes : NULL, &result);
    }
    int number = errno;
    terminal_restore();
    if (rc) {
        fprintf(stderr, "castbucket-shell: cannot start the session: %s\n", strerror(number));
        how.message = "the session could not be started";
    } else {
        how = how_it_ended(&result);
        leftovers_mark(plugin, session->recording, session->options.end_left_running);
    }
    plugin->session_close(session->recording, &how);
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

/* sshd runs a ForceCommand by the account's login shell, and some shells first run a file of the
 * person's. That is over when we are asked, so the operator is told. */
static void warn_of_login_shell(void)
{
    static const char *const read_files[] = {"bash", "zsh", "fish", "csh", "tcsh"};
    const struct passwd *account = getpwuid(getuid());
    const char *shell = account && account->pw_shell ? account->pw_shell : "";
    const char *slash = strrchr(shell, '/');
    for (size_t i = 0; i < sizeof(read_files) / sizeof(*read_files); i++)
        if (strcmp(slash ? slash + 1 : shell, read_files[i]) == 0)
            syslog(LOG_WARNING,
                   "the login shell of %s is %s, which runs startup files of theirs before it runs "
                   "castbucket-shell: make castbucket-shell the login shell (usermod -s)",
                   account->pw_name, shell);
}

/* Starts the command's process, which waits, and asks the plugin. Returns what to exit with. */
static int run(struct session *session)
{
    struct recording_error error = {.size = sizeof(error)};
    struct recording_answer answer;
    int status;
    session->terminal = terminal_get(&session->modes, &session->size);
    if (facts_gather(&session->facts, session->options.socket, &session->request,
                     session->terminal ? &session->size : NULL))
        return EXIT_REFUSED;
    session->signals = take_signals(&session->command);
    /* Before the plugin is there: the person's process never has a piece of the recording in it. */
    if (session->signals < 0 ||
        (session->terminal ? child_start_terminal(&session->child, &session->command,
                                                  &session->modes, &session->size)
                           : child_start_pipes(&session->child, &session->command))) {
        fprintf(stderr, "castbucket-shell: cannot start the session: %s\n", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    if (!session->options.log_to_stderr)
        session->host.host.log = to_syslog;
    if (plugin_host_load(&session->host, session->options.plugin, session->options.settings,
                         "castbucket-shell", &error)) {
        child_give_up(&session->child);
        fprintf(stderr, "castbucket-shell: %s\n", error.text);
        return EXIT_NOT_STARTED;
    }
    enum recording_decision decision = answer_of_session_open(
        session->host.plugin, session->host.instance, &session->facts.info, &session->recording,
        &answer);
    if (decision == RECORDING_RECORD) {
        status = carry(session);
    } else {
        child_give_up(&session->child);
        status = EXIT_REFUSED;
        if (decision != RECORDING_IGNORE)
            fprintf(stderr, "castbucket-shell: refused: %s\n", answer.reason);
    }
    plugin_host_unload(&session->host);
    if (decision != RECORDING_IGNORE)
        return status;
    if (privileges_become_person()) {
        fprintf(stderr, "castbucket-shell: cannot become the user: %s\n", strerror(errno));
        return EXIT_NOT_STARTED;
    }
    return child_exec(&session->command);
}

int main(int argc, char **argv)
{
    static struct session session = {.signals = -1};
    struct options *options = &session.options;
    char user[FACTS_USER_SIZE];
    int status = EXIT_NOT_STARTED;

    open_standard_descriptors();
    if (privileges_begin())
        return EXIT_NOT_STARTED;
    if (!options_parse(argc, argv, options, &status))
        return status;
    sigprocmask(SIG_BLOCK, NULL, &session.command.mask);
    sigaction(SIGPIPE, NULL, &session.command.pipe);
    if (!options->log_to_stderr || privileges_separate())
        openlog("castbucket-shell", LOG_PID, LOG_AUTH);
    facts_user(user);
    if (configuration_read(&session.configuration, CONFIGURATION_PATH, privileges_separate(),
                           user) ||
        !options_complete(options, &session.configuration, privileges_separate()))
        goto out;
    session.command.shell = options->shell ? options->shell : child_default_shell();
    if (child_is_ourselves(session.command.shell)) {
        fprintf(stderr, "castbucket-shell: the shell to run, %s, is castbucket-shell itself\n",
                session.command.shell);
        goto out;
    }
    if (!request_take(&session.request, options->command, environment_get("SSH_ORIGINAL_COMMAND"),
                      &status))
        goto out;
    session.command.text = session.request.run;
    if (privileges_separate() && !options->command)
        warn_of_login_shell();
    status = run(&session);
out:
    if (session.signals >= 0)
        close(session.signals);
    request_free(&session.request);
    configuration_free(&session.configuration);
    return status;
}
