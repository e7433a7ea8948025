/* One event of a cast as it stands in the file: [time, "code", "text"].
 *
 * Not with a general JSON library: a hostile line of 256 MiB may hold a hundred million empty
 * arrays, and building them would take gigabytes. This accepts just what an event can be, in memory
 * no larger than the line. */
#ifndef CASTBUCKET_CAST_EVENT_LINE_H
#define CASTBUCKET_CAST_EVENT_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"

struct event_line {
    int64_t time_ns; /* the number as it stands there; below 0 is 0 */
    char code;
};

/* Replaces `text` with the event's text, in UTF-8. ERR_DAMAGED when the line is not an event by RFC
 * 8259 and asciicast; *problem is then a sentence. */
__attribute__((warn_unused_result)) int event_line_parse(const char *line, size_t length,
                                                         struct event_line *event,
                                                         struct buffer *text, const char **problem);

#endif
