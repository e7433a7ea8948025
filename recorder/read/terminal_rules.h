/* Which control sequences only draw. */
#ifndef CASTBUCKET_READ_TERMINAL_RULES_H
#define CASTBUCKET_READ_TERMINAL_RULES_H

#include <stdbool.h>
#include <stddef.h>

/* A control sequence taken apart: ESC [ PREFIX PARAMETERS INTERMEDIATES FINAL. */
struct control_sequence {
    char prefix;            /* one of < = > ?, or 0 */
    const char *parameters; /* digits, ':' and ';' */
    size_t parameters_length;
    const char *intermediates;
    size_t intermediates_length;
    char final;
};

enum terminal_verdict {
    TERMINAL_DROP,
    TERMINAL_DROP_QUIETLY, /* concerns only what the keys and the mouse send */
    TERMINAL_PASS,
    TERMINAL_PASS_MODES, /* only those parameters that terminal_mode_draws() */
};

/* What is between ESC [ and the final byte; false when it is not well-formed. */
bool control_sequence_parse(const char *text, size_t length, char final,
                            struct control_sequence *sequence);

enum terminal_verdict control_sequence_verdict(const struct control_sequence *sequence);

/* Whether setting or resetting a mode (CSI h, CSI l) changes what is drawn and nothing else. */
bool terminal_mode_draws(char prefix, unsigned mode);

/* Whether it changes only what the keyboard and the mouse send, and so means nothing in a replay:
 * every shell and editor sets such modes, and an auditor need not be told of them. */
bool terminal_mode_is_input(char prefix, unsigned mode);

/* Modes that switch to the alternate screen. */
bool terminal_mode_is_alternate(char prefix, unsigned mode);

/* ESC FINAL, and ESC INTERMEDIATE FINAL. */
bool escape_draws(const char *intermediates, size_t length, char final);

/* ESC FINAL that concerns only what the keypad sends. */
bool escape_is_input(size_t length, char final);

/* The body of ESC ] ... ST: only hyperlinks pass. */
bool operating_system_command_draws(const char *body, size_t length);

#endif
