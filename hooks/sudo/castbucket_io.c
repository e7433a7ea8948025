/* castbucket_io.so: an I/O plugin of sudo(8), which has a recording plugin record the commands that
 * sudo runs. In sudo.conf:
 *
 *     Plugin castbucket_io /usr/libexec/sudo/castbucket_io.so socket=web-1
 *
 * sudo calls it in its front end, which is root and which the person cannot signal, before bytes
 * are shown: sudo(8) answers for the order, and for ending the command when a function here returns
 * 0. It loads plugins with RTLD_GLOBAL, so this one shows a single symbol and loads the recording
 * plugin RTLD_LOCAL. The recording plugin is never started here: what it journals, the recorder's
 * service of this machine stores. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sudo_plugin.h>
#include <sys/wait.h>
#include <syslog.h>

#include "hooks/common/answer.h"
#include "hooks/common/plugin_host.h"
#include "hooks/sudo/invocation.h"

/* `errstr`, by which a plugin's own words reach the person, came with 1.15 (sudo 1.9.2). */
#define OLDEST SUDO_API_MKVERSION(1, 15)

#define CANNOT_GO_ON "the command was ended, because it cannot be recorded any further"

enum { IO_ERROR = -1, IO_OFF = 0, IO_REJECT = 0, IO_OK = 1 };

/* sudo runs one command in a process, and its functions carry no context. */
static struct plugin_host host;
static struct recording_session *session;
static struct recording_error failure; /* what *errstr points to */
static sudo_printf_t print;
static bool ended; /* by the recording plugin */

static void to_syslog(void *context, int level, const char *line)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    (void)context;
    syslog(LOG_AUTHPRIV | priorities[level & 3], "castbucket: %s", line);
}

/* sudo hands *errstr to its audit plugins only, so the person is told here. */
static int fail(const char **errstr)
{
    print(SUDO_CONV_ERROR_MSG, "castbucket_io: %s\n", failure.text);
    *errstr = failure.text;
    return IO_ERROR;
}

static int open_session(const struct sudo_options *options, const struct sudo_lists *lists,
                        const char **errstr)
{
    struct recording_answer answer;
    struct invocation invocation;
    if (invocation_describe(&invocation, lists, options->socket)) {
        snprintf(failure.text, sizeof(failure.text), "no memory");
        return fail(errstr);
    }
    enum recording_decision decision = answer_of_session_open(host.plugin, host.instance,
                                                              &invocation.info, &session, &answer);
    invocation_free(&invocation);
    if (decision == RECORDING_RECORD)
        return IO_OK;
    plugin_host_unload(&host);
    if (decision == RECORDING_IGNORE)
        return IO_OFF;
    snprintf(failure.text, sizeof(failure.text), "refused: %.500s", answer.reason);
    return fail(errstr);
}

static int io_open(unsigned int version, sudo_conv_t conversation, sudo_printf_t sudo_plugin_printf,
                   char *const settings[], char *const user_info[], char *const command_info[],
                   int argc, char *const argv[], char *const user_env[],
                   char *const plugin_options[], const char **errstr)
{
    const struct sudo_lists lists = {settings, user_info, command_info, argc, argv};
    struct sudo_options options;
    (void)conversation, (void)user_env;
    print = sudo_plugin_printf;
    if (SUDO_API_VERSION_GET_MAJOR(version) != SUDO_API_VERSION_MAJOR || version < OLDEST) {
        print(SUDO_CONV_ERROR_MSG,
              "castbucket_io: this sudo has version %u.%u of the plugin interface; it needs 1.15 "
              "(sudo 1.9.2) or a later 1.x\n",
              SUDO_API_VERSION_GET_MAJOR(version), SUDO_API_VERSION_GET_MINOR(version));
        return IO_ERROR;
    }
    if (argc == 0) /* sudo -V: only show_version() follows */
        return IO_OK;
    failure.size = sizeof(failure);
    if (sudo_options_parse(&options, plugin_options, &failure))
        return fail(errstr);
    host.host.log = to_syslog;
    if (plugin_host_load(&host, options.plugin, options.settings, "castbucket_io", &failure))
        return fail(errstr);
    return open_session(&options, &lists, errstr);
}

/* `status` is that of wait(2), and `number` the errno if the command could not be run. */
static void io_close(int status, int number)
{
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED};
    if (!session)
        return;
    if (ended) {
        how.end = RECORDING_LOST;
        how.message = CANNOT_GO_ON;
        print(SUDO_CONV_ERROR_MSG, "castbucket_io: " CANNOT_GO_ON "\n");
    } else if (number) {
        how.end = RECORDING_LOST;
        how.message = strerror(number);
    } else if (WIFSIGNALED(status)) {
        how.end = RECORDING_SIGNALED;
        how.signal = sigabbrev_np(WTERMSIG(status));
    } else {
        how.status = (uint32_t)WEXITSTATUS(status);
    }
    host.plugin->session_close(session, &how);
    session = NULL;
    plugin_host_unload(&host);
}

static int show_version(int verbose)
{
    (void)verbose;
    print(SUDO_CONV_INFO_MSG, "castbucket I/O plugin version %s\n", CASTBUCKET_VERSION);
    return IO_OK;
}

/* What a verdict of the recording plugin is to sudo. */
static int tell(int verdict, const char **errstr)
{
    if (answer_allows(verdict))
        return IO_OK;
    ended = true; /* said in io_close(): now the terminal may be in raw mode */
    *errstr = CANNOT_GO_ON;
    return IO_REJECT;
}

static int log_input(const char *bytes, unsigned int length, const char **errstr)
{
    return session ? tell(host.plugin->input(session, bytes, length), errstr) : IO_OK;
}

static int log_output(const char *bytes, unsigned int length, const char **errstr)
{
    return session ? tell(host.plugin->output(session, RECORDING_STDOUT, bytes, length), errstr)
                   : IO_OK;
}

static int log_errors(const char *bytes, unsigned int length, const char **errstr)
{
    return session ? tell(host.plugin->output(session, RECORDING_STDERR, bytes, length), errstr)
                   : IO_OK;
}

static int change_size(unsigned int lines, unsigned int columns, const char **errstr)
{
    return session ? tell(host.plugin->resize(session, columns, lines), errstr) : IO_OK;
}

static int log_suspend(int number, const char **errstr)
{
    char label[64];
    const char *name = sigabbrev_np(number);
    snprintf(label, sizeof(label), number == SIGCONT ? "resumed" : "suspended by SIG%s",
             name ? name : "?");
    return session ? tell(host.plugin->marker(session, label), errstr) : IO_OK;
}

/* Named in sudo.conf, and what sudo looks up. Not const: sudo clears functions that failed. */
extern struct io_plugin castbucket_io;

__attribute__((visibility("default"))) struct io_plugin castbucket_io = {
    .type = SUDO_IO_PLUGIN,
    .version = SUDO_API_VERSION,
    .open = io_open,
    .close = io_close,
    .show_version = show_version,
    .log_ttyin = log_input,
    .log_ttyout = log_output,
    .log_stdin = log_input,
    .log_stdout = log_output,
    .log_stderr = log_errors,
    .change_winsize = change_size,
    .log_suspend = log_suspend,
};
