#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "recorder/base/json.h"
#include "recorder/base/text.h"
#include "recorder/settings/settings_internal.h"
#include "recorder/settings/settings_table.h"

/* Where in the file we are, for errors: "organizations.acme.storage." */
struct location {
    const char *file;
    char path[4 * SETTINGS_MAX_NAME];
};

/* The value is wrong; `error` says why, and now also where. */
static int fail(const struct location *at, const char *key, struct error *error)
{
    error_prefix(error, "%s: %s%s", at->file, at->path, key);
    return ERR_INVALID;
}

static const char *kind_name(const struct settings_key *key)
{
    return key->kind == SETTINGS_BOOLEAN  ? "true or false"
           : key->kind == SETTINGS_NUMBER ? "a whole number"
                                          : "a string";
}

static int wrong_type(const struct location *at, const char *key, const char *wanted,
                      struct error *error)
{
    error_set(error, ERR_INVALID, "must be %s", wanted);
    return fail(at, key, error);
}

static int unknown_key(const struct location *at, const struct settings_place *place,
                       const char *key, struct error *error)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < place->key_count && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                 place->keys[i].name);
    for (size_t i = 0; place->objects[i] && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                 place->objects[i]);
    error_set(error, ERR_INVALID, "unknown key; known here: %s", known);
    char shown[2 * SETTINGS_MAX_NAME];
    text_escape(shown, sizeof(shown), key);
    return fail(at, shown, error);
}

static int check_keys(const struct location *at, const struct settings_place *place, json_t *object,
                      struct error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        bool known = settings_key_find(place, name) != NULL;
        for (size_t i = 0; !known && place->objects[i]; i++)
            known = strcmp(place->objects[i], name) == 0;
        if (!known)
            return unknown_key(at, place, name, error);
    }
    return 0;
}

/* A string's value as it is to be used. What a check changed replaces it in the tree, which so
 * stays the owner of every string. */
static int read_string(json_t *object, const struct settings_key *key, json_t **value,
                       struct error *error)
{
    char clean[SETTINGS_VALUE_SIZE];
    if (key->fallback && !*key->fallback && !*json_string_value(*value))
        return 0; /* "" is how a form says: not given */
    int rc = key->check(json_string_value(*value), clean, error);
    if (rc)
        return rc;
    if (strcmp(clean, json_string_value(*value)) != 0) {
        if (json_object_set_new(object, key->name, json_string(clean)))
            return error_set(error, ERR_NO_MEMORY, "no memory");
        *value = json_object_get(object, key->name);
    }
    return 0;
}

static int read_key(const struct location *at, json_t *object, const struct settings_key *key,
                    unsigned storage_bit, char *target, struct error *error)
{
    json_t *value = json_object_get(object, key->name);
    if (!(key->storage & storage_bit)) {
        if (key->kind == SETTINGS_STRING)
            *(const char **)(void *)(target + key->offset) = "";
        if (!value)
            return 0;
        error_set(error, ERR_INVALID, "is not a key of this type of storage");
        return fail(at, key->name, error);
    }
    if (!value && !key->fallback) {
        error_set(error, ERR_INVALID, "is missing: %s", key->help);
        return fail(at, key->name, error);
    }
    if (value && !(key->kind == SETTINGS_BOOLEAN  ? json_is_boolean(value)
                   : key->kind == SETTINGS_NUMBER ? json_is_integer(value)
                                                  : json_is_string(value)))
        return wrong_type(at, key->name, kind_name(key), error);

    const char *text = value && json_is_string(value) ? json_string_value(value) : key->fallback;
    char digits[32];
    if (value && json_is_integer(value)) {
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = digits;
    }
    int choice = 0;
    if (key->kind == SETTINGS_CHOICE || key->kind == SETTINGS_NUMBER) {
        choice = settings_choice(key->values, text);
        if (!choice) {
            error_set(error, ERR_INVALID, "'%.64s' is not one of %s", text, key->values);
            return fail(at, key->name, error);
        }
    }
    switch (key->kind) {
    case SETTINGS_STRING:
        if (value) {
            int rc = read_string(object, key, &value, error);
            if (rc) {
                (void)fail(at, key->name, error);
                return rc; /* it may be memory */
            }
            text = json_string_value(value);
        }
        *(const char **)(void *)(target + key->offset) = text;
        break;
    case SETTINGS_BOOLEAN:
        *(bool *)(target + key->offset) = value ? json_is_true(value)
                                                : strcmp(key->fallback, "true") == 0;
        break;
    case SETTINGS_CHOICE:
        *(int *)(void *)(target + key->offset) = choice;
        break;
    case SETTINGS_NUMBER:
        *(int *)(void *)(target + key->offset) = atoi(text);
        break;
    }
    return 0;
}

