#include "hooks/proxy/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE 3072

static enum log_format chosen_format = LOG_FORMAT_TEXT;
static const char *connection_id;

void log_set_format(enum log_format format)
{
    chosen_format = format;
}

void log_set_connection(const char *id)
{
    connection_id = id;
}

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

/* The variable outlives what it is about: standard error may lead elsewhere by now. */
static bool is_journal(void)
{
    unsigned long long device, inode;
    struct stat st;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* Of printable ASCII. */
static void quote(char to[2 * MAX_MESSAGE], const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text;
    }
    *to = '\0';
}

static int make_json(char *line, size_t size, const char *level, const char *message)
{
    char text[2 * MAX_MESSAGE], when[24] = "", id[64] = "";
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &parts));
    quote(text, message);
    if (connection_id)
        snprintf(id, sizeof(id), ",\"connection\":\"%s\"", connection_id);
    return snprintf(line, size,
                    "{\"time\":\"%s.%06ldZ\",\"level\":\"%s\",\"pid\":%d%s,\"message\":\"%s\"}\n",
                    when, now.tv_nsec / 1000, level, (int)getpid(), id, text);
}

void log_line(int level, const char *format, ...)
{
    static const struct {
        const char *name, *priority;
    } levels[] = {{"error", "<3>"}, {"warning", "<4>"}, {"info", "<6>"}, {"debug", "<7>"}};
    int saved = errno, length = 0;
    char raw[2048], text[MAX_MESSAGE], line[2 * MAX_MESSAGE + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof(raw), format, arguments);
    va_end(arguments);
    log_escape(text, sizeof(text), raw);
    if (level < 0 || level > 3)
        level = 0;
    if (is_journal())
        length = snprintf(line, sizeof(line), "%s", levels[level].priority);
    char *rest = line + length;
    size_t size = sizeof(line) - (size_t)length;
    if (chosen_format == LOG_FORMAT_JSON)
        length += make_json(rest, size, levels[level].name, text);
    else
        length += snprintf(rest, size, PROGRAM "[%d]: %s: %s\n", (int)getpid(), levels[level].name,
                           text);
    /* Nothing can be done about a log that cannot be written. */
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        errno = saved;
    errno = saved;
}
