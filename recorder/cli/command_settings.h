/* What the `castbucket settings` commands share. */
#ifndef CASTBUCKET_CLI_COMMAND_SETTINGS_H
#define CASTBUCKET_CLI_COMMAND_SETTINGS_H

#include <stdio.h>

#include <jansson.h>

#include "recorder/cli/cli.h"
#include "recorder/settings/settings_table.h"

/* The keys of the file, from the table: kind, default and help of each. */
void settings_print_keys(FILE *to);

/* Parses a command that changes a named thing, whose words have to pass settings_check_words(): at
 * least one option, and none beside --remove. Returns -1 to go on, or what to exit with. */
int settings_parse_change(const struct cli_command *command, int argc, char **argv,
                          struct cli_arguments *arguments);

/* Operands and values become JSON, so they must be UTF-8; an option "a|b" takes a, b or, to be
 * taken back, an empty value. Returns -1 to go on, or CLI_USAGE after a sentence. */
int settings_check_words(const struct cli_command *command, const struct cli_arguments *arguments);

/* The option that sets a key: "role_arn" is --role-arn. */
#define SETTINGS_OPTION_SIZE 32
void settings_option_name(const struct settings_key *key, char name[SETTINGS_OPTION_SIZE]);

/* Sets the keys of `place` that have an option of the same name and were given. An empty value
 * takes a key away that has a default. The words have passed settings_check_words(). */
__attribute__((warn_unused_result)) int
settings_apply_options(const struct cli_command *command, const struct cli_arguments *arguments,
                       const struct settings_place *place, json_t *object, struct error *error);

#endif
