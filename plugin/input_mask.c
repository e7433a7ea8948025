#include "plugin/input_mask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ECHOED 256 /* how much of the line's end is remembered */
#define SHOWN 1024 /* how much of an output line is looked at */
#define ENOUGH 3   /* characters that do not come by in other output by chance */
#define ESC 0x1b

/* What a held byte is. */
enum kind {
    CONTROL,  /* recorded as it is */
    LINE_END, /* a control that ends a line */
    START,    /* the first or only byte of a printable character */
    REST,     /* a later byte of it */
};

enum state { GROUND, AFTER_ESC, IN_CSI, IN_SS3, IN_STRING, IN_STRING_ESC };

struct input_mask {
    input_mask_sink *sink;
    void *context;
    enum state state; /* of the typed bytes */
    int64_t since_ns; /* when what is held became so, or last made progress */
    size_t held;
    size_t echoed_length;
    bool echoing; /* something of this line was shown */
    unsigned char bytes[INPUT_MASK_PENDING];
    unsigned char kinds[INPUT_MASK_PENDING];
    unsigned char echoed[ECHOED];
};

struct input_mask *input_mask_new(input_mask_sink *sink, void *context)
{
    struct input_mask *mask = calloc(1, sizeof(*mask));
    if (mask) {
        mask->sink = sink;
        mask->context = context;
    }
    return mask;
}

static bool printable(int kind)
{
    return kind == START || kind == REST;
}

static void line_over(struct input_mask *mask)
{
    mask->echoing = false;
    mask->echoed_length = 0;
}

static void remember_echo(struct input_mask *mask, unsigned char byte)
{
    if (mask->echoed_length == ECHOED) {
        memmove(mask->echoed, mask->echoed + ECHOED / 2, ECHOED / 2);
        mask->echoed_length = ECHOED / 2;
    }
    mask->echoed[mask->echoed_length++] = byte;
}

/* Passes the first `count` held bytes on, as typed or masked, and the controls after them. */
static void decide(struct input_mask *mask, size_t count, bool masked)
{
    unsigned char out[512];
    size_t used = 0, i;
    for (i = 0; i < mask->held && (i < count || !printable(mask->kinds[i])); i++) {
        unsigned char byte = mask->bytes[i], kind = mask->kinds[i];
        if (masked && kind == REST)
            continue;
        if (printable(kind) && !masked) {
            mask->echoing = true;
            remember_echo(mask, byte);
        } else if (kind == START) {
            line_over(mask);
            byte = '*';
        } else if (kind == LINE_END) {
            line_over(mask);
        } else if ((byte == 0x7f || byte == 0x08) && mask->echoed_length) {
            mask->echoed_length--;
        }
        out[used++] = byte;
        if (used == sizeof(out)) {
            mask->sink(mask->context, out, used);
            used = 0;
        }
    }
    if (used)
        mask->sink(mask->context, out, used);
    explicit_bzero(out, sizeof(out));
    mask->held -= i;
    memmove(mask->bytes, mask->bytes + i, mask->held);
    memmove(mask->kinds, mask->kinds + i, mask->held);
    explicit_bzero(mask->bytes + mask->held, i);
}

static void expire(struct input_mask *mask, int64_t now_ns)
{
    if (mask->held && now_ns - mask->since_ns >= INPUT_MASK_WAIT_NS)
        decide(mask, mask->held, true);
}

/* The kind of the next typed byte. ECMA-48 5.4: a CSI ends with 0x40 to 0x7e. */
static enum kind classify(struct input_mask *mask, unsigned char byte)
{
    bool control = byte < 0x20 || byte == 0x7f;
    switch (mask->state) {
    case AFTER_ESC:
        mask->state = byte == '['                     ? IN_CSI
                      : byte == 'O'                   ? IN_SS3
                      : byte && strchr("]PX^_", byte) ? IN_STRING
                      : byte == ESC                   ? AFTER_ESC
                                                      : GROUND;
        if (mask->state != GROUND)
            return CONTROL;
        break; /* a key with Alt: the key itself may be a secret's */
    case IN_CSI:
        if (byte >= 0x20 && byte <= 0x7e) {
            if (byte >= 0x40)
                mask->state = GROUND;
            return CONTROL;
        }
        mask->state = GROUND;
        break;
    case IN_SS3:
        mask->state = GROUND;
        if (!control && byte < 0x80)
            return CONTROL;
        break;
    case IN_STRING:
        if (byte == ESC)
            mask->state = IN_STRING_ESC;
        else if (control)
            mask->state = GROUND;
        break;
    case IN_STRING_ESC:
        mask->state = GROUND;
        if (byte == '\\')
            return CONTROL;
        break;
    case GROUND:
        break;
    }
    if (byte == ESC && mask->state == GROUND)
        mask->state = AFTER_ESC;
    if (byte == '\r' || byte == '\n' || byte == 0x03 || byte == 0x04)
        return LINE_END;
    if (control)
        return CONTROL;
    return (byte & 0xc0) == 0x80 ? REST : START;
}

