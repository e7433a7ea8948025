/* The log: one line an event, `level message`, with a sink that the program or the host chooses.
 *
 * Only sessions and uploads log; everything below returns errors. Messages are escaped here, so a
 * hostile name can neither break a line nor forge one. Safe from any thread. */
#ifndef CASTBUCKET_BASE_LOG_H
#define CASTBUCKET_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Receives one escaped line without a newline. Must be safe from any thread. */
typedef void log_sink(void *context, enum log_level level, const char *line);

/* NULL: standard error, as "castbucket: level: line". Call before other threads exist. */
void log_set_sink(log_sink *sink, void *context);

/* Lines above this level are not written. Default: info. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
