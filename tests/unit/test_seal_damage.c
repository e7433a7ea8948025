/* Sealing what is damaged: all that can be read is recorded, and what cannot is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <endian.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/journal/journal_format.h"
#include "tests/unit/seal_fixture.h"

/* `records`: or everything that tells of the chunks. */
static void lose_a_sealed_chunk(struct seal_fixture *f, bool records)
{
    fixture_open_session(f, 1, 2);
    struct sealer *sealer = fixture_open_sealer(f);
    fixture_show_much(f, (size_t)1 << 20, 5);
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    fixture_sync(sealer);
    sealer_free(sealer);
    struct buffer cast = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    cast.data[cast.length - 9] ^= 1;
    fixture_store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, cast.data, cast.length);
    if (records)
        fixture_store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, "", 0);
    journal_free(f->journal);
    f->journal = NULL;
    fixture_now_ns += 60 * NS_PER_SECOND;
    fixture_seal_anew(f, true, SEAL_COMPLETE);
    /* What was lost is there for people; the rest is a recording that says so. */
    struct buffer kept = fixture_load(f, SPOOL_QUARANTINE, SPOOL_CAST_SUFFIX);
    assert_int_equal(kept.length, cast.length);
    assert_memory_equal(kept.data, cast.data, cast.length);
    assert_true(fixture_has(f, SPOOL_QUARANTINE, SPOOL_JOURNAL_SUFFIX));
    assert_true(fixture_has(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX));
    struct buffer text = fixture_load(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX);
    struct manifest *manifest;
    assert_int_equal(manifest_read(text.data, text.length, &manifest, NULL), 0);
    buffer_free(&text);
    assert_string_equal(manifest->end, "cut");
    assert_non_null(strstr(manifest->damaged, "journal"));
    assert_true(records || manifest->output_bytes > 0);
    manifest_free(manifest);
    buffer_free(&kept);
    buffer_free(&cast);
}

static void sealed_chunk_lost_after_its_journal_was_given_back_is_told(void **state)
{
    lose_a_sealed_chunk(*state, false);
}

static void all_records_lost_after_the_journal_was_given_back_is_told(void **state)
{
    lose_a_sealed_chunk(*state, true);
}

/* Flips a bit of the journal where `text` is. */
static void damage_journal(const struct seal_fixture *f, const char *text)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer journal = fixture_load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
    char *found = memmem(journal.data, journal.length, text, strlen(text));
    assert_non_null(found);
    spool_name(name, FIXTURE_ID, SPOOL_JOURNAL_SUFFIX);
    int fd = openat(fixture_area(f, SPOOL_JOURNALS), name, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    *found ^= 1;
    assert_int_equal(pwrite(fd, found, 1, found - journal.data), 1);
    close(fd);
    buffer_free(&journal);
}

static void damaged_journal_is_recorded_up_to_there_and_kept(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_show(f, "readable");
    size_t readable = f->sent[0].length;
    fixture_show(f, "unreadable");
    damage_journal(f, "unreadable");
    struct sealer *sealer = fixture_open_sealer(f);
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    fixture_show(f, "later");
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    fixture_now_ns += 20 * NS_PER_SECOND;
    assert_false(sealer_due(sealer));
    f->sent[0].length = readable;
    fixture_end_session(f, 0);
    fixture_now_ns += 20 * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(fixture_run_out(f, sealer, false), SEAL_COMPLETE);
    sealer_free(sealer);

    assert_true(fixture_has(f, SPOOL_QUARANTINE, SPOOL_JOURNAL_SUFFIX));
    struct buffer reason = fixture_load(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX);
    char notes[2048];
    snprintf(notes, sizeof(notes), "m damaged: %s\n", reason.data);
    struct manifest *manifest = fixture_recorded(f, notes);
    assert_string_equal(manifest->damaged, reason.data);
    assert_string_equal(manifest->end, "cut");
    manifest_free(manifest);
    buffer_free(&reason);
}

/* After a loss of power, what was sealed may be on disk without what it was made from. */
static void journal_that_lost_what_was_sealed_leaves_all_that_was_sealed(void **state)
{
    struct seal_fixture *f = *state;
    for (int published = 0; published <= 1; published++) {
        fixture_clear(f);
        fixture_forget_sent(f);
        fixture_open_session(f, 1, 2);
        struct buffer before = fixture_load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
        fixture_show_much(f, (size_t)1 << 20, 5);
        fixture_seal_anew(f, true, SEAL_IDLE);
        fixture_kill_host(f);
        struct buffer after = fixture_load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
        fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, published ? after.data : before.data,
                      8192);
        fixture_now_ns += 60 * NS_PER_SECOND;
        fixture_seal_anew(f, false, SEAL_COMPLETE);

        struct buffer reason = fixture_load(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX);
        assert_non_null(strstr(reason.data, "the file ends"));
        assert_true(fixture_has(f, SPOOL_QUARANTINE, SPOOL_JOURNAL_SUFFIX));
        char notes[2048];
        snprintf(notes, sizeof(notes), "m damaged: %s\n", reason.data);
        struct manifest *manifest = fixture_recorded(f, notes);
        assert_string_equal(manifest->damaged, reason.data);
        manifest_free(manifest);
        buffer_free(&reason);
        buffer_free(&before);
        buffer_free(&after);
    }
}

