#include "recorder/base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "recorder/base/text.h"

static void to_standard_error(void *context, enum log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    (void)context;
    fprintf(stderr, "castbucket: %s: %s\n", names[level], line);
}

static log_sink *current_sink = to_standard_error;
static void *current_context;
static enum log_level current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink *sink, void *context)
{
    current_sink = sink ? sink : to_standard_error;
    current_context = sink ? context : NULL;
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
    current_sink(current_context, level, line);
}
