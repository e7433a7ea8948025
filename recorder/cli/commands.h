/* What the castbucket program is made of: its commands, one file each, and the frame around them.
 * cli.h has what a command needs; this is for main, help and completion. */
#ifndef CASTBUCKET_CLI_COMMANDS_H
#define CASTBUCKET_CLI_COMMANDS_H

#include <stdio.h>

#include "recorder/cli/cli.h"

extern const struct cli_command cli_ls, cli_get, cli_play, cli_verify, cli_transfers, cli_check,
    cli_recorder;
extern const struct cli_command cli_settings_storage, cli_settings_socket, cli_settings_spool,
    cli_settings_spool_quota, cli_settings_cast_version, cli_settings_signing_key,
    cli_settings_show, cli_settings_validate;
extern const struct cli_command cli_iam_policy, cli_iam_trust, cli_iam_cloudformation;
extern const struct cli_command cli_completion, cli_help;

/* The first word of several commands. */
struct cli_group {
    const char *name;
    const char *summary;
    void (*print_more)(
        FILE *to); /* what `castbucket GROUP --help` says at its end; NULL: nothing */
};

/* Ends with a zeroed entry. In commands.c. */
extern const struct cli_group cli_groups[];

/* The options that every command has; ends with a zeroed entry. */
extern const struct cli_option cli_common_options[];

/* NULL when there is none of that name. */
const struct cli_command *cli_find_command(const char *name);
const struct cli_group *cli_find_group(const char *name);

/* Whether `command` is "GROUP something". */
bool cli_in_group(const struct cli_command *command, const char *group);

/* Help texts. */
void cli_print_overview(FILE *to);
void cli_print_group(FILE *to, const struct cli_group *group);
void cli_print_command(FILE *to, const struct cli_command *command);

/* Text in lines of at most 80 columns: the first begins at column `at`, the others are indented by
 * `indent`. A newline in the text stays. */
void cli_print_wrapped(FILE *to, const char *text, int at, int indent);

/* Runs a command line (argv[0] is the program). Returns an exit status. */
int cli_main(int argc, char **argv);

/* Offers names one after another and keeps the one that is nearest to what was typed. */
struct cli_nearest {
    const char *typed;
    const char *best; /* NULL when nothing is near */
    size_t distance;
};
#define CLI_NEAREST_INIT(word) ((struct cli_nearest){.typed = (word)})
void cli_nearest_offer(struct cli_nearest *nearest, const char *name);

#endif
