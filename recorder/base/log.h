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

/* For a library, which may be used several times in one process (a plugin's instances): a sink that
 * goes before what log_set_sink() chose, from log_output_add() to log_output_remove(). There is one
 * log per process and not one per user of it: every line goes to the sink that was added last of
 * those still there, whichever instance it is about. Taking one away leaves the others as they
 * were, and once that returned, nothing calls its sink any more. From any thread, but not from a
 * sink. The struct is the caller's, and must stay where it is while it is added. */
struct log_output {
    log_sink *sink;
    void *context;
    struct log_output *below; /* the log's own */
};
void log_output_add(struct log_output *output);
void log_output_remove(struct log_output *output); /* one that was not added: does nothing */

/* Lines above this level are not written. Default: info. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
