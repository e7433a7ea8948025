#include "hooks/proxy/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "Usage: castbucket-proxy -f FILE [-t]\n"
    "An SSH proxy that records sessions with a recording plugin.\n"
    "People connect with: ssh USER:SOCKET@PROXY\n"
    "\n"
    "  -f FILE     the configuration\n"
    "  -t          check the configuration, its files, the plugin and its settings, and exit\n"
    "  --help      this\n"
    "  --version   the version\n"
    "\n"
    "The configuration:\n"
    "  listen = \"ADDRESS:PORT\"           or {\"...\", \"...\"}; port 0: any free one, printed\n"
    "  host_key = \"FILE\"                 or {\"...\", \"...\"}\n"
    "  authorized_keys = \"DIRECTORY\"     a file per user, named like the user\n"
    "  recording_plugin = \"FILE\"\n"
    "  recording_settings = \"FILE\"       default: the plugin's\n"
    "  user = \"ACCOUNT\"                  carries connections; needed when started as root\n"
    "  login_grace_time = SECONDS        default: 60\n"
    "  max_auth_tries = NUMBER           default: 20\n"
    "  max_unauthenticated = NUMBER      default: 32\n"
    "  max_unauthenticated_per_source = NUMBER   default: 16\n"
    "  max_connections = NUMBER          default: 512\n"
    "  max_connections_per_user = NUMBER default: 64\n"
    "  max_channels = NUMBER             of one connection; default: 64\n"
    "  keepalive_interval = SECONDS      of silence; 0: never ask; default: 30\n"
    "  keepalive_count = NUMBER          intervals, then a peer is given up; default: 4\n"
    "  drain_time = SECONDS              that sessions may go on after SIGTERM; default: 0\n"
    "  log_format = \"FORMAT\"           text or json; default: text\n"
    "  socket \"NAME\" {\n"
    "      upstream = \"HOST:PORT\"\n"
    "      upstream_user = \"ACCOUNT\"     default: the person's own name\n"
    "      identity = \"FILE\"             the private key to log in with\n"
    "      identity_agent = \"SOCKET\"     or an agent that has it\n"
    "      known_hosts = \"FILE\"\n"
    "      interactive_login = BOOLEAN   the server may ask people for passwords and codes;\n"
    "                                    default: false\n"
    "      local_forwarding = BOOLEAN    ssh -L, -D, -W, -J; default: false\n"
    "      permit_open = {\"HOST:PORT\"}   where to; default: anywhere\n"
    "      remote_forwarding = BOOLEAN   ssh -R; default: false\n"
    "      agent_forwarding = BOOLEAN    ssh -A; default: false\n"
    "      x11_forwarding = BOOLEAN      ssh -X; default: false\n"
    "  }\n"
    "\n"
    "SIGTERM and SIGINT end all sessions, complete their recordings, and stop. SIGHUP reads the\n"
    "configuration anew and becomes the program that is installed now; sessions go on.\n"
    "Exit codes: 0 stopped as asked, or the configuration is good; 1 failed while running;\n"
    "2 wrong usage or configuration.\n";

enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_CHECK, OPTION_RECORDER, OPTION_CONNECTION };

int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"recorder", no_argument, NULL, OPTION_RECORDER},
        {"connection", no_argument, NULL, OPTION_CONNECTION},
        {NULL, 0, NULL, 0},
    };
    int option;
    *options = (struct options){.mode = MODE_SERVE};
    while ((option = getopt_long(argc, argv, "f:t", known, NULL)) != -1) {
        switch (option) {
        case 'f':
            options->config = optarg;
            break;
        case 't':
            options->mode = MODE_TEST;
            break;
        case OPTION_HELP:
            return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? EXIT_RUNTIME : 0;
        case OPTION_VERSION:
            return puts("castbucket-proxy " CASTBUCKET_VERSION) < 0 || fflush(stdout) != 0
                       ? EXIT_RUNTIME
                       : 0;
        case OPTION_CHECK:
            options->mode = MODE_CHECK;
            break;
        case OPTION_RECORDER:
            options->mode = MODE_RECORDER;
            break;
        case OPTION_CONNECTION:
            options->mode = MODE_CONNECTION;
            break;
        default:
            fputs("Try castbucket-proxy --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !options->config) {
        fprintf(stderr, "castbucket-proxy: %s\nTry castbucket-proxy --help\n",
                optind < argc ? "too many arguments" : "-f FILE is missing");
        return EXIT_USAGE;
    }
    return -1;
}
