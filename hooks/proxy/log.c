#include "hooks/proxy/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void log_escape(char *to, size_t size, const char *text)
{
    size_t used = 0;
    if (size == 0)
        return;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        char piece[8];
        int length = *p >= 0x20 && *p <= 0x7e ? snprintf(piece, sizeof(piece), "%c", *p)
                                              : snprintf(piece, sizeof(piece), "\\x%02x", *p);
        if (used + (size_t)length >= size)
            break;
        memcpy(to + used, piece, (size_t)length);
        used += (size_t)length;
    }
    to[used] = '\0';
}

void log_line(int level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    int saved = errno;
    char raw[2048], text[3072], line[3200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof(raw), format, arguments);
    va_end(arguments);
    log_escape(text, sizeof(text), raw);
    int length = snprintf(line, sizeof(line), PROGRAM "[%d]: %s: %s\n", (int)getpid(),
                          names[level < 0 || level > 3 ? 0 : level], text);
    /* Nothing can be done about a log that cannot be written. */
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        errno = saved;
    errno = saved;
}
