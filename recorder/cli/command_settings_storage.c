#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "recorder/base/text.h"
#include "recorder/cli/command_settings.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings_edit.h"

#define EXTERNAL_ID_BYTES 32 /* nobody guesses 256 random bits */

static const struct cli_option options[] = {
    {"type", 0, "aws-s3|directory", SETTINGS_HELP_TYPE},
    {"bucket", 0, "BUCKET", SETTINGS_HELP_BUCKET},
    {"role-arn", 0, "ARN", SETTINGS_HELP_ROLE_ARN},
    {"external-id", 0, "ID", SETTINGS_HELP_EXTERNAL_ID},
    {"generate-external-id", 0, NULL, "make a strong external ID, keep it, and print it"},
    {"region", 0, "REGION", SETTINGS_HELP_REGION},
    {"endpoint", 0, "URL", SETTINGS_HELP_ENDPOINT},
    {"sts-endpoint", 0, "URL", SETTINGS_HELP_STS_ENDPOINT},
    {"prefix", 0, "PREFIX", SETTINGS_HELP_PREFIX},
    {"path", 0, "DIR", SETTINGS_HELP_PATH},
    {"remove", 0, NULL, "remove the organization from the settings; recordings stay"},
    {0},
};

struct edit {
    const struct cli_command *command;
    const struct cli_arguments *arguments;
    const char *external_id; /* a generated one, or NULL */
};

static int remove_organization(json_t *root, const char *name, struct error *error)
{
    json_t *organizations = json_object_get(root, "organizations");
    if (json_object_del(organizations, name))
        return error_set(error, ERR_NOT_FOUND, "there is no organization '%s'", name);
    return 0;
}

/* With a new type the other type's keys lose their meaning, and would be refused. */
static void drop_keys_of_other_types(json_t *storage)
{
    const char *type = json_string_value(json_object_get(storage, "type"));
    const struct settings_place *place = &settings_place_storage;
    int choice = type ? settings_choice(settings_key_find(place, "type")->values, type) : 0;
    if (choice == 0)
        return;
    for (size_t i = 0; i < place->key_count; i++)
        if (!(place->keys[i].storage & SETTINGS_STORAGE_BIT(choice)))
            json_object_del(storage, place->keys[i].name);
}

static bool has_type(const json_t *storage, const char *type)
{
    const char *now = json_string_value(json_object_get(storage, "type"));
    return now && strcmp(now, type) == 0;
}

static int change(void *context, json_t *root, struct error *error)
{
    const struct edit *edit = context;
    const char *name = edit->arguments->operand[0];
    if (cli_value(edit->command, edit->arguments, "remove"))
        return remove_organization(root, name, error);
    json_t *organizations, *organization, *storage;
    int rc = settings_edit_member(root, "organizations", &organizations, error);
    if (!rc)
        rc = settings_edit_member(organizations, name, &organization, error);
    if (!rc)
        rc = settings_edit_member(organization, "storage", &storage, error);
    if (rc)
        return rc;
    const char *type = cli_value(edit->command, edit->arguments, "type");
    if (type && !has_type(storage, type)) {
        rc = settings_edit_set(storage, "type", json_string(type), error);
        if (rc)
            return rc;
        drop_keys_of_other_types(storage);
    }
    rc = settings_apply_options(edit->command, edit->arguments, &settings_place_storage, storage,
                                error);
    if (!rc && edit->external_id)
        rc = settings_edit_set(storage, "external_id", json_string(edit->external_id), error);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct error error = ERROR_INIT;
    int rc = settings_parse_change(command, argc, argv, &arguments);
    if (rc >= 0)
        return rc;
    bool generate = cli_value(command, &arguments, "generate-external-id") != NULL;
    if (generate && cli_value(command, &arguments, "external-id"))
        return cli_usage_error(command, "--external-id and --generate-external-id exclude each "
                                        "other");

    unsigned char random[EXTERNAL_ID_BYTES];
    char external_id[2 * EXTERNAL_ID_BYTES + 1];
    if (generate) {
        if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
            error_system(&error, "cannot get random bytes for an external ID");
            return cli_fail(command, &error);
        }
        text_hex(external_id, random, sizeof(random));
    }
    struct edit edit = {command, &arguments, generate ? external_id : NULL};
    if (settings_edit(arguments.settings, change, &edit, &error))
        return cli_fail(command, &error);
    if (generate)
        printf("%s\n", external_id);
    return CLI_OK;
}

const struct cli_command cli_settings_storage = {
    "settings storage",
    "ORG",
    "Sets where an organization's recordings go.",
    "A new organization needs --type, and with it --bucket and --role-arn (aws-s3) or --path "
    "(directory). For one that is there, only what is given changes; an empty value takes an "
    "option back.",
    options,
    run,
};
