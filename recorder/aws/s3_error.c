#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "recorder/aws/s3_call.h"
#include "recorder/aws/xml.h"

static void find(const struct http_response *response, const char *path, char *to, size_t size)
{
    char text[4096];
    to[0] = '\0';
    if (response->body.length &&
        xml_text(response->body.data, response->body.length, path, text, sizeof(text)))
        snprintf(to, size, "%.*s", (int)size - 1, text);
}

bool s3_failure_read(struct s3_failure *failure, const struct http_response *response,
                     bool error_in_200)
{
    bool good = response->status >= 200 && response->status < 300;
    memset(failure, 0, sizeof(*failure));
    failure->status = response->status;
    if (good && !error_in_200)
        return false;
    find(response, "Error/Code", failure->code, sizeof(failure->code));
    if (good && !failure->code[0])
        return false;
    find(response, "Error/Message", failure->message, sizeof(failure->message));
    if (!http_header(response, "x-amz-bucket-region", failure->region, sizeof(failure->region)))
        find(response, "Error/Region", failure->region, sizeof(failure->region));
    return true;
}

enum meaning {
    NO_PERMISSION,
    NO_BUCKET,
    NO_KEY,
    NO_UPLOAD,
    OUR_KEYS,
    EXPIRED,
    PRESENT,
    WRONG_REGION,
    NOT_OUR_BYTES,
    PAST_THE_END,
    FULL,
    BUSY,
    REFUSED
};

/* https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what RADOS Gateway and
 * MinIO add. By code first: one status stands for several things. */
static const struct {
    const char *code;
    enum meaning meaning;
} codes[] = {
    {"AccessDenied", NO_PERMISSION},
    {"AllAccessDisabled", NO_PERMISSION},
    {"AccountProblem", NO_PERMISSION},
    {"NoSuchBucket", NO_BUCKET},
    {"NoSuchKey", NO_KEY},
    {"NoSuchUpload", NO_UPLOAD},
    {"InvalidPart", NO_UPLOAD},
    {"InvalidAccessKeyId", OUR_KEYS},
    {"SignatureDoesNotMatch", OUR_KEYS},
    {"InvalidToken", OUR_KEYS},
    {"ExpiredToken", EXPIRED},
    {"TokenRefreshRequired", EXPIRED},
    {"PreconditionFailed", PRESENT},
    {"PermanentRedirect", WRONG_REGION},
    {"TemporaryRedirect", BUSY},
    {"AuthorizationHeaderMalformed", WRONG_REGION},
    {"IllegalLocationConstraintException", WRONG_REGION},
    {"BadDigest", NOT_OUR_BYTES},
    {"InvalidDigest", NOT_OUR_BYTES},
    {"XAmzContentSHA256Mismatch", NOT_OUR_BYTES},
    {"InvalidRange", PAST_THE_END},
    {"QuotaExceeded", FULL},
    {"XMinioStorageFull", FULL},
    {"ConditionalRequestConflict", BUSY},
    {"OperationAborted", BUSY},
    {"InternalError", BUSY},
    {"RequestTimeout", BUSY},
    {"RequestTimeTooSkewed", BUSY},
    {"ServiceUnavailable", BUSY},
    {"SlowDown", BUSY},
    {"Throttling", BUSY},
    {"ThrottlingException", BUSY},
    {"RequestLimitExceeded", BUSY},
    {"503 SlowDown", BUSY},
};

static enum meaning meaning_of(const struct s3_failure *failure, const struct s3_call *call)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(failure->code, codes[i].code) == 0)
            return codes[i].meaning;
    switch (failure->status) {
    case 301:
    case 307:
        return WRONG_REGION;
    case 401:
    case 403:
        return NO_PERMISSION;
    case 404:
        return call->key ? NO_KEY : NO_BUCKET;
    case 409:
    case 408:
    case 429:
        return BUSY;
    case 412:
        return PRESENT;
    case 416:
        return PAST_THE_END;
    case 501:
        return REFUSED;
    default:
        return failure->status >= 500 || failure->status < 300 ? BUSY : REFUSED;
    }
}

int s3_failure_explain(const struct s3_failure *failure, const struct s3_bucket *bucket,
                       const struct s3_call *call, struct error *error)
{
    char said[400], where[420];
    snprintf(said, sizeof(said), "%s%s%.300s", failure->code[0] ? failure->code : "",
             failure->code[0] && failure->message[0] ? ": " : "", failure->message);
    if (!said[0])
        snprintf(said, sizeof(said), "HTTP status %d", failure->status);
    /* Keys end in what tells them apart. */
    const char *key = call->key ? call->key : "";
    size_t length = strlen(key), cut = length > 300 ? length - 300 : 0;
    snprintf(where, sizeof(where), "s3://%.80s/%s%s: %s", bucket->name, cut ? "..." : "", key + cut,
             call->operation);

    switch (meaning_of(failure, call)) {
    case NO_PERMISSION: {
        bool about_bucket = strcmp(call->permission, "s3:ListBucket") == 0 || !call->key;
        return error_set(error, ERR_DENIED,
                         "%s is refused (%s). The role's policy, and the bucket's, must allow %s "
                         "on arn:aws:s3:::%.80s%s%s",
                         where, said, call->permission, bucket->name, about_bucket ? "" : "/",
                         about_bucket ? "" : "*");
    }
    case NO_BUCKET:
        return error_set(error, ERR_NOT_FOUND, "%s: the bucket %.80s does not exist (%s)", where,
                         bucket->name, said);
    case NO_KEY:
        return error_set(error, ERR_NOT_FOUND, "%s: no such object (%s)", where, said);
    case NO_UPLOAD:
        return error_set(error, ERR_NOT_FOUND, "%s: the upload or a part of it is gone (%s)", where,
                         said);
    case OUR_KEYS:
        return error_set(error, ERR_DENIED,
                         "%s: the store does not accept our credentials (%s). Check the endpoint "
                         "and castbucket's AWS credentials",
                         where, said);
    case EXPIRED:
        return error_set(error, bucket->session ? ERR_RETRY : ERR_DENIED,
                         "%s: the credentials have expired (%s)%s", where, said,
                         bucket->session ? "" : ". Renew castbucket's AWS credentials");
    case PRESENT:
        return error_set(error, ERR_EXISTS, "%s: an object is there already (%s)", where, said);
    case WRONG_REGION:
        return error_set(error, ERR_INVALID,
                         "%s: the bucket is in another region or behind another endpoint%s%s (%s)",
                         where, failure->region[0] ? ", in " : "", failure->region, said);
    case NOT_OUR_BYTES:
        return error_set(error, ERR_DAMAGED, "%s: what arrived is not what the checksum says (%s)",
                         where, said);
    case PAST_THE_END:
        return error_set(error, ERR_DAMAGED, "%s: the object is shorter than expected (%s)", where,
                         said);
    case FULL:
        return error_set(error, ERR_DENIED, "%s: the bucket's quota is used up (%s)", where, said);
    case BUSY:
        return error_set(error, ERR_RETRY, "%s: the store cannot do it now (%s)", where, said);
    case REFUSED:
        break;
    }
    return error_set(error, ERR_INVALID, "%s: the store refuses the request (%s)", where, said);
}
