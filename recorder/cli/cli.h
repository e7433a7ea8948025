/* The castbucket program: one table entry a command, one table entry an option. The tables drive
 * parsing, --help, the completion scripts and the test that compares all of these with the man
 * pages. */
#ifndef CASTBUCKET_CLI_CLI_H
#define CASTBUCKET_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/error.h"

/* Exit statuses of every command. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* it was tried and did not work, or not all of it did; stderr says why */
    CLI_USAGE = 2,  /* the command line itself is wrong */
};

struct cli_option {
    const char *name;     /* long name without dashes: "org" */
    char letter;          /* 'o', or 0 */
    const char *argument; /* what --help shows for the value: "ORG"; NULL: a flag */
    const char *help;
};

struct cli_command {
    const char *name;     /* "ls"; words of a sub-command are separated by a space: "iam policy" */
    const char *operands; /* as --help shows them: "ID"; "" if there are none */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs under the options in --help, or "" */
    const struct cli_option
        *options; /* ends with a zeroed entry; --help and --settings are common */
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

/* All commands, in the order --help lists them; ends with NULL. In commands.c. */
extern const struct cli_command *const cli_commands[];

/* The values given on a command line, in the order of command->options. */
#define CLI_MAX_OPTIONS 32
#define CLI_MAX_OPERANDS 8
struct cli_arguments {
    const char *value[CLI_MAX_OPTIONS]; /* NULL: not given; "" for a flag that was given */
    const char *operand[CLI_MAX_OPERANDS];
    int operand_count;
    const char *settings; /* --settings, else CASTBUCKET_SETTINGS, else the default path */
};

/* argv[0] is the first word after the command's name. Understands --name VALUE, --name=VALUE, -x
 * VALUE, -xVALUE, -- and --help. Returns -1 to go on, or an exit status: 0 after --help, CLI_USAGE
 * after a sentence on standard error. Operands must number from `least` to `most`. */
int cli_parse(const struct cli_command *command, int argc, char **argv, int least, int most,
              struct cli_arguments *arguments);

/* The value of an option by name; NULL when not given. The name must be in the table. */
const char *cli_value(const struct cli_command *command, const struct cli_arguments *arguments,
                      const char *name);

/* "castbucket COMMAND: sentence" on standard error; returns CLI_FAILED or CLI_USAGE. */
int cli_fail(const struct cli_command *command, const struct error *error);
int cli_usage_error(const struct cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
