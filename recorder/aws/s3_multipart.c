#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/digest.h"
#include "recorder/aws/s3_call.h"
#include "recorder/aws/s3_confirm.h"
#include "recorder/aws/xml.h"
#include "recorder/base/base64.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

/* In front of an upload id whose store keeps a SHA-256 of every part, and so wants them all again
 * in the end. It has to travel with the id, which may be used by another process days later. */
#define WITH_CHECKSUMS "sha256:"

#define MAX_LIST ((size_t)4 << 20) /* 10,000 parts of at most some 300 bytes */

static bool has_checksums(const char *upload_id)
{
    return strncmp(upload_id, WITH_CHECKSUMS, strlen(WITH_CHECKSUMS)) == 0;
}

static const char *stores_id(const char *upload_id)
{
    return has_checksums(upload_id) ? upload_id + strlen(WITH_CHECKSUMS) : upload_id;
}

int s3_multipart_create(struct s3_bucket *bucket, const char *key, const char *content_type,
                        const uint8_t sha256[32], char upload_id[S3_UPLOAD_ID_SIZE],
                        struct error *error)
{
    static const struct sigv4_pair query = {"uploads", ""};
    char hex[65], id[S3_UPLOAD_ID_SIZE - sizeof(WITH_CHECKSUMS)], algorithm[16];
    text_hex(hex, sha256, 32);
    const struct sigv4_pair headers[] = {{"content-type", content_type},
                                         {"x-amz-meta-sha256", hex},
                                         {"x-amz-checksum-algorithm", "SHA256"},
                                         {"x-amz-acl", "bucket-owner-full-control"}};
    const struct s3_call call = {.operation = "CreateMultipartUpload",
                                 .permission = "s3:PutObject",
                                 .method = "POST",
                                 .key = key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .header_count = sizeof(headers) / sizeof(headers[0])};
    struct http_response response = HTTP_RESPONSE_INIT;
    upload_id[0] = '\0';
    int rc = s3_call(bucket, &call, &response, error);
    if (rc)
        goto out;
    if (!xml_text(response.body.data ? response.body.data : "", response.body.length,
                  "InitiateMultipartUploadResult/UploadId", id, sizeof(id)) ||
        !id[0]) {
        rc = error_set(error, ERR_RETRY,
                       "s3://%.80s/%.300s: CreateMultipartUpload gave no upload id", bucket->name,
                       key);
        goto out;
    }
    bool with = http_header(&response, "x-amz-checksum-algorithm", algorithm, sizeof(algorithm)) &&
                strcmp(algorithm, "SHA256") == 0;
    snprintf(upload_id, S3_UPLOAD_ID_SIZE, "%s%s", with ? WITH_CHECKSUMS : "", id);
out:
    http_response_free(&response);
    return rc;
}

int s3_multipart_part(struct s3_bucket *bucket, const char *key, const char *upload_id,
                      unsigned number, const struct http_body *body, const uint8_t sha256[32],
                      char etag[128], struct error *error)
{
    struct http_response response = HTTP_RESPONSE_INIT;
    struct s3_object object = {0};
    struct sigv4_pair headers[2];
    struct s3_sums sums;
    char text[16];
    size_t count = 0;
    if (number < 1 || number > S3_MAX_PARTS)
        return error_set(error, ERR_INVALID, "s3://%.80s/%.300s: parts are numbered 1 to %d",
                         bucket->name, key, S3_MAX_PARTS);
    int rc = s3_sums_of(&sums, body, sha256, error);
    if (rc)
        return rc;
    snprintf(text, sizeof(text), "%u", number);
    const struct sigv4_pair query[] = {{"partNumber", text}, {"uploadId", stores_id(upload_id)}};
    headers[count++] = (struct sigv4_pair){"x-amz-checksum-sha256", sums.sha256_base64};
    if (sums.md5.known)
        headers[count++] = (struct sigv4_pair){"content-md5", sums.md5_base64};
    const struct s3_call call = {.operation = "UploadPart",
                                 .permission = "s3:PutObject",
                                 .method = "PUT",
                                 .key = key,
                                 .query = query,
                                 .query_count = 2,
                                 .headers = headers,
                                 .header_count = count,
                                 .sha256 = sha256,
                                 .body = *body};
    rc = s3_call(bucket, &call, &response, error);
    if (rc)
        goto out;
    s3_object_read(&object, &response);
    rc = s3_confirm(&sums, &object, error);
    if (rc == 0 && !object.etag[0])
        rc = error_set(error, ERR_RETRY, "UploadPart gave no ETag");
    if (rc && error)
        error_prefix(error, "s3://%.80s/%.300s, part %u", bucket->name, key, number);
    memcpy(etag, object.etag, sizeof(object.etag));
out:
    http_response_free(&response);
    return rc;
}

