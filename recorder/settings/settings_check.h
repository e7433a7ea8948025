/* The rules for single values in the settings, each from the document of the service that will see
 * the value. So a mistake is found when it is typed, not when a recording waits in the spool. */
#ifndef CASTBUCKET_SETTINGS_CHECK_H
#define CASTBUCKET_SETTINGS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/base/space.h"

/* Longest value of any kind, and the NUL. */
#define SETTINGS_VALUE_SIZE 2049

/* Each returns 0 with the value as it is to be used in `clean` (a trailing slash added or removed,
 * a path normalized), or ERR_INVALID with what is wrong: a sentence that follows "KEY: ". */
typedef int settings_check_fn(const char *value, char clean[SETTINGS_VALUE_SIZE],
                              struct error *error);

/* Organization and socket names: see SETTINGS_MAX_NAME. */
settings_check_fn settings_check_name;

/* https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
settings_check_fn settings_check_bucket;

/* arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME, 20 to 2048 characters (STS AssumeRole's RoleArn).
 * ACCOUNT may be anything that another vendor's STS puts there, or empty. */
settings_check_fn settings_check_role_arn;

/* Whether ACCOUNT is what AWS's own STS needs: 12 digits. `arn` has passed the check above. */
bool settings_role_arn_is_aws(const char *arn);

/* 2 to 1224 of [A-Za-z0-9_+=,.@:/-] (STS AssumeRole's ExternalId). */
settings_check_fn settings_check_external_id;

/* 1 to 63 of [a-z0-9-]. */
settings_check_fn settings_check_region;

/* https://HOST[:PORT]; http:// only to this machine, because a request carries a session token. */
settings_check_fn settings_check_endpoint;

/* "" or up to 128 of [A-Za-z0-9!_.'()/=-] without empty, "." or ".." components; ends in a slash
 * when clean. The characters are those that S3 calls safe in keys, less '*'. */
settings_check_fn settings_check_prefix;

/* "N%" (1 to 100) or a size with a unit, K to T (of 1024 each), of 1M or more. */
settings_check_fn settings_check_quota;
#define SETTINGS_LEAST_QUOTA ((uint64_t)1 << 20)

/* What such a text means; false when the check above would refuse it. */
bool settings_quota_of(const char *value, struct space_quota *quota);

/* Absolute, without "..", not the root directory. */
settings_check_fn settings_check_path;

#endif
