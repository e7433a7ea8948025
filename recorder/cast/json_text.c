#include "recorder/cast/json_text.h"

#include <string.h>

#include "recorder/base/error.h"
#include "recorder/cast/text_run.h"

/* How a byte is written, whatever is around it. */
struct form {
    char text[7];
    uint8_t length; /* 0: a lead byte; then text is what utf8_next() knows of it: the
                       character's length, the lowest and the highest second byte */
};

#define CODE(hex)                                                                                  \
    {                                                                                              \
        "\\u00" hex, 6                                                                             \
    }
#define SHORT(letter)                                                                              \
    {                                                                                              \
        "\\" letter, 2                                                                             \
    }
#define PLAIN(c) [c] = {{c}, 1}
#define PLAIN_4(c) PLAIN(c), PLAIN((c) + 1), PLAIN((c) + 2), PLAIN((c) + 3)
#define PLAIN_16(c) PLAIN_4(c), PLAIN_4((c) + 4), PLAIN_4((c) + 8), PLAIN_4((c) + 12)
#define WRONG(c) [c] = {UTF8_REPLACEMENT, 3}
#define WRONG_4(c) WRONG(c), WRONG((c) + 1), WRONG((c) + 2), WRONG((c) + 3)
#define WRONG_16(c) WRONG_4(c), WRONG_4((c) + 4), WRONG_4((c) + 8), WRONG_4((c) + 12)
#define LEAD(c, need, low, high) [c] = {{need, (char)(low), (char)(high)}, 0}
#define LEAD_3(c) LEAD(c, 3, 0x80, 0xbf)
#define LEAD_2(c) LEAD(c, 2, 0x80, 0xbf), LEAD((c) + 1, 2, 0x80, 0xbf)
#define LEAD_2_8(c) LEAD_2(c), LEAD_2((c) + 2), LEAD_2((c) + 4), LEAD_2((c) + 6)

#define ONLCR 0x100 /* the place of the line feed that becomes CR LF */

/* RFC 8259, 7: control characters must be escaped. Continuation bytes, c0, c1 and what is above f4
 * begin no character. */
static const struct form forms[0x101] = {
    CODE("00"),
    CODE("01"),
    CODE("02"),
    CODE("03"),
    CODE("04"),
    CODE("05"),
    CODE("06"),
    CODE("07"),
    SHORT("b"),
    SHORT("t"),
    SHORT("n"),
    CODE("0b"),
    SHORT("f"),
    SHORT("r"),
    CODE("0e"),
    CODE("0f"),
    CODE("10"),
    CODE("11"),
    CODE("12"),
    CODE("13"),
    CODE("14"),
    CODE("15"),
    CODE("16"),
    CODE("17"),
    CODE("18"),
    CODE("19"),
    CODE("1a"),
    CODE("1b"),
    CODE("1c"),
    CODE("1d"),
    CODE("1e"),
    CODE("1f"),
    PLAIN(' '),
    PLAIN('!'),
    ['"'] = SHORT("\""),
    PLAIN('#'),
    PLAIN_4('$'),
    PLAIN_4('('),
    PLAIN_4(','),
    PLAIN_16('0'),
    PLAIN_16('@'),
    PLAIN_4('P'),
    PLAIN_4('T'),
    PLAIN_4('X'),
    ['\\'] = SHORT("\\"),
    PLAIN(']'),
    PLAIN('^'),
    PLAIN('_'),
    PLAIN_16('`'),
    PLAIN_16('p'),
    WRONG_16(0x80),
    WRONG_16(0x90),
    WRONG_16(0xa0),
    WRONG_16(0xb0),
    WRONG(0xc0),
    WRONG(0xc1),
    LEAD_2(0xc2),
    LEAD_2(0xc4),
    LEAD_2(0xc6),
    LEAD_2_8(0xc8),
    LEAD_2_8(0xd0),
    LEAD_2_8(0xd8),
    LEAD(0xe0, 3, 0xa0, 0xbf),
    LEAD_3(0xe1),
    LEAD_3(0xe2),
    LEAD_3(0xe3),
    LEAD_3(0xe4),
    LEAD_3(0xe5),
    LEAD_3(0xe6),
    LEAD_3(0xe7),
    LEAD_3(0xe8),
    LEAD_3(0xe9),
    LEAD_3(0xea),
    LEAD_3(0xeb),
    LEAD_3(0xec),
    LEAD(0xed, 3, 0x80, 0x9f),
    LEAD_3(0xee),
    LEAD_3(0xef),
    LEAD(0xf0, 4, 0x90, 0xbf),
    LEAD(0xf1, 4, 0x80, 0xbf),
    LEAD(0xf2, 4, 0x80, 0xbf),
    LEAD(0xf3, 4, 0x80, 0xbf),
    LEAD(0xf4, 4, 0x80, 0x8f),

    WRONG(0xf5),
    WRONG(0xf6),
    WRONG(0xf7),
    WRONG_4(0xf8),
    WRONG_4(0xfc),
    [ONLCR] = {"\\r\\n", 4},
};