static int read_storage(const struct location *at, json_t *object, struct storage_settings *storage,
                        struct error *error)
{
    const struct settings_place *place = &settings_place_storage;
    int rc = check_keys(at, place, object, error);
    if (rc)
        return rc;
    /* The type comes first in the table: it says which of the others belong. */
    unsigned bit = SETTINGS_ANY_STORAGE;
    for (size_t i = 0; i < place->key_count; i++) {
        rc = read_key(at, object, &place->keys[i], bit, (char *)storage, error);
        if (rc)
            return rc;
        bit = SETTINGS_STORAGE_BIT(storage->type);
    }
    if (storage->type == STORAGE_AWS_S3 && !*storage->sts_endpoint &&
        !settings_role_arn_is_aws(storage->role_arn)) {
        error_set(error, ERR_INVALID,
                  "'%.200s' has no account of 12 digits, as AWS's roles have (without sts_endpoint "
                  "AWS is asked)",
                  storage->role_arn);
        return fail(at, "role_arn", error);
    }
    return 0;
}

static int read_organization(const char *file, const char *name, json_t *object,
                             struct organization_settings *organization, struct error *error)
{
    struct location at = {.file = file};
    snprintf(at.path, sizeof(at.path), "organizations.%s", name);
    if (!json_is_object(object))
        return wrong_type(&at, "", "an object", error);
    snprintf(at.path, sizeof(at.path), "organizations.%s.", name);
    int rc = check_keys(&at, &settings_place_organization, object, error);
    if (rc)
        return rc;
    json_t *storage = json_object_get(object, "storage");
    if (!storage) {
        error_set(error, ERR_INVALID, "is missing: say where its recordings go");
        return fail(&at, "storage", error);
    }
    if (!json_is_object(storage))
        return wrong_type(&at, "storage", "an object", error);
    organization->name = name;
    snprintf(at.path, sizeof(at.path), "organizations.%s.storage.", name);
    return read_storage(&at, storage, &organization->storage, error);
}

static int read_socket(const char *file, const char *name, json_t *object,
                       const struct settings *settings, struct socket_settings *socket,
                       struct error *error)
{
    struct location at = {.file = file};
    snprintf(at.path, sizeof(at.path), "sockets.%s", name);
    if (!json_is_object(object))
        return wrong_type(&at, "", "an object", error);
    snprintf(at.path, sizeof(at.path), "sockets.%s.", name);
    const struct settings_place *place = &settings_place_socket;
    int rc = check_keys(&at, place, object, error);
    if (rc)
        return rc;
    struct settings_socket_values values = {.socket.name = name};
    for (size_t i = 0; i < place->key_count; i++) {
        rc = read_key(&at, object, &place->keys[i], SETTINGS_ANY_STORAGE, (char *)&values, error);
        if (rc)
            return rc;
    }
    *socket = values.socket;
    socket->organization = settings_organization(settings, values.organization);
    if (!socket->organization) {
        error_set(error, ERR_INVALID, "there is no organization '%s' in this file",
                  values.organization);
        return fail(&at, "organization", error);
    }
    return 0;
}

static int check_member_name(const char *file, const char *section, const char *name,
                             struct error *error)
{
    char clean[SETTINGS_VALUE_SIZE];
    int rc = settings_check_name(name, clean, error);
    if (rc == 0)
        return 0;
    char shown[2 * SETTINGS_MAX_NAME];
    text_escape(shown, sizeof(shown), name);
    error_prefix(error, "%s: %s.%s", file, section, shown);
    return rc;
}

