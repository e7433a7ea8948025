/* Writes asciicast v2 and v3 from terminal events. Knows no files and no threads.
 *
 * Formats: https://docs.asciinema.org/manual/asciicast/v2/ and .../v3/. One JSON value a line.
 *
 * Lossless. An `o` (or `i`) event's text must be Unicode, a terminal's bytes need not be:
 * - A character split over two calls is carried to the event that completes it.
 * - Bytes that are not UTF-8 appear as U+FFFD, one for each maximal ill-formed part as Unicode
 *   recommends (chapter 3, "U+FFFD Substitution of Maximal Subparts", what Python's
 *   errors="replace" does), and right after that event comes
 *       [time, "b", "BASE64"]
 *   with the exact bytes of the whole event before it. Players skip codes they do not know. The
 *   encoder splits output around an ill-formed stretch so that only the stretch is written twice.
 * - stderr is shown like stdout, in an `o` event. [time, "s", "stderr"] says that the `o` events
 *   after it are stderr's, [time, "s", "stdout"] that they are stdout's again, and
 *   [time, "s", "notes"] that they are the recorder's own lines.
 * - Without a terminal nobody turned line feeds into CR LF, and players would draw a staircase. So
 *   when the header says "onlcr": true, the encoder writes CR LF for each LF of stdout and stderr,
 *   as a terminal's ONLCR does; the decoder takes one CR away before each LF. This is exact for
 *   any bytes.
 *
 * The header's own key is "castbucket": an object with the session's facts (see cast_header).
 */
#ifndef CASTBUCKET_CAST_CAST_ENCODER_H
#define CASTBUCKET_CAST_CAST_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

/* Strings: NUL-terminated, "" or NULL when unknown, any bytes (ill-formed ones become U+FFFD). */
struct cast_header {
    int version;            /* 2 or 3 */
    uint32_t columns, rows; /* 0: written as 80 by 24, which the format requires to be there */
    int64_t started_ns;     /* wall clock, since 1970; "timestamp" is in whole seconds */
    const char *term;       /* "env": {"TERM": ...}, v3 "term": {"type": ...} */
    const char *command;
    const char *title; /* such as "alice@web-1" */
    bool onlcr;
    bool contents; /* of a transfer: the protocol's bytes are in the cast as well */
    /* the "castbucket" object */
    const char *id, *organization, *socket, *user, *key_fingerprint, *target_user, *target_address,
        *client_address, *connection_id, *host, *kind, *transfer;
};

enum cast_stream {
    CAST_STDOUT = 0,
    CAST_STDERR = 1,
    CAST_INPUT = 2,
    CAST_NOTES = 3, /* the recorder's own lines, which nobody was shown: cast_note() */
};

/* All that the encoder remembers between events. Plain data, so that it can be saved with a sealed
 * chunk and an encoding continued in another process. */
struct cast_encoder {
    int version;
    bool onlcr;
    uint8_t stream;          /* of the last `o` event: enum cast_stream, but never CAST_INPUT */
    uint8_t carry_length[3]; /* per enum cast_stream */
    uint8_t carry[3][4];     /* an unfinished character's bytes */
    int64_t written_us; /* v3: time of the last event as written, so that rounding never drifts */
    int64_t last_ns;    /* time of the last event; times never go back */
};

/* Starts a cast: sets *encoder and appends the header line. */
__attribute__((warn_unused_result)) int
cast_begin(struct cast_encoder *encoder, const struct cast_header *header, struct buffer *out);

/* Appends the events for some bytes. time_ns: since the session began. On failure (ERR_LIMIT,
 * ERR_NO_MEMORY) neither *encoder nor *out has changed. One call appends at most
 * CAST_GROWTH * length + CAST_OVERHEAD bytes. */
#define CAST_GROWTH 9
#define CAST_OVERHEAD 512
__attribute__((warn_unused_result)) int cast_bytes(struct cast_encoder *encoder,
                                                   enum cast_stream stream, int64_t time_ns,
                                                   const void *data, size_t length,
                                                   struct buffer *out);

/* `r`, "COLSxROWS". */
__attribute__((warn_unused_result)) int cast_resize(struct cast_encoder *encoder, int64_t time_ns,
                                                    uint32_t columns, uint32_t rows,
                                                    struct buffer *out);

/* `m`. */
__attribute__((warn_unused_result)) int cast_marker(struct cast_encoder *encoder, int64_t time_ns,
                                                    const char *label, struct buffer *out);

/* `f`: what happened to a file, as a JSON object's text (see castbucket-cast(5)). */
__attribute__((warn_unused_result)) int cast_file(struct cast_encoder *encoder, int64_t time_ns,
                                                  const char *json, size_t length,
                                                  struct buffer *out);

/* A line of the recorder's own, for people who play the cast: in an `o` event, with CR LF. */
__attribute__((warn_unused_result)) int cast_note(struct cast_encoder *encoder, int64_t time_ns,
                                                  const char *line, size_t length,
                                                  struct buffer *out);

/* Flushes carried bytes (an unfinished character is ill-formed now) and, if status >= 0, appends
 * `x` with the exit status. With -1 also where bytes are missing and more follow. */
__attribute__((warn_unused_result)) int cast_end(struct cast_encoder *encoder, int64_t time_ns,
                                                 int status, struct buffer *out);

#endif
