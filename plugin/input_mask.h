/* Masking of what is typed while the far side is not echoing: passwords.
 *
 * The plugin sees bytes, not the far side's ECHO flag, so it goes by what comes back. Typed bytes
 * are held until they are decided: recorded as typed, or each printable character as one '*'.
 * Doubt is masked.
 *
 * - Printable characters are recorded as typed when output shows them, in order and side by side.
 *   Escape sequences, control characters and "\b \b" in the output do not count. What shows them
 *   is a stretch of output between line ends that
 *     - is nothing but them (each key echoed, a command pasted and echoed); or
 *     - starts with them, when they are all of the line so far and at least three characters, or
 *       when something of this line was echoed before (editors and shells draw what follows the
 *       cursor again); or
 *     - repeats the end of what was echoed on this line and goes on with them (a shell that colours
 *       the line again); or
 *     - ends with all of the line, when that is at least three characters (typed ahead, and echoed
 *       behind the prompt).
 *   So a few characters of a password that happen to come by in other output do not uncover it.
 * - Control characters and the escape sequences of keys (CSI and SS3) show no secret: they are
 *   recorded as they are, at their place. The contents of longer sequences (OSC, DCS) are masked.
 * - Printable characters are masked when a second has passed without progress (found out at the
 *   next call), when a line that was ended (CR, LF, ^C, ^D) is answered by a new line that does not
 *   show it, when more than INPUT_MASK_PENDING bytes are held, and at the session's end.
 *
 * One thread at a time per mask. */
#ifndef CASTBUCKET_PLUGIN_INPUT_MASK_H
#define CASTBUCKET_PLUGIN_INPUT_MASK_H

#include <stddef.h>
#include <stdint.h>

#define INPUT_MASK_PENDING 8192
#define INPUT_MASK_WAIT_NS INT64_C(1000000000)

struct input_mask;

/* Receives decided bytes, in the order they were typed, in pieces of any length. */
typedef void input_mask_sink(void *context, const void *data, size_t length);

/* NULL when there is no memory. */
struct input_mask *input_mask_new(input_mask_sink *sink, void *context);

/* Bytes the person typed. `now_ns`: monotonic, here and below. */
void input_mask_typed(struct input_mask *mask, int64_t now_ns, const void *data, size_t length);

/* Bytes on their way to the person. Call before they are recorded. */
void input_mask_shown(struct input_mask *mask, int64_t now_ns, const void *data, size_t length);

/* Decides all that is held; the session is over. */
void input_mask_finish(struct input_mask *mask);

/* Overwrites what is held, without deciding it, and frees. NULL does nothing. */
void input_mask_free(struct input_mask *mask);

#endif
