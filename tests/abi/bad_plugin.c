/* A recording plugin that keeps its side of the interface but for one thing, chosen when it is
 * compiled: -DBAD_name. It leaves nothing anywhere, so what a host shows is all that can be seen.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/recording_plugin.h"

static int create(const struct recording_host *host, const char *settings,
                  struct recording_instance **instance, struct recording_error *error)
{
    static char something;
    (void)host, (void)settings, (void)error;
    *instance = (void *)&something;
#if defined(BAD_error_without_end)
    memset(error->text, 'e', sizeof(error->text));
    return -1;
#elif defined(BAD_error_of_many_lines)
    strcpy(error->text, "first\nsecond\x1b[2Jthird");
    return -1;
#elif defined(BAD_silent_failure)
    return -1;
#else
    return 0;
#endif
}

static int start(struct recording_instance *instance, struct recording_error *error)
{
    (void)instance, (void)error;
    return 0;
}

static void session_open(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer)
{
    (void)info;
    *session = (void *)instance;
    answer->decision = RECORDING_RECORD;
#if defined(BAD_no_answer)
    answer->decision = 0;
#elif defined(BAD_unknown_decision)
    answer->decision = 4711;
#elif defined(BAD_no_session)
    *session = NULL;
#elif defined(BAD_reason_without_end)
    answer->decision = RECORDING_REFUSE;
    memset(answer->reason, 'r', sizeof(answer->reason));
#elif defined(BAD_reason_that_paints)
    answer->decision = RECORDING_REFUSE;
    strcpy(answer->reason, "\x1b]0;title\x07\nno");
#elif defined(BAD_session_though_ignored)
    answer->decision = RECORDING_IGNORE;
#endif
}

static int judge(const struct recording_session *session)
{
    (void)session;
#if defined(BAD_session_though_ignored)
    abort(); /* nobody may call us about it */
#elif defined(BAD_unknown_verdict)
    return session ? 77 : RECORDING_END;
#elif defined(BAD_negative_verdict)
    return session ? -1 : RECORDING_END;
#else
    return session ? RECORDING_CONTINUE : RECORDING_END;
#endif
}

__attribute__((unused)) static int output(struct recording_session *session, int stream,
                                          const void *data, size_t length)
{
    (void)stream, (void)data, (void)length;
    return judge(session);
}

static int input(struct recording_session *session, const void *data, size_t length)
{
    (void)data, (void)length;
    return judge(session);
}

static int resize(struct recording_session *session, uint32_t columns, uint32_t rows)
{
    (void)columns, (void)rows;
    return judge(session);
}

static int marker(struct recording_session *session, const char *label)
{
    (void)label;
    return judge(session);
}

static int session_close(struct recording_session *session, const struct recording_exit *how)
{
    (void)how;
    return judge(session);
}

static int quiesce(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error)
{
    (void)instance, (void)milliseconds, (void)error;
    return 0;
}

static void destroy(struct recording_instance *instance)
{
    (void)instance;
}

static const struct recording_plugin table = {
#if defined(BAD_size_of_nothing)
    .size = 0,
#elif defined(BAD_short_table)
    .size = offsetof(struct recording_plugin, quiesce),
#else
    .size = sizeof(table),
#endif
#if defined(BAD_other_major)
    .major = RECORDING_PLUGIN_MAJOR + 1,
#else
    .major = RECORDING_PLUGIN_MAJOR,
#endif
#if defined(GOOD_newer_minor)
    .minor = RECORDING_PLUGIN_MINOR + 7,
#else
    .minor = RECORDING_PLUGIN_MINOR,
#endif
    .name = "bad",
    .version = "1",
    .create = create,
    .start = start,
    .session_open = session_open,
#if defined(BAD_no_output)
    .output = NULL,
#else
    .output = output,
#endif
    .input = input,
    .resize = resize,
    .marker = marker,
    .session_close = session_close,
    .quiesce = quiesce,
    .destroy = destroy,
};

__attribute__((visibility("default"))) recording_plugin_entry_fn recording_plugin_entry;

const struct recording_plugin *recording_plugin_entry(const struct recording_host *host,
                                                      struct recording_error *error)
{
    (void)host, (void)error;
#if defined(BAD_no_table)
    return NULL;
#else
    return &table;
#endif
}
