/* The S3 store's own decisions, against a scripted S3: what it does when answers are lost, uploads
 * vanish, objects are there already. The functions of recorder/aws that it calls are this file's;
 * that the real ones do what they say is shown against a real gateway elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "recorder/aws/digest.h"
#include "recorder/aws/s3.h"
#include "recorder/aws/sts.h"
#include "recorder/base/base64.h"
#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "recorder/store/store_policy.h"
#include "recorder/store/store_s3.h"

#define MIB ((uint64_t)1 << 20)
#define KEY "org=acme/socket=web-1/date=2026-11-23/019363a0-0000-7000-8000-000000000001.cast.gz"

/* A bucket with room for one object. */
struct s3_bucket {
    int unused;
};
struct sts_session {
    int unused;
};

static struct {
    bool there;
    uint64_t size;
    char meta[65], etag[64], checksum[64];
    char *data; /* what a GET gives: what was received, malloc'ed */
    bool upload_known;
    uint64_t received;
    unsigned parts;
    uint8_t upload_sha256[32], part_md5s[16 * 16], part_sha256s[16 * 32];
    /* What it says of what it has. */
    bool says_checksum, encrypts, says_nothing;
    /* Faults. */
    bool damages;
    int head_code, list_code, put_code, part_code, complete_code;
    unsigned part_code_at; /* number of the part that fails once with part_code; 0: none */
    int put_code_at;       /* number of the put that fails with ERR_RETRY; 0: none */
    bool complete_loses_answer, ignores_if_none_match, forgets_always;
    /* What was asked. */
    int heads, gets, lists, puts, creates, part_requests, completes;
    bool unconditional;
    char policy[STORE_POLICY_SIZE], session_name[256], role_region[64];
} s3;

int s3_bucket_new(struct http_client *client, struct sts_session *session,
                  const struct s3_options *options, const struct clock *clock,
                  struct s3_bucket **bucket, struct error *error)
{
    (void)client, (void)session, (void)options, (void)clock, (void)error;
    *bucket = calloc(1, sizeof(**bucket));
    return 0;
}

void s3_bucket_free(struct s3_bucket *bucket)
{
    free(bucket);
}

int sts_session_new(struct http_client *client, const struct sts_role *role,
                    const struct clock *clock, struct sts_session **session, struct error *error)
{
    (void)client, (void)clock, (void)error;
    snprintf(s3.policy, sizeof(s3.policy), "%s", role->policy);
    snprintf(s3.session_name, sizeof(s3.session_name), "%s", role->session_name);
    snprintf(s3.role_region, sizeof(s3.role_region), "%s", role->region);
    *session = calloc(1, sizeof(**session));
    return 0;
}

int sts_session_get(struct sts_session *session, struct aws_credentials *credentials,
                    struct error *error)
{
    (void)session, (void)error;
    memset(credentials, 0, sizeof(*credentials));
    return 0;
}

void sts_session_free(struct sts_session *session)
{
    free(session);
}

void aws_credentials_cleanse(struct aws_credentials *credentials)
{
    memset(credentials, 0, sizeof(*credentials));
}

int aws_credentials_base(struct http_client *client, struct aws_credentials *credentials,
                         struct error *error)
{
    (void)client, (void)credentials;
    return error_set(error, ERR_DENIED, "none");
}

void aws_base_region(char *region, size_t size)
{
    snprintf(region, size, "%s", "");
}

int s3_region(struct s3_bucket *bucket, char *region, struct error *error)
{
    (void)bucket, (void)error;
    strcpy(region, "eu-west-1");
    return 0;
}

int s3_location(struct s3_bucket *bucket, char *region, size_t size, struct error *error)
{
    (void)bucket, (void)error;
    snprintf(region, size, "eu-west-1");
    return 0;
}

/* Takes in a body at an offset of the object. */
static void receive(const struct http_body *body, uint64_t at)
{
    struct error error = ERROR_INIT;
    s3.data = realloc(s3.data, at + body->length);
    assert_non_null(s3.data);
    if (body->data)
        memcpy(s3.data + at, body->data, body->length);
    else
        assert_int_equal(
            file_pread_all(body->fd, s3.data + at, body->length, (off_t)body->offset, &error), 0);
    if (s3.damages)
        s3.data[at] ^= 1;
}

