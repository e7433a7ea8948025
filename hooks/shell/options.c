#include "hooks/shell/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/shell/configuration.h"

#define PLUGIN_PATH CASTBUCKET_LIBDIR "/castbucket.so"

static const char help[] =
    "Usage: castbucket-shell [--plugin FILE] [--socket NAME] [--settings FILE] [-c COMMAND]\n"
    "Runs a command, or the user's shell, and has a recording plugin record it.\n"
    "\n"
    "  --plugin FILE    the recording plugin (default: " PLUGIN_PATH ")\n"
    "  --socket NAME    the socket whose settings apply\n"
    "  --settings FILE  the plugin's settings (default: the plugin's own default)\n"
    "  -c COMMAND       run this with the shell (default: what SSH_ORIGINAL_COMMAND says,\n"
    "                   as sshd sets it for ForceCommand; else a login shell)\n"
    "  --shell FILE     the shell (default: the user's in the password database)\n"
    "  --log-stderr     log to standard error, not to syslog\n"
    "  -l               as without: there is no shell but a login shell\n"
    "  --help, --version\n"
    "\n"
    "What is not said by an option is said by " CONFIGURATION_PATH ". Installed set-user-ID, as a\n"
    "bastion needs it, options must say the same as that file.\n"
    "\n"
    "It runs under a terminal of its own when standard input and output are one, else with\n"
    "pipes, standard output and error apart.\n"
    "\n"
    "Exit status: the command's; 128 + N when signal N ended it; 124 when it was ended because\n"
    "it could no longer be recorded; 125 when it could not be started; 126 when the plugin\n"
    "refused the session; 127 when there is no such shell.\n";

enum {
    OPTION_SETTINGS = 256,
    OPTION_PLUGIN,
    OPTION_SOCKET,
    OPTION_SHELL,
    OPTION_LOG,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option table[] = {
    {"settings", required_argument, NULL, OPTION_SETTINGS},
    {"plugin", required_argument, NULL, OPTION_PLUGIN},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"shell", required_argument, NULL, OPTION_SHELL},
    {"log-stderr", no_argument, NULL, OPTION_LOG},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static bool stop(int *status, int with)
{
    *status = with;
    return false;
}

bool options_parse(int argc, char **argv, struct options *options, int *status)
{
    int found;
    *options = (struct options){0};
    while ((found = getopt_long(argc, argv, "+c:l", table, NULL)) != -1) {
        switch (found) {
        case 'c':
            options->command = optarg;
            break;
        case 'l': /* as of any shell; without a command it is one */
            break;
        case OPTION_SETTINGS:
            options->settings = optarg;
            break;
        case OPTION_PLUGIN:
            options->plugin = optarg;
            break;
        case OPTION_SOCKET:
            options->socket = optarg;
            break;
        case OPTION_SHELL:
            options->shell = optarg;
            break;
        case OPTION_LOG:
            options->log_to_stderr = true;
            break;
        case OPTION_HELP:
            fputs(help, stdout);
            return stop(status, fflush(stdout) ? EXIT_NOT_STARTED : 0);
        case OPTION_VERSION:
            puts("castbucket-shell " CASTBUCKET_VERSION);
            return stop(status, fflush(stdout) ? EXIT_NOT_STARTED : 0);
        default:
            fputs("Try castbucket-shell --help.\n", stderr);
            return stop(status, EXIT_NOT_STARTED);
        }
    }
    if (optind < argc)
        fprintf(stderr, "castbucket-shell: unexpected argument '%s' (a command goes after -c)\n",
                argv[optind]);
    else
        return true;
    fputs("Try castbucket-shell --help.\n", stderr);
    return stop(status, EXIT_NOT_STARTED);
}

static bool agree(const char *option, const char **value, const char *in_file, bool trusted_only)
{
    if (trusted_only && *value && (!in_file || strcmp(*value, in_file) != 0)) {
        fprintf(stderr,
                "castbucket-shell: --%s says '%s': installed set-user-ID, this is for the operator "
                "to say, "
                "in " CONFIGURATION_PATH "\n",
                option, *value);
        return false;
    }
    if (!*value)
        *value = in_file;
    return true;
}

bool options_complete(struct options *options, const struct configuration *configuration,
                      bool trusted_only)
{
    const char *plugin = configuration->plugin ? configuration->plugin : PLUGIN_PATH;
    if (!agree("plugin", &options->plugin, plugin, trusted_only) ||
        !agree("settings", &options->settings, configuration->settings, trusted_only) ||
        !agree("socket", &options->socket, configuration->socket, trusted_only) ||
        !agree("shell", &options->shell, configuration->shell, trusted_only))
        return false;
    if (trusted_only)
        options->log_to_stderr = false;
    options->end_left_running = configuration->end_left_running;
    if (options->socket)
        return true;
    fputs("castbucket-shell: no socket is named: give --socket, or write socket = \"NAME\" "
          "into " CONFIGURATION_PATH "\n",
          stderr);
    return false;
}
