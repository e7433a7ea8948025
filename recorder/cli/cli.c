#include "recorder/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings.h"

enum { COMMON_SETTINGS, COMMON_HELP };
const struct cli_option cli_common_options[] = {
    [COMMON_SETTINGS] = {"settings", 0, "FILE",
                         "settings file (default: CASTBUCKET_SETTINGS from the environment, "
                         "else " SETTINGS_DEFAULT_PATH ")"},
    [COMMON_HELP] = {"help", 'h', NULL, "show this help"},
    {0},
};

/* An option that a command line names: the command's own or a common one. */
struct found {
    const struct cli_option *option;
    int index; /* in the command's options, or -1 - index in the common ones */
};

/* `length` bytes of name, or, when it is 0, the letter. */
static bool find_option(const struct cli_command *command, const char *name, size_t length,
                        char letter, struct found *found)
{
    const struct cli_option *tables[] = {command->options, cli_common_options};
    for (int t = 0; t < 2; t++) {
        for (int i = 0; tables[t][i].name; i++) {
            const struct cli_option *option = &tables[t][i];
            bool same = length ? strlen(option->name) == length &&
                                     memcmp(option->name, name, length) == 0
                               : option->letter && option->letter == letter;
            if (same) {
                *found = (struct found){option, t == 0 ? i : -1 - i};
                return true;
            }
        }
    }
    return false;
}

static int unknown_option(const struct cli_command *command, const char *word)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    struct cli_nearest nearest = CLI_NEAREST_INIT(name);
    for (const struct cli_option *o = command->options; o->name; o++)
        cli_nearest_offer(&nearest, o->name);
    for (const struct cli_option *o = cli_common_options; o->name; o++)
        cli_nearest_offer(&nearest, o->name);
    if (nearest.best)
        return cli_usage_error(command, "unknown option --%s; did you mean --%s?", name,
                               nearest.best);
    return cli_usage_error(command, "unknown option --%s", name);
}

/* Keeps a value. Returns -1 to go on, or an exit status. */
static int keep(const struct cli_command *command, const struct found *found, const char *value,
                struct cli_arguments *arguments)
{
    if (found->index == -1 - COMMON_HELP) {
        cli_print_command(stdout, command);
        return CLI_OK;
    }
    const char **place = found->index == -1 - COMMON_SETTINGS ? &arguments->settings
                                                              : &arguments->value[found->index];
    if (*place)
        return cli_usage_error(command, "--%s is given twice", found->option->name);
    if (place == &arguments->settings && !*value)
        return cli_usage_error(command, "--settings needs the name of a file");
    *place = value;
    return -1;
}

static int parse_long(const struct cli_command *command, int argc, char **argv, int *at,
                      struct cli_arguments *arguments)
{
    const char *word = argv[*at], *name = word + 2, *equals = strchr(name, '=');
    struct found found;
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    if (!length || !find_option(command, name, length, 0, &found))
        return unknown_option(command, word);
    if (!found.option->argument) {
        if (equals)
            return cli_usage_error(command, "--%s takes no value", found.option->name);
        return keep(command, &found, "", arguments);
    }
    if (equals)
        return keep(command, &found, equals + 1, arguments);
    if (*at + 1 >= argc)
        return cli_usage_error(command, "--%s needs a value: %s", found.option->name,
                               found.option->argument);
    return keep(command, &found, argv[++*at], arguments);
}

/* -x VALUE, -xVALUE, and flags that share a dash: -xy. */
static int parse_letters(const struct cli_command *command, int argc, char **argv, int *at,
                         struct cli_arguments *arguments)
{
    for (const char *p = argv[*at] + 1; *p; p++) {
        struct found found;
        int rc;
        if (!find_option(command, NULL, 0, *p, &found))
            return cli_usage_error(command, "unknown option -%c", *p);
        if (!found.option->argument) {
            rc = keep(command, &found, "", arguments);
            if (rc >= 0)
                return rc;
            continue;
        }
        if (p[1])
            return keep(command, &found, p + 1, arguments);
        if (*at + 1 >= argc)
            return cli_usage_error(command, "-%c needs a value: %s", *p, found.option->argument);
        return keep(command, &found, argv[++*at], arguments);
    }
    return -1;
}

static int check_operands(const struct cli_command *command, int count, int least, int most,
                          const char *surplus)
{
    if (count > most && most == 0)
        return cli_usage_error(command, "unexpected word '%s'", surplus);
    if (count > most)
        return cli_usage_error(command, "unexpected word '%s': only %s is expected", surplus,
                               command->operands);
    if (count < least)
        return cli_usage_error(command, "%s is missing", command->operands);
    return -1;
}

int cli_parse(const struct cli_command *command, int argc, char **argv, int least, int most,
              struct cli_arguments *arguments)
{
    const char *surplus = NULL;
    bool only_operands = false;
    int count = 0;
    *arguments = (struct cli_arguments){0};
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        int rc = -1;
        if (only_operands || word[0] != '-' || !word[1]) {
            if (count < most && count < CLI_MAX_OPERANDS)
                arguments->operand[count] = word;
            else if (!surplus)
                surplus = word;
            count++;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (word[1] == '-') {
            rc = parse_long(command, argc, argv, &at, arguments);
        } else {
            rc = parse_letters(command, argc, argv, &at, arguments);
        }
        if (rc >= 0)
            return rc;
    }
    int rc = check_operands(command, count, least, most, surplus);
    if (rc >= 0)
        return rc;
    arguments->operand_count = count;
    const char *environment = getenv(SETTINGS_ENVIRONMENT);
    if (!arguments->settings)
        arguments->settings = environment && *environment ? environment : SETTINGS_DEFAULT_PATH;
    return -1;
}

const char *cli_value(const struct cli_command *command, const struct cli_arguments *arguments,
                      const char *name)
{
    for (int i = 0; command->options[i].name; i++)
        if (strcmp(command->options[i].name, name) == 0)
            return arguments->value[i];
    abort(); /* the name is a literal in the command's own file */
}

int cli_fail(const struct cli_command *command, const struct error *error)
{
    fflush(stdout);
    fprintf(stderr, "castbucket %s: %s\n", command->name, error->text);
    return CLI_FAILED;
}

int cli_usage_error(const struct cli_command *command, const char *format, ...)
{
    char raw[1024], line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof(raw), format, arguments);
    va_end(arguments);
    text_escape(line, sizeof(line), raw);
    fflush(stdout);
    fprintf(stderr, "castbucket %s: %s\nTry 'castbucket %s --help'.\n", command->name, line,
            command->name);
    return CLI_USAGE;
}
