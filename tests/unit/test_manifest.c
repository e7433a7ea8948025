/* The manifest: written, read back, and refused when it contradicts itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/base/buffer.h"
#include "recorder/seal/chain.h"
#include "recorder/seal/manifest.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const struct manifest_chunk two_chunks[] = {
    {.offset = 10, .size = 100, .cast_size = 1000, .time_ns = 1000, .sha256 = {1}},
    {.offset = 110,
     .size = 50,
     .cast_offset = 1000,
     .cast_size = 500,
     .time_ns = INT64_C(7200000001000),
     .sha256 = {0xff}},
};

static struct manifest example(void)
{
    return (struct manifest){.id = ID,
                             .organization = "acme",
                             .socket = "web-1",
                             .user = "alice \"\n\xff",
                             .key_fingerprint = "SHA256:x",
                             .target_user = "root",
                             .target_address = "10.0.0.1:22",
                             .client_address = "[::1]:5",
                             .connection_id = "c",
                             .host = "bastion",
                             .kind = "exec",
                             .command = "ls",
                             .term = "",
                             .columns = 80,
                             .rows = 24,
                             .started_ns = INT64_C(1795465321123456000),
                             .duration_ns = INT64_C(3000000000123457000),
                             .cast_version = 2,
                             .end = "exited",
                             .exit_status = 0,
                             .signal = "",
                             .message = "",
                             .damaged = "",
                             .output_bytes = INT64_MAX,
                             .input_bytes = 1,
                             .lost_bytes = 2,
                             .cast_bytes = 1500,
                             .size = 170,
                             .sha256 = {0xab},
                             .chain = {0xcd},
                             .chunks = two_chunks,
                             .chunk_count = 2};
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(MANIFEST_MAX_SIZE);
    struct manifest in = example(), *back;
    struct error error = ERROR_INIT;
    assert_int_equal(manifest_write(&in, &out, &error), 0);
    assert_int_equal(out.data[out.length - 1], '\n');
    assert_null(strstr(out.data, "\"term\""));
    assert_int_equal(manifest_read(out.data, out.length, &back, &error), 0);
    buffer_free(&out);
    assert_string_equal(back->id, ID);
    assert_string_equal(back->organization, "acme");
    assert_string_equal(back->user, "alice \"\n\xef\xbf\xbd");
    assert_string_equal(back->term, "");
    assert_string_equal(back->command, "ls");
    assert_string_equal(back->end, "exited");
    assert_int_equal(back->exit_status, 0);
    assert_int_equal(back->columns, 80);
    assert_int_equal(back->started_ns, in.started_ns);
    assert_int_equal(back->duration_ns, in.duration_ns);
    assert_int_equal(back->cast_version, 2);
    assert_true(back->output_bytes == INT64_MAX);
    assert_int_equal(back->input_bytes, 1);
    assert_int_equal(back->lost_bytes, 2);
    assert_int_equal(back->size, 170);
    assert_memory_equal(back->sha256, in.sha256, 32);
    assert_memory_equal(back->chain, in.chain, 32);
    assert_int_equal(back->chunk_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(back->chunks[i].offset, two_chunks[i].offset);
        assert_int_equal(back->chunks[i].size, two_chunks[i].size);
        assert_int_equal(back->chunks[i].cast_offset, two_chunks[i].cast_offset);
        assert_int_equal(back->chunks[i].cast_size, two_chunks[i].cast_size);
        assert_int_equal(back->chunks[i].time_ns, two_chunks[i].time_ns);
        assert_memory_equal(back->chunks[i].sha256, two_chunks[i].sha256, 32);
    }
    manifest_free(back);
    manifest_free(NULL);
}

static void what_is_unknown_is_left_out(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT(MANIFEST_MAX_SIZE);
    struct manifest in = example(), *back;
    in.end = "cut";
    in.exit_status = -1;
    in.damaged = "journal x: a frame's checksum is wrong";
    assert_int_equal(manifest_write(&in, &out, NULL), 0);
    assert_null(strstr(out.data, "exit_status"));
    assert_int_equal(manifest_read(out.data, out.length, &back, NULL), 0);
    assert_int_equal(back->exit_status, -1);
    assert_string_equal(back->damaged, in.damaged);
    manifest_free(back);
    buffer_free(&out);
}

/* The example with `from` replaced by `to`, which must make it unreadable and be named. */
static void refused(const char *from, const char *to, const char *says)
{
    struct buffer out = BUFFER_INIT(MANIFEST_MAX_SIZE), altered = BUFFER_INIT(MANIFEST_MAX_SIZE);
    struct manifest in = example(), *back;
    struct error error = ERROR_INIT;
    assert_int_equal(manifest_write(&in, &out, NULL), 0);
    char *found = strstr(out.data, from);
    if (!found)
        fail_msg("the example has no %s", from);
    assert_int_equal(buffer_append(&altered, out.data, (size_t)(found - out.data)), 0);
    assert_int_equal(buffer_append_text(&altered, to), 0);
    assert_int_equal(buffer_append_text(&altered, found + strlen(from)), 0);
    if (manifest_read(altered.data, altered.length, &back, &error) != ERR_DAMAGED)
        fail_msg("was read with %s", to);
    assert_null(back);
    if (!strstr(error.text, says))
        fail_msg("%s: says %s", to, error.text);
    buffer_free(&out);
    buffer_free(&altered);
}

