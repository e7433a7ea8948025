/* Text that needs no escape in a JSON string: well-formed UTF-8 without control characters, `"` and
 * `\`. What a terminal shows is mostly that. */
#ifndef CASTBUCKET_CAST_TEXT_RUN_H
#define CASTBUCKET_CAST_TEXT_RUN_H

#include <stddef.h>
#include <stdint.h>

/* Copies such text from `from` to `to`, which do not overlap. Returns how many bytes, whole
 * characters of them; 0 when the first character is none of these. Stops at `length` at the latest,
 * and may stop at any character, so the caller looks at the next one itself. Bytes of `to` between
 * what is returned and `length` may be scratched. */
size_t text_run_copy(char *to, const uint8_t *from, size_t length);

/* The same without the processor's wide registers; for machines that have none, and for tests. */
size_t text_run_copy_portable(char *to, const uint8_t *from, size_t length);

#endif
