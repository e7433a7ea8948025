/* One character of UTF-8 at a time, telling an ill-formed part from an unfinished one. */
#ifndef CASTBUCKET_CAST_UTF8_H
#define CASTBUCKET_CAST_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

enum utf8_state {
    UTF8_GOOD, /* a well-formed character of *length bytes */
    UTF8_BAD,  /* *length bytes are a maximal ill-formed part: one U+FFFD (Unicode 15, 3.9) */
    UTF8_CUT,  /* all of the *length bytes that are left begin a character: more must come */
};

/* Looks at the bytes at `p`, of which `left` (at least 1) are there. */
enum utf8_state utf8_next(const uint8_t *p, size_t left, size_t *length);

#endif
