#include "recorder/cast/cast_info.h"

#include <jansson.h>
#include <stdlib.h>

struct cast_info_owner {
    json_t *root;
};

/* The member `name` when it is there with the right type. Missing or null: *value stays as it is.
 * Another type makes the header damaged. */
static int get_text(const json_t *object, const char *name, const char **value, struct error *error)
{
    const json_t *member = json_object_get(object, name);
    if (!member || json_is_null(member))
        return 0;
    if (!json_is_string(member))
        return error_set(error, ERR_DAMAGED, "\"%s\" must be a string", name);
    *value = json_string_value(member);
    return 0;
}

static int get_object(const json_t *object, const char *name, const json_t **value,
                      struct error *error)
{
    const json_t *member = json_object_get(object, name);
    if (!member || json_is_null(member))
        return 0;
    if (!json_is_object(member))
        return error_set(error, ERR_DAMAGED, "\"%s\" must be an object", name);
    *value = member;
    return 0;
}

static int get_size(const json_t *object, const char *name, uint32_t *value, struct error *error)
{
    const json_t *member = json_object_get(object, name);
    json_int_t number = json_integer_value(member);
    if (!json_is_integer(member) || number < 0 || number > UINT32_MAX)
        return error_set(error, ERR_DAMAGED, "\"%s\" must be a number of columns or rows", name);
    *value = (uint32_t)number;
    return 0;
}

/* Whole seconds by the format, but recorders that write fractions exist. */
static int get_timestamp(const json_t *object, int64_t *ns, struct error *error)
{
    const json_t *member = json_object_get(object, "timestamp");
    double seconds = json_number_value(member);
    if (!member || json_is_null(member))
        return 0;
    if (!json_is_number(member) || !(seconds > -9e9 && seconds < 9e9))
        return error_set(error, ERR_DAMAGED, "\"timestamp\" must be seconds since 1970");
    *ns = json_is_integer(member) ? json_integer_value(member) * 1000000000
                                  : (int64_t)(seconds * 1e6) * 1000;
    return 0;
}

static int read_screen(const json_t *root, struct cast_info *info, struct error *error)
{
    const json_t *place = NULL;
    int rc = get_object(root, info->version == 3 ? "term" : "env", &place, error);
    if (!rc && info->version == 3) {
        rc = get_size(place, "cols", &info->columns, error);
        if (!rc)
            rc = get_size(place, "rows", &info->rows, error);
        if (!rc)
            rc = get_text(place, "type", &info->term, error);
    } else if (!rc) {
        rc = get_size(root, "width", &info->columns, error);
        if (!rc)
            rc = get_size(root, "height", &info->rows, error);
        if (!rc)
            rc = get_text(place, "TERM", &info->term, error);
    }
    return rc;
}

static int read_facts(const json_t *root, struct cast_info *info, bool *ours, struct error *error)
{
    const json_t *facts = NULL;
    int rc = get_object(root, "castbucket", &facts, error);
    *ours = facts != NULL;
    if (rc || !facts)
        return rc;
    const json_t *onlcr = json_object_get(facts, "onlcr");
    if (onlcr && !json_is_boolean(onlcr))
        return error_set(error, ERR_DAMAGED, "\"onlcr\" must be true or false");
    info->onlcr = json_is_true(onlcr);
    rc = get_text(facts, "id", &info->id, error);
    if (!rc)
        rc = get_text(facts, "organization", &info->organization, error);
    if (!rc)
        rc = get_text(facts, "socket", &info->socket, error);
    if (!rc)
        rc = get_text(facts, "user", &info->user, error);
    if (!rc)
        rc = get_text(facts, "transfer", &info->transfer, error);
    info->contents = json_is_true(json_object_get(facts, "contents"));
    return rc;
}

int cast_info_read(const char *line, size_t length, struct cast_info *info, bool *ours,
                   struct cast_info_owner **owner, struct error *error)
{
    json_error_t why;
    int rc;
    *owner = NULL;
    if (length > CAST_MAX_HEADER)
        return error_set(error, ERR_DAMAGED, "the header is longer than %zu bytes",
                         CAST_MAX_HEADER);
    struct cast_info_owner *made = calloc(1, sizeof(*made));
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory for the header");
    made->root = json_loadb(line, length, JSON_ALLOW_NUL, &why);
    *info = (struct cast_info){.term = "",
                               .command = "",
                               .title = "",
                               .id = "",
                               .organization = "",
                               .socket = "",
                               .user = "",
                               .transfer = ""};
    if (!made->root) {
        bool memory = json_error_code(&why) == json_error_out_of_memory;
        rc = error_set(error, memory ? ERR_NO_MEMORY : ERR_DAMAGED, "the header is not JSON: %s",
                       why.text);
        goto out;
    }
    const json_t *version = json_object_get(made->root, "version");
    json_int_t number = json_integer_value(version);
    if (number != 2 && number != 3) {
        rc = json_is_integer(version)
                 ? error_set(error, ERR_DAMAGED, "asciicast version %lld is not known; 2 and 3 are",
                             (long long)number)
                 : error_set(error, ERR_DAMAGED, "the header is not an asciicast's");
        goto out;
    }
    info->version = (int)number;
    rc = read_screen(made->root, info, error);
    if (!rc)
        rc = get_timestamp(made->root, &info->started_ns, error);
    if (!rc)
        rc = get_text(made->root, "command", &info->command, error);
    if (!rc)
        rc = get_text(made->root, "title", &info->title, error);
    if (!rc)
        rc = read_facts(made->root, info, ours, error);
out:
    if (rc) {
        cast_info_free(made);
        made = NULL;
    }
    *owner = made;
    return rc;
}

void cast_info_free(struct cast_info_owner *owner)
{
    if (!owner)
        return;
    json_decref(owner->root);
    free(owner);
}
