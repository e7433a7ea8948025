#include "hooks/proxy/key_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hooks/proxy/address_patterns.h"
#include "hooks/proxy/config.h"

#define MAX_NAME_SHOWN 48

enum kind { UNKNOWN, RIGHT, RESTRICT, FROM, EXPIRY, PERMIT_OPEN, PERMIT_LISTEN, COMMAND };

struct known {
    const char *name;
    enum kind kind;
    enum key_right right;
    bool forbids;
};

static const struct known known[] = {
    {"restrict", RESTRICT, 0, true},
    {"port-forwarding", RIGHT, KEY_PORT_FORWARDING, false},
    {"no-port-forwarding", RIGHT, KEY_PORT_FORWARDING, true},
    {"agent-forwarding", RIGHT, KEY_AGENT_FORWARDING, false},
    {"no-agent-forwarding", RIGHT, KEY_AGENT_FORWARDING, true},
    {"X11-forwarding", RIGHT, KEY_X11_FORWARDING, false},
    {"no-X11-forwarding", RIGHT, KEY_X11_FORWARDING, true},
    {"pty", RIGHT, KEY_PTY, false},
    {"no-pty", RIGHT, KEY_PTY, true},
    {"user-rc", RIGHT, KEY_USER_RC, false},
    {"no-user-rc", RIGHT, KEY_USER_RC, true},
    {"from", FROM, 0, false},
    {"expiry-time", EXPIRY, 0, false},
    {"permitopen", PERMIT_OPEN, 0, false},
    {"permitlisten", PERMIT_LISTEN, 0, false},
    {"command", COMMAND, 0, false},
};
#define KNOWN (sizeof(known) / sizeof(*known))

struct parser {
    struct key_options *options;
    char *at;
    char *reason;
    bool seen[KNOWN];
};

__attribute__((format(printf, 2, 3))) static int refuse(struct parser *parser, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->reason, KEY_OPTIONS_REASON_SIZE, format, arguments);
    va_end(arguments);
    return -1;
}

static const struct known *find(const char *name, size_t length)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strlen(known[i].name) == length && strncasecmp(known[i].name, name, length) == 0)
            return &known[i];
    return NULL;
}

/* Takes the quotes off, in place; `text` is behind the first. Returns what is behind the last, or
 * NULL when there is none. */
static char *take_quotes_off(char *text)
{
    char *to = text;
    for (char *from = text; *from; from++) {
        if (*from == '"') {
            *to = '\0';
            return from + 1;
        }
        if (*from == '\\' && from[1] == '"')
            from++;
        *to++ = *from;
    }
    return NULL;
}

static int number(const char *digits, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++)
        value = value * 10 + (digits[i] - '0');
    return value;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* YYYYMMDD[HHMM[SS]], in local time or, with a Z, in UTC. Returns whether there is such a time. */
static bool read_time(const char *text, time_t *when)
{
    size_t digits = strspn(text, "0123456789");
    bool utc = strcasecmp(text + digits, "Z") == 0;
    if ((digits != 8 && digits != 12 && digits != 14) || (text[digits] && !utc))
        return false;
    int year = number(text, 4), month = number(text + 4, 2), day = number(text + 6, 2);
    struct tm time = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_isdst = -1};
    if (digits >= 12) {
        time.tm_hour = number(text + 8, 2);
        time.tm_min = number(text + 10, 2);
    }
    if (digits == 14)
        time.tm_sec = number(text + 12, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of(year, month) ||
        time.tm_hour > 23 || time.tm_min > 59 || time.tm_sec > 59)
        return false;
    *when = utc ? timegm(&time) : mktime(&time);
    return *when != (time_t)-1;
}

/* `bare`: two bytes before the value are free for what a port alone leaves out. */
static int take_permit(struct parser *parser, const char *name, char *value, bool bare,
                       const char **list, size_t *count)
{
    if (bare && value[strspn(value, "0123456789*")] == '\0') {
        *--value = ':';
        *--value = '*';
    }
    if (!config_is_destination(value))
        return refuse(parser, "option \"%s\": \"%.*s\" is not %s (* stands for any)", name,
                      MAX_NAME_SHOWN, value, bare ? "[host:]port" : "host:port");
    if (*count == KEY_OPTIONS_MAX_PERMITS)
        return refuse(parser, "option \"%s\": there are more than %d", name,
                      KEY_OPTIONS_MAX_PERMITS);
    list[(*count)++] = value;
    return 0;
}

