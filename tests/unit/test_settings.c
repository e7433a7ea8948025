/* The settings file: accepted wholly or refused with its name, the key and the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/base/buffer.h"
#include "recorder/settings/settings.h"
#include "recorder/settings/settings_table.h"

static const char complete[] =
    "{\"version\": 1, \"spool\": \"/var//spool/./cb/\", \"spool_quota\": \"20G\", "
    "\"cast_version\": 3,\n"
    " \"organizations\": {\n"
    "  \"acme\": {\"storage\": {\"type\": \"aws-s3\", \"bucket\": \"acme-recordings\",\n"
    "    \"role_arn\": \"arn:aws:iam::123456789012:role/teams/recordings\",\n"
    "    \"external_id\": \"a=b:c/d@e,f.g+h_i-1\", \"region\": \"eu-west-1\",\n"
    "    \"prefix\": \"ssh/x\", \"endpoint\": \"https://s3.example.com:8443/\",\n"
    "    \"sts_endpoint\": \"http://127.0.0.1:7480\"}},\n"
    "  \"home\": {\"storage\": {\"type\": \"directory\", \"path\": \"/srv/rec/\"}}},\n"
    " \"sockets\": {\n"
    "  \"web-1\": {\"organization\": \"acme\", \"recording\": false, \"input\": true,\n"
    "            \"transfer_contents\": true, \"on_failure\": \"continue\"},\n"
    "  \"../../x\": {\"organization\": \"home\"}}}\n";

static struct settings *parse(const char *text, struct error *error)
{
    struct settings *settings = NULL;
    *error = ERROR_INIT;
    int rc = settings_parse("file.json", text, strlen(text), &settings, error);
    assert_int_equal(rc, error->code);
    assert_true((rc == 0) == (settings != NULL));
    return settings;
}

static void expect_error(const char *text, const char *start, const char *part)
{
    struct error error;
    struct settings *settings = parse(text, &error);
    if (settings)
        fail_msg("accepted: %s", text);
    if (strncmp(error.text, start, strlen(start)) != 0 || !strstr(error.text, part))
        fail_msg("'%s' does not begin with '%s' and say '%s'", error.text, start, part);
}

static void a_complete_file_is_understood(void **state)
{
    (void)state;
    struct error error;
    struct settings *settings = parse(complete, &error);
    assert_non_null(settings);
    assert_string_equal(settings_spool(settings), "/var/spool/cb");
    assert_int_equal(settings_quota(settings).bytes, UINT64_C(20) << 30);
    assert_int_equal(settings_quota(settings).percent, 0);
    assert_int_equal(settings_cast_version(settings), 3);
    const struct organization_settings *acme = settings_organization(settings, "acme");
    assert_non_null(acme);
    assert_int_equal(acme->storage.type, STORAGE_AWS_S3);
    assert_string_equal(acme->storage.bucket, "acme-recordings");
    assert_string_equal(acme->storage.role_arn, "arn:aws:iam::123456789012:role/teams/recordings");
    assert_string_equal(acme->storage.external_id, "a=b:c/d@e,f.g+h_i-1");
    assert_string_equal(acme->storage.region, "eu-west-1");
    assert_string_equal(acme->storage.prefix, "ssh/x/");
    assert_string_equal(acme->storage.endpoint, "https://s3.example.com:8443");
    assert_string_equal(acme->storage.sts_endpoint, "http://127.0.0.1:7480");
    assert_string_equal(acme->storage.path, "");
    const struct organization_settings *home = settings_organization(settings, "home");
    assert_int_equal(home->storage.type, STORAGE_DIRECTORY);
    assert_string_equal(home->storage.path, "/srv/rec");
    assert_string_equal(home->storage.bucket, "");
    assert_string_equal(home->storage.prefix, "");
    const struct socket_settings *web = settings_socket(settings, "web-1");
    assert_ptr_equal(web->organization, acme);
    assert_false(web->recording);
    assert_true(web->input);
    assert_true(web->transfer_contents);
    assert_int_equal(web->on_failure, ON_FAILURE_CONTINUE);
    const struct socket_settings *odd = settings_socket(settings, "../../x");
    assert_ptr_equal(odd->organization, home);
    assert_true(odd->recording);
    assert_false(odd->input);
    assert_false(odd->transfer_contents);
    assert_int_equal(odd->on_failure, ON_FAILURE_END);
    assert_null(settings_socket(settings, "web"));
    assert_null(settings_organization(settings, "web-1"));
    assert_ptr_equal(settings_organization_at(settings, 0), acme);
    assert_ptr_equal(settings_organization_at(settings, 1), home);
    assert_null(settings_organization_at(settings, 2));
    assert_ptr_equal(settings_socket_at(settings, 1), odd);
    assert_null(settings_socket_at(settings, 2));
    settings_unref(settings);
}

static void a_quota_is_a_part_of_the_disk_or_a_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        unsigned percent;
    } good[] = {{"1%", 0, 1},
                {"100%", 0, 100},
                {"1M", 1 << 20, 0},
                {"1024K", 1 << 20, 0},
                {"999999T", UINT64_C(999999) << 40, 0}};
    static const char *const bad[] = {"",     "0",    "0%",   "101%", "1023K",   "999999",
                                      "20g",  "20GB", "20 G", "-1G",  "G",       "%",
                                      "1.5G", " 1G",  "80%%", "M1",   "1000000T"};
    struct error error = ERROR_INIT;
    char clean[SETTINGS_VALUE_SIZE];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct space_quota quota;
        assert_int_equal(settings_check_quota(good[i].text, clean, &error), 0);
        assert_string_equal(clean, good[i].text);
        assert_true(settings_quota_of(clean, &quota));
        assert_int_equal(quota.bytes, good[i].bytes);
        assert_int_equal(quota.percent, good[i].percent);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (settings_check_quota(bad[i], clean, &error) != ERR_INVALID)
            fail_msg("accepted: '%s'", bad[i]);
    expect_error("{\"spool_quota\": \"lots\"}", "file.json: spool_quota: 'lots'", "1% to 100%");
    expect_error("{\"spool_quota\": 80}", "file.json: spool_quota: ", "string");
}

static void an_empty_object_means_the_defaults(void **state)
{
    (void)state;
    struct error error;
    struct settings *settings = parse("{}", &error);
    assert_non_null(settings);
    assert_string_equal(settings_spool(settings), "/var/spool/castbucket");
    assert_int_equal(settings_quota(settings).percent, 80);
    assert_int_equal(settings_quota(settings).bytes, 0);
    assert_int_equal(settings_cast_version(settings), 2);
    assert_null(settings_socket(settings, "any"));
    assert_null(settings_organization(settings, "any"));
    assert_null(settings_socket_at(settings, 0));
    settings_unref(settings);
}

static void what_is_not_json_is_refused_with_its_line(void **state)
{
    (void)state;
    expect_error("", "file.json: line 1", "");
    expect_error("{\n \"spool\": \n}", "file.json: line 3", "");
    expect_error("[]", "file.json: ", "one JSON object");
    expect_error("{\"spool\": \"/a\\u0000b\"}", "file.json: line 1", "");
    expect_error("{\"spool\": \"\xff\"}", "file.json: line 1", "decode byte 0xff");
    expect_error("{} x", "file.json: line 1", "");
}

static void a_duplicate_key_is_refused(void **state)
{
    (void)state;
    expect_error("{\"spool\": \"/a\", \"spool\": \"/b\"}", "file.json: line 1", "duplicate");
    expect_error("{\"sockets\": {\"a\": {\"organization\": \"x\", \"organization\": \"y\"}}}",
                 "file.json: line 1", "organization");
}

static void an_unknown_key_is_refused_with_its_path(void **state)
{
    (void)state;
    expect_error("{\"spol\": \"/a\"}", "file.json: spol: ", "unknown key; known here: version");
    expect_error("{\"organizations\": {\"a\": {\"storag\": {}}}}",
                 "file.json: organizations.a.storag: ", "storage");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"directory\", "
                 "\"path\": \"/x\", \"Bucket\": \"b\"}}}}",
                 "file.json: organizations.a.storage.Bucket: ", "unknown key");
    expect_error("{\"sockets\": {\"w\\u00e9\": {\"record\": true}}}",
                 "file.json: sockets.w\xc3\xa9.record: ", "recording");
}

static void a_wrong_type_is_refused(void **state)
{
    (void)state;
    expect_error("{\"spool\": 1}", "file.json: spool: ", "a string");
    expect_error("{\"cast_version\": \"2\"}", "file.json: cast_version: ", "a whole number");
    expect_error("{\"cast_version\": 4}", "file.json: cast_version: ", "not one of 2|3");
    expect_error("{\"cast_version\": 23}", "file.json: cast_version: ", "not one of 2|3");
    expect_error("{\"version\": 2}", "file.json: version: ", "not one of 1");
    expect_error("{\"organizations\": []}", "file.json: organizations: ", "an object");
    expect_error("{\"organizations\": {\"a\": 1}}", "file.json: organizations.a: ", "an object");
    expect_error("{\"organizations\": {\"a\": {}}}",
                 "file.json: organizations.a.storage: ", "missing");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {}}}}",
                 "file.json: organizations.a.storage.type: ", "missing");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"s3\"}}}}",
                 "file.json: organizations.a.storage.type: ", "aws-s3|directory");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"\"}}}}",
                 "file.json: organizations.a.storage.type: ", "not one of");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"aws-s3|directory\"}}}}",
                 "file.json: organizations.a.storage.type: ", "not one of");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"directory\"}}}}",
                 "file.json: organizations.a.storage.path: ", "missing");
    expect_error("{\"organizations\": {\"a\": {\"storage\": {\"type\": \"directory\", "
                 "\"path\": \"/x\", \"bucket\": \"b\"}}}}",
                 "file.json: organizations.a.storage.bucket: ", "not a key of this type");
}

static void a_socket_needs_an_organization_that_is_there(void **state)
{
    (void)state;
    expect_error("{\"sockets\": {\"w\": {}}}", "file.json: sockets.w.organization: ", "missing");
    expect_error("{\"sockets\": {\"w\": {\"organization\": \"acme\"}}}",
                 "file.json: sockets.w.organization: ", "no organization 'acme'");
    expect_error("{\"sockets\": {\"w\": {\"organization\": \"\"}}}",
                 "file.json: sockets.w.organization: ", "empty");
    expect_error("{\"sockets\": {\"w\": {\"organization\": \"acme\", \"recording\": \"on\"}}}",
                 "file.json: sockets.w.recording: ", "true or false");
    expect_error("{\"sockets\": {\"w\": {\"organization\": \"a\", \"on_failure\": \"stop\"}}}",
                 "file.json: sockets.w.on_failure: ", "end|refuse|continue");
}

static void hostile_names_are_refused_on_one_line(void **state)
{
    (void)state;
    char text[1024], name[301];
    expect_error("{\"sockets\": {\"\": {}}}", "file.json: sockets.: ", "empty");
    expect_error("{\"sockets\": {\"a\\nb\": {}}}", "file.json: sockets.a\\nb: ", "control");
    expect_error("{\"organizations\": {\"a\\u009b1m\": {}}}", "file.json: organizations.",
                 "control");
    memset(name, 'n', 300);
    name[300] = '\0';
    snprintf(text, sizeof(text), "{\"organizations\": {\"%s\": {}}}", name);
    expect_error(text, "file.json: organizations.nnn", "300 bytes");
    snprintf(text, sizeof(text), "{\"%s\": 1}", name);
    expect_error(text, "file.json: nnn", "unknown key");
}

struct example {
    const char *value;
    const char *reason; /* NULL: allowed */
    const char *clean;  /* NULL: as it is */
};

