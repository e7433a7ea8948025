#include "recorder/cast/cast_decoder.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/base/base64.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/cast/cast_info.h"
#include "recorder/cast/event_line.h"

struct cast_decoder {
    cast_event_fn *on_event;
    void *context;
    struct buffer line; /* the start of a line whose end has not come */
    uint64_t line_number;
    int failed; /* what an earlier call returned; there is no going on after it */

    struct cast_info info;
    struct cast_info_owner *info_owner;
    bool ours;
    uint8_t stream; /* what the last `s` said */
    int64_t time_ns;

    bool held;  /* an event that waits for the line after it */
    bool exact; /* its bytes came in a `b`, and are in `raw` */
    struct cast_event event;
    struct buffer text, raw, next; /* next: the text of the line being read */
};

int cast_decoder_new(cast_event_fn *on_event, void *context, struct cast_decoder **decoder,
                     struct error *error)
{
    struct cast_decoder *made = calloc(1, sizeof(*made));
    *decoder = made;
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory to read a cast");
    made->on_event = on_event;
    made->context = context;
    made->line = BUFFER_INIT(CAST_MAX_LINE);
    made->text = BUFFER_INIT(CAST_MAX_LINE);
    made->raw = BUFFER_INIT(CAST_MAX_LINE);
    made->next = BUFFER_INIT(CAST_MAX_LINE);
    return 0;
}

void cast_decoder_free(struct cast_decoder *decoder)
{
    if (!decoder)
        return;
    cast_info_free(decoder->info_owner);
    buffer_free(&decoder->line);
    buffer_free(&decoder->text);
    buffer_free(&decoder->raw);
    buffer_free(&decoder->next);
    free(decoder);
}

const struct cast_info *cast_decoder_info(const struct cast_decoder *decoder)
{
    return decoder->info_owner ? &decoder->info : NULL;
}

static int damaged(const struct cast_decoder *d, int rc, const char *problem, struct error *error)
{
    return error_set(error, rc, "line %llu: %s", (unsigned long long)d->line_number, problem);
}

/* The bytes that passed, where they are valid UTF-8: the text, but for the CR that the encoder put
 * before each LF. */
static int undo_onlcr(struct cast_decoder *d, struct error *error)
{
    const char *p = d->text.data, *end = p + d->text.length;
    buffer_clear(&d->raw);
    if (buffer_reserve(&d->raw, d->text.length))
        return damaged(d, ERR_NO_MEMORY, "no memory for the event", error);
    char *to = d->raw.data;
    while (p < end) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        size_t run = (size_t)((feed ? feed : end) - p);
        memcpy(to, p, run);
        to += run;
        p += run;
        if (feed) {
            if (run && to[-1] == '\r')
                to--;
            *to++ = '\n';
            p++;
        }
    }
    d->raw.length = (size_t)(to - d->raw.data);
    return 0;
}

static int deliver(struct cast_decoder *d, struct error *error)
{
    if (!d->held)
        return 0;
    d->held = false;
    struct cast_event *event = &d->event;
    event->text = d->text.data;
    event->text_length = d->text.length;
    event->raw = NULL;
    event->raw_length = 0;
    if (event->code == 'o' || event->code == 'i') {
        const struct buffer *bytes = d->exact ? &d->raw : &d->text;
        if (!d->exact && d->info.onlcr && event->code == 'o') {
            int rc = undo_onlcr(d, error);
            if (rc)
                return rc;
            bytes = &d->raw;
        }
        event->raw = (const uint8_t *)bytes->data;
        event->raw_length = bytes->length;
    }
    return d->on_event(d->context, event, error);
}

/* `b`: the exact bytes of the event that is held. */
static int take_exact_bytes(struct cast_decoder *d, struct error *error)
{
    if (!d->held || d->exact || (d->event.code != 'o' && d->event.code != 'i'))
        return damaged(d, ERR_DAMAGED, "a \"b\" event must follow an \"o\" or \"i\" event", error);
    buffer_clear(&d->raw);
    if (buffer_reserve(&d->raw, d->next.length))
        return damaged(d, ERR_NO_MEMORY, "no memory for the event", error);
    if (base64_decode((uint8_t *)d->raw.data, d->next.data, d->next.length, &d->raw.length))
        return damaged(d, ERR_DAMAGED, "a \"b\" event's data must be Base64", error);
    d->exact = true;
    return 0;
}

static int take_stream(struct cast_decoder *d, struct error *error)
{
    if (strcmp(d->next.data, "stdout") == 0)
        d->stream = CAST_STDOUT;
    else if (strcmp(d->next.data, "stderr") == 0)
        d->stream = CAST_STDERR;
    else if (strcmp(d->next.data, "notes") == 0)
        d->stream = CAST_NOTES;
    else
        return damaged(d, ERR_DAMAGED, "an \"s\" event must say stdout, stderr or notes", error);
    return 0;
}

