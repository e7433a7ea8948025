#include "hooks/proxy/recording.h"

#include <stdio.h>

#include "hooks/common/answer.h"
#include "hooks/proxy/log.h"

int recording_open(struct recording *recording, const struct recording_plugin *plugin,
                   struct recording_instance *instance, const struct recording_session_info *info,
                   char *reason, size_t size)
{
    struct recording_answer answer;
    *recording = (struct recording){.plugin = plugin};
    switch (answer_of_session_open(plugin, instance, info, &recording->session, &answer)) {
    case RECORDING_RECORD:
        snprintf(recording->id, sizeof(recording->id), "%s", answer.session_id);
        log_info("session %s: %s on %s is recorded", answer.session_id, info->user, info->socket);
        return 0;
    case RECORDING_IGNORE:
        log_info("session of %s on %s is not recorded: %s", info->user, info->socket,
                 answer.reason);
        return 0;
    default:
        log_escape(reason, size, answer.reason);
        log_warning("session of %s on %s is refused: %s", info->user, info->socket, reason);
        return -1;
    }
}

static int obey(struct recording *recording, int verdict)
{
    if (!answer_allows(verdict)) {
        log_error("session %s: cannot be recorded any more, and is ended", recording->id);
        return -1;
    }
    if (verdict == RECORDING_DEGRADED && !recording->degraded)
        log_warning("session %s: not all of it is recorded", recording->id);
    recording->degraded = recording->degraded || verdict == RECORDING_DEGRADED;
    return 0;
}

int recording_output(struct recording *recording, int stream, const void *data, size_t length)
{
    if (!recording->session)
        return 0;
    return obey(recording, recording->plugin->output(recording->session, stream, data, length));
}

int recording_input(struct recording *recording, const void *data, size_t length)
{
    if (!recording->session)
        return 0;
    return obey(recording, recording->plugin->input(recording->session, data, length));
}

int recording_resize(struct recording *recording, uint32_t columns, uint32_t rows)
{
    if (!recording->session)
        return 0;
    return obey(recording, recording->plugin->resize(recording->session, columns, rows));
}

int recording_marker(struct recording *recording, const char *label)
{
    if (!recording->session)
        return 0;
    return obey(recording, recording->plugin->marker(recording->session, label));
}

void recording_close(struct recording *recording, const struct recording_exit *how)
{
    if (!recording->session)
        return;
    struct recording_session *session = recording->session;
    recording->session = NULL;
    if (recording->plugin->session_close(session, how) != RECORDING_CONTINUE)
        log_warning("session %s: its end could not be recorded", recording->id);
}