static void check_examples(settings_check_fn *check, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char clean[SETTINGS_VALUE_SIZE] = "";
        struct error error = ERROR_INIT;
        int rc = check(examples[i].value, clean, &error);
        if (!examples[i].reason) {
            if (rc)
                fail_msg("'%s' refused: %s", examples[i].value, error.text);
            assert_string_equal(clean, examples[i].clean ? examples[i].clean : examples[i].value);
        } else if (rc != ERR_INVALID || !strstr(error.text, examples[i].reason)) {
            fail_msg("'%s': %d '%s', not '%s'", examples[i].value, rc, error.text,
                     examples[i].reason);
        }
    }
}
#define CHECK(check, ...)                                                                          \
    do {                                                                                           \
        const struct example examples[] = {__VA_ARGS__};                                           \
        check_examples(check, examples, sizeof(examples) / sizeof(*examples));                     \
    } while (0)

static void bucket_names_are_those_s3_takes(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'b', 64);
    longest[64] = '\0';
    CHECK(settings_check_bucket, {"abc", NULL, NULL}, {"a.b-c9", NULL, NULL},
          {longest + 1, NULL, NULL}, {longest, "3 to 63", NULL}, {"ab", "3 to 63", NULL},
          {"", "3 to 63", NULL}, {"Abc", "character", NULL}, {"a_b", "character", NULL},
          {"a/b", "character", NULL}, {"-abc", "begin and end", NULL},
          {"abc.", "begin and end", NULL}, {"a..b", "two dots", NULL},
          {"192.168.5.4", "IP address", NULL}, {"xn--abc", "reserves", NULL},
          {"abc-s3alias", "reserves", NULL}, {"abc--ol-s3", "reserves", NULL},
          {"abc--x-s3", "reserves", NULL});
}