/* Absolute time. It never goes back, whoever wrote the file. */
static int advance(struct cast_decoder *d, int64_t time_ns, struct error *error)
{
    if (d->info.version == 3) {
        if (__builtin_add_overflow(d->time_ns, time_ns, &d->time_ns))
            return damaged(d, ERR_DAMAGED, "the times add up to more than 292 years", error);
    } else if (time_ns > d->time_ns) {
        d->time_ns = time_ns;
    }
    return 0;
}

static int take_event(struct cast_decoder *d, const char *line, size_t length, struct error *error)
{
    struct event_line event;
    const char *problem;
    int rc = event_line_parse(line, length, &event, &d->next, &problem);
    if (rc)
        return damaged(d, rc, problem, error);
    rc = advance(d, event.time_ns, error);
    if (rc)
        return rc;
    /* In others' casts these letters, if they occur, mean something else: unknown, so skipped. */
    if (event.code == 'b')
        return d->ours ? take_exact_bytes(d, error) : 0;
    rc = deliver(d, error);
    if (rc)
        return rc;
    if (event.code == 's')
        return d->ours ? take_stream(d, error) : 0;
    struct buffer spare = d->text;
    d->text = d->next;
    d->next = spare;
    d->event = (struct cast_event){.time_ns = d->time_ns,
                                   .code = event.code,
                                   .stream = event.code == 'i' ? CAST_INPUT : d->stream};
    d->exact = false;
    d->held = true;
    return 0;
}

static bool is_blank(const char *line, size_t length)
{
    while (length &&
           (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
        length--;
    return length == 0;
}

static int too_long(const struct cast_decoder *d, size_t most, struct error *error)
{
    return error_set(error, ERR_DAMAGED, "line %llu is longer than %zu bytes",
                     (unsigned long long)d->line_number, most);
}

static int take_line(struct cast_decoder *d, const char *line, size_t length, struct error *error)
{
    d->line_number++;
    if (!d->info_owner) {
        int rc = cast_info_read(line, length, &d->info, &d->ours, &d->info_owner, error);
        if (rc)
            error_prefix(error, "line 1");
        return rc;
    }
    if (length > CAST_MAX_LINE)
        return too_long(d, CAST_MAX_LINE, error);
    if (is_blank(line, length) || (d->info.version == 3 && line[0] == '#'))
        return 0;
    return take_event(d, line, length, error);
}

/* Keeps the start of a line, and refuses one that is too long before all of it is in memory. */
static int keep(struct cast_decoder *d, const char *data, size_t length, struct error *error)
{
    size_t most = d->info_owner ? CAST_MAX_LINE : CAST_MAX_HEADER;
    if (length > most - d->line.length) {
        d->line_number++;
        return too_long(d, most, error);
    }
    if (buffer_append(&d->line, data, length)) {
        d->line_number++;
        return damaged(d, ERR_NO_MEMORY, "no memory for the line", error);
    }
    return 0;
}

static int take_data(struct cast_decoder *d, const char *p, const char *end, struct error *error)
{
    while (p < end) {
        int rc;
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        if (!newline)
            return keep(d, p, (size_t)(end - p), error);
        if (d->line.length) {
            rc = keep(d, p, (size_t)(newline - p), error);
            if (!rc)
                rc = take_line(d, d->line.data, d->line.length, error);
            buffer_clear(&d->line);
        } else {
            rc = take_line(d, p, (size_t)(newline - p), error);
        }
        if (rc)
            return rc;
        p = newline + 1;
    }
    return 0;
}

/* What is readable is delivered, even when what comes after it is not. */
static int fail(struct cast_decoder *d, int rc, struct error *error)
{
    if (rc == ERR_DAMAGED) {
        struct error other = ERROR_INIT;
        int stopped = deliver(d, &other);
        if (stopped) {
            rc = stopped;
            if (error)
                *error = other;
        }
    }
    d->failed = rc;
    return rc;
}

int cast_decoder_feed(struct cast_decoder *decoder, const void *data, size_t length,
                      struct error *error)
{
    if (decoder->failed)
        return error_set(error, decoder->failed, "the cast could not be read further");
    const char *p = data;
    int rc = length ? take_data(decoder, p, p + length, error) : 0;
    return rc ? fail(decoder, rc, error) : 0;
}

int cast_decoder_finish(struct cast_decoder *decoder, struct error *error)
{
    if (decoder->failed)
        return error_set(error, decoder->failed, "the cast could not be read further");
    int rc = 0;
    if (decoder->line.length) {
        decoder->line_number++;
        rc = damaged(decoder, ERR_DAMAGED, "the cast ends in the middle of it", error);
    } else if (!decoder->info_owner) {
        rc = error_set(error, ERR_DAMAGED, "the cast is empty: it has no header");
    }
    if (!rc)
        rc = deliver(decoder, error);
    return rc ? fail(decoder, rc, error) : 0;
}
