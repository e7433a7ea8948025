/* Whatever a plugin answers, a host gets a decision that it can act on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hooks/common/answer.c"

static struct recording_answer says;
static struct recording_session *opens;

static void session_open(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer)
{
    (void)instance, (void)info;
    assert_int_equal(answer->size, sizeof(*answer));
    assert_int_equal(answer->decision, 0);
    assert_string_equal(answer->reason, "");
    *session = opens;
    *answer = says;
}

static const struct recording_plugin plugin = {.session_open = session_open};
static struct recording_session *const some_session = (void *)&says;
static struct recording_session *session;
static struct recording_answer answer;

static enum recording_decision decide(uint32_t decision, struct recording_session *opened,
                                      const char *reason)
{
    says = (struct recording_answer){.size = sizeof(says), .decision = decision};
    memcpy(says.reason, reason, strlen(reason));
    opens = opened;
    return answer_of_session_open(&plugin, NULL, NULL, &session, &answer);
}

static void what_is_said_clearly_is_obeyed(void **state)
{
    (void)state;
    assert_int_equal(decide(RECORDING_RECORD, some_session, ""), RECORDING_RECORD);
    assert_ptr_equal(session, some_session);
    assert_int_equal(decide(RECORDING_IGNORE, NULL, "off"), RECORDING_IGNORE);
    assert_string_equal(answer.reason, "off");
    assert_int_equal(decide(RECORDING_REFUSE, NULL, "full"), RECORDING_REFUSE);
    assert_string_equal(answer.reason, "full");
}

static void a_decision_that_is_not_known_is_a_refusal_with_a_reason(void **state)
{
    (void)state;
    assert_int_equal(decide(0, some_session, ""), RECORDING_REFUSE);
    assert_null(session);
    assert_string_not_equal(answer.reason, "");
    assert_int_equal(decide(99, NULL, "mine"), RECORDING_REFUSE);
    assert_string_equal(answer.reason, "mine");
}

static void a_recording_without_a_session_is_a_refusal(void **state)
{
    (void)state;
    assert_int_equal(decide(RECORDING_RECORD, NULL, ""), RECORDING_REFUSE);
    assert_non_null(strstr(answer.reason, "no session"));
}

static void a_session_that_is_not_recorded_is_not_used(void **state)
{
    (void)state;
    assert_int_equal(decide(RECORDING_IGNORE, some_session, ""), RECORDING_IGNORE);
    assert_null(session);
}

static void texts_end_and_are_one_line(void **state)
{
    (void)state;
    char reason[sizeof(says.reason) + 1];
    memset(reason, 'x', sizeof(says.reason));
    reason[sizeof(says.reason)] = '\0';
    reason[1] = '\n';
    reason[2] = '\x1b';
    assert_int_equal(decide(RECORDING_REFUSE, NULL, reason), RECORDING_REFUSE);
    assert_int_equal(strlen(answer.reason), sizeof(says.reason) - 1);
    assert_memory_equal(answer.reason, "x  x", 4);
}

static void only_known_verdicts_let_bytes_through(void **state)
{
    (void)state;
    assert_true(answer_allows(RECORDING_CONTINUE));
    assert_true(answer_allows(RECORDING_DEGRADED));
    assert_false(answer_allows(RECORDING_END));
    assert_false(answer_allows(-1));
    assert_false(answer_allows(77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_clearly_is_obeyed),
        cmocka_unit_test(a_decision_that_is_not_known_is_a_refusal_with_a_reason),
        cmocka_unit_test(a_recording_without_a_session_is_a_refusal),
        cmocka_unit_test(a_session_that_is_not_recorded_is_not_used),
        cmocka_unit_test(texts_end_and_are_one_line),
        cmocka_unit_test(only_known_verdicts_let_bytes_through),
    };
    return cmocka_run_group_tests_name("host_answer", tests, NULL, NULL);
}
