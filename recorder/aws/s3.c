#include "recorder/aws/s3.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/s3_call.h"
#include "recorder/aws/xml.h"
#include "recorder/base/text.h"

int s3_bucket_new(struct http_client *client, struct sts_session *session,
                  const struct s3_options *options, const struct clock *clock,
                  struct s3_bucket **out, struct error *error)
{
    int rc = 0;
    size_t length = strlen(options->bucket);
    if (length == 0 || length > 255 || strchr(options->bucket, '/') ||
        text_has_control(options->bucket))
        return error_set(error, ERR_INVALID, "'%.100s' is not the name of a bucket",
                         options->bucket);
    if (strlen(options->region) >= S3_REGION_SIZE)
        return error_set(error, ERR_INVALID, "'%.100s' is not the name of a region",
                         options->region);
    struct s3_bucket *bucket = calloc(1, sizeof(*bucket));
    if (!bucket)
        return error_set(error, ERR_NO_MEMORY, "no memory for the bucket %s", options->bucket);
    bucket->client = client;
    bucket->session = session;
    bucket->clock = clock;
    memcpy(bucket->name, options->bucket, length + 1);
    snprintf(bucket->learned.region, sizeof(bucket->learned.region), "%.63s", options->region);
    pthread_mutex_init(&bucket->lock, NULL);
    bucket->own_endpoint = options->endpoint[0] != '\0';
    /* There the objects are the role's account's, which is the bucket's; see s3.h. */
    bucket->learned.no_acl = !bucket->own_endpoint;
    if (bucket->own_endpoint)
        rc = aws_endpoint_parse(&bucket->endpoint, options->endpoint, error);
    if (rc)
        s3_bucket_free(bucket);
    else
        *out = bucket;
    return rc;
}

void s3_bucket_free(struct s3_bucket *bucket)
{
    if (!bucket)
        return;
    pthread_mutex_destroy(&bucket->lock);
    free(bucket);
}

int s3_location(struct s3_bucket *bucket, char *region, size_t size, struct error *error)
{
    static const struct sigv4_pair query = {"location", ""};
    const struct s3_call call = {.operation = "GetBucketLocation",
                                 .permission = "s3:GetBucketLocation",
                                 .method = "GET",
                                 .query = &query,
                                 .query_count = 1,
                                 .any_region = true};
    struct http_response response = HTTP_RESPONSE_INIT;
    int rc = s3_call(bucket, &call, &response, error);
    region[0] = '\0';
    if (rc == 0 && !xml_text(response.body.data ? response.body.data : "", response.body.length,
                             "LocationConstraint", region, size))
        rc = error_set(error, ERR_RETRY,
                       "s3://%.80s: what answered is not GetBucketLocation; is the endpoint right?",
                       bucket->name);
    /* The oldest name of a region, still given for buckets of that time. */
    if (rc == 0 && strcmp(region, "EU") == 0)
        snprintf(region, size, "eu-west-1");
    http_response_free(&response);
    return rc;
}

static bool is_region(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
            return false;
    return length > 0 && length < S3_REGION_SIZE;
}

/* HeadBucket says it even when it refuses. Elsewhere than on AWS it may not; then the bucket's
 * location is asked for. A refusal there is not the last word: a wrong guess is redirected. */
static int find_region(struct s3_bucket *bucket, char region[S3_REGION_SIZE], struct error *error)
{
    const struct s3_call head = {.operation = "HeadBucket",
                                 .permission = "s3:ListBucket",
                                 .method = "HEAD",
                                 .any_region = true};
    struct http_response response = HTTP_RESPONSE_INIT;
    int rc = s3_call(bucket, &head, &response, error);
    bool told = response.status &&
                http_header(&response, "x-amz-bucket-region", region, S3_REGION_SIZE);
    int status = response.status;
    http_response_free(&response);
    if (told && is_region(region))
        return 0;
    if (rc && (status == 0 || status == 404 || status >= 500))
        return rc;
    rc = s3_location(bucket, region, S3_REGION_SIZE, error);
    if (rc && rc != ERR_DENIED && rc != ERR_INVALID)
        return rc;
    if (rc || !is_region(region))
        snprintf(region, S3_REGION_SIZE, "us-east-1");
    return 0;
}

int s3_region(struct s3_bucket *bucket, char *region, struct error *error)
{
    struct s3_learned learned = s3_learned_get(bucket);
    char found[S3_REGION_SIZE];
    if (!learned.region[0]) {
        int rc = find_region(bucket, found, error);
        if (rc)
            return rc;
        s3_learned_region(bucket, found);
        memcpy(learned.region, found, sizeof(found));
    }
    memcpy(region, learned.region, sizeof(learned.region));
    return 0;
}

int s3_presign_get(struct s3_bucket *bucket, const char *key, unsigned seconds, struct buffer *url,
                   struct error *error)
{
    return s3_call_presign(bucket, key, seconds, url, error);
}
