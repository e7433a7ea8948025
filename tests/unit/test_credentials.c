/* The process's own credentials: the environment, the shared files, and everything odd in them. */
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

#include "recorder/aws/credentials.h"

static char folder[200], credentials_file[256], config_file[256];

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/castbucket-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(credentials_file, sizeof(credentials_file), "%s/credentials", folder);
    snprintf(config_file, sizeof(config_file), "%s/config", folder);
    return 0;
}

static int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN", "AWS_PROFILE",
                                        "AWS_REGION",        "AWS_DEFAULT_REGION"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv("AWS_SHARED_CREDENTIALS_FILE", credentials_file, 1);
    setenv("AWS_CONFIG_FILE", config_file, 1);
    unlink(credentials_file);
    unlink(config_file);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(credentials_file);
    unlink(config_file);
    return rmdir(folder);
}

static void assert_credentials(const char *id, const char *secret, const char *token)
{
    struct aws_credentials credentials;
    struct error error = ERROR_INIT;
    int rc = aws_credentials_base(NULL, &credentials, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(credentials.access_key_id, id);
    assert_string_equal(credentials.secret_access_key, secret);
    assert_string_equal(credentials.session_token, token);
    assert_int_equal(credentials.expires_ns, 0);
}

static void assert_refused(int code, const char *sentence)
{
    static const struct aws_credentials none;
    struct aws_credentials credentials;
    struct error error = ERROR_INIT;
    assert_int_equal(aws_credentials_base(NULL, &credentials, &error), code);
    if (!strstr(error.text, sentence))
        fail_msg("'%s' is not in: %s", sentence, error.text);
    if (code == ERR_DENIED)
        assert_memory_equal(&credentials.secret_access_key, &none.secret_access_key,
                            sizeof(none.secret_access_key));
}

static void the_environment_wins(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id=F\naws_secret_access_key=S\n");
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret/+", 1);
    assert_credentials("AKID", "secret/+", "");
    setenv("AWS_SESSION_TOKEN", "token==", 1);
    assert_credentials("AKID", "secret/+", "token==");
}

static void half_a_pair_in_the_environment_is_an_error(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id=F\naws_secret_access_key=S\n");
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    assert_refused(ERR_DENIED, "AWS_SECRET_ACCESS_KEY is not");
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    assert_refused(ERR_DENIED, "AWS_ACCESS_KEY_ID is not");
    setenv("AWS_SECRET_ACCESS_KEY", "", 1);
    assert_credentials("F", "S", "");
}

static void a_token_alone_never_mixes_with_a_files_keys(void **state)
{
    (void)state;
    setenv("AWS_SESSION_TOKEN", "stray", 1);
    write_file(credentials_file, "[default]\naws_access_key_id=F\naws_secret_access_key=S\n");
    assert_credentials("F", "S", "");
}

static void profiles_are_found_in_either_file(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id = A\naws_secret_access_key = B\n"
                                 "[work]\naws_access_key_id = C\naws_secret_access_key = D\n"
                                 "aws_session_token = T\n");
    write_file(config_file, "[default]\naws_access_key_id = X\naws_secret_access_key = Y\n"
                            "[profile ops]\naws_access_key_id = E\naws_secret_access_key = G\n"
                            "[profile \"two words\"]\naws_access_key_id = H\n"
                            "aws_secret_access_key = I\n"
                            "[bare]\naws_access_key_id = J\naws_secret_access_key = K\n");
    assert_credentials("A", "B", "");
    setenv("AWS_PROFILE", "work", 1);
    assert_credentials("C", "D", "T");
    setenv("AWS_PROFILE", "ops", 1);
    assert_credentials("E", "G", "");
    setenv("AWS_PROFILE", "two words", 1);
    assert_credentials("H", "I", "");
    setenv("AWS_PROFILE", "bare", 1);
    assert_refused(ERR_DENIED, "profile 'bare'");
}

static void a_config_file_alone_is_enough(void **state)
{
    (void)state;
    write_file(config_file, "[default]\naws_access_key_id = X\naws_secret_access_key = Y\n");
    assert_credentials("X", "Y", "");
}

static void odd_spacing_comments_and_line_ends_are_read(void **state)
{
    (void)state;
    write_file(credentials_file, "\xef\xbb\xbf# a comment\r\n"
                                 "; another\r\n"
                                 "stray = 1\r\n"
                                 "[ default ]  # here too\r\n"
                                 "\r\n"
                                 "  AWS_Access_Key_ID=AK#ID   ; the id\r\n"
                                 "  s3 =\r\n"
                                 "    aws_access_key_id = nested\r\n"
                                 "  no equals sign\r\n"
                                 "\taws_secret_access_key\t=\tab=cd/+  \r\n"
                                 "  aws_secret_access_key = ab=cd/+");
    assert_credentials("AK#ID", "ab=cd/+", "");
}