static void role_arns_are_those_sts_takes(void **state)
{
    (void)state;
    char longest[2100] = "arn:aws:iam::123456789012:role/";
    size_t start = strlen(longest);
    memset(longest + start, 'r', 2049 - start);
    longest[2049] = '\0';
    CHECK(settings_check_role_arn, {"arn:aws:iam::123456789012:role/r", NULL, NULL},
          {"arn:aws-cn:iam::123456789012:role/a/b+=,.@_-", NULL, NULL},
          {"arn:aws:iam:::role/recordings", NULL, NULL}, {longest, "2048", NULL},
          {"arn:aws:iam::customer:role/recordings", NULL, NULL}, {"", "20 to 2048", NULL},
          {"arn:aws:iam::123456789012:user/bob", "not a role's ARN", NULL},
          {"arn:aws:iam::123456789012:role/", "not a role's ARN", NULL},
          {"arn:aws:iam::123456789012:role/a b", "not a role's ARN", NULL},
          {"arn:aws:iam::123456789012:role//a", "not a role's ARN", NULL},
          {"arn:aws:sts::123456789012:assumed-role/a/b", "not a role's ARN", NULL},
          {"arn:aws:iam:eu-west-1:123456789012:role/a", "not a role's ARN", NULL},
          {"recordings-role-of-acme", "not a role's ARN", NULL});
    longest[2048] = '\0';
    CHECK(settings_check_role_arn, {longest, NULL, NULL});
    assert_true(settings_role_arn_is_aws("arn:aws:iam::123456789012:role/r"));
    assert_false(settings_role_arn_is_aws("arn:aws:iam::12345678901:role/recordings"));
}

