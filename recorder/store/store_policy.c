#include "recorder/store/store_policy.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/store/key.h"

int arn_partition(char partition[ARN_PARTITION_SIZE], const char *arn, struct error *error)
{
    if (strncmp(arn, "arn:", 4) == 0) {
        size_t length = strspn(arn + 4, "abcdefghijklmnopqrstuvwxyz-");
        if (length > 0 && length < ARN_PARTITION_SIZE && arn[4 + length] == ':') {
            memcpy(partition, arn + 4, length);
            partition[length] = '\0';
            return 0;
        }
    }
    return error_set(error, ERR_INVALID, "'%.200s' is not the ARN of a role", arn);
}

int store_policy(char policy[STORE_POLICY_SIZE], const char *role_arn, const char *bucket,
                 const char *prefix, const char *organization, struct error *error)
{
    char partition[ARN_PARTITION_SIZE], below[KEY_SIZE];
    char bucket_arn[64 + ARN_PARTITION_SIZE + 16];
    int rc = arn_partition(partition, role_arn, error);
    if (!rc)
        rc = key_prefix(below, prefix, organization, NULL, error);
    if (rc)
        return rc;
    /* In a policy's Resource and StringLike these are patterns and variables, not characters. */
    if (strpbrk(below, "*?$") || strpbrk(bucket, "*?$/"))
        return error_set(error, ERR_INVALID,
                         "the bucket '%.80s' and the prefix '%.80s' may not have *, ? or $", bucket,
                         prefix);
    if (strlen(bucket) > 63)
        return error_set(error, ERR_INVALID, "the bucket's name '%.80s' is over 63 characters",
                         bucket);
    snprintf(bucket_arn, sizeof(bucket_arn), "arn:%s:s3:::%s", partition, bucket);

    char objects[sizeof(bucket_arn) + KEY_SIZE + 2], listed[KEY_SIZE + 1];
    snprintf(objects, sizeof(objects), "%s/%s*", bucket_arn, below);
    snprintf(listed, sizeof(listed), "%s*", below);

    json_t *json = json_pack("{s:s, s:[{s:s, s:[s, s], s:s},"
                             "         {s:s, s:s, s:s, s:{s:{s:s}}},"
                             "         {s:s, s:s, s:s}]}",
                             "Version", "2012-10-17", "Statement", "Effect", "Allow", "Action",
                             "s3:PutObject", "s3:GetObject", "Resource", objects, "Effect", "Allow",
                             "Action", "s3:ListBucket", "Resource", bucket_arn, "Condition",
                             "StringLike", "s3:prefix", listed, "Effect", "Allow", "Action",
                             "s3:GetBucketLocation", "Resource", bucket_arn);
    /* ASCII, because STS takes no character above U+00FF in a policy. */
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!text)
        return error_set(error, ERR_INVALID,
                         "cannot write a session policy for the prefix '%.200s': not UTF-8?",
                         below);
    size_t length = strlen(text);
    if (length >= STORE_POLICY_SIZE)
        rc = error_set(error, ERR_LIMIT,
                       "the session policy for '%.200s' would be %zu characters, over %d: "
                       "choose a shorter prefix",
                       below, length, STORE_POLICY_SIZE - 1);
    else
        memcpy(policy, text, length + 1);
    free(text);
    return rc;
}
