#include "recorder/read/terminal_filter.h"

#include <string.h>

#include "recorder/read/terminal_rules.h"

enum {
    GROUND,
    ESCAPE,        /* ESC and perhaps intermediates */
    CONTROL,       /* ESC [ */
    COMMAND,       /* ESC ], up to BEL or ST */
    STRING,        /* DCS, SOS, PM, APC, a title of screen(1): dropped up to ST */
    COMMAND_QUOTE, /* ESC within COMMAND */
    STRING_QUOTE,  /* ESC within STRING */
};

#define ESC 0x1b
#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a
#define C1_LEAD 0xc2 /* U+0080 to U+009F are C2 80 to C2 9F */

static void begin(struct terminal_filter *filter, int state)
{
    filter->state = state;
    filter->length = 0;
    filter->too_long = false;
}

static void end(struct terminal_filter *filter, bool quietly)
{
    filter->dropped += !quietly;
    begin(filter, GROUND);
}

static void gather(struct terminal_filter *filter, unsigned char c, size_t most)
{
    if (filter->length < most)
        filter->sequence[filter->length++] = (char)c;
    else
        filter->too_long = true;
}

/* Notes the alternate screen; appends those modes that draw. */
static int pass_modes(struct terminal_filter *filter, const struct control_sequence *sequence,
                      struct buffer *out)
{
    const char *p = sequence->parameters, *stop = p + sequence->parameters_length;
    unsigned passed = 0, refused = 0;
    int rc = 0;
    while (!rc && p <= stop && sequence->parameters_length) {
        unsigned mode = 0;
        for (; p < stop && *p >= '0' && *p <= '9'; p++)
            mode = mode < 100000 ? mode * 10 + (unsigned)(*p - '0') : mode;
        bool whole = p == stop || *p == ';';
        p++;
        if (!whole || !terminal_mode_draws(sequence->prefix, mode)) {
            refused += !whole || !terminal_mode_is_input(sequence->prefix, mode);
            continue;
        }
        if (terminal_mode_is_alternate(sequence->prefix, mode))
            filter->alternate_screen = sequence->final == 'h';
        char prefix[2] = {sequence->prefix, '\0'};
        rc = passed++ ? buffer_printf(out, ";%u", mode)
                      : buffer_printf(out, "\x1b[%s%u", prefix, mode);
    }
    if (!rc && passed)
        rc = buffer_append(out, &sequence->final, 1);
    end(filter, refused == 0);
    return rc;
}

static int finish_control(struct terminal_filter *filter, char final, struct buffer *out)
{
    struct control_sequence sequence;
    enum terminal_verdict verdict = TERMINAL_DROP;
    if (!filter->too_long &&
        control_sequence_parse(filter->sequence, filter->length, final, &sequence))
        verdict = control_sequence_verdict(&sequence);
    if (verdict == TERMINAL_PASS_MODES)
        return pass_modes(filter, &sequence, out);
    int rc = 0;
    if (verdict == TERMINAL_PASS) {
        gather(filter, (unsigned char) final, sizeof(filter->sequence));
        rc = buffer_append(out, "\x1b[", 2);
        if (!rc)
            rc = buffer_append(out, filter->sequence, filter->length);
    }
    end(filter, verdict != TERMINAL_DROP);
    return rc;
}

static int finish_command(struct terminal_filter *filter, struct buffer *out)
{
    bool draws = !filter->too_long &&
                 operating_system_command_draws(filter->sequence, filter->length);
    int rc = draws ? buffer_append(out, "\x1b]", 2) : 0;
    if (!rc && draws)
        rc = buffer_append(out, filter->sequence, filter->length);
    if (!rc && draws)
        rc = buffer_append(out, "\x1b\\", 2);
    end(filter, draws);
    return rc;
}

static int finish_escape(struct terminal_filter *filter, char final, struct buffer *out)
{
    bool draws = !filter->too_long && escape_draws(filter->sequence, filter->length, final);
    int rc = 0;
    if (draws && final == 'c' && filter->length == 0)
        filter->alternate_screen = false; /* a full reset */
    if (draws) {
        gather(filter, (unsigned char) final, sizeof(filter->sequence));
        rc = buffer_append(out, "\x1b", 1);
        if (!rc)
            rc = buffer_append(out, filter->sequence, filter->length);
    }
    /* ST where no string is open means nothing. */
    end(filter,
        draws || escape_is_input(filter->length, final) || (final == '\\' && filter->length == 0));
    return rc;
}

