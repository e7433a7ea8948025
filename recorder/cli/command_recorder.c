#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/log.h"
#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/service/recorder.h"

/* A service manager gives a stopping service longer than this before it kills (systemd: 90 s). */
#define STOP_MS 10000
#define LINE_SIZE 2048

static const struct cli_option options[] = {
    {"once", 0, NULL, "seal and upload what is there, print each object's URL, and end"},
    {0},
};

static void print_stored(void *context, const char *id, const char *url)
{
    (void)context;
    (void)id;
    char shown[LINE_SIZE];
    text_escape(shown, sizeof(shown), url);
    printf("%s\n", shown);
    fflush(stdout);
}

static void print_waiting(void *context, const char *organization, size_t count, const char *why)
{
    const struct cli_command *command = context;
    char who[512], reason[LINE_SIZE];
    text_escape(who, sizeof(who), organization);
    text_escape(reason, sizeof(reason), why);
    fprintf(stderr, "castbucket %s: %s%s%zu recording%s wait%s%s%s\n", command->name, who,
            *who ? ": " : "", count, count == 1 ? "" : "s", count == 1 ? "s" : "",
            *reason ? ": " : "", reason);
}

static int run_once(const struct cli_command *command, const char *settings)
{
    struct error error = ERROR_INIT;
    struct recorder_once report = {
        .on_stored = print_stored,
        .on_waiting = print_waiting,
        .context = (void *)(uintptr_t)command,
    };
    if (recorder_once(settings, &clock_system, &report, &error))
        return cli_fail(command, &error);
    return CLI_OK;
}

/* Runs until a signal. They are blocked before the recorder starts its threads, so that they wait
 * for sigwait() and interrupt nothing. */
static int run_service(const struct cli_command *command, const char *settings)
{
    struct error error = ERROR_INIT;
    struct recorder *recorder;
    sigset_t ends;
    int caught = 0;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    if (recorder_start(settings, &clock_system, &recorder, &error))
        return cli_fail(command, &error);
    while (sigwait(&ends, &caught))
        ;
    log_info("recorder: stopping on SIG%s", sigabbrev_np(caught));
    /* A second signal ends the process at once: everything is safe in the spool. */
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL);
    recorder_stop(recorder, STOP_MS);
    return CLI_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    if (cli_value(command, &arguments, "once"))
        return run_once(command, arguments.settings);
    return run_service(command, arguments.settings);
}

const struct cli_command cli_recorder = {
    "recorder",
    "",
    "Seals and uploads the recordings of the spool, as a service or once.",
    "Runs until SIGTERM or SIGINT, and can be killed at any time: what waits in the spool is taken "
    "up again at the next start. With --once the exit status is 0 only if nothing is left in the "
    "spool; what waits is named with its reason on standard error.",
    options,
    run,
};
