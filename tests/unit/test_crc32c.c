/* CRC-32C against the published vectors, and its fast ways against the plain one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/base/crc32c.h"

typedef uint32_t crc_fn(uint32_t crc, const void *data, size_t length);

static crc_fn *const both[] = {crc32c, crc32c_portable};

static void the_vectors_of_rfc_3720_come_out(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    /* B.4: an iSCSI SCSI Read (10) command PDU. */
    static const unsigned char read10[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2,    0, 0, 0, 0, 0, 0, 0};
    memset(ones, 0xff, sizeof(ones));
    for (int i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(both[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(both[i](0, up, 32), 0x46dd794e);
        assert_int_equal(both[i](0, down, 32), 0x113fdb5c);
        assert_int_equal(both[i](0, read10, sizeof(read10)), 0xd9963a56);
        assert_int_equal(both[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(both[i](0, "", 0), 0);
    }
}

/* One bit at a time, straight from the definition. */
static uint32_t plain(uint32_t crc, const unsigned char *p, size_t length)
{
    crc = ~crc;
    while (length--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void every_length_and_alignment_agrees_with_the_definition(void **state)
{
    (void)state;
    size_t most = 5000;
    unsigned char *bytes = malloc(most + 8);
    assert_non_null(bytes);
    uint32_t random = 1;
    for (size_t i = 0; i < most + 8; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(random >> 24);
    }
    for (size_t length = 0; length <= most; length += length < 64 ? 1 : 97)
        for (size_t start = 0; start < 8; start++)
            for (size_t i = 0; i < 2; i++)
                assert_int_equal(both[i](7, bytes + start, length),
                                 plain(7, bytes + start, length));
    free(bytes);
}

static void a_crc_can_be_continued(void **state)
{
    (void)state;
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * i >> 3);
    uint32_t whole = crc32c(0, bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 31)
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720_come_out),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(a_crc_can_be_continued),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
