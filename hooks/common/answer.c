#include "hooks/common/answer.h"

#include <stdio.h>

void answer_one_line(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

static void make_refusal(struct recording_answer *answer, const char *reason)
{
    answer->decision = RECORDING_REFUSE;
    if (!answer->reason[0])
        snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}

enum recording_decision answer_of_session_open(const struct recording_plugin *plugin,
                                               struct recording_instance *instance,
                                               const struct recording_session_info *info,
                                               struct recording_session **session,
                                               struct recording_answer *answer)
{
    *session = NULL;
    *answer = (struct recording_answer){.size = sizeof(*answer)};
    plugin->session_open(instance, info, session, answer);
    answer_one_line(answer->session_id, sizeof(answer->session_id));
    answer_one_line(answer->reason, sizeof(answer->reason));
    if (answer->decision == RECORDING_RECORD && !*session)
        make_refusal(answer, "the recording plugin opened no session");
    else if (answer->decision != RECORDING_RECORD && answer->decision != RECORDING_IGNORE)
        make_refusal(answer, "the recording plugin does not allow it");
    if (answer->decision != RECORDING_RECORD)
        *session = NULL;
    return (enum recording_decision)answer->decision;
}

bool answer_allows(int verdict)
{
    return verdict == RECORDING_CONTINUE || verdict == RECORDING_DEGRADED;
}
