/* The session policy passed to AssumeRole: what is granted is the intersection of the role's own
 * policies and this one, so even a role that is broader than it should be yields credentials for
 * one organization's prefix only.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
#ifndef CASTBUCKET_STORE_STORE_POLICY_H
#define CASTBUCKET_STORE_STORE_POLICY_H

#include "recorder/base/error.h"

#define STORE_POLICY_SIZE 2049 /* STS's limit of 2,048 characters, and the NUL */

/* s3:PutObject and s3:GetObject below {prefix}org={org}/, s3:ListBucket of that prefix, and
 * s3:GetBucketLocation of the bucket. The partition (aws, aws-cn, aws-us-gov) is the role's.
 * ERR_INVALID when a part would act as a pattern (*, ?, ${); ERR_LIMIT when it is too long. */
__attribute__((warn_unused_result)) int store_policy(char policy[STORE_POLICY_SIZE],
                                                     const char *role_arn, const char *bucket,
                                                     const char *prefix, const char *organization,
                                                     struct error *error);

/* The partition of an ARN ("aws" of "arn:aws:iam::..."), into `partition`. */
#define ARN_PARTITION_SIZE 24
__attribute__((warn_unused_result)) int arn_partition(char partition[ARN_PARTITION_SIZE],
                                                      const char *arn, struct error *error);

#endif