static void sums_of(const void *data, uint64_t length, uint8_t md5[16], uint8_t sum[32])
{
    const struct http_body body = {.data = data, .length = length};
    struct md5 made;
    assert_int_equal(body_md5(&body, &made, NULL), 0);
    memcpy(md5, made.bytes, 16);
    assert_int_equal(sha256(data, length, sum), 0);
}

/* ETag and checksum of what is there: of its bytes, or, with parts, of the parts' sums. */
static void note_sums(unsigned parts)
{
    uint8_t md5[16], sum[32];
    char hex[33], base64[BASE64_SIZE(32) + 1], number[16] = "";
    if (parts) {
        uint8_t unused_md5[16], unused_sum[32];
        snprintf(number, sizeof(number), "-%u", parts);
        sums_of(s3.part_md5s, (uint64_t)16 * parts, md5, unused_sum);
        sums_of(s3.part_sha256s, (uint64_t)32 * parts, unused_md5, sum);
    } else {
        sums_of(s3.data, s3.size, md5, sum);
    }
    text_hex(hex, md5, sizeof(md5));
    base64_text(base64, sum, sizeof(sum));
    snprintf(s3.etag, sizeof(s3.etag), "%s%s", hex, number);
    snprintf(s3.checksum, sizeof(s3.checksum), "%s%s", base64, number);
}

/* An object that somebody else put there. */
static void put_theirs(const char *text)
{
    const struct http_body body = {.data = text, .length = strlen(text)};
    receive(&body, 0);
    s3.there = true;
    s3.size = body.length;
    s3.meta[0] = '\0';
    note_sums(0);
}

static void describe(struct s3_object *object)
{
    *object = (struct s3_object){.size = s3.size, .opaque_etag = s3.encrypts};
    snprintf(object->etag, sizeof(object->etag), "%s",
             s3.encrypts ? "0123456789abcdef0123456789abcdef" : s3.etag);
    if (s3.says_checksum)
        snprintf(object->checksum, sizeof(object->checksum), "%s", s3.checksum);
    if (s3.says_nothing)
        object->etag[0] = '\0';
    memcpy(object->meta_sha256, s3.meta, sizeof(s3.meta));
}

int s3_put(struct s3_bucket *bucket, const struct s3_put *put, struct s3_object *object,
           struct error *error)
{
    (void)bucket;
    s3.puts++;
    s3.unconditional = s3.unconditional || !put->if_none_match;
    if (s3.put_code)
        return error_set(error, s3.put_code, "put");
    if (s3.puts == s3.put_code_at)
        return error_set(error, ERR_RETRY, "put");
    if (s3.there && !s3.ignores_if_none_match)
        return error_set(error, ERR_EXISTS, "412");
    receive(&put->body, 0);
    s3.there = true;
    s3.size = put->body.length;
    text_hex(s3.meta, put->sha256, 32);
    note_sums(0);
    describe(object);
    return s3_object_prove(object, &put->body, put->sha256, error);
}

int s3_head(struct s3_bucket *bucket, const char *key, struct s3_object *object,
            struct error *error)
{
    (void)bucket, (void)key;
    s3.heads++;
    if (s3.head_code)
        return error_set(error, s3.head_code, "head");
    if (!s3.there)
        return error_set(error, ERR_NOT_FOUND, "404");
    describe(object);
    return 0;
}

int s3_get(struct s3_bucket *bucket, const char *key, uint64_t offset, uint64_t length,
           int (*on_body)(void *context, const void *data, size_t length), void *context,
           struct error *error)
{
    (void)bucket, (void)key, (void)offset, (void)length;
    s3.gets++;
    if (s3.head_code)
        return error_set(error, s3.head_code, "get");
    if (!s3.there)
        return error_set(error, ERR_NOT_FOUND, "404");
    return on_body(context, s3.data, s3.size);
}

int s3_list(struct s3_bucket *bucket, const char *prefix, const char *delimiter,
            int (*each)(void *context, const struct s3_list_entry *entry), void *context,
            struct error *error)
{
    (void)bucket, (void)delimiter;
    s3.lists++;
    if (s3.list_code)
        return error_set(error, s3.list_code, "list");
    const struct s3_list_entry entry = {prefix, s3.size, false};
    return s3.there ? each(context, &entry) : 0;
}