static void frame_that_makes_no_sense_counts_as_damage(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_show(f, "before");
    fixture_append(f, JOURNAL_RESIZE, "short", 5);
    size_t before = f->sent[0].length;
    fixture_show(f, "after");
    f->sent[0].length = before;
    fixture_end_session(f, 0);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct buffer reason = fixture_load(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX);
    char notes[2048];
    snprintf(notes, sizeof(notes), "m damaged: %s\n", reason.data);
    manifest_free(fixture_recorded(f, notes));
    buffer_free(&reason);
}

static void journal_without_a_header_is_refused(void **state)
{
    struct seal_fixture *f = *state;
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    assert_int_equal(sealer_open(f->spool, FIXTURE_ID, &fixture_clock, &sealer, &error),
                     ERR_NOT_FOUND);
    fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, "", 0);
    assert_int_equal(sealer_open(f->spool, FIXTURE_ID, &fixture_clock, &sealer, &error),
                     ERR_DAMAGED);
    assert_int_equal(sealer_open(f->spool, "../x", &fixture_clock, &sealer, &error), ERR_INVALID);
    assert_null(sealer);
}

/* ---- every byte ------------------------------------------------------------------------------ */

/* Syncing takes a thousand times as long as the rest, and here no power is lost. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

static void append_packet(struct seal_fixture *f, bool from_person, const char *payload,
                          size_t length)
{
    char packet[256] = {0};
    packet[3] = (char)length;
    memcpy(packet + 4, payload, length);
    fixture_append(f, from_person ? JOURNAL_INPUT : JOURNAL_STDOUT, packet, length + 4);
}

/* Puts the file "a" with three bytes by sftp (draft-ietf-secsh-filexfer-02). */
static void transfer_a_file(struct seal_fixture *f)
{
#define PACKET(from_person, text) append_packet(f, from_person, text, sizeof(text) - 1)
    PACKET(true, "\1\0\0\0\3");
    PACKET(false, "\2\0\0\0\3");
    PACKET(true, "\3\0\0\0\1\0\0\0\1a\0\0\0\x1a\0\0\0\0");
    PACKET(false, "\x66\0\0\0\1\0\0\0\1h");
    PACKET(true, "\6\0\0\0\2\0\0\0\1h\0\0\0\0\0\0\0\0\0\0\0\3xyz");
    PACKET(false, "\x65\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0");
    PACKET(true, "\4\0\0\0\3\0\0\0\1h");
    PACKET(false, "\x65\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0");
#undef PACKET
}

/* A real journal with all there is. Returns where its last frame ends. */
static size_t make_journal(struct seal_fixture *f, uint32_t version, bool transfer,
                           struct buffer *bytes)
{
    const uint32_t size[2] = {htole32(100), htole32(50)};
    const uint64_t lost = htole64(4711);
    static char binary[300];
    for (size_t i = 0; i < sizeof(binary); i++)
        binary[i] = (char)(i * 7);
    fixture_clear(f);
    fixture_forget_sent(f);
    f->transfer = transfer ? "sftp" : NULL;
    fixture_open_session(f, !transfer, version);
    if (transfer) {
        transfer_a_file(f);
    } else {
        fixture_show(f, "plain\r\n\x1b[31m\xe2\x82\xac");
        fixture_append(f, JOURNAL_STDERR, "e\xc3", 2);
        fixture_append(f, JOURNAL_INPUT, "typed\r", 6);
        fixture_append(f, JOURNAL_RESIZE, size, sizeof(size));
        fixture_append(f, JOURNAL_STDERR, "\xa9\xff\n", 3);
        fixture_append(f, JOURNAL_STDOUT, binary, sizeof(binary));
        fixture_append(f, JOURNAL_MARKER, "here", 4);
        fixture_append(f, JOURNAL_GAP, &lost, sizeof(lost));
        fixture_show(f, "after\xe2\x82");
    }
    fixture_end_session(f, 3);
    *bytes = fixture_load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
    uint64_t published;
    memcpy(&published, bytes->data + offsetof(struct journal_header, published), 8);
    return (size_t)le64toh(published);
}

/* What is left of a journal is sealed: each stream is the beginning of what passed, and if it is
 * not all, the recording says so. Returns how many bytes; -1: there was not even a beginning. */
