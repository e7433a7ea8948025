/* Settings: one JSON file that says where each organization's recordings go and which sockets are
 * recorded. settings_table.c holds the table (key, type, default, help) that drives parsing,
 * validation, `castbucket settings --help` and the man page alike.
 *
 *     {
 *       "version": 1,
 *       "spool": "/var/spool/castbucket",
 *       "spool_quota": "80%",
 *       "cast_version": 2,
 *       "signing_key": "/etc/castbucket/signing.pem",
 *       "organizations": {
 *         "acme": {"storage": {"type": "aws-s3", "bucket": "acme-recordings",
 *                              "role_arn": "arn:aws:iam::123456789012:role/recordings",
 *                              "external_id": "...", "region": "eu-west-1", "prefix": "ssh/",
 *                              "endpoint": "https://...", "sts_endpoint": "https://..."}},
 *         "home": {"storage": {"type": "directory", "path": "/srv/recordings"}}
 *       },
 *       "sockets": {
 *         "web-1": {"organization": "acme", "recording": true, "input": false,
 *                   "transfer_contents": false, "on_failure": "end"}
 *       }
 *     }
 *
 * Loading accepts a file wholly or not at all: an unknown or duplicate key, a wrong type, a value
 * out of its limits, a socket whose organization is not there, are errors that name the file, the
 * key's path (organizations.acme.storage.bucket) and the reason.
 *
 * A loaded struct settings never changes; it is reference counted, so a session or an upload keeps
 * the one it started with while a newer one is in force for the rest.
 */
#ifndef CASTBUCKET_SETTINGS_SETTINGS_H
#define CASTBUCKET_SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/base/space.h"

#define SETTINGS_DEFAULT_PATH "/etc/castbucket/settings.json"
#define SETTINGS_ENVIRONMENT "CASTBUCKET_SETTINGS"
#define SETTINGS_MAX_FILE ((size_t)16 << 20)

/* Names of organizations and sockets: 1 to 80 bytes of UTF-8 without control characters. 80, so
 * that the percent-encoded name and "socket=" fit a file name of 255 bytes. */
#define SETTINGS_MAX_NAME 80

enum storage_type { STORAGE_AWS_S3 = 1, STORAGE_DIRECTORY = 2 };

/* Strings are never NULL; "" when not given. */
struct storage_settings {
    enum storage_type type;
    const char *bucket;
    const char *role_arn;
    const char *external_id;
    const char *region;       /* "": found out */
    const char *endpoint;     /* "": AWS's for the region; else http(s)://host[:port], path style */
    const char *sts_endpoint; /* "": AWS's regional one */
    const char *prefix;       /* of every key: "" or ends with a slash */
    const char *path;         /* directory: absolute */
};

struct organization_settings {
    const char *name;
    struct storage_settings storage;
};

enum failure_policy {
    ON_FAILURE_END = 1,      /* refuse new sessions, end running ones: the default */
    ON_FAILURE_REFUSE = 2,   /* refuse new sessions; running ones go on, with the gap marked */
    ON_FAILURE_CONTINUE = 3, /* go on unrecorded, with the gap marked */
};

struct socket_settings {
    const char *name;
    const struct organization_settings *organization;
    bool recording;
    bool input;
    bool transfer_contents;
    enum failure_policy on_failure;
};

struct settings;

/* Reads and validates. *settings has one reference. */
__attribute__((warn_unused_result)) int settings_load(const char *path, struct settings **settings,
                                                      struct error *error);

/* The same from memory; `name` stands for the file in errors. */
__attribute__((warn_unused_result)) int settings_parse(const char *name, const char *text,
                                                       size_t length, struct settings **settings,
                                                       struct error *error);

struct settings *settings_ref(struct settings *settings); /* any thread */
void settings_unref(struct settings *settings);           /* any thread; NULL does nothing */

const char *settings_spool(const struct settings *settings);
const char *settings_spool_quota(const struct settings *settings);  /* as text: "80%", "20G" */
struct space_quota settings_quota(const struct settings *settings); /* the same */
int settings_cast_version(const struct settings *settings);         /* 2 or 3 */
const char *settings_signing_key(const struct settings *settings);  /* a path, or "" */

/* NULL when there is none of that name. Live as long as the settings. */
const struct organization_settings *settings_organization(const struct settings *settings,
                                                          const char *name);
const struct socket_settings *settings_socket(const struct settings *settings, const char *name);

/* In the file's order, for listing. NULL past the end. */
const struct organization_settings *settings_organization_at(const struct settings *settings,
                                                             size_t index);
const struct socket_settings *settings_socket_at(const struct settings *settings, size_t index);

/* A file that is followed while it changes. Any thread. */
struct settings_watch;

/* Loads at once; fails as settings_load() does. */
__attribute__((warn_unused_result)) int
settings_watch_new(const char *path, struct settings_watch **watch, struct error *error);

/* The newest valid settings, with a reference for the caller. Looks at the file (one stat) and
 * loads it again when it is another one. A new file that is not valid leaves the old settings in
 * force; `error` then has why (code 0 otherwise). */
struct settings *settings_watch_get(struct settings_watch *watch, struct error *error);
void settings_watch_free(struct settings_watch *watch);

#endif
