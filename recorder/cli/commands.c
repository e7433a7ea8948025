#include "recorder/cli/commands.h"

#include "recorder/cli/command_settings.h"

const struct cli_command *const cli_commands[] = {
    &cli_ls,
    &cli_get,
    &cli_play,
    &cli_verify,
    &cli_transfers,
    &cli_check,
    &cli_recorder,
    &cli_settings_storage,
    &cli_settings_socket,
    &cli_settings_spool,
    &cli_settings_spool_quota,
    &cli_settings_cast_version,
    &cli_settings_signing_key,
    &cli_settings_show,
    &cli_settings_validate,
    &cli_iam_policy,
    &cli_iam_trust,
    &cli_iam_cloudformation,
    &cli_completion,
    &cli_help,
    NULL,
};

const struct cli_group cli_groups[] = {
    {"settings", "Shows, checks and changes the settings file.", settings_print_keys},
    {"iam", "Prints what an organization sets up on its side: policies and a template.", NULL},
    {0},
};
