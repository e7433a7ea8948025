#include "recorder/cli/command_settings.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings_edit.h"

static const struct cli_option options[] = {
    {"organization", 0, "ORG", SETTINGS_HELP_ORGANIZATION},
    {"recording", 0, "on|off", SETTINGS_HELP_RECORDING},
    {"input", 0, "on|off", SETTINGS_HELP_INPUT},
    {"transfer-contents", 0, "on|off", SETTINGS_HELP_TRANSFER_CONTENTS},
    {"on-failure", 0, "end|refuse|continue", SETTINGS_HELP_ON_FAILURE},
    {"remove", 0, NULL, "remove the socket from the settings; its recordings stay"},
    {0},
};

struct edit {
    const struct cli_command *command;
    const struct cli_arguments *arguments;
};

static int change(void *context, json_t *root, struct error *error)
{
    const struct edit *edit = context;
    const char *name = edit->arguments->operand[0];
    if (cli_value(edit->command, edit->arguments, "remove")) {
        if (json_object_del(json_object_get(root, "sockets"), name))
            return error_set(error, ERR_NOT_FOUND, "there is no socket '%s'", name);
        return 0;
    }
    json_t *sockets, *socket;
    int rc = settings_edit_member(root, "sockets", &sockets, error);
    if (!rc)
        rc = settings_edit_member(sockets, name, &socket, error);
    if (!rc)
        rc = settings_apply_options(edit->command, edit->arguments, &settings_place_socket, socket,
                                    error);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct error error = ERROR_INIT;
    int rc = settings_parse_change(command, argc, argv, &arguments);
    if (rc >= 0)
        return rc;
    struct edit edit = {command, &arguments};
    if (settings_edit(arguments.settings, change, &edit, &error))
        return cli_fail(command, &error);
    return CLI_OK;
}

const struct cli_command cli_settings_socket = {
    "settings socket",
    "NAME",
    "Sets to whom a socket belongs and whether it is recorded.",
    "A new socket needs --organization, one that is in the settings. For a socket that is there, "
    "only what is given changes. Sessions that run keep what they started with.",
    options,
    run,
};
