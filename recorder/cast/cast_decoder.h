/* Reads asciicast v2 and v3, ours and others', from a stream of bytes; trusts none of it. */
#ifndef CASTBUCKET_CAST_CAST_DECODER_H
#define CASTBUCKET_CAST_CAST_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/error.h"

#define CAST_MAX_LINE ((size_t)256 << 20) /* longest line accepted, in bytes */

/* The header, decoded. Strings live as long as the decoder; unknown is "". */
struct cast_info {
    int version;
    uint32_t columns, rows;
    int64_t started_ns;
    bool onlcr;
    const char *term, *command, *title;
    const char *id, *organization, *socket, *user; /* of the "castbucket" object, or "" */
    const char *transfer;                          /* the protocol of a file transfer */
    bool contents;                                 /* whose bytes are in the cast */
};

struct cast_event {
    int64_t time_ns; /* since the start, for v2 and v3 alike */
    char code;       /* 'o', 'i', 'r', 'm', 'x', or any other letter as found, but never 'b' or 's':
                        those are folded into the events they belong to */
    uint8_t stream;  /* for 'o': enum cast_stream */
    const char *text; /* the event's data as UTF-8: what a player shows */
    size_t text_length;
    const uint8_t *raw; /* for 'o' and 'i': the exact bytes that passed (U+FFFD and ONLCR undone) */
    size_t raw_length;
};

/* Called for each event, in order; pointers are borrowed. Non-zero stops and is returned. */
typedef int cast_event_fn(void *context, const struct cast_event *event, struct error *error);

struct cast_decoder;

__attribute__((warn_unused_result)) int cast_decoder_new(cast_event_fn *on_event, void *context,
                                                         struct cast_decoder **decoder,
                                                         struct error *error);

/* Gives it more bytes, split anywhere. ERR_DAMAGED names the line. An event is delivered when the
 * line after it has been seen, because a `b` may follow. */
__attribute__((warn_unused_result)) int cast_decoder_feed(struct cast_decoder *decoder,
                                                          const void *data, size_t length,
                                                          struct error *error);

/* No more bytes: delivers what is held back. A last line without its newline is ERR_DAMAGED. */
__attribute__((warn_unused_result)) int cast_decoder_finish(struct cast_decoder *decoder,
                                                            struct error *error);

/* The header; NULL before its line was complete. */
const struct cast_info *cast_decoder_info(const struct cast_decoder *decoder);

void cast_decoder_free(struct cast_decoder *decoder);

#endif