static void without_an_sts_endpoint_a_role_needs_an_account(void **state)
{
    (void)state;
    struct error error;
    const char *format = "{\"organizations\": {\"a\": {\"storage\": {\"type\": \"aws-s3\", "
                         "\"bucket\": \"abc\", \"role_arn\": \"arn:aws:iam:::role/recordings\", "
                         "\"sts_endpoint\": \"%s\", \"external_id\": \"\"}}}}";
    char text[512];
    snprintf(text, sizeof(text), format, "");
    expect_error(text, "file.json: organizations.a.storage.role_arn: ", "12 digits");
    snprintf(text, sizeof(text), format, "https://sts.example.com");
    struct settings *settings = parse(text, &error);
    assert_non_null(settings);
    assert_string_equal(settings_organization(settings, "a")->storage.external_id, "");
    settings_unref(settings);
}

static void other_values_are_held_to_their_rules(void **state)
{
    (void)state;
    char longest[1226];
    memset(longest, 'x', 1225);
    longest[1225] = '\0';
    CHECK(settings_check_external_id, {"ab", NULL, NULL}, {longest + 1, NULL, NULL},
          {longest, "2 to 1224", NULL}, {"a", "2 to 1224", NULL}, {"a b", "character", NULL},
          {"caf\xc3\xa9", "character", NULL}, {"a*b", "'*b'", NULL});
    CHECK(settings_check_region, {"eu-west-1", NULL, NULL}, {"default", NULL, NULL},
          {"", "1 to 63", NULL}, {"EU", "character", NULL}, {"eu/west", "character", NULL});
    CHECK(settings_check_prefix, {"", NULL, NULL}, {"ssh/", NULL, NULL}, {"a/b", NULL, "a/b/"},
          {"...", NULL, ".../"}, {"/a", "begin with a slash", NULL}, {"a//b", "empty", NULL},
          {"a/../b", "'..'", NULL}, {"..", "'..'", NULL}, {"./a", "'.'", NULL},
          {"a/.", "'.'", NULL}, {"a b", "character", NULL}, {"a%2e", "character", NULL},
          {longest + 1225 - 128, "final slash", NULL}, {longest + 1225 - 129, "0 to 128", NULL});
    CHECK(settings_check_path, {"/a/b", NULL, NULL}, {"//a/./b//", NULL, "/a/b"},
          {"/...", NULL, NULL}, {"a/b", "absolute", NULL}, {"", "absolute", NULL},
          {"/", "root", NULL}, {"/./", "root", NULL}, {"/a/../b", "'..'", NULL},
          {"/a\nb", "control", NULL});
}

