#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/clock.h"
#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/cli/ls_json.h"
#include "recorder/cli/ls_table.h"
#include "recorder/cli/open_store.h"
#include "recorder/cli/show.h"
#include "recorder/read/recording.h"
#include "recorder/read/terminal.h"
#include "recorder/read/when.h"
#include "recorder/store/key.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization (required)"},
    {"socket", 0, "S", "only recordings of this socket"},
    {"since", 0, "T", "only sessions that started at this time or later"},
    {"until", 0, "T", "only sessions that started before this time"},
    {"json", 0, NULL, "print one JSON object a line"},
    {0},
};

struct ls {
    const struct cli_command *command;
    bool json;
    struct ls_table table;
    size_t listed, problems;
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* The socket that a key names, percent-decoded; "" if it names none. */
static void socket_of_key(const char *key, char *socket, size_t size)
{
    size_t used = 0;
    const char *folder = strstr(key, "/socket=");
    const char *p = folder ? folder + strlen("/socket=") : "";
    while (*p && *p != '/' && used + 1 < size) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        socket[used++] = (char)(low >= 0 ? high << 4 | low : *p);
        p += low >= 0 ? 3 : 1;
    }
    socket[used] = '\0';
}

static int take(void *context, const char *key, const char *id, uint64_t size,
                const struct manifest *manifest, const char *problem, struct error *error)
{
    struct ls *ls = context;
    char socket[KEY_SIZE];
    ls->listed++;
    socket_of_key(key, socket, sizeof(socket));
    if (problem) {
        char shown_key[SHOW_TEXT_SIZE], shown[SHOW_TEXT_SIZE];
        ls->problems++;
        text_escape(shown_key, sizeof(shown_key), key);
        text_escape(shown, sizeof(shown), problem);
        fprintf(stderr, "castbucket %s: %s: %s\n", ls->command->name, shown_key, shown);
    }
    if (ls->json)
        return ls_json_print(stdout, key, id, socket, size, manifest, problem, error);
    if (ls_table_add(&ls->table, id, socket, size, manifest))
        return error_set(error, ERR_NO_MEMORY, "no memory for the table");
    return 0;
}

/* Returns -1 to go on, or an exit status. */
static int read_time(const struct cli_command *command, const struct cli_arguments *arguments,
                     const char *name, int64_t *unix_ns)
{
    const char *text = cli_value(command, arguments, name);
    *unix_ns = 0;
    if (!text || when_parse(text, clock_wall_ns(&clock_system), unix_ns))
        return -1;
    return cli_usage_error(command,
                           "--%s is a time such as 2026-11-23T20:00:00Z, a date such as "
                           "2026-11-23, or so long ago: 90s, 30m, 2h, 7d, 4w; not '%s'",
                           name, text);
}

static int list(struct ls *ls, const char *settings, const struct recording_query *query)
{
    struct open_store opened;
    struct error error = ERROR_INIT;
    int rc = open_store(settings, query->organization, &opened, &error);
    if (!rc) {
        rc = recording_list(opened.store, query, take, ls, &error);
        close_store(&opened);
    }
    /* What came before a failure is shown all the same. */
    unsigned columns = 0, rows;
    if (isatty(STDOUT_FILENO))
        terminal_size(STDOUT_FILENO, &columns, &rows);
    if (ls->table.count)
        ls_table_print(&ls->table, columns, stdout);
    if (rc)
        return cli_fail(ls->command, &error);
    if (!ls->listed && !ls->json && isatty(STDERR_FILENO))
        fprintf(stderr, "castbucket %s: no recordings\n", ls->command->name);
    return ls->problems ? CLI_FAILED : CLI_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct recording_query query = {0};
    struct ls ls = {.command = command};
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    query.organization = cli_value(command, &arguments, "org");
    query.socket = cli_value(command, &arguments, "socket");
    if (!query.organization)
        return cli_usage_error(command, "--org ORG is missing");
    rc = read_time(command, &arguments, "since", &query.since_ns);
    if (rc < 0)
        rc = read_time(command, &arguments, "until", &query.until_ns);
    if (rc >= 0)
        return rc;
    ls.json = cli_value(command, &arguments, "json") != NULL;
    rc = list(&ls, arguments.settings, &query);
    ls_table_free(&ls.table);
    return rc;
}

const struct cli_command cli_ls = {
    "ls",
    "",
    "Lists an organization's recordings, oldest first.",
    "Prints who, when, how long, size and exit status of each, from the organization's storage "
    "itself. A time is RFC 3339, a date (midnight UTC), or so long ago: 90s, 30m, 2h, 7d, 4w. A "
    "recording whose upload is under way has no manifest yet and shows dashes; one whose manifest "
    "is unreadable or contradicts what is stored is named on standard error, and the exit status "
    "is then 1.",
    options,
    run,
};