static long seal_what_is_left(struct seal_fixture *f, const char *bytes, size_t length, bool *whole)
{
    struct sealer *sealer;
    struct fixture_cast cast;
    struct error error = ERROR_INIT;
    long total = 0;
    fixture_clear(f);
    fixture_store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, bytes, length);
    fixture_now_ns += 60 * NS_PER_SECOND;
    int rc = sealer_open(f->spool, FIXTURE_ID, &fixture_clock, &sealer, &error);
    *whole = false;
    if (rc) {
        assert_int_equal(rc, ERR_DAMAGED);
        assert_true(error.text[0]);
        return -1;
    }
    assert_int_equal(fixture_run_out(f, sealer, false), SEAL_COMPLETE);
    sealer_free(sealer);
    struct manifest *manifest = fixture_read(f, &cast);
    for (int i = 0; i < 3; i++) {
        total += (long)cast.raw[i].length;
        assert_true(cast.raw[i].length <= f->sent[i].length);
        if (cast.raw[i].length)
            assert_memory_equal(cast.raw[i].data, f->sent[i].data, cast.raw[i].length);
    }
    *whole = strcmp(manifest->end, "exited") == 0;
    assert_true(*whole || strcmp(manifest->end, "cut") == 0);
    if (*whole)
        assert_string_equal(manifest->damaged, "");
    assert_int_equal(manifest->damaged[0] != '\0',
                     fixture_has(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX));
    manifest_free(manifest);
    fixture_cast_free(&cast);
    return total;
}

static void cut_everywhere(struct seal_fixture *f, uint32_t version, bool transfer)
{
    struct buffer bytes;
    bool whole;
    long last = -1;
    size_t end = make_journal(f, version, transfer, &bytes), all = 0;
    for (int i = 0; i < 3; i++)
        all += f->sent[i].length;
    for (size_t length = 0; length <= end; length++) {
        long total = seal_what_is_left(f, bytes.data, length, &whole);
        if (total < last)
            fail_msg("%zu bytes of the journal give %ld, one less gave %ld", length, total, last);
        assert_true(whole == (length == end));
        last = total;
    }
    assert_int_equal(last, all);
    print_message("version %u%s: cut at each of %zu bytes\n", version, transfer ? ", sftp" : "",
                  end);
    buffer_free(&bytes);
}

static void a_journal_cut_at_any_byte_is_recorded_up_to_there(void **state)
{
    cut_everywhere(*state, 2, false);
    cut_everywhere(*state, 3, false);
    cut_everywhere(*state, 2, true);
}

static unsigned seed(void)
{
    const char *given = getenv("SEED");
    unsigned chosen = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SEED=%u\n", chosen);
    return chosen;
}

/* Any bit from the header to the end, one at a time: all of them with EVERY_BIT=1, else some. */
static void flip_bits(struct seal_fixture *f, bool transfer, unsigned *dice)
{
    struct buffer bytes;
    bool whole, every = getenv("EVERY_BIT") != NULL;
    size_t end = make_journal(f, 2, transfer, &bytes), flips = 0, found = 0;
    for (size_t bit = 0; bit < 8 * end; bit++) {
        if (!every && rand_r(dice) % 40)
            continue;
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
        seal_what_is_left(f, bytes.data, bytes.length, &whole);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ 1 << bit % 8);
        flips++;
        found += !whole;
    }
    print_message("%zu bits flipped of %zu%s, %zu of them told of\n", flips, 8 * end,
                  transfer ? " (sftp)" : "", found);
    buffer_free(&bytes);
}

static void a_journal_with_a_flipped_bit_is_recorded_up_to_there(void **state)
{
    unsigned dice = seed();
    flip_bits(*state, false, &dice);
    flip_bits(*state, true, &dice);
}

static void a_journal_with_much_that_is_wrong_does_no_harm(void **state)
{
    struct seal_fixture *f = *state;
    struct buffer bytes;
    bool whole;
    unsigned dice = seed();
    int times = getenv("EVERY_BIT") ? 20000 : 300;
    size_t end = make_journal(f, 2, false, &bytes);
    char *copy = malloc(bytes.length);
    assert_non_null(copy);
    for (int i = 0; i < times; i++) {
        memcpy(copy, bytes.data, bytes.length);
        for (int n = rand_r(&dice) % 20; n >= 0; n--) {
            size_t at = (size_t)rand_r(&dice) % end, length = (size_t)rand_r(&dice) % 16;
            switch (rand_r(&dice) % 3) {
            case 0:
                copy[at] = (char)(copy[at] ^ 1 << rand_r(&dice) % 8);
                break;
            case 1: /* a sector that reads as zeros */
                memset(copy + at, 0, length);
                break;
            default: /* what stood somewhere else, less than a frame */
                memmove(copy + at, copy + (size_t)rand_r(&dice) % end, length);
            }
        }
        size_t length = rand_r(&dice) % 2 ? bytes.length : (size_t)rand_r(&dice) % end;
        seal_what_is_left(f, copy, length, &whole);
    }
    free(copy);
    buffer_free(&bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_chunk_lost_after_its_journal_was_given_back_is_told),
        TEST(all_records_lost_after_the_journal_was_given_back_is_told),
        TEST(damaged_journal_is_recorded_up_to_there_and_kept),
        TEST(journal_that_lost_what_was_sealed_leaves_all_that_was_sealed),
        TEST(frame_that_makes_no_sense_counts_as_damage),
        TEST(journal_without_a_header_is_refused),
        TEST(a_journal_cut_at_any_byte_is_recorded_up_to_there),
        TEST(a_journal_with_a_flipped_bit_is_recorded_up_to_there),
        TEST(a_journal_with_much_that_is_wrong_does_no_harm),
    };
    return cmocka_run_group_tests_name("seal damage", tests, NULL, NULL);
}
