#include <stdio.h>
#include <string.h>

#include "recorder/store/store_policy.h"
#include "recorder/store/store_s3.h"

static int report_failure(struct store *store, store_report *report, void *context,
                          const char *what, const char *permission, const struct error *why)
{
    char detail[2048], advice[512] = "";
    store_s3_advice(store, why->code, permission, advice, sizeof(advice));
    snprintf(detail, sizeof(detail), "%s%s%s", why->text, advice[0] ? ": " : "", advice);
    const struct store_check check = {what, permission, why->code, detail};
    report(context, &check);
    return why->code;
}

int store_s3_check_access(struct store *store, store_report *report, void *context, bool *usable,
                          struct error *error)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    struct aws_credentials credentials;
    struct error why = ERROR_INIT;
    char region[64], location[64], detail[256];

    int rc = sts_session_get(s3->session, &credentials, &why);
    aws_credentials_cleanse(&credentials);
    if (rc) {
        *usable = false;
        report_failure(store, report, context, "assume the role", "sts:AssumeRole", &why);
        error_set(error, rc, "cannot assume the role: %s", why.text);
        return rc;
    }
    report(context, &(struct store_check){"assume the role", "sts:AssumeRole", 0, s3->role_arn});

    /* The region may be found without this permission, so both are asked. */
    rc = s3_region(s3->bucket, region, &why);
    if (rc == ERR_NOT_FOUND) {
        *usable = false;
        report_failure(store, report, context, "find the bucket", "", &why);
        error_set(error, rc, "cannot find the bucket: %s", why.text);
        return rc;
    }
    if (!rc)
        rc = s3_location(s3->bucket, location, sizeof(location), &why);
    if (rc) {
        report_failure(store, report, context, "find the region", "s3:GetBucketLocation", &why);
        error_set(error, rc, "cannot find the region: %s", why.text);
        return rc;
    }
    snprintf(detail, sizeof(detail), "bucket %s is in %s", s3->bucket_name, region);
    report(context, &(struct store_check){"find the region", "s3:GetBucketLocation", 0, detail});
    return 0;
}

void store_s3_advice(struct store *store, int code, const char *permission, char *text, size_t size)
{
    const struct store_s3 *s3 = (const struct store_s3 *)store;
    char partition[ARN_PARTITION_SIZE];
    text[0] = '\0';
    if (arn_partition(partition, s3->role_arn, NULL))
        return;
    if (code == ERR_RETRY) {
        snprintf(text, size, "look at the network and the endpoint, and try again");
    } else if (code == ERR_DENIED && strncmp(permission, "s3:", 3) == 0) {
        /* Those on objects are granted below the bucket, the others on the bucket itself. */
        bool object = strcmp(permission, "s3:PutObject") == 0 ||
                      strcmp(permission, "s3:GetObject") == 0;
        snprintf(text, size, "add %s on arn:%s:s3:::%s%s to the policy of the role %s", permission,
                 partition, s3->bucket_name, object ? "/*" : "", s3->role_arn);
    } else if (code == ERR_DENIED && strcmp(permission, "sts:AssumeRole") == 0) {
        snprintf(text, size,
                 "the role's trust policy must name the account or user that this service runs as "
                 "and, as sts:ExternalId, the external ID in the settings");
    } else if (code == ERR_NOT_FOUND) {
        snprintf(text, size, "compare the bucket's name in the settings with the account's");
    }
}
