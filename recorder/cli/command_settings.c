#include "recorder/cli/command_settings.h"

#include <string.h>

#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings_edit.h"

void settings_print_keys(FILE *to)
{
    fprintf(to, "\nKeys of the file, which is one JSON object:\n");
    for (int p = 0; settings_places[p]; p++) {
        const struct settings_place *place = settings_places[p];
        for (size_t i = 0; i < place->key_count; i++) {
            const struct settings_key *key = &place->keys[i];
            fprintf(to, "  %s%s%s (%s", place->path, *place->path ? "." : "", key->name,
                    key->values);
            if (!key->fallback)
                fprintf(to, "; required");
            else if (*key->fallback)
                fprintf(to, "; default %s", key->fallback);
            fprintf(to, ")\n");
            cli_print_wrapped(to, key->help, 0, 6);
        }
    }
}

int settings_parse_change(const struct cli_command *command, int argc, char **argv,
                          struct cli_arguments *arguments)
{
    int rc = cli_parse(command, argc, argv, 1, 1, arguments);
    if (rc < 0)
        rc = settings_check_words(command, arguments);
    if (rc >= 0)
        return rc;
    bool removes = cli_value(command, arguments, "remove") != NULL, changes = false;
    for (int i = 0; command->options[i].name; i++) {
        if (!arguments->value[i] || strcmp(command->options[i].name, "remove") == 0)
            continue;
        if (removes)
            return cli_usage_error(command, "--remove and --%s exclude each other",
                                   command->options[i].name);
        changes = true;
    }
    return changes || removes
               ? -1
               : cli_usage_error(command, "nothing to change: give at least one option");
}

int settings_check_words(const struct cli_command *command, const struct cli_arguments *arguments)
{
    for (int i = 0; i < arguments->operand_count; i++)
        if (!text_is_utf8(arguments->operand[i], strlen(arguments->operand[i])))
            return cli_usage_error(command, "'%s' is not UTF-8", arguments->operand[i]);
    for (int i = 0; command->options[i].name; i++) {
        const struct cli_option *option = &command->options[i];
        const char *value = arguments->value[i];
        if (!value || !*value)
            continue;
        if (!text_is_utf8(value, strlen(value)))
            return cli_usage_error(command, "--%s: '%s' is not UTF-8", option->name, value);
        if (strchr(option->argument, '|') && !settings_choice(option->argument, value))
            return cli_usage_error(command, "--%s: '%s' is not one of %s", option->name, value,
                                   option->argument);
    }
    return -1;
}

void settings_option_name(const struct settings_key *key, char name[SETTINGS_OPTION_SIZE])
{
    snprintf(name, SETTINGS_OPTION_SIZE, "%s", key->name);
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
}

static int apply(const struct settings_key *key, const char *value, json_t *object,
                 struct error *error)
{
    if (!*value && key->fallback) {
        json_object_del(object, key->name);
        return 0;
    }
    json_t *json = key->kind == SETTINGS_BOOLEAN ? json_boolean(strcmp(value, "on") == 0)
                                                 : json_string(value);
    return settings_edit_set(object, key->name, json, error);
}

int settings_apply_options(const struct cli_command *command, const struct cli_arguments *arguments,
                           const struct settings_place *place, json_t *object, struct error *error)
{
    for (size_t k = 0; k < place->key_count; k++) {
        char name[SETTINGS_OPTION_SIZE];
        settings_option_name(&place->keys[k], name);
        for (int i = 0; command->options[i].name; i++) {
            if (!arguments->value[i] || strcmp(command->options[i].name, name) != 0)
                continue;
            int rc = apply(&place->keys[k], arguments->value[i], object, error);
            if (rc)
                return rc;
        }
    }
    return 0;
}
