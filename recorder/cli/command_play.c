#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/cli/recording_operand.h"
#include "recorder/cli/show.h"
#include "recorder/read/player.h"
#include "recorder/read/terminal.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization (required unless ID is a file)"},
    {"speed", 's', "N", "how much faster than it was, from 0.01 to 1000; max: without waiting"},
    {"idle-limit", 'i', "S", "shorten pauses to at most this many seconds"},
    {"unfiltered", 0, NULL, "pass every control sequence of the recording to this terminal"},
    {0},
};

#define MAX_IDLE_SECONDS 1e9

struct play {
    const struct cli_command *command;
    bool terminal; /* standard output is one */
    struct error error;
};

/* Returns -1 to go on, or an exit status. */
static int read_speed(const struct cli_command *command, const char *text, double *speed)
{
    char *end;
    *speed = 1;
    if (!text)
        return -1;
    *speed = strcmp(text, "max") == 0 ? 0 : strtod(text, &end);
    if (strcmp(text, "max") == 0 || (end != text && !*end && *speed == 0))
        return -1;
    if (end == text || *end || !isfinite(*speed) || *speed < PLAYER_MIN_SPEED ||
        *speed > PLAYER_MAX_SPEED)
        return cli_usage_error(command, "--speed is a number from %g to %g, or max, not '%s'",
                               PLAYER_MIN_SPEED, PLAYER_MAX_SPEED, text);
    return -1;
}

static int read_idle_limit(const struct cli_command *command, const char *text, int64_t *limit_ns)
{
    char *end;
    *limit_ns = 0;
    if (!text)
        return -1;
    double seconds = strtod(text, &end);
    if (end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > MAX_IDLE_SECONDS)
        return cli_usage_error(command, "--idle-limit is a number of seconds above 0, not '%s'",
                               text);
    *limit_ns = (int64_t)(seconds * (double)NS_PER_SECOND);
    if (*limit_ns == 0)
        *limit_ns = 1;
    return -1;
}

/* The terminal is taken over only now that there is something to show. */
static int begin(void *context, const struct cast_info *info)
{
    struct play *play = context;
    unsigned columns, rows;
    if (!play->terminal)
        return 0;
    terminal_size(STDOUT_FILENO, &columns, &rows);
    if (columns && (columns < info->columns || rows < info->rows))
        fprintf(stderr,
                "castbucket %s: the recording's terminal had %u columns and %u rows, this one has "
                "%u and %u: it will look wrong\n",
                play->command->name, info->columns, info->rows, columns, rows);
    return terminal_enter(STDOUT_FILENO, &play->error);
}

static void tell_end(const struct player_result *result)
{
    char status[64];
    if (!isatty(STDERR_FILENO) || result->quit)
        return;
    if (result->dropped)
        fprintf(stderr, "[%lu control sequence%s not shown; --unfiltered shows all]\n",
                result->dropped, result->dropped == 1 ? " was" : "s were");
    text_escape(status, sizeof(status), result->status);
    if (result->ended)
        fprintf(stderr, "[exit status %s]\n", status);
    else
        fprintf(stderr, "[end of the recording]\n");
}

static int play_it(struct play *play, struct recording_operand *operand,
                   struct player_options *player)
{
    struct player_result result;
    int rc = player_play(&operand->source, player, &result, &play->error);
    terminal_leave();
    if (!rc && !result.quit)
        rc = recording_operand_verify(play->command, operand, &play->error);
    if (play->terminal)
        tell_end(&result);
    return rc ? cli_fail(play->command, &play->error) : CLI_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct play play = {.command = command, .terminal = isatty(STDOUT_FILENO)};
    struct player_options player = {
        .output = STDOUT_FILENO,
        .keys = play.terminal && isatty(STDIN_FILENO) ? STDIN_FILENO : -1,
        .terminal = play.terminal,
        .clock = &clock_system,
        .on_info = begin,
        .context = &play,
    };
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    rc = read_speed(command, cli_value(command, &arguments, "speed"), &player.speed);
    if (rc < 0)
        rc = read_idle_limit(command, cli_value(command, &arguments, "idle-limit"),
                             &player.idle_limit_ns);
    if (rc >= 0)
        return rc;
    player.unfiltered = cli_value(command, &arguments, "unfiltered") != NULL;
    struct recording_operand operand;
    rc = recording_operand_open(command, arguments.settings, cli_value(command, &arguments, "org"),
                                arguments.operand[0], &operand);
    if (rc < 0)
        rc = play_it(&play, &operand, &player);
    recording_operand_close(&operand);
    return rc;
}

const struct cli_command cli_play = {
    "play",
    "ID",
    "Replays a recording in this terminal.",
    "ID may be the beginning of an id, at least 8 characters, or a local file: a word with a slash "
    "or ending in .cast or .cast.gz, or - for standard input.\n"
    "Keys: space pauses and goes on, . shows the next event while paused, + and - double and "
    "halve the speed, the right arrow skips 10 seconds, q quits.\n"
    "A recording is output that somebody else chose. Only what draws reaches the terminal; what "
    "would make it answer, write the clipboard, change its keys, its title or its window does "
    "not, unless --unfiltered is given. At the end the terminal's modes are reset.",
    options,
    run,
};