static void plain_http_is_for_this_machine_only(void **state)
{
    (void)state;
    CHECK(settings_check_endpoint, {"https://s3.example.com", NULL, NULL},
          {"https://10.0.0.1:9000/", NULL, "https://10.0.0.1:9000"},
          {"https://[2001:db8::1]:443", NULL, NULL}, {"http://127.0.0.1:7480", NULL, NULL},
          {"http://127.9.9.9", NULL, NULL}, {"http://[::1]:80", NULL, NULL},
          {"http://localhost:1", NULL, NULL}, {"http://s3.localhost:1", NULL, NULL},
          {"http://s3.example.com", "plain http", NULL}, {"http://127.0.0.1.nip.io", "plain", NULL},
          {"http://notlocalhost", "plain", NULL}, {"http://[2001:db8::1]", "plain", NULL},
          {"http://127.1", "plain", NULL}, {"ftp://x", "https://", NULL}, {"", "https://", NULL},
          {"https://", "HOST", NULL}, {"https://u:p@h", "HOST", NULL},
          {"https://h/p", "HOST", NULL}, {"https://h?q", "HOST", NULL},
          {"https://h:0", "HOST", NULL}, {"https://h:65536", "HOST", NULL},
          {"https://h:", "HOST", NULL}, {"https://h:443x", "HOST", NULL},
          {"https://h\nX: y", "HOST", NULL}, {"https://[::1", "HOST", NULL},
          {"https://[zz]", "HOST", NULL}, {"https://h//", "HOST", NULL});
}

