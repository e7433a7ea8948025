/* The documents of an organization's side: what the role may do, and who may assume it. */
#ifndef CASTBUCKET_CLI_IAM_DOCUMENTS_H
#define CASTBUCKET_CLI_IAM_DOCUMENTS_H

#include "recorder/base/error.h"

/* The permission policy: four actions and no more. Objects are narrowed to `prefix` ("" or ending
 * in a slash), and so is listing. `partition` is "aws", "aws-cn", ... *text is for free(). */
__attribute__((warn_unused_result)) int iam_policy(const char *partition, const char *bucket,
                                                   const char *prefix, char **text,
                                                   struct error *error);

/* The trust policy: `principal` may assume the role, with `external_id` unless that is "". */
__attribute__((warn_unused_result)) int iam_trust(const char *principal, const char *external_id,
                                                  char **text, struct error *error);

/* pkg/aws/castbucket.yaml, the very file, NUL-terminated. */
extern const char iam_cloudformation_template[];

#endif
