#include <stdio.h>
#include <string.h>

#include "recorder/cli/commands.h"

static const struct cli_option no_options[] = {{0}};

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 0, 2, &arguments);
    if (rc >= 0)
        return rc;
    if (arguments.operand_count == 0) {
        cli_print_overview(stdout);
        return CLI_OK;
    }
    char name[128];
    snprintf(name, sizeof(name), "%s%s%s", arguments.operand[0],
             arguments.operand_count > 1 ? " " : "",
             arguments.operand_count > 1 ? arguments.operand[1] : "");
    const struct cli_command *about = cli_find_command(name);
    const struct cli_group *group = cli_find_group(name);
    if (about)
        cli_print_command(stdout, about);
    else if (group)
        cli_print_group(stdout, group);
    else
        return cli_usage_error(command, "there is no command '%s'", name);
    return CLI_OK;
}

const struct cli_command cli_help = {
    "help", "[COMMAND]", "Shows the commands, or tells more of one.", "", no_options, run,
};
