#include "recorder/cast/cast_encoder.h"

#include <string.h>

#include "recorder/base/base64.h"
#include "recorder/cast/json_text.h"

/* An ill-formed stretch goes on while the next ill-formed part starts within so many bytes. This
 * keeps the lines few: three lines of at most 27 characters beside their texts, and 4 of padding,
 * for each 65 bytes or more (1.31 a byte), with a control character written as \u00XX and again in
 * Base64 (7.34 a byte), stay below CAST_GROWTH. */
#define STRETCH_GAP 64

/* The call under way. Room for all it can write was reserved, so nothing here fails. */
struct writing {
    struct cast_encoder *encoder;
    char *to;
    int64_t time_us; /* of all its events, since the session began */
    char code;       /* 'o' or 'i' */
    uint8_t stream;
    bool onlcr;
};

static int64_t round_us(int64_t ns)
{
    return ns / 1000 + (ns % 1000 >= 500);
}

static char *put(char *to, const void *data, size_t length)
{
    memcpy(to, data, length);
    return to + length;
}

/* Seconds with six decimals. */
static char *put_seconds(char *to, int64_t us)
{
    char digits[24];
    size_t at = sizeof(digits);
    for (int i = 0; i < 6; i++, us /= 10)
        digits[--at] = (char)('0' + us % 10);
    digits[--at] = '.';
    do
        digits[--at] = (char)('0' + us % 10);
    while (us /= 10);
    return put(to, digits + at, sizeof(digits) - at);
}

/* v2 gives the time since the start, v3 since the event before, as it was written there. */
static char *put_opening(struct cast_encoder *encoder, char *to, int64_t time_us, char code)
{
    *to++ = '[';
    to = put_seconds(to, encoder->version == 3 ? time_us - encoder->written_us : time_us);
    encoder->written_us = time_us;
    to = put(to, ",\"?\",\"", 6);
    to[-4] = code;
    return to;
}

static char *put_closing(char *to)
{
    return put(to, "\"]\n", 3);
}

/* Time never goes back, whatever the caller's clock does. */
static int64_t advance(struct cast_encoder *encoder, int64_t time_ns)
{
    if (time_ns > encoder->last_ns)
        encoder->last_ns = time_ns;
    return round_us(encoder->last_ns);
}

static void finish(struct buffer *out, char *to)
{
    *to = '\0';
    out->length = (size_t)(to - out->data);
}

static void open_event(struct writing *w)
{
    if (w->code == 'o' && w->encoder->stream != w->stream) {
        const char *name = w->stream == CAST_STDERR ? "stderr" : "stdout";
        w->to = put(put_opening(w->encoder, w->to, w->time_us, 's'), name, 6);
        w->to = put_closing(w->to);
        w->encoder->stream = w->stream;
    }
    w->to = put_opening(w->encoder, w->to, w->time_us, w->code);
}

/* Writes an event for the ill-formed stretch that starts with `head` (ill-formed bytes carried from
 * earlier calls) or, without one, with the `bad` bytes at *from; and its exact bytes after it. */
static void write_stretch(struct writing *w, const uint8_t *head, size_t head_length,
                          const uint8_t **from, size_t bad, const uint8_t *end)
{
    const uint8_t *start = *from, *p = start + bad;
    open_event(w);
    w->to = put(w->to, UTF8_REPLACEMENT, 3);
    w->to = json_text_write_ill_formed(w->to, &p, STRETCH_GAP, end, w->onlcr);
    w->to = put_closing(w->to);
    size_t length = (size_t)(p - start);
    w->to = put_opening(w->encoder, w->to, w->time_us, 'b');
    base64_encode(w->to, head, head_length, start, length);
    w->to = put_closing(w->to + BASE64_SIZE(head_length + length));
    *from = p;
}

/* Takes bytes from *from until the carried character is whole (UTF8_GOOD), cannot become whole
 * (UTF8_BAD: just what is carried is the ill-formed part), or the bytes run out (UTF8_CUT). */
static enum utf8_state complete_carry(uint8_t carry[4], uint8_t *carried, const uint8_t **from,
                                      const uint8_t *end)
{
    for (; *from < end; ++*from) {
        size_t length;
        carry[*carried] = **from;
        enum utf8_state state = utf8_next(carry, *carried + 1U, &length);
        if (state == UTF8_BAD)
            return UTF8_BAD;
        *carried = (uint8_t)(*carried + 1);
        if (state == UTF8_GOOD) {
            ++*from;
            return UTF8_GOOD;
        }
    }
    return UTF8_CUT;
}

