#include "recorder/cast/event_line.h"

#include <stdbool.h>
#include <string.h>

#include "recorder/base/error.h"
#include "recorder/cast/plain_run.h"
#include "recorder/cast/utf8.h"

struct cursor {
    const uint8_t *at, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
        c->at++;
}

static bool take(struct cursor *c, char expected)
{
    if (c->at == c->end || *c->at != (uint8_t)expected)
        return false;
    c->at++;
    return true;
}

/* The next character after space. */
static bool take_token(struct cursor *c, char expected)
{
    skip_space(c);
    return take(c, expected);
}

static bool is_digit(const struct cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* A decimal number: its first 18 digits, and the power of ten that they are to be multiplied by. */
struct decimal {
    uint64_t digits;
    int power;
};

#define MOST_DIGITS UINT64_C(100000000000000000)

static void take_digits(struct cursor *c, struct decimal *number, int power)
{
    for (; is_digit(c); c->at++) {
        bool room = number->digits < MOST_DIGITS;
        if (room)
            number->digits = number->digits * 10 + (uint64_t)(*c->at - '0');
        /* A digit that is kept moves the point by `power` (0 or -1), one that is not by one more.
         */
        if (number->power < 100000 && number->power > -100000)
            number->power += room ? power : power + 1;
    }
}

static bool take_exponent(struct cursor *c, struct decimal *number)
{
    int exponent = 0;
    bool negative = take(c, '-');
    if (!negative)
        take(c, '+');
    if (!is_digit(c))
        return false;
    for (; is_digit(c); c->at++)
        if (exponent < 1000000)
            exponent = exponent * 10 + (*c->at - '0');
    number->power += negative ? -exponent : exponent;
    return true;
}

static bool to_ns(struct decimal number, int64_t *ns)
{
    uint64_t value = number.digits;
    uint64_t dropped = 0;
    int power = number.power + 9;
    for (; power < 0 && (value || dropped); power++) {
        dropped = value % 10;
        value /= 10;
    }
    for (; power > 0 && value; power--) {
        if (value > INT64_MAX / 10)
            return false;
        value *= 10;
    }
    *ns = (int64_t)(value + (dropped >= 5));
    return true;
}

/* JSON's grammar for numbers, in integers: strtod() depends on the host's locale. */
static bool take_time(struct cursor *c, int64_t *ns)
{
    struct decimal number = {0};
    skip_space(c);
    bool negative = take(c, '-');
    if (!is_digit(c))
        return false;
    if (*c->at == '0') {
        c->at++;
        if (is_digit(c))
            return false;
    } else {
        take_digits(c, &number, 0);
    }
    if (take(c, '.')) {
        if (!is_digit(c))
            return false;
        take_digits(c, &number, -1);
    }
    if ((take(c, 'e') || take(c, 'E')) && !take_exponent(c, &number))
        return false;
    if (negative)
        number.digits = 0;
    return to_ns(number, ns);
}

static bool take_hex(struct cursor *c, uint32_t *code)
{
    if (c->end - c->at < 4)
        return false;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t digit = *c->at++;
        if (digit >= '0' && digit <= '9')
            digit = (uint8_t)(digit - '0');
        else if ((digit | 32) >= 'a' && (digit | 32) <= 'f')
            digit = (uint8_t)((digit | 32) - 'a' + 10);
        else
            return false;
        *code = *code << 4 | digit;
    }
    return true;
}

static char *put_character(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

/* What follows a backslash; NULL if nothing that JSON knows does. */
static char *take_escape(struct cursor *c, char *to)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (c->at == c->end)
        return NULL;
    uint8_t letter = *c->at++;
    if (letter != 'u') {
        const char *found = letter ? strchr(letters, letter) : NULL;
        if (!found)
            return NULL;
        *to++ = meanings[found - letters];
        return to;
    }
    uint32_t code, low;
    if (!take_hex(c, &code) || (code >= 0xdc00 && code <= 0xdfff))
        return NULL;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(c, '\\') || !take(c, 'u') || !take_hex(c, &low) || low < 0xdc00 || low > 0xdfff)
            return NULL;
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    }
    return put_character(to, code);
}

/* A string's text is never longer than the string. */
static char *take_string(struct cursor *c, char *to)
{
    if (!take_token(c, '"'))
        return NULL;
    while (c->at < c->end) {
        size_t run = plain_run(c->at, (size_t)(c->end - c->at));
        memcpy(to, c->at, run);
        to += run;
        c->at += run;
        if (c->at == c->end)
            break;
        if (*c->at == '"') {
            c->at++;
            return to;
        }
        if (*c->at == '\\') {
            c->at++;
            to = take_escape(c, to);
            if (!to)
                break;
        } else {
            size_t length;
            if (*c->at < 0x20 || utf8_next(c->at, (size_t)(c->end - c->at), &length) != UTF8_GOOD)
                break;
            memcpy(to, c->at, length);
            to += length;
            c->at += length;
        }
    }
    return NULL;
}

int event_line_parse(const char *line, size_t length, struct event_line *event, struct buffer *text,
                     const char **problem)
{
    struct cursor c = {(const uint8_t *)line, (const uint8_t *)line + length};
    *problem = "there is no memory for it";
    buffer_clear(text);
    int rc = buffer_reserve(text, length);
    if (rc)
        return rc;
    if (!take_token(&c, '[')) {
        *problem = "an event must be a JSON array";
        return ERR_DAMAGED;
    }
    if (!take_time(&c, &event->time_ns)) {
        *problem = "an event must start with its time, a number below 292 years";
        return ERR_DAMAGED;
    }
    char *end = take_token(&c, ',') ? take_string(&c, text->data) : NULL;
    if (!end || end != text->data + 1) {
        *problem = "an event's code must be a string of one character";
        return ERR_DAMAGED;
    }
    event->code = text->data[0];
    end = take_token(&c, ',') ? take_string(&c, text->data) : NULL;
    if (!end) {
        *problem = "an event's data must be a JSON string in UTF-8";
        return ERR_DAMAGED;
    }
    if (take_token(&c, ']')) {
        skip_space(&c);
        if (c.at == c.end) {
            text->length = (size_t)(end - text->data);
            *end = '\0';
            return 0;
        }
    }
    *problem = "an event must have three elements and nothing after them";
    return ERR_DAMAGED;
}
