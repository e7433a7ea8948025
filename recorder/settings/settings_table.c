#include "recorder/settings/settings_table.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define S3 SETTINGS_STORAGE_BIT(STORAGE_AWS_S3)
#define DIRECTORY SETTINGS_STORAGE_BIT(STORAGE_DIRECTORY)
#define ANY SETTINGS_ANY_STORAGE

static const struct settings_key top_keys[] = {
    {"version", SETTINGS_NUMBER, "1", "1", NULL, offsetof(struct settings_top, version), ANY,
     "version of this format"},
    {"spool", SETTINGS_STRING, "DIR", "/var/spool/castbucket", settings_check_path,
     offsetof(struct settings_top, spool), ANY, SETTINGS_HELP_SPOOL},
    {"spool_quota", SETTINGS_STRING, "SIZE|N%", "80%", settings_check_quota,
     offsetof(struct settings_top, spool_quota), ANY, SETTINGS_HELP_SPOOL_QUOTA},
    {"cast_version", SETTINGS_NUMBER, "2|3", "2", NULL, offsetof(struct settings_top, cast_version),
     ANY, SETTINGS_HELP_CAST_VERSION},
    {"signing_key", SETTINGS_STRING, "FILE", "", settings_check_path,
     offsetof(struct settings_top, signing_key), ANY, SETTINGS_HELP_SIGNING_KEY},
};

#define STORAGE(member) offsetof(struct storage_settings, member)
static const struct settings_key storage_keys[] = {
    {"type", SETTINGS_CHOICE, "aws-s3|directory", NULL, NULL, STORAGE(type), ANY,
     SETTINGS_HELP_TYPE},
    {"bucket", SETTINGS_STRING, "BUCKET", NULL, settings_check_bucket, STORAGE(bucket), S3,
     SETTINGS_HELP_BUCKET},
    {"role_arn", SETTINGS_STRING, "ARN", NULL, settings_check_role_arn, STORAGE(role_arn), S3,
     SETTINGS_HELP_ROLE_ARN},
    {"external_id", SETTINGS_STRING, "ID", "", settings_check_external_id, STORAGE(external_id), S3,
     SETTINGS_HELP_EXTERNAL_ID},
    {"region", SETTINGS_STRING, "REGION", "", settings_check_region, STORAGE(region), S3,
     SETTINGS_HELP_REGION},
    {"endpoint", SETTINGS_STRING, "URL", "", settings_check_endpoint, STORAGE(endpoint), S3,
     SETTINGS_HELP_ENDPOINT},
    {"sts_endpoint", SETTINGS_STRING, "URL", "", settings_check_endpoint, STORAGE(sts_endpoint), S3,
     SETTINGS_HELP_STS_ENDPOINT},
    {"prefix", SETTINGS_STRING, "PREFIX", "", settings_check_prefix, STORAGE(prefix),
     S3 | DIRECTORY, SETTINGS_HELP_PREFIX},
    {"path", SETTINGS_STRING, "DIR", NULL, settings_check_path, STORAGE(path), DIRECTORY,
     SETTINGS_HELP_PATH},
};

#define SOCKET(member) offsetof(struct settings_socket_values, socket.member)
static const struct settings_key socket_keys[] = {
    {"organization", SETTINGS_STRING, "ORG", NULL, settings_check_name,
     offsetof(struct settings_socket_values, organization), ANY, SETTINGS_HELP_ORGANIZATION},
    {"recording", SETTINGS_BOOLEAN, "true|false", "true", NULL, SOCKET(recording), ANY,
     SETTINGS_HELP_RECORDING},
    {"input", SETTINGS_BOOLEAN, "true|false", "false", NULL, SOCKET(input), ANY,
     SETTINGS_HELP_INPUT},
    {"transfer_contents", SETTINGS_BOOLEAN, "true|false", "false", NULL, SOCKET(transfer_contents),
     ANY, SETTINGS_HELP_TRANSFER_CONTENTS},
    {"on_failure", SETTINGS_CHOICE, "end|refuse|continue", "end", NULL, SOCKET(on_failure), ANY,
     SETTINGS_HELP_ON_FAILURE},
};

static const char *const top_objects[] = {"organizations", "sockets", NULL};
static const char *const organization_objects[] = {"storage", NULL};
static const char *const no_objects[] = {NULL};

const struct settings_place settings_place_top = {"", top_keys, COUNT(top_keys), top_objects};
const struct settings_place settings_place_organization = {"organizations.NAME", NULL, 0,
                                                           organization_objects};
const struct settings_place settings_place_storage = {"organizations.NAME.storage", storage_keys,
                                                      COUNT(storage_keys), no_objects};
const struct settings_place settings_place_socket = {"sockets.NAME", socket_keys,
                                                     COUNT(socket_keys), no_objects};

const struct settings_place *const settings_places[] = {
    &settings_place_top, &settings_place_organization, &settings_place_storage,
    &settings_place_socket, NULL};

const struct settings_key *settings_key_find(const struct settings_place *place, const char *name)
{
    for (size_t i = 0; i < place->key_count; i++)
        if (strcmp(place->keys[i].name, name) == 0)
            return &place->keys[i];
    return NULL;
}

int settings_choice(const char *values, const char *value)
{
    size_t length = strlen(value);
    int position = 1;
    for (const char *p = values; length; position++) {
        size_t this = strcspn(p, "|");
        if (this == length && memcmp(p, value, length) == 0)
            return position;
        if (!p[this])
            break;
        p += this + 1;
    }
    return 0;
}

void settings_choice_name(const char *values, int position, char *name, size_t size)
{
    const char *p = values;
    for (int i = 1; i < position && p; i++) {
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    snprintf(name, size, "%.*s", p ? (int)strcspn(p, "|") : 0, p ? p : "");
}
