#include <stdlib.h>
#include <string.h>

#include "recorder/base/text.h"
#include "recorder/cli/command_settings.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings.h"

#define SHOWN_SIZE 8192 /* the longest value, each of its bytes escaped */

static const struct cli_option show_options[] = {
    {"json", 0, NULL, "print JSON: a complete settings file with every default filled in"},
    {0},
};
static const struct cli_option no_options[] = {{0}};

/* A value as JSON; NULL also for a string that is not given. */
static json_t *value_of(const struct settings_key *key, const char *from)
{
    const void *place = from + key->offset;
    char name[64];
    const char *text;
    switch (key->kind) {
    case SETTINGS_STRING:
        text = *(const char *const *)place;
        return *text ? json_string(text) : NULL;
    case SETTINGS_BOOLEAN:
        return json_boolean(*(const bool *)place);
    case SETTINGS_NUMBER:
        return json_integer(*(const int *)place);
    case SETTINGS_CHOICE:
        settings_choice_name(key->values, *(const int *)place, name, sizeof(name));
        return json_string(name);
    }
    return NULL;
}

/* NULL when there is no memory; the same in tree_of(). */
static json_t *object_of(const struct settings_place *place, const void *from)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < place->key_count; i++) {
        json_t *value = value_of(&place->keys[i], from);
        if (value && json_object_set_new(object, place->keys[i].name, value)) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static int add_organizations(json_t *to, const struct settings *settings)
{
    const struct organization_settings *organization;
    for (size_t i = 0; (organization = settings_organization_at(settings, i)); i++) {
        json_t *storage = object_of(&settings_place_storage, &organization->storage);
        if (json_object_set_new(to, organization->name, json_pack("{s:o}", "storage", storage)))
            return -1;
    }
    return 0;
}

static int add_sockets(json_t *to, const struct settings *settings)
{
    const struct socket_settings *socket;
    for (size_t i = 0; (socket = settings_socket_at(settings, i)); i++) {
        struct settings_socket_values values = {socket->organization->name, *socket};
        if (json_object_set_new(to, socket->name, object_of(&settings_place_socket, &values)))
            return -1;
    }
    return 0;
}

/* What is in force, in the shape of the file. */
static json_t *tree_of(const struct settings *settings)
{
    struct settings_top top = {1, settings_spool(settings), settings_spool_quota(settings),
                               settings_cast_version(settings), settings_signing_key(settings)};
    json_t *root = object_of(&settings_place_top, &top);
    json_t *organizations = json_object(), *sockets = json_object();
    int failed = add_organizations(organizations, settings);
    failed |= add_sockets(sockets, settings);
    failed |= json_object_set_new(root, "organizations", organizations);
    failed |= json_object_set_new(root, "sockets", sockets);
    if (!failed)
        return root;
    json_decref(root);
    return NULL;
}

static void print_text(json_t *object, int depth)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char shown[SHOWN_SIZE];
        text_escape(shown, sizeof(shown), name);
        printf("%*s%s:", 2 * depth, "", shown);
        if (json_is_object(value)) {
            printf("\n");
            print_text(value, depth + 1);
        } else if (json_is_boolean(value)) {
            printf(" %s\n", json_is_true(value) ? "on" : "off");
        } else if (json_is_integer(value)) {
            printf(" %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
        } else {
            text_escape(shown, sizeof(shown), json_string_value(value));
            printf(" %s\n", shown);
        }
    }
}

static int run_show(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct settings *settings;
    struct error error = ERROR_INIT;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    if (settings_load(arguments.settings, &settings, &error))
        return cli_fail(command, &error);
    json_t *tree = tree_of(settings);
    bool json = cli_value(command, &arguments, "json") != NULL;
    char *text = tree && json ? json_dumps(tree, JSON_INDENT(2)) : NULL;
    if (!tree || (json && !text)) {
        error_set(&error, ERR_NO_MEMORY, "no memory");
        rc = cli_fail(command, &error);
    } else {
        rc = CLI_OK;
        if (json)
            printf("%s\n", text);
        else
            print_text(tree, 0);
    }
    free(text);
    json_decref(tree);
    settings_unref(settings);
    return rc;
}

static int run_validate(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct settings *settings;
    struct error error = ERROR_INIT;
    size_t organizations = 0, sockets = 0;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    if (settings_load(arguments.settings, &settings, &error))
        return cli_fail(command, &error);
    while (settings_organization_at(settings, organizations))
        organizations++;
    while (settings_socket_at(settings, sockets))
        sockets++;
    char shown[SHOWN_SIZE];
    text_escape(shown, sizeof(shown), arguments.settings);
    printf("%s is valid: %zu organization%s, %zu socket%s\n", shown, organizations,
           organizations == 1 ? "" : "s", sockets, sockets == 1 ? "" : "s");
    settings_unref(settings);
    return CLI_OK;
}

const struct cli_command cli_settings_show = {
    "settings show", "", "Shows the settings in force.", "", show_options, run_show,
};

const struct cli_command cli_settings_validate = {
    "settings validate",
    "",
    "Checks the settings file and names what is wrong with it.",
    "",
    no_options,
    run_validate,
};
