/* The proxy's log: lines on standard error, one write each, so that lines of many processes never
 * mix. What comes from outside is escaped here. From any thread, but log_set_* before there are
 * any.
 *
 * As text: `castbucket-proxy[PID]: level: message`. As JSON: an object with "time" (RFC 3339, UTC,
 * microseconds), "level", "pid", "connection" (where a line is of one) and "message". When standard
 * error is the journal itself (JOURNAL_STREAM, systemd.exec(5)), a line begins with its priority,
 * <3> to <7> (sd-daemon(3)), which the journal takes off. */
#ifndef CASTBUCKET_PROXY_LOG_H
#define CASTBUCKET_PROXY_LOG_H

#include <stddef.h>

#include "plugin/recording_plugin.h"

#define PROGRAM "castbucket-proxy"

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Default: text. */
void log_set_format(enum log_format format);

/* The id of the connection that this process serves: constant, hex digits. */
void log_set_connection(const char *id);

void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(RECORDING_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(RECORDING_LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(RECORDING_LOG_INFO, __VA_ARGS__)

/* Copies `text` as one printable line: control characters and bytes above 0x7e become \xHH. Always
 * NUL-terminates; cuts at `size`. For log lines, and for what is shown to a person. */
void log_escape(char *to, size_t size, const char *text);

#endif