int s3_multipart_create(struct s3_bucket *bucket, const char *key, const char *content_type,
                        const uint8_t sum[32], char upload_id[S3_UPLOAD_ID_SIZE],
                        struct error *error)
{
    (void)bucket, (void)key, (void)content_type, (void)error;
    s3.creates++;
    s3.upload_known = !s3.forgets_always;
    s3.received = 0;
    s3.parts = 0;
    memcpy(s3.upload_sha256, sum, 32);
    snprintf(upload_id, S3_UPLOAD_ID_SIZE, "upload-%d", s3.creates);
    return 0;
}

int s3_multipart_part(struct s3_bucket *bucket, const char *key, const char *upload_id,
                      unsigned number, const struct http_body *body, const uint8_t sum[32],
                      char etag[128], struct error *error)
{
    (void)bucket, (void)key, (void)upload_id, (void)sum;
    uint8_t md5[16], sha[32];
    s3.part_requests++;
    if (!s3.upload_known)
        return error_set(error, ERR_NOT_FOUND, "NoSuchUpload");
    if (s3.part_code && number == s3.part_code_at) {
        s3.part_code_at = 0;
        return error_set(error, s3.part_code, "part");
    }
    assert_int_equal(number, s3.parts + 1);
    assert_int_equal(body->offset, s3.received);
    assert_true(number <= 16);
    receive(body, s3.received);
    sums_of(s3.data + s3.received, body->length, md5, sha);
    memcpy(s3.part_md5s + (size_t)16 * s3.parts, md5, 16);
    memcpy(s3.part_sha256s + (size_t)32 * s3.parts, sha, 32);
    s3.parts = number;
    s3.received += body->length;
    text_hex(etag, md5, 16);
    return 0;
}

int s3_multipart_complete(struct s3_bucket *bucket, const char *key, const char *upload_id,
                          const struct s3_part *parts, unsigned count, bool if_none_match,
                          struct s3_object *object, struct error *error)
{
    (void)bucket, (void)key, (void)upload_id, (void)object;
    s3.completes++;
    s3.unconditional = s3.unconditional || !if_none_match;
    if (s3.complete_code)
        return error_set(error, s3.complete_code, "complete");
    if (!s3.upload_known)
        return error_set(error, ERR_NOT_FOUND, "NoSuchUpload");
    if (s3.there && !s3.ignores_if_none_match)
        return error_set(error, ERR_EXISTS, "412");
    assert_int_equal(count, s3.parts);
    for (unsigned i = 0; i < count; i++) {
        char etag[33];
        text_hex(etag, s3.part_md5s + (size_t)16 * i, 16);
        assert_string_equal(parts[i].etag, etag);
    }
    s3.there = true;
    s3.size = s3.received;
    text_hex(s3.meta, s3.upload_sha256, 32);
    note_sums(count);
    s3.upload_known = false;
    if (s3.complete_loses_answer) {
        s3.complete_loses_answer = false;
        return error_set(error, ERR_RETRY, "reset");
    }
    return 0;
}

struct place {
    struct store *store;
    int fd;
    struct store_object object;
    struct store_progress progress;
    int saves, fail_save_at;
};

