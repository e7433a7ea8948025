/* Going on with sealing after a kill, or a loss of power with some writes on disk and some not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/cast/cast_encoder.h"
#include "recorder/seal/chunk_writer.h"
#include "recorder/seal/seal_record.h"
#include "tests/unit/seal_fixture.h"

static void each_kill_between_chunks_is_survived(void **state)
{
    struct seal_fixture *f = *state;
    uint64_t seed = 9;
    for (uint32_t version = 2; version <= 3; version++) {
        fixture_clear(f);
        fixture_forget_sent(f);
        fixture_open_session(f, 0, version);
        for (int i = 0; i < 60; i++) {
            /* Single bytes, so that characters and ill-formed stretches lie across kills. */
            static const char bytes[] = "\xf0\x9f\x98\x80\n\xe2\x82\xff\xac";
            enum journal_type type = JOURNAL_STDOUT;
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if (seed >> 62 == 0)
                type = JOURNAL_STDERR;
            fixture_append(f, type, &bytes[i % 9], 1);
            if (seed >> 50 & 1)
                fixture_seal_anew(f, true, SEAL_IDLE);
        }
        fixture_end_session(f, 0);
        fixture_seal_anew(f, false, SEAL_COMPLETE);
        manifest_free(fixture_recorded(f, "x 0\n"));
    }
}

/* A session of three chunks, sealed but for its end; its files as they then are. */
struct snapshot {
    struct buffer journal, seal, cast;
};

static struct snapshot three_chunks(struct seal_fixture *f, bool finish)
{
    struct snapshot s;
    fixture_open_session(f, 0, 2);
    fixture_show(f, "one\n\xff\xe2");
    fixture_seal_anew(f, true, SEAL_IDLE);
    fixture_show(f, "\x82\xac two\n");
    fixture_seal_anew(f, true, SEAL_IDLE);
    fixture_append(f, JOURNAL_STDERR, "three", 5);
    fixture_seal_anew(f, true, SEAL_IDLE);
    fixture_show(f, "four");
    fixture_end_session(f, 5);
    if (finish) {
        /* A directory where the manifest should go makes the last step fail. */
        char name[SPOOL_NAME_SIZE];
        spool_name(name, FIXTURE_ID, SPOOL_MANIFEST_SUFFIX);
        assert_int_equal(mkdirat(fixture_area(f, SPOOL_QUARANTINE), "empty", 0700), 0);
        struct sealer *sealer = fixture_open_sealer(f);
        assert_int_equal(mkdirat(fixture_area(f, SPOOL_SEALED), name, 0700), 0);
        assert_true(sealer_run(sealer, f->worker, false, NULL) < 0);
        sealer_free(sealer);
        assert_int_equal(unlinkat(fixture_area(f, SPOOL_SEALED), name, AT_REMOVEDIR), 0);
        assert_int_equal(unlinkat(fixture_area(f, SPOOL_QUARANTINE), "empty", AT_REMOVEDIR), 0);
    }
    s.journal = fixture_load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
    s.seal = fixture_load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    s.cast = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    return s;
}

/* Seals from the snapshot with its files cut at these lengths. */
static void seal_from(struct seal_fixture *f, const struct snapshot *s, size_t seal, size_t cast)
{
    fixture_clear(f);
    fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s->journal.data, s->journal.length);
    fixture_store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s->seal.data, seal);
    fixture_store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, s->cast.data, cast);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(fixture_recorded(f, "x 5\n"));
}

static void drop(struct snapshot *s)
{
    buffer_free(&s->journal);
    buffer_free(&s->seal);
    buffer_free(&s->cast);
}

static void files_cut_at_any_length_are_gone_on_from(void **state)
{
    struct seal_fixture *f = *state;
    for (int finish = 0; finish <= 1; finish++) {
        fixture_clear(f);
        fixture_forget_sent(f);
        struct snapshot s = three_chunks(f, finish);
        for (size_t length = 0; length <= s.seal.length; length += length % 256 < 4 ? 1 : 13)
            seal_from(f, &s, length, s.cast.length);
        for (size_t length = 0; length <= s.cast.length; length += 3)
            seal_from(f, &s, s.seal.length, length);
        for (size_t length = 0; length <= s.cast.length; length += 17)
            seal_from(f, &s, s.seal.length * length / s.cast.length, s.cast.length - length);
        drop(&s);
    }
}

