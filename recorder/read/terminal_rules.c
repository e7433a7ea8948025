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
    /* What keys send: xterm's modifyOtherKeys and the like (> m, > n), kitty's keyboard protocol
     * (> u, < u, = u; ? u asks and was dropped above). */
    if (one_of(sequence->prefix, "<=>") &&
        (sequence->final == 'u' || (sequence->prefix == '>' && one_of(sequence->final, "mn"))))
        return TERMINAL_DROP_QUIETLY;
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

static bool is_one_of(unsigned mode, const unsigned *known)
{
    while (*known && *known != mode)
        known++;
    return *known != 0;
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
    return is_one_of(mode, prefix == '?' ? private : ansi);
}

bool terminal_mode_is_input(char prefix, unsigned mode)
{
    /* Cursor keys, auto-repeat, the mouse (9, 1000 to 1007, 1015, 1016), keypad, backspace, focus
     * (1004), the meta and other modifier keys (1034 to 1039), bracketed paste. */
    static const unsigned private[] = {1,    8,    9,    66,   67,   1000, 1001, 1002,
                                       1003, 1004, 1005, 1006, 1007, 1015, 1016, 1034,
                                       1035, 1036, 1037, 1039, 2004, 0};
    return prefix == '?' && is_one_of(mode, private);
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

bool escape_is_input(size_t length, char final)
{
    return length == 0 && one_of(final, "=>");
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
