/* JSON strings from any bytes. */
#ifndef CASTBUCKET_CAST_JSON_TEXT_H
#define CASTBUCKET_CAST_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/cast/utf8.h"

#define JSON_TEXT_GROWTH 6 /* most characters one byte becomes */
#define JSON_TEXT_SLACK 8  /* bytes past the end that may be scratched */

/* Writes the characters between `*from` and `end`, escaped for a JSON string, at `to`, where
 * JSON_TEXT_GROWTH bytes for each byte and JSON_TEXT_SLACK more must be there. With `onlcr` a line
 * feed becomes CR LF. Stops early at bytes that are not a whole character: returns UTF8_BAD or
 * UTF8_CUT, and *length says how many bytes at *from are. Returns where it stopped writing. */
char *json_text_write(char *to, const uint8_t **from, const uint8_t *end, bool onlcr,
                      enum utf8_state *state, size_t *length);

/* Writes, in the same way, what follows an ill-formed part (*from is its end): characters, and
 * U+FFFD for each ill-formed part, as long as the next one starts less than `gap` bytes after the
 * end of the one before. Sets *from to the last one's end, where characters may follow. */
char *json_text_write_ill_formed(char *to, const uint8_t **from, size_t gap, const uint8_t *end,
                                 bool onlcr);

/* Appends a whole JSON string with its quotation marks; each ill-formed part becomes U+FFFD. */
__attribute__((warn_unused_result)) int json_text_append(struct buffer *out, const char *text,
                                                         size_t length);

/* Appends `"name":"text"`, with a comma in front if `*members` is not 0, and counts it; nothing
 * when the text is NULL or "". */
__attribute__((warn_unused_result)) int json_text_member(struct buffer *out, const char *name,
                                                         const char *text, unsigned *members);

#endif
