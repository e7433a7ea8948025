/* Whose turn it is: fairness between organizations, back-off, and recordings that step aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/base/clock.h"
#include "recorder/upload/upload_schedule.h"

static void make_id(char id[ID_SIZE], unsigned number)
{
    snprintf(id, ID_SIZE, "019363a0-0000-7000-8000-%012x", number);
}

static void add(struct upload_schedule *schedule, const char *organization, unsigned number)
{
    char id[ID_SIZE];
    make_id(id, number);
    assert_int_equal(id_queue_add(&schedule_find(schedule, organization)->ready, id), 0);
}

static struct error failure(int code)
{
    struct error error = ERROR_INIT;
    error_set(&error, code, "failed");
    return error;
}

static bool take(struct upload_schedule *schedule, int64_t now, struct schedule_pick *pick)
{
    int64_t wake;
    return schedule_take(schedule, now, pick, &wake);
}

static void done(struct upload_schedule *schedule, const struct schedule_pick *pick,
                 enum upload_outcome outcome, int code, int64_t now)
{
    const struct error error = failure(code);
    schedule_done(schedule, pick, outcome, &error, now, 1);
}

static void ids_are_kept_in_order_and_once(void **state)
{
    (void)state;
    struct id_queue queue = {0};
    char id[ID_SIZE];
    for (unsigned i = 0; i < 1000; i++) {
        make_id(id, i * 7919 % 1000);
        assert_int_equal(id_queue_add(&queue, id), 0);
        assert_int_equal(id_queue_add(&queue, id), 0);
    }
    assert_int_equal(queue.count, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        make_id(id, i);
        assert_string_equal(id_queue_at(&queue, i), id);
    }
    for (unsigned i = 0; i < 1000; i += 2) {
        make_id(id, i);
        assert_true(id_queue_remove(&queue, id));
        assert_false(id_queue_remove(&queue, id));
    }
    /* Taking from the front and adding at the back for ever does not grow it. */
    for (unsigned i = 1000; i < 20000; i++) {
        make_id(id, i);
        assert_int_equal(id_queue_add(&queue, id), 0);
        memcpy(id, id_queue_at(&queue, 0), ID_SIZE);
        assert_true(id_queue_remove(&queue, id));
    }
    assert_int_equal(queue.count, 500);
    assert_true(queue.capacity <= 2048);
    id_queue_free(&queue);
}

static void organizations_take_turns_and_newest_and_oldest_alternate(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick pick;
    char id[ID_SIZE];
    for (unsigned i = 0; i < 100; i++)
        add(&schedule, "busy", i);
    add(&schedule, "quiet", 500);
    assert_true(take(&schedule, 0, &pick));
    assert_string_equal(pick.organization->name, "busy");
    make_id(id, 0);
    assert_string_equal(pick.id, id);
    done(&schedule, &pick, UPLOAD_STORED, 0, 0);
    assert_true(take(&schedule, 0, &pick));
    assert_string_equal(pick.organization->name, "quiet");
    done(&schedule, &pick, UPLOAD_STORED, 0, 0);
    static const unsigned order[] = {99, 1, 98, 2};
    for (int i = 0; i < 4; i++) {
        assert_true(take(&schedule, 0, &pick));
        make_id(id, order[i]);
        assert_string_equal(pick.id, id);
        done(&schedule, &pick, UPLOAD_STORED, 0, 0);
    }
    schedule_free(&schedule);
}

static void storages_that_are_not_proven_leave_threads_to_the_others(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick picks[16];
    char name[16];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "org-%u", i);
        add(&schedule, name, 2 * i);
        add(&schedule, name, 2 * i + 1);
    }
    int taken = 0;
    while (take(&schedule, 0, &picks[taken]))
        taken++;
    assert_int_equal(taken, 6); /* one each, and two threads of eight stay free */
    done(&schedule, &picks[0], UPLOAD_STORED, 0, 0);
    for (unsigned i = 100; i < 120; i++)
        add(&schedule, "org-0", i);
    int proven = 0;
    while (take(&schedule, 0, &picks[8]))
        proven += strcmp(picks[8].organization->name, "org-0") == 0;
    assert_int_equal(proven, 4); /* half the threads, though it has more */
    schedule_free(&schedule);
}