static void wrong_bytes_on_disk_after_power_loss_are_sealed_again(void **state)
{
    struct seal_fixture *f = *state;
    struct snapshot s = three_chunks(f, false);
    for (size_t at = 0; at < s.cast.length; at += 2) {
        /* From here on the chunks were never written, though their records were. */
        struct buffer whole = s.cast;
        s.cast = BUFFER_INIT(FIXTURE_MUCH);
        assert_int_equal(buffer_append(&s.cast, whole.data, whole.length), 0);
        memset(s.cast.data + at, 0, s.cast.length - at);
        seal_from(f, &s, s.seal.length, s.cast.length);
        buffer_free(&s.cast);
        s.cast = whole;
    }
    for (size_t at = 0; at < s.seal.length; at += 5) {
        s.seal.data[at] ^= 0x10;
        seal_from(f, &s, s.seal.length, s.cast.length);
        s.seal.data[at] ^= 0x10;
    }
    drop(&s);
}

static void unsynced_chunk_lost_under_a_whole_one_is_sealed_again(void **state)
{
    struct seal_fixture *f = *state;
    struct snapshot s = three_chunks(f, false);
    for (size_t at = GZIP_HEADER_SIZE; at < s.cast.length; at++) {
        s.cast.data[at] ^= 1;
        seal_from(f, &s, s.seal.length, s.cast.length);
        s.cast.data[at] ^= 1;
    }
    drop(&s);
}

static void record_of_an_attempt_that_was_given_up_is_not_gone_on_from(void **state)
{
    struct seal_fixture *f = *state;
    struct snapshot s = three_chunks(f, false);
    /* The second record is not on disk; the third is in its place. */
    memmove(s.seal.data + SEAL_RECORD_SIZE, s.seal.data + 2 * SEAL_RECORD_SIZE, SEAL_RECORD_SIZE);
    seal_from(f, &s, 2 * SEAL_RECORD_SIZE, s.cast.length);
    drop(&s);
}

/* Of what was synced, only the end is looked at when going on; all of it, when it is complete. */
static void synced_chunk_changed_on_disk_is_named_and_nothing_is_removed(void **state)
{
    struct seal_fixture *f = *state;
    struct error error = ERROR_INIT;
    fixture_open_session(f, 0, 2);
    struct sealer *sealer = fixture_open_sealer(f);
    for (int i = 0; i < 2; i++) {
        fixture_show(f, "one more\n");
        assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
        fixture_sync(sealer);
    }
    fixture_show(f, "the last\n");
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    sealer_free(sealer);
    fixture_end_session(f, 0);
    struct buffer cast = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    cast.data[12] ^= 1;
    fixture_store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, cast.data, cast.length);
    sealer = fixture_open_sealer(f);
    assert_int_equal(sealer_run(sealer, f->worker, false, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "chunk 0 of " FIXTURE_ID));
    assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX));
    assert_true(fixture_has(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
    assert_true(fixture_has(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    sealer_free(sealer);
    buffer_free(&cast);
}

static void kill_after_the_manifest_leaves_only_cleaning_up(void **state)
{
    struct seal_fixture *f = *state;
    struct snapshot s = three_chunks(f, true);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct buffer before = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    fixture_store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    fixture_store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
    fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s.journal.data, s.journal.length);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct buffer after = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, after.length);
    manifest_free(fixture_recorded(f, "x 5\n"));
    buffer_free(&before);
    buffer_free(&after);
    drop(&s);
}

static void recording_uploaded_and_removed_is_not_made_again(void **state)
{
    struct seal_fixture *f = *state;
    struct snapshot s = three_chunks(f, true);
    char name[SPOOL_NAME_SIZE];
    for (int with_journal = 0; with_journal <= 1; with_journal++) {
        fixture_clear(f);
        fixture_store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
        if (with_journal)
            fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s.journal.data,
                          s.journal.length);
        fixture_seal_anew(f, false, SEAL_COMPLETE);
        assert_false(fixture_has(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
        assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
        assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
        assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX));
    }
    spool_name(name, FIXTURE_ID, SPOOL_JOURNAL_SUFFIX);
    drop(&s);
}