static inline const struct form *form_of(uint8_t byte, bool onlcr)
{
    return &forms[byte == '\n' && onlcr ? ONLCR : byte];
}

char *json_text_write(char *to, const uint8_t **from, const uint8_t *end, bool onlcr,
                      enum utf8_state *state, size_t *length)
{
    const uint8_t *p = *from;
    *state = UTF8_GOOD;
    while (p < end) {
        if (*p < 0x80 && forms[*p].length > 1) {
            const struct form *form = form_of(*p, onlcr);
            memcpy(to, form->text, sizeof(form->text));
            to += form->length;
            p++;
            continue;
        }
        if (*p >= 0x80) {
            *state = utf8_next(p, (size_t)(end - p), length);
            if (*state != UTF8_GOOD)
                break;
        }
        /* It begins with a whole character, so it is not empty. */
        size_t run = text_run_copy(to, p, (size_t)(end - p));
        to += run;
        p += run;
    }
    *from = p;
    return to;
}

/* utf8_next() without branches, for a lead byte that has three bytes after it. How many bytes are
 * the character, or the ill-formed part if *right becomes 0. */
static inline size_t lead_length(const struct form *lead, const uint8_t *p, size_t *right)
{
    size_t need = (uint8_t)lead->text[0];
    size_t second = p[1] >= (uint8_t)lead->text[1] && p[1] <= (uint8_t)lead->text[2];
    size_t third = second & (p[2] >> 6 == 2), fourth = third & (p[3] >> 6 == 2);
    size_t length = 1 + second + third + fourth;
    length = length < need ? length : need;
    *right = (size_t)(length < need) - 1;
    return length;
}

/* A byte at a time: what a byte is changes too often for anything that looks at more at once, and
 * for branches by it to be foreseen, so there is one only, for lead bytes. */
char *json_text_write_ill_formed(char *to, const uint8_t **from, size_t gap, const uint8_t *end,
                                 bool onlcr)
{
    const uint8_t *p = *from;
    /* How far we are past the end of the last ill-formed part, here and there. */
    size_t past = 0, past_to = 0;
    while (p < end && past < gap) {
        const struct form *form = form_of(*p, onlcr);
        size_t length = 1, written = form->length, right = (*p >> 7) - (size_t)1;
        memcpy(to, form, sizeof(*form));
        if (!written) {
            char text[4] = {0};
            if (end - p >= 4) {
                length = lead_length(form, p, &right);
                memcpy(text, p, 4);
            } else {
                enum utf8_state state = utf8_next(p, (size_t)(end - p), &length);
                if (state == UTF8_CUT)
                    break;
                right = state == UTF8_GOOD ? SIZE_MAX : 0;
                memcpy(text, p, length);
            }
            uint32_t as_is, replaced;
            memcpy(&as_is, text, 4);
            memcpy(&replaced, UTF8_REPLACEMENT, 4); /* its NUL, too */
            as_is = (as_is & (uint32_t)right) | (replaced & ~(uint32_t)right);
            memcpy(to, &as_is, 4);
            written = (length & right) | (3 & ~right);
        }
        p += length;
        to += written;
        past = (past + length) & right;
        past_to = (past_to + written) & right;
    }
    *from = p - past;
    return to - past_to;
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
        to = json_text_write(to, &p, end, false, &state, &part);
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
