#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/cli/extract_files.h"
#include "recorder/cli/recording_operand.h"
#include "recorder/cli/show.h"
#include "recorder/read/recording.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization (required unless ID is a file)"},
    {"json", 0, NULL, "print one JSON object a line"},
    {"extract", 0, "DIR", "write the files into DIR, if the recording has their contents"},
    {0},
};

#define NOT_UNDERSTOOD "not understood from here on"

struct listing {
    const struct cli_command *command;
    bool json;
    bool transfer;                 /* the recording is one */
    bool titled;                   /* the table's first line is printed */
    bool unfollowed;               /* a part of it was not understood */
    struct extract_files *extract; /* NULL: not wanted */
    struct error error;
};

static int take_info(void *context, const struct cast_info *info)
{
    struct listing *listing = context;
    listing->transfer = *info->transfer;
    return listing->extract ? extract_files_begin(listing->extract, info, &listing->error) : 0;
}

static int cannot_write(struct error *error)
{
    return error_system(error, "cannot write to standard output");
}

/* The event's own object with its time in front. */
static int print_json(const struct cast_event *event, struct error *error)
{
    int bad = printf("{\"time\":%lld.%06lld", (long long)(event->time_ns / 1000000000),
                     (long long)(event->time_ns % 1000000000 / 1000)) < 0;
    bad |= printf("%s%.*s\n", event->text_length > 2 ? "," : "", (int)event->text_length - 1,
                  event->text + 1) < 0;
    return bad ? cannot_write(error) : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int print_row(struct listing *listing, const struct cast_event *event, const json_t *object,
                     struct error *error)
{
    const char *const members[] = {"op", "result", "sha256", "path", "to", "detail"};
    char shown[6][SHOW_TEXT_SIZE], bytes[SHOW_NUMBER_SIZE] = "-", time[SHOW_NUMBER_SIZE];
    const json_t *number = json_object_get(object, "bytes");
    for (size_t i = 0; i < 6; i++)
        text_escape(shown[i], sizeof(shown[i]), text_of(object, members[i]));
    if (json_is_integer(number))
        snprintf(bytes, sizeof(bytes), "%lld", (long long)json_integer_value(number));
    snprintf(time, sizeof(time), "%lld.%03lld", (long long)(event->time_ns / 1000000000),
             (long long)(event->time_ns % 1000000000 / 1000000));
    if (!listing->titled && printf("%10s  %-8s  %14s  %-18s  %-64s  %s\n", "SECONDS", "WHAT",
                                   "BYTES", "RESULT", "SHA-256", "FILE") < 0)
        return cannot_write(error);
    listing->titled = true;
    if (printf("%10s  %-8s  %14s  %-18s  %-64s  %s%s%s%s%s\n", time, shown[0], bytes, shown[1],
               *shown[2] ? shown[2] : "-", shown[3], *shown[4] ? " -> " : "", shown[4],
               *shown[5] && *shown[3] ? "  " : "", shown[5]) < 0)
        return cannot_write(error);
    return 0;
}

static int take_event(void *context, const struct cast_event *event, struct error *error)
{
    struct listing *listing = context;
    json_error_t why;
    if (!listing->transfer)
        return 0;
    if (event->code == 'm' && strncmp(event->text, NOT_UNDERSTOOD, strlen(NOT_UNDERSTOOD)) == 0)
        listing->unfollowed = true;
    if (event->code != 'f')
        return listing->extract ? extract_files_take(listing->extract, event, error) : 0;
    json_t *object = json_loadb(event->text, event->text_length, JSON_ALLOW_NUL, &why);
    int rc;
    if (!json_is_object(object))
        rc = error_set(error, ERR_DAMAGED, "an \"f\" event's data must be a JSON object");
    else
        rc = listing->json ? print_json(event, error) : print_row(listing, event, object, error);
    json_decref(object);
    return rc;
}

static int list(struct listing *listing, struct recording_operand *operand)
{
    int rc = recording_decode(&operand->source, take_info, take_event, listing, &listing->error);
    if (!rc)
        rc = recording_operand_verify(listing->command, operand, &listing->error);
    if (!rc && fflush(stdout))
        rc = cannot_write(&listing->error);
    if (!rc && !listing->transfer)
        rc = error_set(&listing->error, ERR_NOT_FOUND,
                       "this is not the recording of a file transfer; `castbucket play` shows it");
    uint64_t files = 0;
    if (!rc && listing->extract) {
        rc = extract_files_end(listing->extract, &files, &listing->error);
        fprintf(stderr, "castbucket %s: %llu files were extracted\n", listing->command->name,
                (unsigned long long)files);
    }
    if (rc)
        return cli_fail(listing->command, &listing->error);
    if (listing->unfollowed)
        fprintf(stderr,
                "castbucket %s: a part of it did not follow the protocol and is recorded as it "
                "passed: `castbucket get --raw` has these bytes\n",
                listing->command->name);
    return CLI_OK;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct recording_operand operand;
    struct listing listing = {.command = command};
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    listing.json = cli_value(command, &arguments, "json") != NULL;
    rc = recording_operand_open(command, arguments.settings, cli_value(command, &arguments, "org"),
                                arguments.operand[0], &operand);
    const char *directory = cli_value(command, &arguments, "extract");
    if (rc < 0 && directory && extract_files_new(directory, &listing.extract, &listing.error))
        rc = cli_fail(command, &listing.error);
    if (rc < 0)
        rc = list(&listing, &operand);
    extract_files_free(listing.extract);
    recording_operand_close(&operand);
    return rc;
}

const struct cli_command cli_transfers = {
    "transfers",
    "ID",
    "Lists what a recorded file transfer did to which file.",
    "Of sftp and scp each file that was put or got with its bytes and their SHA-256, and each "
    "rename, removal and other change, with its result; of rsync and git what went each way. "
    "--extract makes a file of each that passed, named by its number, what was done and its name; "
    "the socket's transfer_contents must have been on. ID "
    "may be the beginning of an id, at least 8 characters, or a local file: a word with a slash or "
    "ending in .cast or .cast.gz, or - for standard input.",
    options,
    run,
};
