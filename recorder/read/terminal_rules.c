#include "recorder/read/terminal_rules.h"

#include <string.h>

static bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

bool control_sequence_parse(const char *text, size_t length, char final,
                            struct control_sequence *sequence)
{
    size_t at = 0;
    *sequence = (struct control_sequence){.final = final};
    if (at < length && one_of(text[at], "<=>?"))
        sequence->prefix = text[at++];
    sequence->parameters = text + at;
    while (at < length && one_of(text[at], "0123456789:;"))
        at++;
    sequence->parameters_length = (size_t)(text + at - sequence->parameters);
    sequence->intermediates = text + at;
    while (at < length && text[at] >= 0x20 && text[at] <= 0x2f)
        at++;
    sequence->intermediates_length = (size_t)(text + at - sequence->intermediates);
    return at == length;
}

/* CSI with one intermediate byte. */
static bool intermediate_draws(char intermediate, char final)
{
    switch (intermediate) {
    case '!':
        return final == 'p'; /* soft reset */
    case ' ':
        return one_of(final, "q@A"); /* cursor style, scroll sideways */
    case '"':
        return final == 'q'; /* protect characters */
    case '$':
        return one_of(final, "rtvxz{"); /* rectangles */
    case '*':
        return final == 'x'; /* extent of rectangles */
    case '\'':
        return one_of(final, "}~"); /* columns */
    default:
        return false;
    }
}

enum terminal_verdict control_sequence_verdict(const struct control_sequence *sequence)
{
    if (sequence->intermediates_length > 1)
        return TERMINAL_DROP;
    if (sequence->intermediates_length == 1)
        return !sequence->prefix && intermediate_draws(sequence->intermediates[0], sequence->final)
                   ? TERMINAL_PASS
                   : TERMINAL_DROP;
    if (one_of(sequence->final, "hl"))
        return !sequence->prefix || sequence->prefix == '?' ? TERMINAL_PASS_MODES : TERMINAL_DROP;
    if (sequence->prefix == '?')
        return one_of(sequence->final, "JK") ? TERMINAL_PASS : TERMINAL_DROP;
    if (sequence->prefix)
        return TERMINAL_DROP;
    /* With several parameters T would have the mouse answer. */
    if (sequence->final == 'T' && memchr(sequence->parameters, ';', sequence->parameters_length))
        return TERMINAL_DROP;
    /* Not here: c and n and x ask the terminal, t is the window, i prints, q lights the keyboard.
     */
    return one_of(sequence->final, "@ABCDEFGHIJKLMPSTXZ`abdefgmrsu") ? TERMINAL_PASS
                                                                     : TERMINAL_DROP;
}

bool terminal_mode_draws(char prefix, unsigned mode)
{
    /* Without a prefix: insert, and line feed's meaning. 2 would lock the keyboard. */
    static const unsigned ansi[] = {4, 20, 0};
    /* Reverse screen, origin, wrap, cursor blink, cursor, reverse wrap, margins, the alternate
     * screen, synchronized output, grapheme clusters. What is left out changes what the keyboard
     * and the mouse send, or the window's size. */
    static const unsigned private[] = {5,  6,    7,    12,   25,   45,   47, 69,
                                       95, 1047, 1048, 1049, 2026, 2027, 0};
    for (const unsigned *known = prefix == '?' ? private : ansi; *known; known++)
        if (*known == mode)
            return true;
    return false;
}

bool terminal_mode_is_alternate(char prefix, unsigned mode)
{
    return prefix == '?' && (mode == 47 || mode == 1047 || mode == 1049);
}

bool escape_draws(const char *intermediates, size_t length, char final)
{
    if (length == 0)
        return one_of(final, "78DEHMNOcno|}~69lm");
    if (length > 2)
        return false;
    if (one_of(intermediates[0], "()*+-./"))
        return final >= '0' && final <= '~'; /* character sets */
    return length == 1 && intermediates[0] == '#' && one_of(final, "34568");
}

bool operating_system_command_draws(const char *body, size_t length)
{
    if (length < 3 || memcmp(body, "8;", 2) != 0)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)body[i] < 0x20 || body[i] == 0x7f)
            return false;
    return true;
}
