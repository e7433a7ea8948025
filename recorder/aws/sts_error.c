#include "recorder/aws/sts_error.h"

#include <stdio.h>
#include <string.h>

#include "recorder/aws/xml.h"

/* Finds the text of `name` in either form of error, as much of it as fits. */
static void find(const struct http_response *response, const char *name, char *to, size_t size)
{
    static const char *const roots[] = {"ErrorResponse/Error", "Error"};
    char path[64], text[4096];
    to[0] = '\0';
    for (size_t i = 0; i < 2 && !to[0]; i++) {
        snprintf(path, sizeof(path), "%s/%s", roots[i], name);
        if (response->body.length &&
            xml_text(response->body.data, response->body.length, path, text, sizeof(text)))
            snprintf(to, size, "%.*s", (int)size - 1, text);
    }
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

void sts_failure_read(struct sts_failure *failure, const struct http_response *response)
{
    failure->status = response->status;
    find(response, "Code", failure->code, sizeof(failure->code));
    find(response, "Message", failure->message, sizeof(failure->message));
    /* AWS calls it a signature that does not match, and says more in the message. */
    failure->clock = strcmp(failure->code, "RequestTimeTooSkewed") == 0 ||
                     strcmp(failure->code, "RequestExpired") == 0 ||
                     (strcmp(failure->code, "SignatureDoesNotMatch") == 0 &&
                      (starts(failure->message, "Signature expired") ||
                       starts(failure->message, "Signature not yet current")));
}

enum meaning {
    NO_TRUST,
    OUR_KEYS,
    OUR_KEYS_EXPIRED,
    BAD_POLICY,
    LARGE_POLICY,
    REGION_OFF,
    BAD_VALUE,
    BUSY
};

static const struct {
    const char *code;
    enum meaning meaning;
} codes[] = {
    {"AccessDenied", NO_TRUST},
    {"AccessDeniedException", NO_TRUST},
    {"NoSuchEntity", NO_TRUST},
    {"ExpiredToken", OUR_KEYS_EXPIRED},
    {"ExpiredTokenException", OUR_KEYS_EXPIRED},
    {"InvalidClientTokenId", OUR_KEYS},
    {"InvalidAccessKeyId", OUR_KEYS},
    {"SignatureDoesNotMatch", OUR_KEYS},
    {"UnrecognizedClientException", OUR_KEYS},
    {"IncompleteSignature", OUR_KEYS},
    {"MissingAuthenticationToken", OUR_KEYS},
    {"MalformedPolicyDocument", BAD_POLICY},
    {"PackedPolicyTooLarge", LARGE_POLICY},
    {"RegionDisabledException", REGION_OFF},
    {"ValidationError", BAD_VALUE},
    {"InvalidParameterValue", BAD_VALUE},
    {"Throttling", BUSY},
    {"ThrottlingException", BUSY},
    {"RequestLimitExceeded", BUSY},
    {"TooManyRequestsException", BUSY},
    {"ServiceUnavailable", BUSY},
    {"InternalFailure", BUSY},
    {"RequestTimeTooSkewed", BUSY},
    {"RequestExpired", BUSY},
    {"SlowDown", BUSY},
};

static enum meaning meaning_of(const struct sts_failure *failure)
{
    if (failure->clock || failure->status >= 500 || failure->status == 429)
        return BUSY;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(failure->code, codes[i].code) == 0)
            return codes[i].meaning;
    if (failure->status == 401 || failure->status == 403)
        return NO_TRUST;
    return failure->code[0] ? BAD_VALUE : BUSY;
}

int sts_failure_explain(const struct sts_failure *failure, const struct sts_role *role,
                        const struct aws_credentials *base, struct error *error)
{
    char said[700];
    const char *colon = failure->message[0] ? ": " : "";
    if (failure->code[0])
        snprintf(said, sizeof(said), "%s%s%s", failure->code, colon, failure->message);
    else
        snprintf(said, sizeof(said), "HTTP status %d", failure->status);
    const char *arn = role->role_arn, *id = base->access_key_id;
    switch (meaning_of(failure)) {
    case NO_TRUST:
        return error_set(error, ERR_DENIED,
                         "assuming the role %.300s is refused (%.300s). Check that the role "
                         "exists, that its trust policy allows sts:AssumeRole to the principal of "
                         "our access key %.40s, and that the external ID there is the one set "
                         "here (%s)",
                         arn, said, id, *role->external_id ? "one is set" : "none is set");
    case OUR_KEYS:
        return error_set(error, ERR_DENIED,
                         "assuming %.300s: STS does not accept our own credentials, access key "
                         "%.40s (%.300s). Check castbucket's AWS credentials",
                         arn, id, said);
    case OUR_KEYS_EXPIRED:
        return error_set(error, ERR_DENIED,
                         "assuming %.300s: our own credentials, access key %.40s, have expired "
                         "(%.300s). Renew castbucket's AWS credentials",
                         arn, id, said);
    case BAD_POLICY:
        return error_set(error, ERR_INVALID,
                         "assuming %.300s: STS cannot read the session policy (%.400s)", arn, said);
    case LARGE_POLICY:
        return error_set(error, ERR_LIMIT,
                         "assuming %.300s: the session policy is too large once packed (%.400s). "
                         "Shorten the prefix or the organization's name",
                         arn, said);
    case REGION_OFF:
        return error_set(error, ERR_DENIED,
                         "assuming %.300s: STS is switched off in the region %.64s (%.300s). "
                         "Switch it on in the account's settings or set another region",
                         arn, *role->region ? role->region : "us-east-1", said);
    case BAD_VALUE:
        if (strstr(failure->message, "DurationSeconds"))
            return error_set(error, ERR_INVALID,
                             "assuming %.300s: %u seconds are longer than the role's maximum "
                             "session duration (%.400s)",
                             arn, role->duration_seconds, said);
        return error_set(error, ERR_INVALID, "assuming %.300s: STS refuses the request (%.500s)",
                         arn, said);
    case BUSY:
        break;
    }
    return error_set(error, ERR_RETRY, "assuming %.300s: STS cannot answer now (%.500s)%s", arn,
                     said, failure->clock ? "; check this machine's clock" : "");
}