static int take_value(struct parser *parser, const struct known *option, char *value)
{
    struct key_options *options = parser->options;
    char wrong[KEY_OPTIONS_REASON_SIZE - 32];
    switch (option->kind) {
    case FROM:
        options->from = value;
        return address_patterns_check(value, wrong, sizeof(wrong)) < 0
                   ? refuse(parser, "option \"from\": %s", wrong)
                   : 0;
    case EXPIRY:
        options->expires = true;
        return read_time(value, &options->expiry)
                   ? 0
                   : refuse(parser, "option \"expiry-time\": \"%.*s\" is not YYYYMMDD[HHMM[SS]][Z]",
                            MAX_NAME_SHOWN, value);
    case PERMIT_OPEN:
        return take_permit(parser, option->name, value, false, options->permit_open,
                           &options->permit_open_count);
    case PERMIT_LISTEN:
        return take_permit(parser, option->name, value, true, options->permit_listen,
                           &options->permit_listen_count);
    default:
        options->command = value;
        return strlen(value) <= KEY_OPTIONS_MAX_COMMAND
                   ? 0
                   : refuse(parser, "option \"command\": has more than %d bytes",
                            KEY_OPTIONS_MAX_COMMAND);
    }
}

static int take_flag(struct parser *parser, const struct known *option)
{
    if (option->kind == RESTRICT) {
        for (int i = 0; i < KEY_RIGHT_COUNT; i++)
            parser->options->forbids[i] = true;
        return 0;
    }
    for (size_t i = 0; i < KNOWN; i++)
        if (parser->seen[i] && known[i].kind == RIGHT && known[i].right == option->right &&
            known[i].forbids != option->forbids)
            return refuse(parser, "option \"%s\" contradicts \"%s\"", option->name, known[i].name);
    parser->options->forbids[option->right] = option->forbids;
    return 0;
}

static int take_option(struct parser *parser)
{
    char *name = parser->at;
    size_t length = strcspn(name, "=,\"");
    const struct known *option = find(name, length);
    int shown = length < MAX_NAME_SHOWN ? (int)length : MAX_NAME_SHOWN;
    char *after = name + length, *value = NULL;
    if (length == 0)
        return refuse(parser, "an option without a name");
    if (!option)
        return refuse(parser, "option \"%.*s\" is not implemented by this proxy", shown, name);
    bool wants_value = option->kind != RIGHT && option->kind != RESTRICT;
    if (wants_value != (*after == '='))
        return refuse(parser, "option \"%s\" %s", option->name,
                      wants_value ? "has no value" : "takes no value");
    if (wants_value) {
        if (after[1] != '"')
            return refuse(parser, "option \"%s\": its value is not in double quotes", option->name);
        value = after + 2;
        after = take_quotes_off(value);
        if (!after)
            return refuse(parser, "option \"%s\": a double quote is missing", option->name);
        if (!*value)
            return refuse(parser, "option \"%s\" is empty", option->name);
    }
    if (*after && (*after != ',' || !after[1]))
        return refuse(parser, "option \"%s\" is not followed by a comma and another one",
                      option->name);
    if (parser->seen[option - known] && option->kind != PERMIT_OPEN &&
        option->kind != PERMIT_LISTEN)
        return refuse(parser, "option \"%s\" is given twice", option->name);
    parser->seen[option - known] = true;
    parser->at = *after ? after + 1 : after;
    return wants_value ? take_value(parser, option, value) : take_flag(parser, option);
}

int key_options_parse(struct key_options *options, const char *text,
                      char reason[KEY_OPTIONS_REASON_SIZE])
{
    struct parser parser = {.options = options, .reason = reason};
    *options = (struct key_options){0};
    reason[0] = '\0';
    if (strlen(text) > KEY_OPTIONS_MAX_LENGTH)
        return refuse(&parser, "the options have more than %zu bytes", KEY_OPTIONS_MAX_LENGTH);
    if (!(parser.at = options->text = strdup(text)))
        return refuse(&parser, "out of memory");
    do {
        if (take_option(&parser) < 0) {
            key_options_clear(options);
            return -1;
        }
    } while (*parser.at);
    return 0;
}

bool key_options_admit(const struct key_options *options, const char *address, time_t now,
                       char reason[KEY_OPTIONS_REASON_SIZE])
{
    reason[0] = '\0';
    if (options->expires && now > options->expiry)
        snprintf(reason, KEY_OPTIONS_REASON_SIZE, "option \"expiry-time\": its time has passed");
    else if (options->from && !address_patterns_match(options->from, address))
        snprintf(reason, KEY_OPTIONS_REASON_SIZE, "option \"from\" does not admit %.*s",
                 MAX_NAME_SHOWN, address);
    return !reason[0];
}

void key_options_clear(struct key_options *options)
{
    free(options->text);
    *options = (struct key_options){0};
}
