#include "recorder/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "recorder/base/text.h"

static void to_standard_error(void *context, enum log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)context;
    fprintf(stderr, "castbucket: %s: %s\n", names[level], line);
}

/* Read while a line is written, so that no sink goes away under it. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct log_output base = {.sink = to_standard_error};
static struct log_output *top = &base;
static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink *sink, void *context)
{
    base.sink = sink ? sink : to_standard_error;
    base.context = sink ? context : NULL;
}

void log_output_add(struct log_output *output)
{
    pthread_rwlock_wrlock(&lock);
    output->below = top;
    top = output;
    pthread_rwlock_unlock(&lock);
}

void log_output_remove(struct log_output *output)
{
    pthread_rwlock_wrlock(&lock);
    struct log_output **at = &top;
    while (*at && *at != output)
        at = &(*at)->below;
    if (*at)
        *at = output->below;
    pthread_rwlock_unlock(&lock);
}

void log_set_level(enum log_level level)
{
    current_level = level;
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > current_level)
        return;
    char raw[2048], line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof(raw), format, arguments);
    va_end(arguments);
    text_escape(line, sizeof(line), raw);
    pthread_rwlock_rdlock(&lock);
    top->sink(top->context, level, line);
    pthread_rwlock_unlock(&lock);
}