static void write_bytes(struct writing *w, const uint8_t *p, const uint8_t *end)
{
    uint8_t *carry = w->encoder->carry[w->stream];
    uint8_t *carried = &w->encoder->carry_length[w->stream];
    size_t head = 0, length = 0;
    if (*carried) {
        enum utf8_state state = complete_carry(carry, carried, &p, end);
        if (state == UTF8_CUT)
            return;
        if (state == UTF8_BAD)
            write_stretch(w, carry, *carried, &p, 0, end);
        else
            head = *carried;
        *carried = 0;
    }
    while (head || p < end) {
        enum utf8_state state = head ? UTF8_GOOD : utf8_next(p, (size_t)(end - p), &length);
        if (state == UTF8_GOOD) {
            open_event(w);
            w->to = put(w->to, carry, head);
            head = 0;
            w->to = json_text_write(w->to, &p, end, w->onlcr, &state, &length);
            w->to = put_closing(w->to);
        }
        if (state == UTF8_CUT) {
            memcpy(carry, p, length);
            *carried = (uint8_t)length;
            return;
        }
        if (state == UTF8_BAD)
            write_stretch(w, NULL, 0, &p, length, end);
    }
}

static struct writing start_writing(struct cast_encoder *encoder, enum cast_stream stream,
                                    int64_t time_us, struct buffer *out)
{
    return (struct writing){.encoder = encoder,
                            .to = out->data + out->length,
                            .time_us = time_us,
                            .code = stream == CAST_INPUT ? 'i' : 'o',
                            .stream = (uint8_t)stream,
                            .onlcr = encoder->onlcr && stream != CAST_INPUT};
}

int cast_bytes(struct cast_encoder *encoder, enum cast_stream stream, int64_t time_ns,
               const void *data, size_t length, struct buffer *out)
{
    if (length == 0)
        return 0;
    if (length > (SIZE_MAX - CAST_OVERHEAD) / CAST_GROWTH)
        return ERR_LIMIT;
    int rc = buffer_reserve(out, length * CAST_GROWTH + CAST_OVERHEAD);
    if (rc)
        return rc;
    struct writing w = start_writing(encoder, stream, advance(encoder, time_ns), out);
    write_bytes(&w, data, (const uint8_t *)data + length);
    finish(out, w.to);
    return 0;
}

int cast_resize(struct cast_encoder *encoder, int64_t time_ns, uint32_t columns, uint32_t rows,
                struct buffer *out)
{
    int rc = buffer_reserve(out, CAST_OVERHEAD);
    if (rc)
        return rc;
    char *to = put_opening(encoder, out->data + out->length, advance(encoder, time_ns), 'r');
    finish(out, to);
    rc = buffer_printf(out, "%ux%u", columns, rows);
    finish(out, put_closing(out->data + out->length));
    return rc;
}

/* An event whose text is `text` and then `tail`, which needs no escapes that it does not have. On
 * failure nothing has changed. */
static int append_text(struct cast_encoder *encoder, int64_t time_ns, char code, const char *text,
                       size_t length, const char *tail, struct buffer *out)
{
    struct cast_encoder next = *encoder;
    size_t before = out->length;
    int rc = buffer_reserve(out, CAST_OVERHEAD);
    if (rc)
        return rc;
    char *to = out->data + before;
    int64_t time_us = advance(&next, time_ns);
    if (code == 'o' && next.stream != CAST_NOTES) {
        to = put_closing(put(put_opening(&next, to, time_us, 's'), "notes", 5));
        next.stream = CAST_NOTES;
    }
    to = put_opening(&next, to, time_us, code);
    finish(out, to - 1); /* json_text_append() writes the quotation marks */
    rc = json_text_append(out, text, length);
    if (!rc) {
        finish(out, out->data + out->length - 1);
        rc = buffer_append_text(out, tail);
    }
    if (!rc)
        rc = buffer_append_text(out, "\"]\n");
    if (rc) {
        finish(out, out->data + before);
        return rc;
    }
    *encoder = next;
    return 0;
}

int cast_marker(struct cast_encoder *encoder, int64_t time_ns, const char *label,
                struct buffer *out)
{
    return append_text(encoder, time_ns, 'm', label, strlen(label), "", out);
}

int cast_file(struct cast_encoder *encoder, int64_t time_ns, const char *json, size_t length,
              struct buffer *out)
{
    return append_text(encoder, time_ns, 'f', json, length, "", out);
}

int cast_note(struct cast_encoder *encoder, int64_t time_ns, const char *line, size_t length,
              struct buffer *out)
{
    return append_text(encoder, time_ns, 'o', line, length, "\\r\\n", out);
}

int cast_end(struct cast_encoder *encoder, int64_t time_ns, int status, struct buffer *out)
{
    int rc = buffer_reserve(out, 2 * CAST_OVERHEAD);
    if (rc)
        return rc;
    int64_t time_us = advance(encoder, time_ns);
    for (unsigned stream = CAST_STDOUT; stream <= CAST_INPUT; stream++) {
        const uint8_t *nothing = encoder->carry[stream];
        if (!encoder->carry_length[stream])
            continue;
        struct writing w = start_writing(encoder, (enum cast_stream)stream, time_us, out);
        write_stretch(&w, encoder->carry[stream], encoder->carry_length[stream], &nothing, 0,
                      nothing);
        encoder->carry_length[stream] = 0;
        finish(out, w.to);
    }
    if (status >= 0) {
        finish(out, put_opening(encoder, out->data + out->length, time_us, 'x'));
        rc = buffer_printf(out, "%d", status);
        finish(out, put_closing(out->data + out->length));
    }
    return rc;
}
