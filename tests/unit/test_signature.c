/* Signatures of manifests: made, checked, and told apart when they are missing, wrong, moved or
 * another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/seal/chain.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/signature.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"

/* The key of RFC 8032, 7.1, test 1. */
#define KNOWN_KEY                                                                                  \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"                           \
    "-----END PRIVATE KEY-----\n"

static char folder[200];

static char *in_folder(const char *name)
{
    static char paths[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder, name);
    return paths[turn];
}

static int set_up(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/castbucket-keys-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    assert_int_equal(file_write_atomic(AT_FDCWD, in_folder(name), text, strlen(text), mode, NULL),
                     0);
}

static struct signing_key *new_key(const char *name)
{
    struct signing_key *key;
    struct error error = ERROR_INIT;
    if (signing_key_generate(in_folder(name), "", &key, &error))
        fail_msg("%s", error.text);
    return key;
}

static struct trusted_keys *trust(const char *name)
{
    struct trusted_keys *keys;
    struct error error = ERROR_INIT;
    if (trusted_keys_load(in_folder(name), &keys, &error))
        fail_msg("%s", error.text);
    return keys;
}

/* A manifest without chunks, signed if there is a key. */
static struct buffer example(const struct signing_key *key)
{
    struct manifest manifest = {.id = ID,
                                .organization = "acme",
                                .socket = "web-1",
                                .user = "\xd0\xb0\xd0\xbd\xd0\xbd\xd0\xb0 \"}\n",
                                .key_fingerprint = "",
                                .target_user = "",
                                .target_address = "",
                                .client_address = "",
                                .connection_id = "",
                                .host = "",
                                .kind = "shell",
                                .command = "",
                                .term = "",
                                .started_ns = INT64_C(1795465321123456000),
                                .cast_version = 2,
                                .end = "exited",
                                .signal = "",
                                .message = "",
                                .damaged = ""};
    struct buffer text = BUFFER_INIT(1 << 20);
    struct error error = ERROR_INIT;
    assert_int_equal(chain_start(manifest.chain, ID), 0);
    assert_int_equal(manifest_write(&manifest, &text, &error), 0);
    if (key && signature_add(key, &text, &error))
        fail_msg("%s", error.text);
    return text;
}

static enum signature_state state_of(const struct buffer *text, const struct trusted_keys *keys,
                                     char id[SIGNING_KEY_ID_SIZE])
{
    enum signature_state state;
    struct manifest *manifest;
    struct error error = ERROR_INIT;
    if (manifest_read(text->data, text->length, &manifest, &error))
        fail_msg("%s", error.text);
    assert_int_equal(
        signature_check(text->data, text->length, manifest->signature, keys, &state, id, &error),
        0);
    manifest_free(manifest);
    return state;
}

static void a_signature_is_trusted_by_those_who_have_its_key(void **state)
{
    (void)state;
    char id[SIGNING_KEY_ID_SIZE];
    struct signing_key *key = new_key("one"), *loaded;
    assert_int_equal(signing_key_load(in_folder("one"), &loaded, NULL), 0);
    assert_string_equal(signing_key_id(key), signing_key_id(loaded));
    struct trusted_keys *keys = trust("one.pub");
    struct buffer text = example(loaded);
    assert_int_equal(state_of(&text, keys, id), SIGNATURE_TRUSTED);
    assert_string_equal(id, signing_key_id(key));
    assert_int_equal(state_of(&text, NULL, id), SIGNATURE_UNCHECKED);
    assert_string_equal(id, signing_key_id(key));
    buffer_free(&text);
    trusted_keys_free(keys);
    signing_key_free(key);
    signing_key_free(loaded);
}

static void the_outcomes_are_told_apart(void **state)
{
    (void)state;
    char id[SIGNING_KEY_ID_SIZE];
    struct signing_key *one = new_key("one"), *other = new_key("other");
    struct trusted_keys *keys = trust("one.pub");
    struct buffer unsigned_text = example(NULL), foreign = example(other);
    assert_int_equal(state_of(&unsigned_text, keys, id), SIGNATURE_NONE);
    assert_string_equal(id, "");
    assert_int_equal(state_of(&foreign, keys, id), SIGNATURE_UNKNOWN);
    assert_string_equal(id, signing_key_id(other));
    buffer_free(&unsigned_text);
    buffer_free(&foreign);
    trusted_keys_free(keys);
    signing_key_free(one);
    signing_key_free(other);
}