/* A byte after ESC. */
static int take_escape(struct terminal_filter *filter, unsigned char c, struct buffer *out)
{
    if (filter->length == 0) {
        switch (c) {
        case '[':
            begin(filter, CONTROL);
            return 0;
        case ']':
            begin(filter, COMMAND);
            return 0;
        case 'P':
        case 'X':
        case '^':
        case '_':
        case 'k': /* screen(1)'s title */
            begin(filter, STRING);
            return 0;
        default:
            break;
        }
    }
    if (c >= 0x20 && c <= 0x2f) {
        gather(filter, c, 4);
        return 0;
    }
    if (c >= 0x30 && c <= 0x7e)
        return finish_escape(filter, (char)c, out);
    end(filter, false);
    return 0;
}

static int take_control(struct terminal_filter *filter, unsigned char c, struct buffer *out)
{
    if (c >= 0x40 && c <= 0x7e)
        return finish_control(filter, (char)c, out);
    if (c >= 0x20 && c <= 0x3f)
        gather(filter, c, TERMINAL_FILTER_MAX_CSI);
    else if (c >= 0x80)
        end(filter, false);
    return 0;
}

/* Controls below 0x20 that draw or sound. Not here: NUL, and ENQ, which the terminal answers. */
static bool control_draws(unsigned char c)
{
    return c == BEL || (c >= '\b' && c <= 0x0f);
}

static bool in_string(const struct terminal_filter *filter)
{
    return filter->state == COMMAND || filter->state == STRING;
}

/* One byte, with C1 controls already in their 7-bit form. */
static int take(struct terminal_filter *filter, unsigned char c, struct buffer *out)
{
    if (filter->state == COMMAND_QUOTE || filter->state == STRING_QUOTE) {
        bool command = filter->state == COMMAND_QUOTE;
        if (c == '\\' && command)
            return finish_command(filter, out);
        if (c == '\\') {
            end(filter, false);
            return 0;
        }
        /* Any other ESC ends the string, unfinished, and begins a sequence. */
        filter->dropped++;
        begin(filter, ESCAPE);
    }
    if (c == CAN || c == SUB) {
        if (filter->state != GROUND)
            end(filter, false);
        return 0;
    }
    if (c == ESC) {
        if (in_string(filter)) {
            filter->state = filter->state == COMMAND ? COMMAND_QUOTE : STRING_QUOTE;
            return 0;
        }
        filter->dropped += filter->state != GROUND;
        begin(filter, ESCAPE);
        return 0;
    }
    if (in_string(filter)) {
        if (c == BEL && filter->state == COMMAND)
            return finish_command(filter, out);
        if (filter->state == COMMAND)
            gather(filter, c, sizeof(filter->sequence));
        return 0;
    }
    /* Terminals carry these out even in the middle of a sequence. */
    if (c < 0x20)
        return control_draws(c) ? buffer_append(out, &c, 1) : 0;
    if (c == 0x7f)
        return 0;
    if (filter->state == ESCAPE)
        return take_escape(filter, c, out);
    if (filter->state == CONTROL)
        return take_control(filter, c, out);
    return buffer_append(out, &c, 1);
}

/* A two-byte C1 control is ESC and the byte minus 0x40. */
static int take_c1(struct terminal_filter *filter, unsigned char c, struct buffer *out)
{
    int rc = take(filter, ESC, out);
    return rc ? rc : take(filter, (unsigned char)(c - 0x40), out);
}

int terminal_filter(struct terminal_filter *filter, const char *text, size_t length,
                    struct buffer *out)
{
    const unsigned char *p = (const unsigned char *)text, *stop = p + length;
    int rc = 0;
    while (!rc && p < stop) {
        unsigned char c = *p++;
        if (filter->c1_lead) {
            filter->c1_lead = false;
            if (c >= 0x80 && c <= 0x9f) {
                rc = take_c1(filter, c, out);
                continue;
            }
            /* Alone it is no UTF-8, and could find its other half behind something dropped. */
            rc = c >= 0xa0 && c <= 0xbf ? take(filter, C1_LEAD, out) : 0;
            if (rc)
                break;
        }
        if (c == C1_LEAD)
            filter->c1_lead = true;
        else
            rc = take(filter, c, out);
    }
    return rc;
}
