#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/digest.h"
#include "recorder/aws/s3_call.h"
#include "recorder/aws/s3_confirm.h"
#include "recorder/base/text.h"

int s3_put(struct s3_bucket *bucket, const struct s3_put *put, struct s3_object *object,
           struct error *error)
{
    struct http_response response = HTTP_RESPONSE_INIT;
    struct sigv4_pair headers[8];
    struct s3_sums sums;
    size_t count = 0;
    memset(object, 0, sizeof(*object));
    int rc = s3_sums_of(&sums, &put->body, put->sha256, error);
    if (rc)
        return rc;
    headers[count++] = (struct sigv4_pair){"content-type", put->content_type};
    headers[count++] = (struct sigv4_pair){"x-amz-checksum-sha256", sums.sha256_base64};
    headers[count++] = (struct sigv4_pair){"x-amz-meta-sha256", sums.sha256_hex};
    headers[count++] = (struct sigv4_pair){"x-amz-acl", "bucket-owner-full-control"};
    if (sums.md5.known)
        headers[count++] = (struct sigv4_pair){"content-md5", sums.md5_base64};
    if (put->if_none_match)
        headers[count++] = (struct sigv4_pair){"if-none-match", "*"};
    const struct s3_call call = {.operation = "PutObject",
                                 .permission = "s3:PutObject",
                                 .method = "PUT",
                                 .key = put->key,
                                 .headers = headers,
                                 .header_count = count,
                                 .sha256 = put->sha256,
                                 .body = put->body};
    rc = s3_call(bucket, &call, &response, error);
    if (rc == 0) {
        s3_object_read(object, &response);
        object->size = put->body.length;
        memcpy(object->meta_sha256, sums.sha256_hex, sizeof(object->meta_sha256));
        rc = s3_confirm(&sums, object, error);
        if (rc)
            error_prefix(error, "s3://%.80s/%.300s", bucket->name, put->key);
    }
    http_response_free(&response);
    return rc;
}

int s3_head(struct s3_bucket *bucket, const char *key, struct s3_object *object,
            struct error *error)
{
    static const struct sigv4_pair mode = {"x-amz-checksum-mode", "ENABLED"};
    const struct s3_call call = {.operation = "HeadObject",
                                 .permission = "s3:GetObject",
                                 .method = "HEAD",
                                 .key = key,
                                 .headers = &mode,
                                 .header_count = 1};
    struct http_response response = HTTP_RESPONSE_INIT;
    char length[32], *end = length;
    memset(object, 0, sizeof(*object));
    int rc = s3_call(bucket, &call, &response, error);
    if (rc == 0) {
        s3_object_read(object, &response);
        if (http_header(&response, "content-length", length, sizeof(length)))
            object->size = strtoull(length, &end, 10);
        if (end == length || *end)
            rc = error_set(error, ERR_RETRY, "s3://%.80s/%.300s: HeadObject gave no size",
                           bucket->name, key);
        if (rc == 0 && !object->etag[0])
            rc = error_set(error, ERR_RETRY,
                           "s3://%.80s/%.300s: what answered is not HeadObject; is the endpoint "
                           "right?",
                           bucket->name, key);
    }
    http_response_free(&response);
    return rc;
}

struct receiver {
    int (*on_body)(void *context, const void *data, size_t length);
    void *context;
    const struct http_response *response;
    bool ranged, whole_instead;
};

/* A whole object in place of a range must not pass for the range. */
static int receive(void *context, const void *data, size_t length)
{
    struct receiver *receiver = context;
    if (receiver->ranged && receiver->response->status != 206) {
        receiver->whole_instead = true;
        return ERR_INVALID;
    }
    return receiver->on_body(receiver->context, data, length);
}

int s3_get(struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length,
           int (*on_body)(void *context, const void *data, size_t length), void *context,
           struct error *error)
{
    struct http_response response = HTTP_RESPONSE_INIT;
    char text[64];
    struct receiver receiver = {
        .on_body = on_body, .context = context, .response = &response, .ranged = offset || length};
    if (length && offset > UINT64_MAX - length)
        return error_set(error, ERR_INVALID, "s3://%.80s/%.300s: the range has no end",
                         bucket->name, key);
    if (length)
        snprintf(text, sizeof(text), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + length - 1);
    else
        snprintf(text, sizeof(text), "bytes=%" PRIu64 "-", offset);
    const struct sigv4_pair range = {"range", text};
    const struct s3_call call = {.operation = "GetObject",
                                 .permission = "s3:GetObject",
                                 .method = "GET",
                                 .key = key,
                                 .headers = &range,
                                 .header_count = receiver.ranged ? 1 : 0,
                                 .on_body = receive,
                                 .context = &receiver};
    int rc = s3_call(bucket, &call, &response, error);
    if (receiver.whole_instead)
        rc = error_set(error, ERR_INVALID, "s3://%.80s/%.300s: the store does not do ranges",
                       bucket->name, key);
    http_response_free(&response);
    return rc;
}