static void manifest_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    refused("castbucket-manifest", "other", "\"format\"");
    refused("\"version\":1", "\"version\":2", "version 2");
    refused("\"version\":1,", "", "\"version\"");
    refused("\"id\":\"" ID "\",", "", "\"id\"");
    refused(ID, "../../x", "\"id\"");
    refused("\"web-1\"", "5", "\"socket\"");
    refused("2026-11", "2026-13", "\"started\"");
    refused("\"duration\":", "\"duration\":-", "\"duration\"");
    refused("\"cast_version\":2", "\"cast_version\":4", "\"cast_version\"");
    refused("\"exited\"", "\"left\"", "\"end\"");
    refused("\"exit_status\":0", "\"exit_status\":\"0\"", "\"exit_status\"");
    refused("\"input_bytes\":1", "\"input_bytes\":-1", "\"input_bytes\"");
    refused("\"input_bytes\":1", "\"input_bytes\":1e3", "\"input_bytes\"");
    refused("\"sha256\":\"ab", "\"sha256\":\"x", "\"sha256\"");
    refused("\"chain\":\"cd", "\"chain\":\"", "\"chain\"");
    refused("\"chunks\":[", "\"chunks\":[5,", "chunk 0");
    refused("\"chunks\":[", "\"pieces\":[", "\"chunks\"");
    refused("\"offset\":110", "\"offset\":111", "chunk 1 does not follow");
    refused("\"cast_offset\":1000", "\"cast_offset\":999", "chunk 1 does not follow");
    refused("\"cast_offset\":0", "\"cast_offset\":1", "chunk 0 does not follow");
    refused("\"time\":7200", "\"time\":-7200", "\"time\"");
    refused("\"time\":7200.000001", "\"time\":0", "chunk 1 does not follow");
    refused("\"cast_size\":500", "\"cast_size\":499", "end before");
    refused("\"cast_size\":500", "\"cast_size\":9223372036854775807", "chunk 1 lies outside");
    refused("\"size\":50", "\"size\":61", "chunk 1 lies outside");
    refused("]}\n", "", "JSON");
    refused("{\"format\"", "[{\"format\"", "JSON");
    refused("\"rows\":24", "\"rows\":24,\"rows\":24", "duplicate");
}

static void unknown_members_are_ignored(void **state)
{
    (void)state;
    static const char text[] =
        "{\"later\":{\"alg\":\"x\"},\"format\":\"castbucket-manifest\",\"version\":1,"
        "\"id\":\"" ID "\",\"started\":\"2026-11-23T20:22:01Z\",\"duration\":0,\"cast_version\":3,"
        "\"end\":\"lost\",\"output_bytes\":0,\"input_bytes\":0,\"lost_bytes\":0,\"cast_bytes\":0,"
        "\"size\":0,\"sha256\":\"" ZEROS "\",\"chain\":\"" ZEROS "\",\"chunks\":[]}";
    struct manifest *back;
    assert_int_equal(manifest_read(text, sizeof(text) - 1, &back, NULL), 0);
    assert_string_equal(back->organization, "");
    assert_int_equal(back->chunk_count, 0);
    manifest_free(back);
}

static void manifest_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct manifest in = example();
    for (size_t limit = 5; limit < 1000; limit += 7) {
        struct buffer out = BUFFER_INIT(limit);
        assert_int_equal(buffer_append_text(&out, "start"), 0);
        assert_int_equal(manifest_write(&in, &out, NULL), ERR_LIMIT);
        assert_string_equal(out.data, "start");
        buffer_free(&out);
    }
}

static void chain_depends_on_each_chunk_and_their_order(void **state)
{
    (void)state;
    uint8_t a[32], b[32], ab[32] = {1}, ba[32] = {2};
    memcpy(a, ab, 32);
    memcpy(b, ba, 32);
    assert_int_equal(chain_start(ab, ID), 0);
    memcpy(ba, ab, 32);
    assert_int_equal(chain_add(ab, a) | chain_add(ab, b), 0);
    assert_int_equal(chain_add(ba, b) | chain_add(ba, a), 0);
    assert_memory_not_equal(ab, ba, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(what_is_unknown_is_left_out),
        cmocka_unit_test(manifest_that_contradicts_itself_is_refused),
        cmocka_unit_test(unknown_members_are_ignored),
        cmocka_unit_test(manifest_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(chain_depends_on_each_chunk_and_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