static void records_come_back_and_any_flipped_bit_is_found(void **state)
{
    (void)state;
    struct seal_progress in = {.chunks = 1,
                               .journal_offset = UINT64_MAX,
                               .journal_time_ns = INT64_MAX,
                               .cast_size = 4,
                               .size = 5,
                               .crc = 0xdeadbeef,
                               .final = true,
                               .encoder = {.version = 3,
                                           .onlcr = true,
                                           .stream = 1,
                                           .carry_length = {1, 2, 3},
                                           .carry = {{1}, {2, 3}, {4, 5, 6}},
                                           .written_us = -1,
                                           .last_ns = 7},
                               .output_bytes = 8,
                               .input_bytes = 9,
                               .lost_bytes = 10,
                               .chunk = {.offset = 11,
                                         .size = 12,
                                         .cast_offset = 13,
                                         .cast_size = 14,
                                         .time_ns = 15,
                                         .sha256 = {16}},
                               .chain = {17},
                               .synced = 18},
                         out;
    struct seal_end end = {.end = "exited", .exit_status = 18, .signal = "s", .message = "m"};
    struct seal_end end_out;
    struct buffer bytes = BUFFER_INIT(65536), again = BUFFER_INIT(65536);
    assert_int_equal(seal_record_encode(&in, &end, &bytes), 0);
    uint8_t *record = (uint8_t *)bytes.data, *tail = record + SEAL_RECORD_SIZE;
    size_t tail_length = bytes.length - SEAL_RECORD_SIZE;
    assert_true(seal_record_decode(record, tail, tail_length, &out, &end_out));
    assert_int_equal(seal_record_encode(&out, &end_out, &again), 0);
    assert_int_equal(again.length, bytes.length);
    assert_memory_equal(again.data, bytes.data, bytes.length);
    assert_int_equal(out.encoder.version, 3);
    assert_true(out.encoder.onlcr);
    assert_int_equal(out.encoder.stream, 1);
    assert_memory_equal(out.encoder.carry_length, in.encoder.carry_length, 3);
    assert_memory_equal(out.encoder.carry, in.encoder.carry, sizeof(in.encoder.carry));
    assert_int_equal(out.encoder.written_us, -1);
    assert_int_equal(out.encoder.last_ns, 7);
    assert_true(out.journal_offset == UINT64_MAX);
    assert_int_equal(out.crc, in.crc);
    assert_int_equal(out.chain[0], 17);
    assert_int_equal(out.chunk.sha256[0], 16);
    assert_int_equal(out.synced, 18);
    assert_int_equal(out.chunk.time_ns, 15);
    assert_int_equal(out.lost_bytes, 10);
    assert_true(out.final);
    assert_int_equal(end_out.exit_status, 18);
    assert_string_equal(end_out.message, "m");
    for (size_t bit = 0; bit < bytes.length * 8; bit++) {
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(seal_record_decode(record, tail, tail_length, &out, &end_out));
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t length = 0; length < tail_length; length++)
        assert_false(seal_record_decode(record, tail, length, &out, &end_out));
    buffer_free(&bytes);
    buffer_free(&again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kill_between_chunks_is_survived),
        TEST(files_cut_at_any_length_are_gone_on_from),
        TEST(wrong_bytes_on_disk_after_power_loss_are_sealed_again),
        TEST(unsynced_chunk_lost_under_a_whole_one_is_sealed_again),
        TEST(record_of_an_attempt_that_was_given_up_is_not_gone_on_from),
        TEST(synced_chunk_changed_on_disk_is_named_and_nothing_is_removed),
        TEST(kill_after_the_manifest_leaves_only_cleaning_up),
        TEST(recording_uploaded_and_removed_is_not_made_again),
        cmocka_unit_test(records_come_back_and_any_flipped_bit_is_found),
    };
    return cmocka_run_group_tests_name("seal resume", tests, NULL, NULL);
}