/* The members of a section, or none when it is not there. */
static int section_count(const char *file, json_t *root, const char *section, json_t **object,
                         size_t *count, struct error *error)
{
    struct location at = {.file = file};
    *object = json_object_get(root, section);
    *count = 0;
    if (!*object)
        return 0;
    if (!json_is_object(*object))
        return wrong_type(&at, section, "an object", error);
    *count = json_object_size(*object);
    return 0;
}

static int read_organizations(const char *file, struct settings *settings, struct error *error)
{
    json_t *section, *value;
    const char *name;
    size_t count, i = 0;
    int rc = section_count(file, settings->root, "organizations", &section, &count, error);
    if (rc || count == 0)
        return rc;
    settings->organizations = calloc(count, sizeof(*settings->organizations));
    settings->organizations_by_name = calloc(count, sizeof(*settings->organizations_by_name));
    if (!settings->organizations || !settings->organizations_by_name)
        return error_set(error, ERR_NO_MEMORY, "%s: no memory", file);
    json_object_foreach(section, name, value)
    {
        rc = check_member_name(file, "organizations", name, error);
        if (!rc)
            rc = read_organization(file, name, value, &settings->organizations[i], error);
        if (rc)
            return rc;
        settings->organizations_by_name[i] = &settings->organizations[i];
        i++;
    }
    settings->organization_count = count;
    qsort(settings->organizations_by_name, count, sizeof(*settings->organizations_by_name),
          settings_compare_names);
    return 0;
}

static int read_sockets(const char *file, struct settings *settings, struct error *error)
{
    json_t *section, *value;
    const char *name;
    size_t count, i = 0;
    int rc = section_count(file, settings->root, "sockets", &section, &count, error);
    if (rc || count == 0)
        return rc;
    settings->sockets = calloc(count, sizeof(*settings->sockets));
    settings->sockets_by_name = calloc(count, sizeof(*settings->sockets_by_name));
    if (!settings->sockets || !settings->sockets_by_name)
        return error_set(error, ERR_NO_MEMORY, "%s: no memory", file);
    json_object_foreach(section, name, value)
    {
        rc = check_member_name(file, "sockets", name, error);
        if (!rc)
            rc = read_socket(file, name, value, settings, &settings->sockets[i], error);
        if (rc)
            return rc;
        settings->sockets_by_name[i] = &settings->sockets[i];
        i++;
    }
    settings->socket_count = count;
    qsort(settings->sockets_by_name, count, sizeof(*settings->sockets_by_name),
          settings_compare_names);
    return 0;
}

int settings_parse(const char *name, const char *text, size_t length, struct settings **settings,
                   struct error *error)
{
    struct location at = {.file = name};
    *settings = NULL;
    if (length > SETTINGS_MAX_FILE)
        return error_set(error, ERR_LIMIT, "%s is larger than %zu bytes", name, SETTINGS_MAX_FILE);
    struct settings *parsed = calloc(1, sizeof(*parsed));
    if (!parsed)
        return error_set(error, ERR_NO_MEMORY, "%s: no memory", name);
    atomic_init(&parsed->references, 1);
    int rc = 0;
    rc = json_read_object(text, length, &parsed->root, error);
    if (rc) {
        error_prefix(error, "%s", name);
        goto out;
    }
    rc = check_keys(&at, &settings_place_top, parsed->root, error);
    for (size_t i = 0; !rc && i < settings_place_top.key_count; i++)
        rc = read_key(&at, parsed->root, &settings_place_top.keys[i], SETTINGS_ANY_STORAGE,
                      (char *)&parsed->top, error);
    if (!rc)
        rc = read_organizations(name, parsed, error);
    if (!rc)
        rc = read_sockets(name, parsed, error);
out:
    if (rc)
        settings_unref(parsed);
    else
        *settings = parsed;
    return rc;
}