static void any_changed_bit_is_found(void **state)
{
    (void)state;
    char id[SIGNING_KEY_ID_SIZE];
    struct signing_key *key = new_key("one");
    struct trusted_keys *keys = trust("one.pub");
    struct buffer text = example(key);
    struct manifest *manifest;
    enum signature_state found;
    int read = 0;
    for (size_t bit = 0; bit < text.length * 8; bit++) {
        text.data[bit / 8] ^= (char)(1 << bit % 8);
        if (manifest_read(text.data, text.length, &manifest, NULL) == 0) {
            read++;
            assert_int_equal(signature_check(text.data, text.length, manifest->signature, keys,
                                             &found, id, NULL),
                             0);
            assert_int_not_equal(found, SIGNATURE_TRUSTED);
            manifest_free(manifest);
        }
        text.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(read > 100);
    assert_int_equal(state_of(&text, keys, id), SIGNATURE_TRUSTED);
    buffer_free(&text);
    trusted_keys_free(keys);
    signing_key_free(key);
}

/* The same values, written by somebody else's JSON: not what was signed. */
static void a_manifest_that_was_written_anew_is_not_what_was_signed(void **state)
{
    (void)state;
    char id[SIGNING_KEY_ID_SIZE];
    struct signing_key *key = new_key("one");
    struct trusted_keys *keys = trust("one.pub");
    struct buffer text = example(key), moved = BUFFER_INIT(1 << 20);
    assert_int_equal(buffer_append(&moved, text.data, text.length - 2), 0);
    assert_int_equal(buffer_append_text(&moved, ",\"note\":\"x\"}\n"), 0);
    assert_int_equal(state_of(&moved, keys, id), SIGNATURE_BAD);
    buffer_clear(&moved);
    assert_int_equal(buffer_append(&moved, "{ ", 2), 0);
    assert_int_equal(buffer_append(&moved, text.data + 1, text.length - 1), 0);
    assert_int_equal(state_of(&moved, keys, id), SIGNATURE_BAD);
    buffer_clear(&moved);
    assert_int_equal(buffer_append(&moved, text.data, text.length - 1), 0); /* no newline */
    assert_int_equal(state_of(&moved, keys, id), SIGNATURE_BAD);
    buffer_free(&text);
    buffer_free(&moved);
    trusted_keys_free(keys);
    signing_key_free(key);
}

static void several_keys_may_be_trusted(void **state)
{
    (void)state;
    char id[SIGNING_KEY_ID_SIZE];
    struct signing_key *one = new_key("one"), *other = new_key("other");
    struct buffer both = BUFFER_INIT(65536), text = example(other);
    assert_int_equal(file_read(AT_FDCWD, in_folder("one.pub"), &both, NULL), 0);
    assert_int_equal(buffer_append_text(&both, "and a note\n"), 0);
    assert_int_equal(file_read(AT_FDCWD, in_folder("other.pub"), &both, NULL), 0);
    write_file("both", both.data, 0644);
    struct trusted_keys *keys = trust("both");
    assert_int_equal(state_of(&text, keys, id), SIGNATURE_TRUSTED);
    buffer_free(&both);
    buffer_free(&text);
    trusted_keys_free(keys);
    signing_key_free(one);
    signing_key_free(other);
}

static void what_is_no_usable_private_key_is_refused(void **state)
{
    (void)state;
    struct signing_key *key;
    struct error error = ERROR_INIT;
    assert_int_equal(signing_key_load(in_folder("none"), &key, &error), ERR_NOT_FOUND);
    write_file("open", KNOWN_KEY, 0640);
    assert_int_equal(signing_key_load(in_folder("open"), &key, &error), ERR_DENIED);
    assert_non_null(strstr(error.text, "chmod 600"));
    write_file("empty", "", 0600);
    assert_int_equal(signing_key_load(in_folder("empty"), &key, &error), ERR_INVALID);
    write_file("text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
    assert_int_equal(signing_key_load(in_folder("text"), &key, &error), ERR_INVALID);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(signing_key_load(in_folder("fifo"), &key, &error), ERR_INVALID);
    assert_null(key);
    write_file("good", KNOWN_KEY, 0600);
    assert_int_equal(signing_key_load(in_folder("good"), &key, &error), 0);
    signing_key_free(key);
}

static void what_is_no_public_key_is_refused(void **state)
{
    (void)state;
    struct trusted_keys *keys;
    struct signing_key *key = new_key("one");
    struct buffer text = BUFFER_INIT(65536);
    assert_int_equal(trusted_keys_load(in_folder("none"), &keys, NULL), ERR_NOT_FOUND);
    write_file("empty", "", 0644);
    assert_int_equal(trusted_keys_load(in_folder("empty"), &keys, NULL), ERR_INVALID);
    write_file("private", KNOWN_KEY, 0600);
    assert_int_equal(trusted_keys_load(in_folder("private"), &keys, NULL), ERR_INVALID);
    /* A second one that is damaged must not be passed over. */
    assert_int_equal(file_read(AT_FDCWD, in_folder("one.pub"), &text, NULL), 0);
    assert_int_equal(
        buffer_append_text(&text, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        0);
    write_file("second", text.data, 0644);
    assert_int_equal(trusted_keys_load(in_folder("second"), &keys, NULL), ERR_INVALID);
    /* P-256. */
    write_file("other-kind",
               "-----BEGIN PUBLIC KEY-----\n"
               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
               "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
               "-----END PUBLIC KEY-----\n",
               0644);
    assert_int_equal(trusted_keys_load(in_folder("other-kind"), &keys, NULL), ERR_INVALID);
    buffer_free(&text);
    signing_key_free(key);
}

static void a_key_is_never_replaced(void **state)
{
    (void)state;
    struct stat info;
    struct signing_key *key = new_key("one"), *again;
    assert_int_equal(stat(in_folder("one"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(signing_key_generate(in_folder("one"), "", &again, NULL), ERR_EXISTS);
    assert_null(again);
    /* Nor is its public part, and then nothing is left of a new one. */
    write_file("two.pub", "mine", 0644);
    assert_int_equal(signing_key_generate(in_folder("two"), "", &again, NULL), ERR_EXISTS);
    assert_int_not_equal(access(in_folder("two"), F_OK), 0);
    signing_key_free(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signature_is_trusted_by_those_who_have_its_key),
        TEST(the_outcomes_are_told_apart),
        TEST(any_changed_bit_is_found),
        TEST(a_manifest_that_was_written_anew_is_not_what_was_signed),
        TEST(several_keys_may_be_trusted),
        TEST(what_is_no_usable_private_key_is_refused),
        TEST(what_is_no_public_key_is_refused),
        TEST(a_key_is_never_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
