/* Credentials to sign with: where they come from, and how long they last. */
#ifndef CASTBUCKET_AWS_CREDENTIALS_H
#define CASTBUCKET_AWS_CREDENTIALS_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/aws/http.h"
#include "recorder/base/error.h"

/* Limits are STS's, and generous: a session token has no documented maximum, 4 KiB is AWS's own
 * advice; we take 8. */
struct aws_credentials {
    char access_key_id[132];
    char secret_access_key[132];
    char session_token[8192]; /* "" for long-term keys */
    int64_t expires_ns;       /* wall clock, since 1970; 0: never */
};

/* The process's own credentials, from which roles are assumed: AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; else the profile (AWS_PROFILE or "default") in
 * AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) and AWS_CONFIG_FILE (~/.aws/config), the first
 * winning; else what the machine gives (machine_credentials.h), unless `client` is NULL. Not found:
 * ERR_DENIED and a sentence that lists what was looked at. Read anew at each call, so that rotated
 * files take effect. */
__attribute__((warn_unused_result)) int aws_credentials_base(struct http_client *client,
                                                             struct aws_credentials *credentials,
                                                             struct error *error);

/* Copies one value that is fit to be sent; `from` says where it stood. ERR_INVALID names it. */
__attribute__((warn_unused_result)) int aws_credentials_keep(char *to, size_t size,
                                                             const char *value, const char *name,
                                                             const char *from, struct error *error);

/* The region the environment or the profile names (AWS_REGION, AWS_DEFAULT_REGION, `region`), or
 * "". `region` has at least 64 bytes. */
void aws_base_region(char *region, size_t size);

/* Overwrites the secrets. */
void aws_credentials_cleanse(struct aws_credentials *credentials);

#endif