/* ETags are the store's text: whatever XML would take for its own is escaped. */
static int add_escaped(struct buffer *list, const char *text)
{
    int rc = 0;
    for (const char *p = text; rc == 0 && *p; p++)
        rc = strchr("&<>\"'", *p) ? buffer_printf(list, "&#%d;", *p) : buffer_append(list, p, 1);
    return rc;
}

static int build_list(struct buffer *list, const struct s3_part *parts, unsigned count,
                      bool checksums)
{
    int rc = buffer_append_text(
        list, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        char base64[BASE64_SIZE(32) + 1];
        rc = buffer_printf(list, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
        if (rc == 0)
            rc = add_escaped(list, parts[i].etag);
        if (rc == 0)
            rc = buffer_append_text(list, "</ETag>");
        base64_text(base64, parts[i].sha256, sizeof(parts[i].sha256));
        if (rc == 0 && checksums)
            rc = buffer_printf(list, "<ChecksumSHA256>%s</ChecksumSHA256>", base64);
        if (rc == 0)
            rc = buffer_append_text(list, "</Part>");
    }
    return rc ? rc : buffer_append_text(list, "</CompleteMultipartUpload>");
}

/* The answer's ETag and checksum; ERR_DAMAGED if the latter is not that of our parts. */
static int read_completed(const struct http_response *response, const struct s3_part *parts,
                          unsigned count, struct s3_object *object, struct error *error)
{
    const char *xml = response->body.data ? response->body.data : "";
    char expected[S3_COMPOSITE_SIZE];
    if (!xml_text(xml, response->body.length, "CompleteMultipartUploadResult/ETag", object->etag,
                  sizeof(object->etag)))
        return error_set(error, ERR_RETRY, "what answered is not CompleteMultipartUpload");
    s3_unquote(object->etag);
    if (!xml_text(xml, response->body.length, "CompleteMultipartUploadResult/ChecksumSHA256",
                  object->checksum, sizeof(object->checksum)))
        object->checksum[0] = '\0';
    int rc = s3_composite(parts, count, expected);
    if (rc)
        return error_set(error, rc, "no memory to check an upload");
    /* A checksum without a number of parts is not composite, and cannot be compared with it. */
    if (strchr(object->checksum, '-') && strcmp(object->checksum, expected) != 0)
        return error_set(error, ERR_DAMAGED,
                         "the store put together other parts than were sent: SHA-256 %s instead "
                         "of %s",
                         object->checksum, expected);
    return 0;
}

int s3_multipart_complete(struct s3_bucket *bucket, const char *key, const char *upload_id,
                          const struct s3_part *parts, unsigned count, bool if_none_match,
                          struct s3_object *object, struct error *error)
{
    static const struct sigv4_pair headers[] = {{"content-type", "application/xml"},
                                                {"if-none-match", "*"}};
    const struct sigv4_pair query = {"uploadId", stores_id(upload_id)};
    struct http_response response = HTTP_RESPONSE_INIT;
    struct buffer list = BUFFER_INIT(MAX_LIST);
    uint8_t hash[SHA256_SIZE];
    memset(object, 0, sizeof(*object));
    if (count < 1 || count > S3_MAX_PARTS)
        return error_set(error, ERR_INVALID, "s3://%.80s/%.300s: an upload has 1 to %d parts",
                         bucket->name, key, S3_MAX_PARTS);
    int rc = build_list(&list, parts, count, has_checksums(upload_id));
    if (rc == 0)
        rc = sha256(list.data, list.length, hash);
    if (rc) {
        error_set(error, rc, "no memory to complete an upload");
        goto out;
    }
    const struct s3_call call = {.operation = "CompleteMultipartUpload",
                                 .permission = "s3:PutObject",
                                 .method = "POST",
                                 .key = key,
                                 .query = &query,
                                 .query_count = 1,
                                 .headers = headers,
                                 .header_count = if_none_match ? 2 : 1,
                                 .sha256 = hash,
                                 .body = {.data = list.data, .length = list.length},
                                 .error_in_200 = true};
    rc = s3_call(bucket, &call, &response, error);
    if (rc == 0) {
        rc = read_completed(&response, parts, count, object, error);
        if (rc && error)
            error_prefix(error, "s3://%.80s/%.300s", bucket->name, key);
    }
out:
    buffer_free(&list);
    http_response_free(&response);
    return rc;
}
