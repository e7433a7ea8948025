/* Sealing: journal in, recording out, while the session lives and when it has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/seal_fixture.h"

static void session_with_every_kind_of_event_is_recorded_whole(void **state)
{
    struct seal_fixture *f = *state;
    for (uint32_t version = 2; version <= 3; version++) {
        const uint32_t size[2] = {100, 50};
        const uint64_t lost = 4711;
        fixture_clear(f);
        fixture_forget_sent(f);
        fixture_open_session(f, 0, version);
        fixture_show(f, "plain\n");
        fixture_append(f, JOURNAL_STDERR, "e\xc3", 2);
        fixture_append(f, JOURNAL_INPUT, "typed\r", 6);
        fixture_append(f, JOURNAL_RESIZE, size, sizeof(size));
        fixture_append(f, JOURNAL_STDERR, "\xa9\xff\n", 3);
        fixture_append(f, JOURNAL_MARKER, "here", 4);
        fixture_append(f, JOURNAL_GAP, &lost, sizeof(lost));
        fixture_show(f, "after\xe2\x82");
        fixture_end_session(f, 3);
        fixture_seal_anew(f, false, SEAL_COMPLETE);
        struct manifest *manifest = fixture_recorded(
            f, "r 100x50\nm here\nm gap: 4711 bytes were not recorded\nx 3\n");
        assert_string_equal(manifest->end, "exited");
        assert_int_equal(manifest->exit_status, 3);
        assert_int_equal(manifest->lost_bytes, 4711);
        assert_int_equal(manifest->cast_version, version);
        assert_int_equal(manifest->started_ns, FIXTURE_STARTED);
        assert_string_equal(manifest->organization, "acme");
        assert_string_equal(manifest->socket, "web-1");
        assert_string_equal(manifest->kind, "exec");
        assert_string_equal(manifest->command, "make");
        assert_string_equal(manifest->host, "bastion");
        assert_string_equal(manifest->damaged, "");
        manifest_free(manifest);
    }
}

static void character_cut_by_a_gap_is_not_made_whole_of_what_follows(void **state)
{
    struct seal_fixture *f = *state;
    const uint64_t lost = htole64(7);
    fixture_open_session(f, 1, 2);
    fixture_show(f, "before \xc3");
    fixture_append(f, JOURNAL_GAP, &lost, sizeof(lost));
    fixture_show(f, "\xa4 after");
    fixture_end_session(f, 0);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(fixture_recorded(f, "m gap: 7 bytes were not recorded\nx 0\n"));
    struct fixture_cast cast;
    manifest_free(fixture_read(f, &cast));
    assert_int_equal(cast.shown_before_marker, strlen("before \xc3"));
    fixture_cast_free(&cast);
}

static void session_without_events_is_a_valid_recording(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_end_session(f, 0);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(fixture_recorded(f, "x 0\n"));
}

static void signal_and_message_reach_the_manifest(void **state)
{
    struct seal_fixture *f = *state;
    struct journal_end end = {.kind = JOURNAL_SIGNALED, .signal = "KILL", .message = "by \"oom\""};
    fixture_open_session(f, 1, 2);
    assert_int_equal(journal_end(f->journal, &end, NULL), 0);
    fixture_kill_host(f);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = fixture_recorded(f, "");
    assert_string_equal(manifest->end, "signaled");
    assert_int_equal(manifest->exit_status, -1);
    assert_string_equal(manifest->signal, "KILL");
    assert_string_equal(manifest->message, "by \"oom\"");
    manifest_free(manifest);
}

static void killed_host_leaves_a_recording_that_says_so(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_show(f, "all that was seen\xe2");
    fixture_kill_host(f);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = fixture_recorded(
        f, "m cut: the recording host ended without closing the session\n");
    assert_string_equal(manifest->end, "cut");
    assert_int_equal(manifest->exit_status, -1);
    manifest_free(manifest);
}

static void live_session_is_sealed_by_size_and_by_age(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    struct sealer *sealer = fixture_open_sealer(f);
    assert_int_equal(fixture_run(f, sealer, false), SEAL_IDLE);
    fixture_show(f, "a few bytes");
    assert_false(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, false), SEAL_IDLE);
    assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
    fixture_now_ns += SEAL_CHUNK_SECONDS * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, false), SEAL_IDLE);
    assert_true(fixture_has(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
    assert_false(sealer_due(sealer));

    fixture_show_much(f, 3 * SEAL_CHUNK_BYTES, 1);
    assert_true(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, false), SEAL_MORE);
    assert_int_equal(fixture_run_out(f, sealer, false), SEAL_IDLE);
    assert_false(sealer_due(sealer));
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    struct buffer before = fixture_load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    assert_int_equal(fixture_run(f, sealer, true), SEAL_IDLE);
    struct buffer after = fixture_load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    assert_int_equal(before.length, after.length);
    buffer_free(&before);
    buffer_free(&after);

    fixture_end_session(f, 0);
    fixture_now_ns += NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, false), SEAL_COMPLETE);
    assert_false(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, true), SEAL_COMPLETE);
    sealer_free(sealer);
    struct manifest *manifest = fixture_recorded(f, "x 0\n");
    assert_true(manifest->chunk_count >= 4);
    for (size_t i = 0; i + 1 < manifest->chunk_count; i++)
        assert_true(manifest->chunks[i].cast_size < 2 * SEAL_CHUNK_BYTES);
    manifest_free(manifest);
}

static void host_killed_while_nothing_waits_is_noticed(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_show(f, "x");
    struct sealer *sealer = fixture_open_sealer(f);
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    assert_false(sealer_due(sealer));
    fixture_kill_host(f);
    fixture_now_ns += 6 * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(fixture_run(f, sealer, false), SEAL_COMPLETE);
    sealer_free(sealer);
    manifest_free(
        fixture_recorded(f, "m cut: the recording host ended without closing the session\n"));
}

static void frames_larger_than_a_chunk_are_recorded(void **state)
{
    struct seal_fixture *f = *state;
    size_t length = (size_t)5 << 20;
    char *data = malloc(length);
    assert_non_null(data);
    for (size_t i = 0; i < length; i++)
        data[i] = (char)(i * 7 ^ i >> 9 ^ i >> 3);
    fixture_open_session(f, 0, 3);
    fixture_append(f, JOURNAL_STDOUT, data, length);
    fixture_show(f, "end");
    fixture_end_session(f, 0);
    free(data);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = fixture_recorded(f, "x 0\n");
    assert_int_equal(manifest->chunk_count, 2);
    manifest_free(manifest);
}

static void being_behind_makes_chunks_larger_and_loses_nothing(void **state)
{
    struct seal_fixture *f = *state;
    struct error error = ERROR_INIT;
    uint64_t behind[] = {UINT64_MAX, 0, UINT64_MAX};
    fixture_open_session(f, 1, 2);
    struct sealer *sealer = fixture_open_sealer(f);
    for (size_t i = 0; i < 3; i++) {
        fixture_show_much(f, 100000, 5);
        assert_true(sealer_backlog(sealer) > 100000);
        seal_worker_behind(f->worker, behind[i]);
        assert_int_equal(sealer_run(sealer, f->worker, true, &error), SEAL_IDLE);
        assert_int_equal(sealer_backlog(sealer), 0);
    }
    sealer_free(sealer);
    fixture_end_session(f, 0);
    fixture_seal_anew(f, true, SEAL_COMPLETE);
    struct manifest *manifest = fixture_recorded(f, "x 0\n");
    assert_int_equal(manifest->chunk_count, 4);
    assert_true(manifest->chunks[0].size > manifest->chunks[1].size);
    assert_true(manifest->chunks[2].size > manifest->chunks[1].size);
    manifest_free(manifest);
}

static void journal_space_is_given_back_and_the_rest_is_sealed(void **state)
{
    struct seal_fixture *f = *state;
    char name[SPOOL_NAME_SIZE];
    struct stat before, after;
    spool_name(name, FIXTURE_ID, SPOOL_JOURNAL_SUFFIX);
    fixture_open_session(f, 1, 2);
    struct sealer *sealer = fixture_open_sealer(f);
    fixture_show_much(f, (size_t)2 << 20, 2);
    assert_int_equal(fstatat(fixture_area(f, SPOOL_JOURNALS), name, &before, 0), 0);
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    fixture_sync(sealer);
    assert_int_equal(fstatat(fixture_area(f, SPOOL_JOURNALS), name, &after, 0), 0);
    assert_true(after.st_blocks < before.st_blocks);
    fixture_show(f, "the rest");
    sealer_free(sealer);
    fixture_end_session(f, 0);
    fixture_seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(fixture_recorded(f, "x 0\n"));
}

static void full_disk_is_an_error_and_the_next_try_goes_on(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    fixture_show_much(f, (size_t)1 << 20, 11);
    fixture_end_session(f, 0);
    struct sealer *sealer = fixture_open_sealer(f);
    struct rlimit before, little;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    int rc = 0;
    /* More and more may be written, so that each write fails once or several times. */
    for (rlim_t most = 0; rc != SEAL_COMPLETE && most < (1 << 20); most += 5000) {
        little = (struct rlimit){most, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
        do
            rc = sealer_run(sealer, f->worker, false, NULL);
        while (rc == SEAL_MORE);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc < 0 || rc == SEAL_COMPLETE);
        if (most == 0)
            assert_true(rc < 0);
    }
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);
    assert_int_equal(rc, SEAL_COMPLETE);
    sealer_free(sealer);
    struct manifest *manifest = fixture_recorded(f, "x 0\n");
    assert_true(manifest->chunk_count >= 4);
    manifest_free(manifest);
}

static void sealers_hold_no_descriptors(void **state)
{
    struct seal_fixture *f = *state;
    fixture_open_session(f, 1, 2);
    int before = dup(0);
    close(before);
    fixture_show_much(f, (size_t)1 << 20, 3);
    struct sealer *sealer = fixture_open_sealer(f);
    assert_int_equal(fixture_run_out(f, sealer, true), SEAL_IDLE);
    fixture_sync(sealer);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
    sealer_free(sealer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(session_with_every_kind_of_event_is_recorded_whole),
        TEST(character_cut_by_a_gap_is_not_made_whole_of_what_follows),
        TEST(session_without_events_is_a_valid_recording),
        TEST(signal_and_message_reach_the_manifest),
        TEST(killed_host_leaves_a_recording_that_says_so),
        TEST(live_session_is_sealed_by_size_and_by_age),
        TEST(host_killed_while_nothing_waits_is_noticed),
        TEST(frames_larger_than_a_chunk_are_recorded),
        TEST(being_behind_makes_chunks_larger_and_loses_nothing),
        TEST(journal_space_is_given_back_and_the_rest_is_sealed),
        TEST(full_disk_is_an_error_and_the_next_try_goes_on),
        TEST(sealers_hold_no_descriptors),
    };
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