static void the_last_of_two_settings_wins(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id=1\naws_secret_access_key=2\n"
                                 "[other]\naws_access_key_id=9\n"
                                 "[default]\naws_access_key_id=3\n");
    assert_credentials("3", "2", "");
}

static void half_a_pair_in_a_file_names_file_and_profile(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id=1\n");
    write_file(config_file, "[default]\naws_secret_access_key=1\n");
    assert_refused(ERR_DENIED, credentials_file);
    assert_refused(ERR_DENIED, "profile default");
    assert_refused(ERR_DENIED, "aws_secret_access_key is not");
}

static void unusable_values_are_named_but_not_shown(void **state)
{
    (void)state;
    char text[400], key[200];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    snprintf(text, sizeof(text), "[default]\naws_access_key_id=1\naws_secret_access_key=%s\n", key);
    write_file(credentials_file, text);
    assert_refused(ERR_INVALID, "aws_secret_access_key is longer");
    struct aws_credentials credentials;
    struct error error = ERROR_INIT;
    assert_int_equal(aws_credentials_base(NULL, &credentials, &error), ERR_INVALID);
    assert_null(strstr(error.text, "kkkk"));
    write_file(credentials_file, "[default]\naws_access_key_id=a b\naws_secret_access_key=x\n");
    assert_refused(ERR_INVALID, "aws_access_key_id");
}

static void nothing_found_lists_what_was_looked_at(void **state)
{
    (void)state;
    assert_refused(ERR_DENIED, "AWS_ACCESS_KEY_ID");
    assert_refused(ERR_DENIED, credentials_file);
    assert_refused(ERR_DENIED, config_file);
    setenv("AWS_PROFILE", "absent", 1);
    assert_refused(ERR_DENIED, "'absent'");
}

static void files_are_read_anew_each_time(void **state)
{
    (void)state;
    write_file(credentials_file, "[default]\naws_access_key_id=1\naws_secret_access_key=2\n");
    assert_credentials("1", "2", "");
    write_file(credentials_file, "[default]\naws_access_key_id=3\naws_secret_access_key=4\n");
    assert_credentials("3", "4", "");
}

static void a_huge_file_is_refused(void **state)
{
    (void)state;
    FILE *file = fopen(credentials_file, "w");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (1 << 20) + 1), 0);
    fclose(file);
    assert_refused(ERR_LIMIT, "larger than");
}

static void the_home_directory_is_the_last_place(void **state)
{
    (void)state;
    char path[300], *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    setenv("HOME", folder, 1);
    snprintf(path, sizeof(path), "%s/.aws", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/.aws/credentials", folder);
    write_file(path, "[default]\naws_access_key_id=h\naws_secret_access_key=m\n");
    assert_credentials("h", "m", "");
    unlink(path);
    snprintf(path, sizeof(path), "%s/.aws", folder);
    rmdir(path);
    if (home)
        setenv("HOME", home, 1);
    free(home);
}

static void the_region_comes_from_the_environment_or_the_profile(void **state)
{
    (void)state;
    char region[64];
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "");
    write_file(credentials_file, "[default]\nregion = sa-east-1\n");
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "sa-east-1");
    write_file(config_file, "[default]\nregion = eu-west-1\n[profile p]\nregion=us-west-2\n");
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "eu-west-1");
    setenv("AWS_PROFILE", "p", 1);
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "us-west-2");
    setenv("AWS_DEFAULT_REGION", "ap-south-1", 1);
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "ap-south-1");
    setenv("AWS_REGION", "ap-south-2", 1);
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "ap-south-2");
    setenv("AWS_REGION", "evil.example.com/", 1);
    aws_base_region(region, sizeof(region));
    assert_string_equal(region, "");
}

#define TEST(name) cmocka_unit_test_setup(name, clean_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_environment_wins),
        TEST(half_a_pair_in_the_environment_is_an_error),
        TEST(a_token_alone_never_mixes_with_a_files_keys),
        TEST(profiles_are_found_in_either_file),
        TEST(a_config_file_alone_is_enough),
        TEST(odd_spacing_comments_and_line_ends_are_read),
        TEST(the_last_of_two_settings_wins),
        TEST(half_a_pair_in_a_file_names_file_and_profile),
        TEST(unusable_values_are_named_but_not_shown),
        TEST(nothing_found_lists_what_was_looked_at),
        TEST(files_are_read_anew_each_time),
        TEST(a_huge_file_is_refused),
        TEST(the_home_directory_is_the_last_place),
        TEST(the_region_comes_from_the_environment_or_the_profile),
    };
    return cmocka_run_group_tests_name("credentials", tests, make_folder, remove_folder);
}