static void a_failing_storage_is_asked_ever_more_rarely(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick pick;
    int64_t now = 0, wake, longest = 0;
    add(&schedule, "acme", 1);
    for (int i = 0; i < 12; i++) {
        assert_true(take(&schedule, now, &pick));
        done(&schedule, &pick, UPLOAD_STORE_FAILED, ERR_RETRY, now);
        assert_false(schedule_take(&schedule, now, &pick, &wake));
        int64_t delay = wake - now, nominal = NS_PER_SECOND << (i < 6 ? i : 6);
        if (nominal > 60 * NS_PER_SECOND)
            nominal = 60 * NS_PER_SECOND;
        assert_true(delay >= nominal / 2 && delay <= nominal * 3 / 2);
        assert_false(take(&schedule, wake - 1, &pick));
        now = wake;
        longest = delay > longest ? delay : longest;
    }
    assert_true(longest <= 90 * NS_PER_SECOND);
    assert_true(take(&schedule, now, &pick));
    done(&schedule, &pick, UPLOAD_STORE_FAILED, ERR_DENIED, now);
    assert_false(schedule_take(&schedule, now, &pick, &wake));
    assert_int_equal(wake - now, 60 * NS_PER_SECOND);
    schedule_free(&schedule);
}

static void uploads_that_fail_together_are_one_failure(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8, .once = true};
    struct schedule_pick picks[4];
    for (unsigned i = 0; i < 9; i++)
        add(&schedule, "acme", i);
    assert_true(take(&schedule, 0, &picks[0]));
    done(&schedule, &picks[0], UPLOAD_STORED, 0, 0);
    for (int i = 0; i < 4; i++)
        assert_true(take(&schedule, 0, &picks[i]));
    for (int i = 0; i < 4; i++)
        done(&schedule, &picks[i], UPLOAD_STORE_FAILED, ERR_RETRY, 0);
    assert_int_equal(schedule.organizations[0]->failures, 1);
    assert_false(schedule.organizations[0]->given_up);
    schedule_free(&schedule);
}

static void once_gives_up_after_a_few_tries_or_at_a_refusal(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8, .once = true};
    struct schedule_pick pick;
    int64_t now = 0, wake;
    add(&schedule, "acme", 1);
    int tries = 0;
    while (take(&schedule, now, &pick)) {
        tries++;
        done(&schedule, &pick, UPLOAD_STORE_FAILED, ERR_RETRY, now);
        if (schedule_take(&schedule, now, &pick, &wake) || wake == INT64_MAX)
            break;
        now = wake;
    }
    assert_int_equal(tries, 4);
    assert_true(now <= 15 * NS_PER_SECOND);
    assert_int_equal(schedule_waiting(schedule_find(&schedule, "acme")), 1);

    add(&schedule, "denied", 2);
    assert_true(take(&schedule, now, &pick));
    done(&schedule, &pick, UPLOAD_STORE_FAILED, ERR_DENIED, now);
    assert_false(schedule_take(&schedule, now, &pick, &wake));
    assert_int_equal(wake, INT64_MAX);
    schedule_free(&schedule);
}

static void a_recording_that_alone_fails_steps_aside(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick pick;
    char poison[ID_SIZE];
    int64_t now = 0, wake;
    make_id(poison, 0);
    for (unsigned i = 0; i < 5; i++)
        add(&schedule, "acme", i);
    int poisoned = 0, stored = 0;
    for (;;) {
        if (schedule_take(&schedule, now, &pick, &wake)) {
            bool is_poison = strcmp(pick.id, poison) == 0;
            done(&schedule, &pick, is_poison ? UPLOAD_STORE_FAILED : UPLOAD_STORED,
                 is_poison ? ERR_RETRY : 0, now);
            poisoned += is_poison;
            stored += !is_poison;
        } else if (wake - now < 10 * NS_PER_SECOND) {
            now = wake; /* the storage's back-off */
        } else {
            break;
        }
    }
    assert_int_equal(poisoned, 2); /* once may be the storage, twice is itself */
    assert_int_equal(stored, 4);
    /* It still waits, with its reason, and is tried again soon. */
    assert_false(schedule_take(&schedule, now, &pick, &wake));
    assert_int_equal(schedule_waiting(schedule_find(&schedule, "acme")), 1);
    assert_int_equal(schedule_find(&schedule, "acme")->error.code, ERR_RETRY);
    assert_true(take(&schedule, wake, &pick));
    assert_string_equal(pick.id, poison);
    done(&schedule, &pick, UPLOAD_STORED, 0, wake);
    assert_int_equal(schedule_find(&schedule, "acme")->error.code, 0);
    schedule_free(&schedule);
}

