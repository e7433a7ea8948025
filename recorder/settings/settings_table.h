/* The table of all settings: key, kind, default, help. It drives parsing and validation, the
 * options and the help of `castbucket settings`, and a test holds the manual page against it. */
#ifndef CASTBUCKET_SETTINGS_TABLE_H
#define CASTBUCKET_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/settings/settings.h"
#include "recorder/settings/settings_check.h"

enum settings_kind {
    SETTINGS_STRING,  /* const char *; `check` says more */
    SETTINGS_BOOLEAN, /* bool */
    SETTINGS_CHOICE,  /* a string, one of `values`; kept as an enum: 1 for the first, and so on */
    SETTINGS_NUMBER,  /* an integer, one of `values`; int */
};

#define SETTINGS_ANY_STORAGE (~0u)
#define SETTINGS_STORAGE_BIT(type) (1u << (type))

struct settings_key {
    const char *name;
    enum settings_kind kind;
    const char *values;   /* "a|b|c" for choices and numbers; else a word for it, such as "ARN" */
    const char *fallback; /* the default, as JSON without quotes; NULL: the key is required */
    settings_check_fn *check;
    size_t offset;    /* where the value goes in the struct of its place */
    unsigned storage; /* the storage types it fits: SETTINGS_STORAGE_BIT()s */
    const char *help;
};

/* Values at the top of the file. */
struct settings_top {
    int version;
    const char *spool;
    const char *spool_quota;
    int cast_version;
    const char *signing_key;
};

/* A socket as the file has it: its organization by name. */
struct settings_socket_values {
    const char *organization;
    struct socket_settings socket;
};

/* A kind of JSON object in the file. */
struct settings_place {
    const char *path; /* as help shows it: "organizations.NAME.storage" */
    const struct settings_key *keys;
    size_t key_count;
    const char *const *objects; /* keys whose values are other places, NULL-terminated */
};

extern const struct settings_place settings_place_top, settings_place_organization,
    settings_place_storage, settings_place_socket;

/* The same in the order that help and manual show them; ends with NULL. */
extern const struct settings_place *const settings_places[];

/* NULL when the place has no such key. */
const struct settings_key *settings_key_find(const struct settings_place *place, const char *name);

/* The 1-based position of `value` in "a|b|c"; 0 when it is not there. */
int settings_choice(const char *values, const char *value);

/* The name at a 1-based position, copied; "" past the end. */
void settings_choice_name(const char *values, int position, char *name, size_t size);

/* Help texts that the command line's options share with the file's keys. */
#define SETTINGS_HELP_SPOOL "directory where recordings wait until they are stored"
#define SETTINGS_HELP_SPOOL_QUOTA                                                                  \
    "most that the spool may take: part of its file system, such as 80%, or a size, such as 20G"
#define SETTINGS_HELP_CAST_VERSION "asciicast version of new recordings; every player reads 2"
#define SETTINGS_HELP_SIGNING_KEY                                                                  \
    "private Ed25519 key, PEM, that manifests are signed with; only the recorder may read it"
#define SETTINGS_HELP_TYPE "kind of storage"
#define SETTINGS_HELP_BUCKET "name of the organization's bucket"
#define SETTINGS_HELP_ROLE_ARN "role of the organization that is assumed to reach the bucket"
#define SETTINGS_HELP_EXTERNAL_ID "external ID that the role's trust policy asks for"
#define SETTINGS_HELP_REGION "region of the bucket; found out when not given"
#define SETTINGS_HELP_ENDPOINT "S3 endpoint, addressed in path style; AWS's when not given"
#define SETTINGS_HELP_STS_ENDPOINT "STS endpoint; AWS's of the region when not given"
#define SETTINGS_HELP_PREFIX "what every key begins with, such as ssh/"
#define SETTINGS_HELP_PATH "absolute directory that holds the recordings"
#define SETTINGS_HELP_ORGANIZATION "organization that owns the socket's recordings"
#define SETTINGS_HELP_RECORDING "whether sessions of this socket are recorded"
#define SETTINGS_HELP_INPUT "whether what people type is recorded too"
#define SETTINGS_HELP_TRANSFER_CONTENTS                                                            \
    "whether file transfers are recorded with the bytes of the files, not only by name, size, "    \
    "hash and result"
#define SETTINGS_HELP_ON_FAILURE                                                                   \
    "when recording fails: end sessions and refuse new ones, only refuse new ones, or continue "   \
    "unrecorded with the gap marked"

#endif
