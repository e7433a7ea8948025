#include "recorder/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/text.h"

/* Uses at most `size` bytes of the text. */
static void set_text(struct error *error, size_t size, const char *format, va_list arguments)
{
    char raw[sizeof(error->text)];
    vsnprintf(raw, sizeof(raw), format, arguments);
    text_escape(error->text, size, raw);
}

/* What is escaped already stays as it is; what is cut is cut between characters. */
static void append(struct error *error, const char *text)
{
    char rest[sizeof(error->text) + 2];
    size_t used = strlen(error->text);
    snprintf(rest, sizeof(rest), ": %s", text);
    text_escape(error->text + used, sizeof(error->text) - used, rest);
}

int error_set(struct error *error, int code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        set_text(error, sizeof(error->text), format, arguments);
        va_end(arguments);
        error->code = code;
    }
    return code;
}

static int code_of_errno(int number)
{
    switch (number) {
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    default:
        return ERR_SYSTEM;
    }
}

int error_system(struct error *error, const char *format, ...)
{
    int number = errno;
    int code = code_of_errno(number);
    if (error) {
        char buffer[128];
        const char *reason = strerror_r(number, buffer, sizeof(buffer));
        va_list arguments;
        va_start(arguments, format);
        set_text(error, sizeof(error->text) - strlen(reason) - 2, format, arguments);
        va_end(arguments);
        append(error, reason);
        error->code = code;
    }
    errno = number;
    return code;
}

void error_prefix(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    char cause[sizeof(error->text)];
    memcpy(cause, error->text, sizeof(cause));
    va_list arguments;
    va_start(arguments, format);
    set_text(error, sizeof(error->text) / 2, format, arguments);
    va_end(arguments);
    append(error, cause);
}

const char *error_name(int code)
{
    switch (code) {
    case 0:
        return "ok";
    case ERR_INVALID:
        return "invalid";
    case ERR_SYSTEM:
        return "system";
    case ERR_NO_MEMORY:
        return "no-memory";
    case ERR_LIMIT:
        return "limit";
    case ERR_NO_SPACE:
        return "no-space";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_EXISTS:
        return "exists";
    case ERR_DENIED:
        return "denied";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_RETRY:
        return "retry";
    case ERR_DAMAGED:
        return "damaged";
    case ERR_CANCELLED:
        return "cancelled";
    default:
        return "unknown";
    }
}