void input_mask_typed(struct input_mask *mask, int64_t now_ns, const void *data, size_t length)
{
    const unsigned char *p = data;
    expire(mask, now_ns);
    for (size_t i = 0; i < length; i++) {
        if (mask->held == INPUT_MASK_PENDING)
            decide(mask, mask->held, true);
        if (mask->held == 0)
            mask->since_ns = now_ns;
        mask->bytes[mask->held] = p[i];
        mask->kinds[mask->held] = (unsigned char)classify(mask, p[i]);
        mask->held++;
    }
    decide(mask, 0, false); /* controls with nothing undecided before them */
}

/* The printable characters held up to the line's end, without the controls between them. */
struct line {
    unsigned char bytes[INPUT_MASK_PENDING];
    size_t length;
};

static void held_line(const struct input_mask *mask, struct line *line)
{
    line->length = 0;
    for (size_t i = 0; i < mask->held && mask->kinds[i] != LINE_END; i++)
        if (printable(mask->kinds[i]))
            line->bytes[line->length++] = mask->bytes[i];
}

static size_t characters(const unsigned char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += (text[i] & 0xc0) != 0x80;
    return count;
}

/* How many bytes of `line` `text` starts with, in whole characters. */
static size_t common(const struct line *line, const unsigned char *text, size_t length)
{
    size_t i = 0;
    while (i < line->length && i < length && line->bytes[i] == text[i])
        i++;
    while (i > 0 && i < line->length && (line->bytes[i] & 0xc0) == 0x80)
        i--;
    return i;
}

/* How many bytes of the held line this stretch of output shows, by the rules in the header. `whole`
 * says that `text` is all of the stretch. */
static size_t shows(const struct input_mask *mask, const struct line *line,
                    const unsigned char *text, size_t length, bool whole)
{
    size_t same = common(line, text, length);
    bool all = same == line->length;
    if (same &&
        ((whole && same == length) || mask->echoing || (all && characters(text, same) >= ENOUGH)))
        return same;
    size_t most = length < mask->echoed_length ? length : mask->echoed_length;
    for (size_t again = most; again > 0; again--) {
        if (memcmp(text, mask->echoed + mask->echoed_length - again, again) != 0)
            continue;
        same = common(line, text + again, length - again);
        if (same)
            return same;
    }
    if (whole && length >= line->length && characters(line->bytes, line->length) >= ENOUGH &&
        memcmp(text + length - line->length, line->bytes, line->length) == 0)
        return line->length;
    return 0;
}

/* Marks the first `count` printable bytes that are held as shown. */
static void confirm(struct input_mask *mask, size_t count)
{
    size_t i = 0;
    for (; count; i++)
        count -= printable(mask->kinds[i]);
    decide(mask, i, false);
}

/* The length of the escape sequence at `p`, which starts with ESC. */
static size_t sequence(const unsigned char *p, size_t length)
{
    size_t i = 2;
    if (length < 2)
        return length;
    if (p[1] == '[') {
        while (i < length && (p[i] < 0x40 || p[i] > 0x7e))
            i++;
        return i < length ? i + 1 : length;
    }
    if (strchr("]PX^_", p[1]) && p[1]) {
        while (i < length && p[i] != 0x07 && p[i] != ESC)
            i++;
        return i + 1 < length && p[i] == ESC ? i + 2 : i < length ? i + 1 : length;
    }
    while (i <= length && p[i - 1] >= 0x20 && p[i - 1] <= 0x2f) /* such as ESC ( B */
        i++;
    return i < length ? i : length;
}

void input_mask_shown(struct input_mask *mask, int64_t now_ns, const void *data, size_t length)
{
    const unsigned char *p = data;
    struct line line;
    unsigned char text[SHOWN];
    size_t used = 0, i = 0;
    bool whole = true, progress = false, new_line = false;
    expire(mask, now_ns);
    if (mask->held == 0)
        return;
    held_line(mask, &line);
    while (mask->held && i <= length) {
        bool end = i == length || p[i] == '\n' || p[i] == '\r';
        if (end) {
            new_line |= i < length && p[i] == '\n';
            i++;
            size_t count = used && line.length ? shows(mask, &line, text, used, whole) : 0;
            if (count) {
                confirm(mask, count);
                held_line(mask, &line);
                mask->since_ns = now_ns;
                progress = true;
            }
            used = 0;
            whole = true;
        } else if (p[i] == ESC) {
            i += sequence(p + i, length - i);
        } else if (length - i >= 3 && memcmp(p + i, "\b \b", 3) == 0) {
            i += 3;
        } else {
            if (p[i] >= 0x20 && p[i] != 0x7f) {
                if (used < SHOWN)
                    text[used++] = p[i];
                else
                    whole = false;
            }
            i++;
        }
    }
    const unsigned char *ended = memchr(mask->kinds, LINE_END, mask->held);
    if (new_line && !progress && ended) {
        decide(mask, (size_t)(ended - mask->kinds), true);
        mask->since_ns = now_ns;
    }
    explicit_bzero(&line, sizeof(line));
}

void input_mask_finish(struct input_mask *mask)
{
    decide(mask, mask->held, true);
}

void input_mask_free(struct input_mask *mask)
{
    if (!mask)
        return;
    explicit_bzero(mask, sizeof(*mask));
    free(mask);
}