static void thousands_of_sockets_are_each_found(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT(SETTINGS_MAX_FILE);
    assert_int_equal(buffer_append_text(&text,
                                        "{\"organizations\": {\"o\": {\"storage\": {\"type\":"
                                        " \"directory\", \"path\": \"/x\"}}}, \"sockets\": {"),
                     0);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(buffer_printf(&text, "%s\"s%d\": {\"organization\": \"o\"}", i ? "," : "",
                                       i * 7919 % 5000),
                         0);
    assert_int_equal(buffer_append_text(&text, "}}"), 0);
    struct error error;
    struct settings *settings = parse(text.data, &error);
    assert_non_null(settings);
    for (int i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%d", i);
        const struct socket_settings *found = settings_socket(settings, name);
        assert_non_null(found);
        assert_string_equal(found->name, name);
    }
    settings_unref(settings);
    buffer_free(&text);
}

/* Every prefix and every one-byte change of a good file is parsed or refused, never worse. */
static void damaged_files_are_refused_and_do_no_harm(void **state)
{
    (void)state;
    static const char noise[] = {'\0', '"', '}', '\\', (char)0xff, '9'};
    char text[sizeof(complete)];
    for (size_t i = 0; i < sizeof(complete) - 1; i++) {
        struct settings *settings;
        struct error error;
        if (i < strlen(complete) - 2)
            assert_int_not_equal(settings_parse("file.json", complete, i, &settings, &error), 0);
        for (size_t k = 0; k < sizeof(noise); k++) {
            memcpy(text, complete, sizeof(complete));
            text[i] = noise[k];
            if (settings_parse("file.json", text, sizeof(complete) - 1, &settings, &error) == 0)
                settings_unref(settings);
            else
                assert_int_equal(strncmp(error.text, "file.json: ", 11), 0);
        }
    }
}

/* ---- files ---- */

struct folder {
    char path[256];
    char file[300];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    const char *base = getenv("TMPDIR");
    assert_non_null(folder);
    snprintf(folder->path, sizeof(folder->path), "%s/settings-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/settings.json", folder->path);
    *state = folder;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    unlink(folder->file);
    rmdir(folder->path);
    free(folder);
    return 0;
}

/* In place, as a careless editor does. */
static void write_file(const struct folder *folder, const char *text, mode_t mode)
{
    FILE *file = fopen(folder->file, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(folder->file, mode), 0);
}

static void a_file_is_loaded_and_a_missing_one_named(void **state)
{
    const struct folder *folder = *state;
    struct settings *settings;
    struct error error = ERROR_INIT;
    assert_int_equal(settings_load(folder->file, &settings, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, folder->file));
    write_file(folder, complete, 0640);
    assert_int_equal(settings_load(folder->file, &settings, &error), 0);
    assert_string_equal(settings_spool(settings), "/var/spool/cb");
    settings_unref(settings);
    assert_int_equal(settings_load(folder->path, &settings, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "regular file"));
}

static void a_fifo_is_an_error_and_not_a_wait(void **state)
{
    const struct folder *folder = *state;
    struct settings *settings;
    struct error error = ERROR_INIT;
    assert_int_equal(mkfifo(folder->file, 0600), 0);
    assert_int_equal(settings_load(folder->file, &settings, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "regular file"));
}

static void a_file_that_everybody_may_change_is_refused(void **state)
{
    const struct folder *folder = *state;
    struct settings *settings;
    struct error error = ERROR_INIT;
    write_file(folder, complete, 0666);
    assert_int_equal(settings_load(folder->file, &settings, &error), ERR_INVALID);
    assert_non_null(strstr(error.text, "chmod o-w"));
}

