#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/cli/commands.h"
#include "recorder/cli/iam_documents.h"
#include "recorder/settings/settings_check.h"

static const struct cli_option policy_options[] = {
    {"bucket", 0, "BUCKET", "the bucket that holds the recordings (required)"},
    {"prefix", 0, "PREFIX",
     "narrow the policy to keys that begin so, as in the storage's settings"},
    {"partition", 0, "NAME", "AWS partition of the bucket, such as aws-cn (default: aws)"},
    {0},
};

static const struct cli_option trust_options[] = {
    {"principal", 0, "ARN", "who may assume the role: the recorder's own identity (required)"},
    {"external-id", 0, "ID", "the external ID that it must show"},
    {0},
};

static const struct cli_option no_options[] = {{0}};

static int print_document(const struct cli_command *command, int rc, char *text,
                          const struct error *error)
{
    if (rc)
        return cli_fail(command, error);
    printf("%s\n", text);
    free(text);
    return CLI_OK;
}

static bool is_partition(const char *text)
{
    size_t length = strlen(text);
    return strncmp(text, "aws", 3) == 0 && length <= 32 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz-") == length;
}

static int run_policy(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct error error = ERROR_INIT;
    char bucket[SETTINGS_VALUE_SIZE], prefix[SETTINGS_VALUE_SIZE], *text = NULL;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    const char *given_bucket = cli_value(command, &arguments, "bucket");
    const char *given_prefix = cli_value(command, &arguments, "prefix");
    const char *partition = cli_value(command, &arguments, "partition");
    if (!given_bucket)
        return cli_usage_error(command, "--bucket BUCKET is missing");
    if (settings_check_bucket(given_bucket, bucket, &error))
        return cli_usage_error(command, "--bucket: %s", error.text);
    if (settings_check_prefix(given_prefix ? given_prefix : "", prefix, &error))
        return cli_usage_error(command, "--prefix: %s", error.text);
    if (partition && !is_partition(partition))
        return cli_usage_error(command,
                               "--partition: '%s' is not a partition such as aws or "
                               "aws-cn",
                               partition);
    rc = iam_policy(partition ? partition : "aws", bucket, prefix, &text, &error);
    return print_document(command, rc, text, &error);
}

/* An account, a user or a role, as a trust policy names them:
 * arn:PARTITION:iam::ACCOUNT:root|user/...|role/..., or arn:PARTITION:sts::ACCOUNT:assumed-role/...
 * A bare "*" would let everybody in, so it is refused with the rest. */
static bool is_principal(const char *text)
{
    static const char *const kinds[] = {"root", "user/", "role/", "assumed-role/"};
    const char *p = text;
    if (strncmp(p, "arn:aws", 7) != 0 || strlen(text) > 2048)
        return false;
    p += 7 + strspn(p + 7, "abcdefghijklmnopqrstuvwxyz-");
    if (strncmp(p, ":iam::", 6) != 0 && strncmp(p, ":sts::", 6) != 0)
        return false;
    const char *account = p + 6, *kind = strchr(account, ':');
    if (!kind)
        return false;
    kind++;
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                     "_+=,.@:/-") != strlen(text))
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t length = strlen(kinds[i]);
        bool whole = kinds[i][length - 1] != '/';
        if (strncmp(kind, kinds[i], length) == 0 && whole == (kind[length] == '\0'))
            return true;
    }
    return false;
}

static int run_trust(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct error error = ERROR_INIT;
    char external_id[SETTINGS_VALUE_SIZE] = "", *text = NULL;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    const char *principal = cli_value(command, &arguments, "principal");
    const char *given_id = cli_value(command, &arguments, "external-id");
    if (!principal)
        return cli_usage_error(command, "--principal ARN is missing");
    if (!is_principal(principal))
        return cli_usage_error(command,
                               "--principal: '%.200s' is not the ARN of an account, a user or a "
                               "role, such as arn:aws:iam::123456789012:role/recorder",
                               principal);
    if (given_id && settings_check_external_id(given_id, external_id, &error))
        return cli_usage_error(command, "--external-id: %s", error.text);
    rc = iam_trust(principal, external_id, &text, &error);
    return print_document(command, rc, text, &error);
}

static int run_cloudformation(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    fputs(iam_cloudformation_template, stdout);
    return CLI_OK;
}

const struct cli_command cli_iam_policy = {
    "iam policy",
    "",
    "Prints the permission policy for the organization's role.",
    "It grants s3:PutObject and s3:GetObject on the objects, s3:ListBucket and "
    "s3:GetBucketLocation on the bucket, and nothing else: recordings cannot be deleted with it.",
    policy_options,
    run_policy,
};

const struct cli_command cli_iam_trust = {
    "iam trust",
    "",
    "Prints the trust policy for the organization's role.",
    "With an external ID nobody can have the recorder use this role on behalf of another "
    "organization. 'castbucket settings storage ORG --generate-external-id' makes one.",
    trust_options,
    run_trust,
};

const struct cli_command cli_iam_cloudformation = {
    "iam cloudformation",
    "",
    "Prints a CloudFormation template: bucket, policy and role.",
    "The bucket is private, encrypted and reached by TLS only; uploads that were never completed "
    "go away after a week. The outputs are the values for 'castbucket settings storage'.",
    no_options,
    run_cloudformation,
};
