#include "recorder/cli/iam_documents.h"

#include <jansson.h>

#define POLICY_VERSION "2012-10-17" /* of the policy language */

static int finish(json_t *document, char **text, struct error *error)
{
    *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;
    json_decref(document);
    return *text ? 0 : error_set(error, ERR_NO_MEMORY, "no memory");
}

int iam_policy(const char *partition, const char *bucket, const char *prefix, char **text,
               struct error *error)
{
    json_t *bucket_arn = json_sprintf("arn:%s:s3:::%s", partition, bucket);
    json_t *list = json_pack("{s:s, s:s, s:s, s:O}", "Sid", "ListRecordings", "Effect", "Allow",
                             "Action", "s3:ListBucket", "Resource", bucket_arn);
    if (*prefix)
        json_object_set_new(
            list, "Condition",
            json_pack("{s:{s:o}}", "StringLike", "s3:prefix", json_sprintf("%s*", prefix)));
    json_t *document = json_pack(
        "{s:s, s:[{s:s, s:s, s:[s,s], s:o}, o, {s:s, s:s, s:s, s:o}]}", "Version", POLICY_VERSION,
        "Statement", "Sid", "StoreAndReadRecordings", "Effect", "Allow", "Action", "s3:PutObject",
        "s3:GetObject", "Resource", json_sprintf("arn:%s:s3:::%s/%s*", partition, bucket, prefix),
        list, "Sid", "FindRegion", "Effect", "Allow", "Action", "s3:GetBucketLocation", "Resource",
        bucket_arn);
    return finish(document, text, error);
}

int iam_trust(const char *principal, const char *external_id, char **text, struct error *error)
{
    json_t *statement = json_pack("{s:s, s:s, s:{s:s}, s:s}", "Sid", "LetTheRecorderIn", "Effect",
                                  "Allow", "Principal", "AWS", principal, "Action",
                                  "sts:AssumeRole");
    if (*external_id)
        json_object_set_new(statement, "Condition",
                            json_pack("{s:{s:s}}", "StringEquals", "sts:ExternalId", external_id));
    json_t *document = json_pack("{s:s, s:[o]}", "Version", POLICY_VERSION, "Statement", statement);
    return finish(document, text, error);
}