static void a_watch_follows_the_file(void **state)
{
    const struct folder *folder = *state;
    struct settings_watch *watch;
    struct error error = ERROR_INIT;
    assert_int_equal(settings_watch_new(folder->file, &watch, &error), ERR_NOT_FOUND);
    assert_null(watch);
    write_file(folder, "{\"spool\": \"/one\"}", 0600);
    assert_int_equal(settings_watch_new(folder->file, &watch, &error), 0);
    struct settings *first = settings_watch_get(watch, &error);
    assert_int_equal(error.code, 0);
    assert_string_equal(settings_spool(first), "/one");

    /* Same length, same inode, perhaps the same tick of the file system's clock. */
    write_file(folder, "{\"spool\": \"/two\"}", 0600);
    struct settings *second = settings_watch_get(watch, &error);
    assert_string_equal(settings_spool(second), "/two");
    assert_string_equal(settings_spool(first), "/one");
    settings_unref(first);
    settings_unref(second);
    settings_watch_free(watch);
}

static void an_invalid_new_file_leaves_the_old_in_force(void **state)
{
    const struct folder *folder = *state;
    struct settings_watch *watch;
    struct error error = ERROR_INIT;
    write_file(folder, "{\"spool\": \"/one\"}", 0600);
    assert_int_equal(settings_watch_new(folder->file, &watch, &error), 0);
    for (int round = 0; round < 3; round++) {
        write_file(folder, "{\"spool\": \"one\"}", 0600);
        struct settings *settings = settings_watch_get(watch, &error);
        assert_string_equal(settings_spool(settings), "/one");
        assert_int_equal(error.code, ERR_INVALID);
        assert_non_null(strstr(error.text, "spool: "));
        settings_unref(settings);
    }
    assert_int_equal(unlink(folder->file), 0);
    struct settings *settings = settings_watch_get(watch, &error);
    assert_string_equal(settings_spool(settings), "/one");
    assert_int_equal(error.code, ERR_NOT_FOUND);
    settings_unref(settings);
    write_file(folder, "{\"spool\": \"/new\"}", 0600);
    settings = settings_watch_get(watch, &error);
    assert_int_equal(error.code, 0);
    assert_string_equal(settings_spool(settings), "/new");
    settings_unref(settings);
    settings_watch_free(watch);
}

static void an_unchanged_file_is_not_read_again(void **state)
{
    const struct folder *folder = *state;
    struct settings_watch *watch;
    struct error error = ERROR_INIT;
    write_file(folder, "{}", 0600);
    usleep(50000); /* past the time in which a file counts as still changing */
    assert_int_equal(settings_watch_new(folder->file, &watch, &error), 0);
    struct settings *first = settings_watch_get(watch, &error);
    struct settings *second = settings_watch_get(watch, &error);
    assert_ptr_equal(first, second);
    settings_unref(first);
    settings_unref(second);
    settings_watch_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complete_file_is_understood),
        cmocka_unit_test(a_quota_is_a_part_of_the_disk_or_a_size),
        cmocka_unit_test(an_empty_object_means_the_defaults),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_line),
        cmocka_unit_test(a_duplicate_key_is_refused),
        cmocka_unit_test(an_unknown_key_is_refused_with_its_path),
        cmocka_unit_test(a_wrong_type_is_refused),
        cmocka_unit_test(a_socket_needs_an_organization_that_is_there),
        cmocka_unit_test(hostile_names_are_refused_on_one_line),
        cmocka_unit_test(bucket_names_are_those_s3_takes),
        cmocka_unit_test(role_arns_are_those_sts_takes),
        cmocka_unit_test(without_an_sts_endpoint_a_role_needs_an_account),
        cmocka_unit_test(other_values_are_held_to_their_rules),
        cmocka_unit_test(plain_http_is_for_this_machine_only),
        cmocka_unit_test(thousands_of_sockets_are_each_found),
        cmocka_unit_test(damaged_files_are_refused_and_do_no_harm),
        cmocka_unit_test_setup_teardown(a_file_is_loaded_and_a_missing_one_named, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_fifo_is_an_error_and_not_a_wait, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_everybody_may_change_is_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_watch_follows_the_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(an_invalid_new_file_leaves_the_old_in_force, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(an_unchanged_file_is_not_read_again, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
