/* The proxy's log: lines on standard error, `castbucket-proxy[PID]: level: text`, one write each,
 * so that lines of many processes never mix. What comes from outside is escaped here. */
#ifndef CASTBUCKET_PROXY_LOG_H
#define CASTBUCKET_PROXY_LOG_H

#include <stddef.h>

#include "plugin/recording_plugin.h"

#define PROGRAM "castbucket-proxy"

void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(RECORDING_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(RECORDING_LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(RECORDING_LOG_INFO, __VA_ARGS__)

/* Copies `text` as one printable line: control characters and bytes above 0x7e become \xHH. Always
 * NUL-terminates; cuts at `size`. For log lines, and for what is shown to a person. */
void log_escape(char *to, size_t size, const char *text);

#endif