static void an_outage_accuses_nobody(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick picks[4];
    int64_t now = 0, wake;
    unsigned next = 0;
    for (; next < 100; next++)
        add(&schedule, "acme", next);
    for (int outage = 0; outage < 5; outage++) {
        assert_true(take(&schedule, now, &picks[0]));
        done(&schedule, &picks[0], UPLOAD_STORED, 0, now);
        for (int i = 0; i < 4; i++)
            assert_true(take(&schedule, now, &picks[i]));
        for (int i = 0; i < 4; i++)
            done(&schedule, &picks[i], UPLOAD_STORE_FAILED, ERR_RETRY, now);
        assert_false(schedule_take(&schedule, now, &picks[0], &wake));
        now = wake;
    }
    /* Those that the outages hit are stored with all others, without waiting for minutes. */
    while (take(&schedule, now, &picks[0]))
        done(&schedule, &picks[0], UPLOAD_STORED, 0, now);
    assert_int_equal(schedule_waiting(schedule_find(&schedule, "acme")), 0);
    assert_int_equal(schedule_find(&schedule, "acme")->accused.count, 0);
    schedule_free(&schedule);
}

static void what_is_aside_comes_back_though_more_joins_it(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick pick;
    char first[ID_SIZE];
    make_id(first, 0);
    bool again = false;
    for (unsigned i = 0; i < 20; i++) {
        int64_t now = i * 60 * NS_PER_SECOND;
        add(&schedule, "acme", i);
        while (take(&schedule, now, &pick)) {
            again = again || (i > 0 && strcmp(pick.id, first) == 0);
            done(&schedule, &pick, UPLOAD_RECORDING_WAITS, ERR_CONFLICT, now);
            if (again)
                break;
        }
    }
    assert_true(again);
    schedule_free(&schedule);
}

static void what_is_aside_is_asked_ever_more_rarely_until_nothing_waits(void **state)
{
    (void)state;
    struct upload_schedule schedule = {.threads = 8};
    struct schedule_pick pick;
    int64_t now = 0, wake;
    const int64_t seconds[] = {10, 20, 40, 80, 160, 300, 300};
    for (int round = 0; round < 2; round++) {
        add(&schedule, "acme", 1);
        for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
            assert_true(take(&schedule, now, &pick));
            done(&schedule, &pick, UPLOAD_RECORDING_WAITS, ERR_CONFLICT, now);
            assert_false(schedule_take(&schedule, now, &pick, &wake));
            assert_int_equal(wake - now, seconds[i] * NS_PER_SECOND);
            now = wake;
        }
        assert_true(take(&schedule, now, &pick));
        done(&schedule, &pick, UPLOAD_STORED, 0, now);
    }
    schedule_free(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_kept_in_order_and_once),
        cmocka_unit_test(organizations_take_turns_and_newest_and_oldest_alternate),
        cmocka_unit_test(storages_that_are_not_proven_leave_threads_to_the_others),
        cmocka_unit_test(a_failing_storage_is_asked_ever_more_rarely),
        cmocka_unit_test(uploads_that_fail_together_are_one_failure),
        cmocka_unit_test(once_gives_up_after_a_few_tries_or_at_a_refusal),
        cmocka_unit_test(a_recording_that_alone_fails_steps_aside),
        cmocka_unit_test(an_outage_accuses_nobody),
        cmocka_unit_test(what_is_aside_comes_back_though_more_joins_it),
        cmocka_unit_test(what_is_aside_is_asked_ever_more_rarely_until_nothing_waits),
    };
    return cmocka_run_group_tests_name("upload_schedule", tests, NULL, NULL);
}