static void make_object(struct place *place, uint64_t size)
{
    struct error error = ERROR_INIT;
    assert_int_equal(ftruncate(place->fd, (off_t)size), 0);
    place->object = (struct store_object){
        .key = KEY, .content_type = "application/gzip", .fd = place->fd, .size = size};
    assert_int_equal(sha256_file(place->fd, 0, size, place->object.sha256, &error), 0);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    char path[256];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/castbucket-s3-XXXXXX", base ? base : "/tmp");
    place->fd = mkstemp(path);
    assert_true(place->fd >= 0);
    unlink(path);
    memset(&s3, 0, sizeof(s3));
    const struct organization_settings organization = {
        .name = "acme",
        .storage = {STORAGE_AWS_S3, "acme-rec", "arn:aws:iam::123456789012:role/r", "", "", "", "",
                    "", ""},
    };
    struct error error = ERROR_INIT;
    assert_int_equal(
        store_open(&organization, NULL, &clock_system, "host-1", &place->store, &error), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    assert_false(s3.unconditional);
    store_progress_free(&place->progress);
    store_free(place->store);
    free(s3.data);
    close(place->fd);
    free(place);
    return 0;
}

static int save(void *context, const struct store_progress *progress, struct error *error)
{
    struct place *place = context;
    assert_ptr_equal(progress, &place->progress);
    place->saves++;
    return place->saves == place->fail_save_at ? error_set(error, ERR_SYSTEM, "killed here") : 0;
}

static int put(struct place *place, struct error *error)
{
    return store_put(place->store, &place->object, &place->progress, save, place, error);
}

static void the_role_is_assumed_for_one_prefix_under_a_telling_name(void **state)
{
    (void)state;
    assert_non_null(strstr(s3.policy, "arn:aws:s3:::acme-rec/org=acme/*"));
    assert_string_equal(s3.session_name, "castbucket-acme@host-1");
    assert_string_equal(s3.role_region, "us-east-1");
}

/* Forgets the object and what was asked. */
static void empty_the_bucket(void)
{
    s3.there = false;
    s3.puts = s3.heads = s3.gets = s3.lists = s3.creates = 0;
}

static void a_small_object_takes_one_request_once_the_store_is_known(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 100);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.heads, 1);
    assert_int_equal(s3.puts, 2); /* the second was refused, and tells */
    empty_the_bucket();
    make_object(place, 16 * MIB - 1);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.puts, 1);
    assert_int_equal(s3.heads + s3.creates + s3.lists, 0);
}

static void a_store_that_would_overwrite_is_always_looked_at_first(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    s3.ignores_if_none_match = true;
    make_object(place, 100);
    put_theirs("theirs");
    assert_int_equal(put(place, &error), ERR_CONFLICT); /* with nothing known yet */
    assert_int_equal(s3.puts, 0);
    empty_the_bucket();
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.puts, 2);
    assert_int_equal(put(place, &error), 0); /* the same again */
    assert_int_equal(s3.puts, 2);
    put_theirs("theirs");
    assert_int_equal(put(place, &error), ERR_CONFLICT); /* when it is known */
    assert_non_null(strstr(error.text, "s3://acme-rec/" KEY));
    assert_int_equal(s3.puts, 2);
    empty_the_bucket();
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.heads, 1);
    assert_int_equal(s3.puts, 1); /* found out once */
}

static void finding_out_is_tried_again_and_never_fails_a_put(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 16 * MIB - 1);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.puts, 1); /* too large to be sent twice */
    make_object(place, 100);
    empty_the_bucket();
    s3.put_code_at = 2;
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.puts, 2);
    s3.put_code_at = 0;
    empty_the_bucket();
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.heads, 1);
    assert_int_equal(s3.puts, 2);
}

static void a_put_whose_answer_was_lost_is_found_to_be_ours(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 100);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.heads, 1);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.heads, 2);
    assert_int_equal(s3.gets, 0); /* what the store says of its bytes proves it */
    s3.says_checksum = true;
    assert_int_equal(put(place, &error), 0);
    s3.encrypts = true; /* its ETag says nothing now, its checksum does */
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.gets, 0);
    s3.says_checksum = false; /* our own metadata, which is still there, proves nothing */
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.gets, 1);
    assert_int_equal(s3.puts, 6);
}

static void what_was_damaged_under_our_name_is_not_taken_for_ours(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    static const struct {
        bool says_checksum, encrypts;
    } stores[] = {{false, false}, {true, false}, {false, true}, {true, true}};
    for (size_t i = 0; i < sizeof(stores) / sizeof(*stores); i++) {
        empty_the_bucket();
        s3.says_checksum = stores[i].says_checksum;
        s3.encrypts = stores[i].encrypts;
        s3.damages = true;
        make_object(place, 100);
        for (int attempt = 0; attempt < 2; attempt++) {
            assert_int_equal(put(place, &error), ERR_CONFLICT);
            assert_non_null(strstr(error.text, "damaged"));
            assert_non_null(strstr(error.text, KEY));
        }
        assert_true(s3.gets >= 1); /* its bytes were looked at, in the end */
    }
    empty_the_bucket();
    make_object(place, 17 * MIB);
    assert_int_equal(put(place, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.text, "damaged"));
}

