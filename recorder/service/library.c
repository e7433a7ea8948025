/* The one symbol of castbucket-recorder.so. */
#include "recorder/base/log.h"
#include "recorder/service/recorder.h"

/* The host's log; set before the recorder's threads exist, and the same for all recorders of a
 * process, as the log itself is. */
static void (*host_log)(void *context, int level, const char *line);

static void pass_on(void *context, enum log_level level, const char *line)
{
    host_log(context, (int)level, line);
}

static int start(const char *settings_path, void (*log)(void *context, int level, const char *line),
                 void *log_context, struct recorder **recorder, struct error *error)
{
    host_log = log;
    log_set_sink(log ? pass_on : NULL, log_context);
    return recorder_start(settings_path, &clock_system, recorder, error);
}

extern const struct recorder_library castbucket_recorder_library;

__attribute__((visibility("default"))) const struct recorder_library castbucket_recorder_library = {
    .version = CASTBUCKET_VERSION,
    .start = start,
    .stop = recorder_stop,
};
