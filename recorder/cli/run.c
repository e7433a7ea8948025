/* From a command line to a command. */
#include <stdio.h>
#include <string.h>

#include "recorder/base/text.h"
#include "recorder/cli/commands.h"

#define NAME_SIZE 128

const struct cli_command *cli_find_command(const char *name)
{
    for (int i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    return NULL;
}

const struct cli_group *cli_find_group(const char *name)
{
    for (int i = 0; cli_groups[i].name; i++)
        if (strcmp(cli_groups[i].name, name) == 0)
            return &cli_groups[i];
    return NULL;
}

bool cli_in_group(const struct cli_command *command, const char *group)
{
    size_t length = strlen(group);
    return strncmp(command->name, group, length) == 0 && command->name[length] == ' ';
}

static int unknown_command(const char *typed)
{
    char shown[NAME_SIZE];
    text_escape(shown, sizeof(shown), typed);
    struct cli_nearest nearest = CLI_NEAREST_INIT(shown);
    for (int i = 0; cli_commands[i]; i++)
        cli_nearest_offer(&nearest, cli_commands[i]->name);
    for (int i = 0; cli_groups[i].name; i++)
        cli_nearest_offer(&nearest, cli_groups[i].name);
    fprintf(stderr, "castbucket: unknown command '%s'", shown);
    if (nearest.best)
        fprintf(stderr, "; did you mean '%s'?\n", nearest.best);
    else
        fprintf(stderr, "\nTry 'castbucket --help'.\n");
    return CLI_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_group(const struct cli_group *group, int argc, char **argv)
{
    if (argc == 0 || is_help(argv[0])) {
        cli_print_group(argc ? stdout : stderr, group);
        return argc ? CLI_OK : CLI_USAGE;
    }
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "%s %s", group->name, argv[0]);
    const struct cli_command *command = cli_find_command(name);
    if (!command)
        return unknown_command(name);
    return command->run(command, argc - 1, argv + 1);
}

static int run_words(int argc, char **argv)
{
    if (argc == 0) {
        cli_print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_help(argv[0])) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("castbucket " CASTBUCKET_VERSION "\n");
        return CLI_OK;
    }
    const struct cli_group *group = cli_find_group(argv[0]);
    if (group)
        return run_group(group, argc - 1, argv + 1);
    /* A name with a space in it ("iam policy" as one word) is not a command line of ours. */
    const struct cli_command *command = strchr(argv[0], ' ') ? NULL : cli_find_command(argv[0]);
    if (!command)
        return unknown_command(argv[0]);
    return command->run(command, argc - 1, argv + 1);
}

int cli_main(int argc, char **argv)
{
    int rc = run_words(argc - 1, argv + 1);
    /* What was printed counts as done only when it arrived: a full disk must not pass for success.
     */
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "castbucket: cannot write to standard output: %m\n");
        if (rc == CLI_OK)
            rc = CLI_FAILED;
    }
    return rc;
}