static void a_put_whose_answer_proves_nothing_is_looked_at(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 100);
    assert_int_equal(put(place, &error), 0);
    empty_the_bucket();
    s3.says_nothing = true;
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.puts, 1);
    assert_int_equal(s3.heads, 1);
    assert_int_equal(s3.gets, 1);
}

static void another_object_is_a_conflict_that_names_the_key(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 5);
    put_theirs("other");
    memset(s3.meta, '0', 64);
    assert_int_equal(put(place, &error), ERR_CONFLICT);
    assert_non_null(strstr(error.text, "s3://acme-rec/" KEY));
    assert_non_null(strstr(error.text, "another object"));
    s3.meta[0] = '\0';
    assert_int_equal(put(place, &error), ERR_CONFLICT);
    /* The bytes decide. */
    uint8_t zeros[5] = {0};
    assert_int_equal(sha256("other", 5, place->object.sha256), 0);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(sha256(zeros, 5, place->object.sha256), 0);
    put_theirs("others");
    assert_int_equal(put(place, &error), ERR_CONFLICT);
}

static void a_forbidden_head_of_a_missing_object_does_not_stop_an_upload(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 20 * MIB);
    /* S3 answers 403 for what is missing when s3:ListBucket is granted for a prefix only. After
     * completing, the object is there, and the answer 200: so a script of two states. */
    s3.head_code = ERR_DENIED;
    s3.complete_code = ERR_RETRY;
    assert_int_equal(put(place, &error), ERR_RETRY);
    assert_int_equal(s3.lists, 2);
    assert_int_equal(s3.parts, 3);
    s3.head_code = s3.complete_code = 0;
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.creates, 1);
    assert_int_equal(s3.part_requests, 3);

    /* It is there, and may not be read: nothing is confirmed. */
    s3.head_code = ERR_DENIED;
    assert_int_equal(put(place, &error), ERR_DENIED);
}

static void a_large_object_goes_in_parts_and_is_looked_at_afterwards(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 17 * MIB);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.parts, 3);
    assert_int_equal(s3.size, 17 * MIB);
    assert_int_equal(s3.heads, 3); /* before, before completing, after */
    assert_int_equal(s3.gets, 0);  /* the parts' sums are enough */
    s3.says_checksum = true;
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.gets, 0);
    assert_int_equal(place->saves, 4);
    assert_int_equal(s3.puts, 0);
}

static void an_upload_goes_on_where_another_process_left_it(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 33 * MIB);
    s3.part_code = ERR_RETRY;
    s3.part_code_at = 3;
    assert_int_equal(put(place, &error), ERR_RETRY);
    assert_int_equal(place->progress.part_count, 2);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.creates, 1);
    assert_int_equal(s3.part_requests, 6); /* five, and the one that failed */
}

static void what_cannot_be_remembered_stops_the_put(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 33 * MIB);
    place->fail_save_at = 3;
    assert_int_equal(put(place, &error), ERR_SYSTEM);
    assert_int_equal(s3.part_requests, 2);
    assert_int_equal(s3.completes, 0);
}

static void an_upload_that_vanished_begins_anew(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 33 * MIB);
    s3.part_code = ERR_RETRY;
    s3.part_code_at = 4;
    assert_int_equal(put(place, &error), ERR_RETRY);
    s3.upload_known = false; /* a lifecycle rule aborted it */
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.creates, 2);
    assert_int_equal(s3.size, 33 * MIB);
}

static void a_store_that_forgets_every_upload_is_tried_later(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 33 * MIB);
    s3.forgets_always = true;
    assert_int_equal(put(place, &error), ERR_RETRY);
    assert_int_equal(s3.creates, 2);
    assert_string_equal(place->progress.upload_id, "");
}

static void completing_whose_answer_was_lost_is_found_done(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 17 * MIB);
    s3.complete_loses_answer = true;
    assert_int_equal(put(place, &error), ERR_RETRY);
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.creates, 1);
    assert_int_equal(s3.completes, 1);
}

static void completing_never_overwrites_even_where_the_store_would(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 17 * MIB);
    s3.part_code = ERR_RETRY;
    s3.part_code_at = 3;
    s3.ignores_if_none_match = true;
    assert_int_equal(put(place, &error), ERR_RETRY);
    put_theirs("x");
    assert_int_equal(put(place, &error), ERR_CONFLICT);
    assert_int_equal(s3.completes, 0);
}

