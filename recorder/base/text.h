/* Small helpers for strings that come from outside. No function here allocates. */
#ifndef CASTBUCKET_BASE_TEXT_H
#define CASTBUCKET_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies `text` so that it is one printable line: control characters and bytes that are not UTF-8
 * become \n, \t, \xHH, and what a terminal obeys or hides (C1 controls such as U+009B, marks of
 * direction, characters without width) \u{HEX}; a backslash stays. Always NUL-terminates; cuts at
 * `size` bytes without splitting a character or an escape. For log lines, errors and terminals. */
void text_escape(char *to, size_t size, const char *text);

/* Whether `length` bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no
 * over-long forms, nothing above U+10FFFF). */
bool text_is_utf8(const char *text, size_t length);

/* Whether a NUL-terminated string has a control character (below 0x20, or 0x7f). */
bool text_has_control(const char *text);

/* Writes 2 * length lower-case hex digits and a NUL. */
void text_hex(char *to, const void *bytes, size_t length);

/* Reads exactly 2 * length hex digits of either case. False if `hex` is anything else. */
bool text_unhex(void *to, size_t length, const char *hex);

/* RFC 3339 in UTC, such as 2026-11-23T20:22:01.123456Z, from nanoseconds since 1970. 28 bytes. */
#define TEXT_TIME_SIZE 28
void text_time(char to[TEXT_TIME_SIZE], int64_t unix_ns);

/* Reads RFC 3339 date-times (Z or an offset), or a plain date YYYY-MM-DD (midnight UTC), from
 * the years 1700 to 2240: others do not fit. */
bool text_parse_time(const char *text, int64_t *unix_ns);

#endif
