#include "recorder/cast/json_text.h"

#include <string.h>

#include "recorder/base/error.h"
#include "recorder/cast/text_run.h"

struct escape {
    char text[7];
    uint8_t length;
};

#define CODE(hex)                                                                                  \
    {                                                                                              \
        "\\u00" hex, 6                                                                             \
    }
#define SHORT(letter)                                                                              \
    {                                                                                              \
        "\\" letter, 2                                                                             \
    }

/* RFC 8259, 7: control characters must be escaped. The rest of the ASCII characters have a length
 * of 0. */
#define ONLCR 0x80 /* the place of the line feed that becomes CR LF */

static const struct escape escapes[0x81] = {
    CODE("00"), CODE("01"), CODE("02"),          CODE("03"),           CODE("04"),
    CODE("05"), CODE("06"), CODE("07"),          SHORT("b"),           SHORT("t"),
    SHORT("n"), CODE("0b"), SHORT("f"),          SHORT("r"),           CODE("0e"),
    CODE("0f"), CODE("10"), CODE("11"),          CODE("12"),           CODE("13"),
    CODE("14"), CODE("15"), CODE("16"),          CODE("17"),           CODE("18"),
    CODE("19"), CODE("1a"), CODE("1b"),          CODE("1c"),           CODE("1d"),
    CODE("1e"), CODE("1f"), ['"'] = SHORT("\""), ['\\'] = SHORT("\\"), [ONLCR] = {"\\r\\n", 4},
};

char *json_text_write(char *to, const uint8_t **from, const uint8_t *limit, const uint8_t *end,
                      bool onlcr, enum utf8_state *state, size_t *length)
{
    const uint8_t *p = *from;
    *state = UTF8_GOOD;
    while (p < limit) {
        if (*p < 0x80 && escapes[*p].length) {
            const struct escape *escape = &escapes[*p == '\n' && onlcr ? ONLCR : *p];
            memcpy(to, escape->text, sizeof(escape->text));
            to += escape->length;
            p++;
            continue;
        }
        if (*p >= 0x80) {
            *state = utf8_next(p, (size_t)(end - p), length);
            if (*state != UTF8_GOOD)
                break;
            if (*length > (size_t)(limit - p)) {
                memcpy(to, p, *length);
                to += *length;
                p += *length;
                break;
            }
        }
        /* It begins with a whole character, so it is not empty. */
        size_t run = text_run_copy(to, p, (size_t)(limit - p));
        to += run;
        p += run;
    }
    *from = p;
    return to;
}

int json_text_append(struct buffer *out, const char *text, size_t length)
{
    if (length > out->limit)
        return ERR_LIMIT;
    int rc = buffer_reserve(out, length * JSON_TEXT_GROWTH + JSON_TEXT_SLACK + 2);
    if (rc)
        return rc;
    const uint8_t *p = (const uint8_t *)text, *end = p + length;
    char *to = out->data + out->length;
    *to++ = '"';
    for (;;) {
        enum utf8_state state;
        size_t part;
        to = json_text_write(to, &p, end, end, false, &state, &part);
        if (state == UTF8_GOOD)
            break;
        memcpy(to, UTF8_REPLACEMENT, 3);
        to += 3;
        p += part;
    }
    *to++ = '"';
    *to = '\0';
    out->length = (size_t)(to - out->data);
    return 0;
}

int json_text_member(struct buffer *out, const char *name, const char *text, unsigned *members)
{
    if (!text || !*text)
        return 0;
    int rc = buffer_printf(out, "%s\"%s\":", *members ? "," : "", name);
    if (!rc)
        rc = json_text_append(out, text, strlen(text));
    if (!rc)
        *members += 1;
    return rc;
}
