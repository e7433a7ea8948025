/* The one symbol of castbucket-recorder.so. */
#include <pthread.h>
#include <stdlib.h>

#include "recorder/base/log.h"
#include "recorder/service/recorder.h"

/* A recorder that was started, and the log of the host that did; set before its threads exist. */
struct started {
    struct log_output output;
    void (*log)(void *context, int level, const char *line);
    void *log_context;
    struct recorder *recorder;
    struct started *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct started *all;

static void pass_on(void *context, enum log_level level, const char *line)
{
    const struct started *started = context;
    started->log(started->log_context, (int)level, line);
}

static int start(const char *settings_path, void (*log)(void *context, int level, const char *line),
                 void *log_context, struct recorder **recorder, struct error *error)
{
    struct started *made = calloc(1, sizeof(*made));
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory to start the recorder");
    made->log = log;
    made->log_context = log_context;
    made->output = (struct log_output){.sink = pass_on, .context = made};
    if (log)
        log_output_add(&made->output);
    int rc = recorder_start(settings_path, &clock_system, recorder, error);
    if (rc) {
        log_output_remove(&made->output);
        free(made);
        return rc;
    }
    made->recorder = *recorder;
    pthread_mutex_lock(&lock);
    made->next = all;
    all = made;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void stop(struct recorder *recorder, unsigned milliseconds)
{
    pthread_mutex_lock(&lock);
    struct started **at = &all;
    while (*at && (*at)->recorder != recorder)
        at = &(*at)->next;
    struct started *found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&lock);
    recorder_stop(recorder, milliseconds);
    if (found)
        log_output_remove(&found->output);
    free(found);
}

extern const struct recorder_library castbucket_recorder_library;

__attribute__((visibility("default"))) const struct recorder_library castbucket_recorder_library = {
    .version = CASTBUCKET_VERSION,
    .start = start,
    .stop = stop,
};
