/* The commands that set one key at the top of the file. */
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/command_settings.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings_edit.h"

static const struct cli_option no_options[] = {{0}};

struct edit {
    const char *key;
    json_t *value; /* owned until it is in the tree */
};

static int change(void *context, json_t *root, struct error *error)
{
    struct edit *edit = context;
    return settings_edit_set(root, edit->key, json_incref(edit->value), error);
}

/* Takes `value` over. */
static int set(const struct cli_command *command, const struct cli_arguments *arguments,
               const char *key, json_t *value)
{
    struct error error = ERROR_INIT;
    struct edit edit = {key, value};
    int rc = value ? settings_edit(arguments->settings, change, &edit, &error)
                   : error_set(&error, ERR_NO_MEMORY, "no memory");
    json_decref(value);
    return rc ? cli_fail(command, &error) : CLI_OK;
}

static int run_spool(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc < 0)
        rc = settings_check_words(command, &arguments);
    if (rc >= 0)
        return rc;
    return set(command, &arguments, "spool", json_string(arguments.operand[0]));
}

static int run_cast_version(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    const char *version = arguments.operand[0];
    if (!settings_choice(settings_key_find(&settings_place_top, "cast_version")->values, version))
        return cli_usage_error(command, "'%s' is not one of 2|3", version);
    return set(command, &arguments, "cast_version", json_integer(atoi(version)));
}

const struct cli_command cli_settings_spool = {
    "settings spool",
    "DIR",
    "Sets the directory where recordings wait until they are stored.",
    "Hosts and recorder must both be able to write there. What waits in another spool stays "
    "there: empty it with 'castbucket recorder --once' before.",
    no_options,
    run_spool,
};

const struct cli_command cli_settings_cast_version = {
    "settings cast-version",
    "2|3",
    "Sets the asciicast version of new recordings.",
    "Every player reads version 2; version 3 needs asciinema 3 or a recent player.",
    no_options,
    run_cast_version,
};
