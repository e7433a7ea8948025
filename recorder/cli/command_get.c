#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/cast/cast_encoder.h"
#include "recorder/cli/commands.h"
#include "recorder/cli/output_file.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/recording_operand.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization (required unless ID is a file)"},
    {"output", 'o', "FILE",
     "where to write it, - for standard output (default: ID.cast.gz here, or with --raw standard "
     "output)"},
    {"force", 'f', NULL, "replace FILE if it is there"},
    {"raw", 0, NULL, "the exact bytes of the terminal, stdout and stderr as they came"},
    {"stream", 0, "STREAM", "with --raw, only stdout, stderr or input"},
    {"unverified", 0, NULL,
     "keep what cannot be verified or is damaged: what is readable, and exit status 1"},
    {0},
};

#define ALL_OUTPUT (-1)

struct get {
    const struct cli_command *command;
    struct recording_operand operand;
    struct output_file output;
    struct error error;
    int stream; /* enum cast_stream, or ALL_OUTPUT */
    struct progress progress;
};

static void show_progress(struct get *get)
{
    progress_show(&get->progress, get->operand.size,
                  get->operand.manifest ? get->operand.manifest->size : 0);
}

static int write_stored(void *context, const void *data, size_t length)
{
    struct get *get = context;
    show_progress(get);
    return output_file_write(&get->output, data, length, &get->error);
}

static int write_raw(void *context, const struct cast_event *event, struct error *error)
{
    struct get *get = context;
    bool wanted = event->code == 'o' && event->stream != CAST_NOTES && get->stream != CAST_INPUT &&
                  (get->stream == ALL_OUTPUT || get->stream == event->stream);
    wanted |= event->code == 'i' && get->stream == CAST_INPUT;
    show_progress(get);
    return wanted ? output_file_write(&get->output, event->raw, event->raw_length, error) : 0;
}

/* What nobody kept cannot be given back, and must not look as if nothing had passed. */
static int look_at_info(void *context, const struct cast_info *info)
{
    const struct get *get = context;
    if (*info->transfer && !info->contents)
        fprintf(stderr,
                "castbucket %s: this is a file transfer whose bytes were not kept "
                "(transfer_contents is off for its socket); `castbucket transfers` tells what "
                "happened to which file\n",
                get->command->name);
    return 0;
}

/* Returns -1 to go on, or an exit status. */
static int choose_stream(struct get *get, const char *name, bool raw)
{
    static const char *const names[] = {
        [CAST_STDOUT] = "stdout", [CAST_STDERR] = "stderr", [CAST_INPUT] = "input"};
    get->stream = ALL_OUTPUT;
    if (!name)
        return -1;
    if (!raw)
        return cli_usage_error(get->command, "--stream needs --raw");
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            get->stream = i;
    if (get->stream == ALL_OUTPUT)
        return cli_usage_error(get->command, "--stream is stdout, stderr or input, not '%s'", name);
    return -1;
}

/* Returns -1 to go on, or an exit status. `fallback` has room for an id and its suffix. */
static int choose_file(struct get *get, const char **file, bool raw, char *fallback,
                       size_t fallback_size)
{
    bool terminal = isatty(STDOUT_FILENO);
    if (*file && strcmp(*file, "-") == 0 && terminal && !raw)
        return cli_usage_error(get->command, "compressed bytes do not belong on a terminal");
    if (*file)
        return -1;
    if (raw && terminal)
        return cli_usage_error(get->command,
                               "raw bytes can do anything to this terminal: give -o FILE, or -o - "
                               "to say that you mean it, or use `castbucket play`");
    if (!raw && get->operand.source.path)
        return cli_usage_error(get->command, "%s is a local file already: give -o FILE, or --raw",
                               get->operand.source.path);
    snprintf(fallback, fallback_size, "%s%s", get->operand.id, KEY_CAST_SUFFIX);
    *file = raw ? "-" : fallback;
    return -1;
}

static int fetch(struct get *get, bool raw)
{
    int rc = raw ? recording_decode(&get->operand.source, look_at_info, write_raw, get, &get->error)
                 : recording_copy(&get->operand.source, write_stored, get, &get->error);
    progress_clear(&get->progress);
    return rc ? rc : recording_operand_verify(get->command, &get->operand, &get->error);
}

static int fetch_to_file(struct get *get, const char *file, bool raw, bool force, bool unverified)
{
    int rc = output_file_open(file, force, &get->output, &get->error);
    if (rc)
        return rc;
    rc = fetch(get, raw);
    if (!rc || (unverified && rc == ERR_DAMAGED)) {
        int end = output_file_commit(&get->output, rc ? NULL : &get->error);
        rc = rc ? rc : end;
    } else if (!get->output.in_place) {
        error_prefix(&get->error, "%s was not written", file);
    } else {
        fflush(get->output.file);
    }
    output_file_close(&get->output);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct get get = {.command = command, .progress = progress_begin()};
    char fallback[64];
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    const char *file = cli_value(command, &arguments, "output");
    bool raw = cli_value(command, &arguments, "raw") != NULL;
    rc = choose_stream(&get, cli_value(command, &arguments, "stream"), raw);
    if (rc >= 0)
        return rc;
    rc = recording_operand_open(command, arguments.settings, cli_value(command, &arguments, "org"),
                                arguments.operand[0], &get.operand);
    if (rc < 0)
        rc = choose_file(&get, &file, raw, fallback, sizeof(fallback));
    if (rc < 0)
        rc = fetch_to_file(&get, file, raw, cli_value(command, &arguments, "force") != NULL,
                           cli_value(command, &arguments, "unverified") != NULL)
                 ? cli_fail(command, &get.error)
                 : CLI_OK;
    recording_operand_close(&get.operand);
    return rc;
}

const struct cli_command cli_get = {
    "get",
    "ID",
    "Fetches a recording.",
    "ID may be the beginning of an id, at least 8 characters, or a local file: a word with a slash "
    "or ending in .cast or .cast.gz, or - for standard input. What comes from storage is compared "
    "with the SHA-256 of its manifest; a file is put in place only when it is the same.",
    options,
    run,
};
