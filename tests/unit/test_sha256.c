/* SHA-256: NIST's examples, streams cut anywhere, stretches of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/base/sha256.h"
#include "recorder/base/text.h"

/* FIPS 180-4 examples: "", "abc", and a million times "a". */
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void assert_hash(const uint8_t hash[SHA256_SIZE], const char *expected)
{
    char hex[2 * SHA256_SIZE + 1];
    text_hex(hex, hash, SHA256_SIZE);
    assert_string_equal(hex, expected);
}

static void memory_hashes_as_published(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE];
    assert_int_equal(sha256("", 0, hash), 0);
    assert_hash(hash, OF_NOTHING);
    assert_int_equal(sha256("abc", 3, hash), 0);
    assert_hash(hash, OF_ABC);
}

static void a_stream_hashes_the_same_wherever_it_is_cut(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE];
    char letters[997];
    memset(letters, 'a', sizeof(letters));
    struct sha256 stream;
    assert_int_equal(sha256_init(&stream), 0);
    for (size_t left = 1000000, take; left; left -= take) {
        take = left < sizeof(letters) ? left : sizeof(letters);
        assert_int_equal(sha256_update(&stream, letters, take), 0);
    }
    assert_int_equal(sha256_final(&stream, hash), 0);
    assert_hash(hash, OF_MILLION_A);
    sha256_free(&stream);
}

static void a_stretch_of_a_file_is_hashed_and_its_position_kept(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE];
    struct error error = ERROR_INIT;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_true(fputs("xxabcyy", file) >= 0);
    assert_int_equal(fflush(file), 0);
    int fd = fileno(file);
    assert_int_equal(sha256_file(fd, 2, 3, hash, &error), 0);
    assert_hash(hash, OF_ABC);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    assert_int_equal(sha256_file(fd, 7, 0, hash, &error), 0);
    assert_hash(hash, OF_NOTHING);
    assert_int_equal(sha256_file(fd, 5, 3, hash, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "1 bytes early"));
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_hashes_as_published),
        cmocka_unit_test(a_stream_hashes_the_same_wherever_it_is_cut),
        cmocka_unit_test(a_stretch_of_a_file_is_hashed_and_its_position_kept),
    };
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
