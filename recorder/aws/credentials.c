#include "recorder/aws/credentials.h"

#include <ctype.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/aws/machine_credentials.h"
#include "recorder/aws/profile.h"

/* The environment of a set-user-ID host is its caller's, not ours to believe: secure_getenv(). */
static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value ? value : "";
}

static const char *profile_name(void)
{
    const char *name = environment("AWS_PROFILE");
    return *name ? name : "default";
}

/* Where one of the two shared files is: named by `variable`, or ~/.aws/`name`. "" when there is no
 * home either. */
static void shared_file(char path[PATH_MAX], const char *variable, const char *name)
{
    char text[4096];
    struct passwd entry, *found = NULL;
    const char *home = environment("HOME"), *given = environment(variable);
    if (!*home && getpwuid_r(geteuid(), &entry, text, sizeof(text), &found) == 0 && found)
        home = found->pw_dir;
    int length;
    if (strncmp(given, "~/", 2) == 0)
        length = snprintf(path, PATH_MAX, "%s%s", home, given + 1);
    else if (*given)
        length = snprintf(path, PATH_MAX, "%s", given);
    else
        length = *home ? snprintf(path, PATH_MAX, "%s/.aws/%s", home, name) : 0;
    if (length <= 0 || length >= PATH_MAX)
        path[0] = '\0';
}

/* A header's worth of visible ASCII. */
static bool is_visible(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return false;
    return true;
}

int aws_credentials_keep(char *to, size_t size, const char *value, const char *name,
                         const char *from, struct error *error)
{
    size_t length = strlen(value);
    if (length >= size || !is_visible(value))
        return error_set(error, ERR_INVALID,
                         "%s: %s is longer than %zu characters or has spaces or control characters",
                         from, name, size - 1);
    memcpy(to, value, length + 1);
    return 0;
}

/* Both halves, one, or none: `rc` 0 with an empty access_key_id means none. */
static int check_halves(const struct aws_credentials *credentials, const char *from,
                        const char *id_name, const char *secret_name, struct error *error)
{
    bool id = credentials->access_key_id[0], secret = credentials->secret_access_key[0];
    if (id == secret)
        return 0;
    return error_set(error, ERR_DENIED, "%s: %s is set but %s is not; both are needed", from,
                     id ? id_name : secret_name, id ? secret_name : id_name);
}

static int from_environment(struct aws_credentials *credentials, struct error *error)
{
    const char *from = "the environment";
    int rc = aws_credentials_keep(credentials->access_key_id, sizeof(credentials->access_key_id),
                                  environment("AWS_ACCESS_KEY_ID"), "AWS_ACCESS_KEY_ID", from,
                                  error);
    if (rc == 0)
        rc = aws_credentials_keep(
            credentials->secret_access_key, sizeof(credentials->secret_access_key),
            environment("AWS_SECRET_ACCESS_KEY"), "AWS_SECRET_ACCESS_KEY", from, error);
    if (rc == 0)
        rc = aws_credentials_keep(credentials->session_token, sizeof(credentials->session_token),
                                  environment("AWS_SESSION_TOKEN"), "AWS_SESSION_TOKEN", from,
                                  error);
    return rc ? rc
              : check_halves(credentials, from, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                             error);
}

struct reading {
    struct aws_credentials *credentials;
    const char *file;
    struct error *error;
};

static int keep_setting(void *context, const char *key, const char *value)
{
    struct reading *reading = context;
    struct aws_credentials *to = reading->credentials;
    if (strcmp(key, "aws_access_key_id") == 0)
        return aws_credentials_keep(to->access_key_id, sizeof(to->access_key_id), value, key,
                                    reading->file, reading->error);
    if (strcmp(key, "aws_secret_access_key") == 0)
        return aws_credentials_keep(to->secret_access_key, sizeof(to->secret_access_key), value,
                                    key, reading->file, reading->error);
    if (strcmp(key, "aws_session_token") == 0)
        return aws_credentials_keep(to->session_token, sizeof(to->session_token), value, key,
                                    reading->file, reading->error);
    return 0;
}

/* 0 with an empty access_key_id: the file, the profile or the keys are not there. */
static int from_file(struct aws_credentials *credentials, const char *file, bool is_config,
                     struct error *error)
{
    bool found;
    struct reading reading = {credentials, file, error};
    if (!*file)
        return 0;
    int rc = profile_read(file, profile_name(), is_config, keep_setting, &reading, &found, error);
    if (rc == ERR_NOT_FOUND) {
        if (error)
            *error = ERROR_INIT;
        return 0;
    }
    if (rc)
        return rc;
    rc = check_halves(credentials, file, "aws_access_key_id", "aws_secret_access_key", error);
    if (rc)
        error_prefix(error, "profile %s", profile_name());
    return rc;
}

int aws_credentials_base(struct http_client *client, struct aws_credentials *credentials,
                         struct error *error)
{
    struct error machine = ERROR_INIT;
    char credentials_file[PATH_MAX], config_file[PATH_MAX];
    memset(credentials, 0, sizeof(*credentials));
    int rc = from_environment(credentials, error);
    if (rc == 0 && credentials->access_key_id[0])
        return 0;
    shared_file(credentials_file, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    shared_file(config_file, "AWS_CONFIG_FILE", "config");
    /* What an incomplete source left behind must not complete the next one. */
    if (rc == 0) {
        aws_credentials_cleanse(credentials);
        rc = from_file(credentials, credentials_file, false, error);
    }
    if (rc == 0 && !credentials->access_key_id[0]) {
        aws_credentials_cleanse(credentials);
        rc = from_file(credentials, config_file, true, error);
    }
    if (rc == 0 && credentials->access_key_id[0])
        return 0;
    aws_credentials_cleanse(credentials);
    if (rc)
        return rc;
    if (client) {
        rc = machine_credentials(client, credentials, &machine);
        if (rc != ERR_NOT_FOUND) {
            if (rc && error)
                *error = machine;
            return rc;
        }
    }
    return error_set(error, ERR_DENIED,
                     "no AWS credentials to assume roles with: looked at AWS_ACCESS_KEY_ID and "
                     "AWS_SECRET_ACCESS_KEY in the environment, and for the profile '%s' in %s "
                     "and %s%s%s",
                     profile_name(), *credentials_file ? credentials_file : "(no home directory)",
                     *config_file ? config_file : "(no home directory)", client ? "; " : "",
                     machine.text);
}

static int keep_region(void *context, const char *key, const char *value)
{
    if (strcmp(key, "region") == 0)
        snprintf(context, 64, "%.63s", value);
    return 0;
}

/* What a region may look like, as it becomes part of host names and signatures. */
static bool is_region(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
            return false;
    return length > 0 && length < 64;
}

void aws_base_region(char *region, size_t size)
{
    char found[64] = "", file[PATH_MAX];
    const char *first = environment("AWS_REGION"), *second = environment("AWS_DEFAULT_REGION");
    bool exists;
    region[0] = '\0';
    if (*first || *second) {
        snprintf(found, sizeof(found), "%.63s", *first ? first : second);
    } else {
        shared_file(file, "AWS_CONFIG_FILE", "config");
        if (profile_read(file, profile_name(), true, keep_region, found, &exists, NULL) ||
            !found[0]) {
            shared_file(file, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
            if (profile_read(file, profile_name(), false, keep_region, found, &exists, NULL))
                return;
        }
    }
    if (is_region(found))
        snprintf(region, size, "%s", found);
}

void aws_credentials_cleanse(struct aws_credentials *credentials)
{
    explicit_bzero(credentials, sizeof(*credentials));
}