static void an_object_that_is_not_there_after_completing_is_not_confirmed(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 17 * MIB);
    s3.complete_code = ERR_EXISTS; /* and yet HEAD finds nothing */
    assert_int_not_equal(put(place, &error), 0);
}

static void progress_that_cannot_be_of_this_object_is_not_used(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    make_object(place, 17 * MIB);
    snprintf(place->progress.upload_id, sizeof(place->progress.upload_id), "stale");
    place->progress.part_size = 5;
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(s3.creates, 1);
}

static void parts_grow_so_that_ten_thousand_suffice(void **state)
{
    (void)state;
    assert_int_equal(store_s3_part_size(17 * MIB), 8 * MIB);
    assert_int_equal(store_s3_part_size(80000 * MIB), 8 * MIB);
    assert_int_equal(store_s3_part_size(80000 * MIB + 1), 9 * MIB);
    uint64_t most = (uint64_t)5 << 40;
    uint64_t part = store_s3_part_size(most);
    assert_true((most + part - 1) / part <= S3_MAX_PARTS);
    assert_true(part <= (uint64_t)5 << 30);
}

struct steps {
    char text[2048];
    int count;
};

static void note_step(void *context, const struct store_check *check)
{
    struct steps *steps = context;
    size_t used = strlen(steps->text);
    steps->count++;
    snprintf(steps->text + used, sizeof(steps->text) - used, "%s %d %s|", check->permission,
             check->code, check->detail);
}

static void a_check_tells_each_permission_and_what_to_do(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    struct steps steps = {.count = 0};
    s3.put_code = ERR_DENIED;
    s3.list_code = ERR_DENIED;
    assert_int_equal(store_check(place->store, note_step, &steps, &error), ERR_DENIED);
    assert_int_equal(steps.count, 4);
    assert_non_null(strstr(steps.text, "add s3:PutObject on arn:aws:s3:::acme-rec/* to the policy "
                                       "of the role arn:aws:iam::123456789012:role/r"));
    assert_non_null(strstr(steps.text, "add s3:ListBucket on arn:aws:s3:::acme-rec to"));
    assert_non_null(strstr(error.text, "s3:PutObject"));
}

static void a_check_says_that_the_store_would_overwrite(void **state)
{
    struct place *place = *state;
    struct error error = ERROR_INIT;
    struct steps steps = {.count = 0};
    s3.ignores_if_none_match = true;
    assert_int_equal(store_check(place->store, note_step, &steps, &error), 0);
    assert_non_null(strstr(steps.text, "castbucket looks before each put"));
}

#define s3_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        s3_test(the_role_is_assumed_for_one_prefix_under_a_telling_name),
        s3_test(a_small_object_takes_one_request_once_the_store_is_known),
        s3_test(a_store_that_would_overwrite_is_always_looked_at_first),
        s3_test(finding_out_is_tried_again_and_never_fails_a_put),
        s3_test(a_check_says_that_the_store_would_overwrite),
        s3_test(a_put_whose_answer_was_lost_is_found_to_be_ours),
        s3_test(what_was_damaged_under_our_name_is_not_taken_for_ours),
        s3_test(a_put_whose_answer_proves_nothing_is_looked_at),
        s3_test(another_object_is_a_conflict_that_names_the_key),
        s3_test(a_forbidden_head_of_a_missing_object_does_not_stop_an_upload),
        s3_test(a_large_object_goes_in_parts_and_is_looked_at_afterwards),
        s3_test(an_upload_goes_on_where_another_process_left_it),
        s3_test(what_cannot_be_remembered_stops_the_put),
        s3_test(an_upload_that_vanished_begins_anew),
        s3_test(a_store_that_forgets_every_upload_is_tried_later),
        s3_test(completing_whose_answer_was_lost_is_found_done),
        s3_test(completing_never_overwrites_even_where_the_store_would),
        s3_test(an_object_that_is_not_there_after_completing_is_not_confirmed),
        s3_test(progress_that_cannot_be_of_this_object_is_not_used),
        s3_test(parts_grow_so_that_ten_thousand_suffice),
        s3_test(a_check_tells_each_permission_and_what_to_do),
    };
    return cmocka_run_group_tests_name("store_s3", tests, NULL, NULL);
}
