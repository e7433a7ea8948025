#include <string.h>

#include "recorder/cli/commands.h"

#define WIDTH 80
#define HELP_COLUMN 26

void cli_print_wrapped(FILE *to, const char *text, int at, int indent)
{
    for (const char *p = text; *p;) {
        if (*p == '\n') {
            fputc('\n', to);
            at = 0;
            p++;
            continue;
        }
        int space = (int)strspn(p, " ");
        int word = (int)strcspn(p + space, " \n");
        if (at > indent && at + space + word >= WIDTH) {
            fputc('\n', to);
            at = 0;
            p += space;
            space = 0;
        }
        if (at == 0)
            at = fprintf(to, "%*s", indent, "");
        at += fprintf(to, "%.*s", space + word, p);
        p += space + word;
    }
    fputc('\n', to);
}

static void print_entry(FILE *to, const char *name, const char *help)
{
    int at = fprintf(to, "  %-*s", HELP_COLUMN - 3, name);
    if (at >= HELP_COLUMN) {
        fputc('\n', to);
        at = 0;
    } else {
        fputc(' ', to);
        at++;
    }
    cli_print_wrapped(to, help, at, HELP_COLUMN);
}

static void print_options(FILE *to, const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name; o++) {
        char name[80], letter[] = "-x, ";
        letter[1] = o->letter;
        snprintf(name, sizeof(name), "%s--%s%s%s", o->letter ? letter : "", o->name,
                 o->argument ? " " : "", o->argument ? o->argument : "");
        print_entry(to, name, o->help);
    }
}

void cli_print_command(FILE *to, const struct cli_command *command)
{
    fprintf(to, "Usage: castbucket %s%s%s [OPTION...]\n\n", command->name,
            *command->operands ? " " : "", command->operands);
    cli_print_wrapped(to, command->summary, 0, 0);
    fprintf(to, "\nOptions:\n");
    print_options(to, command->options);
    print_options(to, cli_common_options);
    if (*command->details) {
        fputc('\n', to);
        cli_print_wrapped(to, command->details, 0, 0);
    }
}

void cli_print_group(FILE *to, const struct cli_group *group)
{
    fprintf(to, "Usage: castbucket %s COMMAND [OPTION...]\n\n", group->name);
    cli_print_wrapped(to, group->summary, 0, 0);
    fprintf(to, "\nCommands:\n");
    for (int i = 0; cli_commands[i]; i++)
        if (cli_in_group(cli_commands[i], group->name))
            print_entry(to, cli_commands[i]->name, cli_commands[i]->summary);
    if (group->print_more)
        group->print_more(to);
    fprintf(to, "\n'castbucket help %s COMMAND' tells more of one command.\n", group->name);
}

void cli_print_overview(FILE *to)
{
    fprintf(to, "Usage: castbucket COMMAND [OPTION...]\n\n"
                "Records SSH sessions and stores them in the organization's own bucket.\n\n"
                "Commands:\n");
    for (int i = 0; cli_commands[i]; i++)
        print_entry(to, cli_commands[i]->name, cli_commands[i]->summary);
    fprintf(to, "\nOptions of every command:\n");
    print_options(to, cli_common_options);
    fputc('\n', to);
    cli_print_wrapped(to,
                      "Exit status: 0 done, 1 it did not work or not all of it did, 2 the command "
                      "line is wrong. 'castbucket --version' shows the version, 'castbucket help "
                      "COMMAND' tells more of one command, 'man castbucket' of all.",
                      0, 0);
}
