/* scp's old protocol, which rcp had before it. One side is the source, the other the sink; each of
 * the source's lines waits for the sink's byte:
 *
 *     sink    \0                         go on
 *     source  C0644 1234 name \n         a file of 1234 bytes
 *     sink    \0
 *     source  1234 bytes, and \0         or, for \0, \1 and a sentence: it could not be read whole
 *     sink    \0                         or \1 and a sentence: it could not be written
 *     source  D0755 0 name \n ... E \n   what is between them is in a directory
 *     source  T1700000000 0 1700000000 0 \n    times of what follows
 *
 * Either says \1 or \2 and a sentence when something is wrong; \2 ends the transfer. */
#include <stdlib.h>
#include <string.h>

#include "recorder/transfer/decoders.h"

#define LINE_MAX_BYTES ((size_t)16 << 10) /* what OpenSSH's sink takes */
#define FOLDER_MAX ((size_t)64 << 10)     /* a path of directories within directories */

enum scp_state {
    AT_LINE = 0,   /* the source's next line is due */
    AT_ANSWER = 1, /* the sink's answer to it */
    AT_DATA = 2,   /* the file's bytes */
    AT_STATUS = 3, /* what the source says after them */
    AT_END = 4,    /* what the sink says of the file */
};

struct scp {
    bool to_far;  /* the far side is the sink */
    bool greeted; /* the sink has said to go on, at the start */
    uint8_t state;
    uint8_t kind;           /* the line's that waits: C, D, E or T */
    bool failed;            /* the source could not read it whole */
    struct buffer lines[2]; /* the unfinished one of each direction */
    struct buffer folder;   /* that the next name is in; "" or ends in a slash */
    struct kept_name name, detail;
    uint64_t left, size; /* of the file */
    uint64_t number;     /* files so far */
    int64_t since_ns;
    struct sha256_running hash;
};

struct scp *scp_new(bool to_far)
{
    struct scp *scp = calloc(1, sizeof(*scp));
    if (!scp)
        return NULL;
    scp->to_far = to_far;
    scp->lines[0] = scp->lines[1] = BUFFER_INIT(LINE_MAX_BYTES);
    scp->folder = BUFFER_INIT(FOLDER_MAX);
    sha256_running_start(&scp->hash);
    return scp;
}

void scp_free(struct scp *scp)
{
    if (!scp)
        return;
    buffer_free(&scp->lines[0]);
    buffer_free(&scp->lines[1]);
    buffer_free(&scp->folder);
    kept_name_free(&scp->name);
    kept_name_free(&scp->detail);
    free(scp);
}

const struct buffer *scp_unfinished(const struct scp *scp, enum transfer_direction direction)
{
    return &scp->lines[direction];
}

static int lost(struct arrival *arrival, const char *reason)
{
    arrival->reason = reason;
    return DECODER_LOST;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static int tell_file(const struct scp *scp, const char *result, const struct transfer_sink *sink)
{
    struct transfer_operation operation = {
        .op = scp->to_far ? TRANSFER_PUT : TRANSFER_GET,
        .path = kept_name_view(&scp->name),
        .detail = scp->detail.bytes,
        .result = result,
        .counted = true,
        .bytes = scp->hash.length,
        .hashed = true,
        .since_ns = scp->since_ns,
    };
    sha256_running_get(&scp->hash, operation.sha256);
    return sink->operation(sink->context, &operation);
}

static int tell_folder(const struct scp *scp, const char *result, const struct transfer_sink *sink)
{
    const struct transfer_operation operation = {
        .op = TRANSFER_MKDIR,
        .path = kept_name_view(&scp->name),
        .detail = scp->detail.bytes,
        .result = result,
        .since_ns = scp->since_ns,
    };
    return scp->to_far ? sink->operation(sink->context, &operation) : 0;
}

/* A sentence that comes with \1 or \2, without these. */
static int tell_problem(const struct buffer *line, const struct transfer_sink *sink)
{
    const struct transfer_operation operation = {
        .op = TRANSFER_OTHER, .detail = line->data + 1, .result = "failure"};
    return sink->operation(sink->context, &operation);
}

/* ---- the source ------------------------------------------------------------------------------ */

/* Digits of a base up to `end`, which is moved over. */
static bool take_number(const char **p, unsigned base, char end, uint64_t *number)
{
    const char *start = *p;
    *number = 0;
    for (; **p >= '0' && **p < (char)('0' + base); ++*p)
        if (__builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, (uint64_t)(**p - '0'), number))
            return false;
    return *p > start && *(*p)++ == end;
}

static int set_name(struct scp *scp, const char *name)
{
    struct buffer path = BUFFER_INIT(FOLDER_MAX + LINE_MAX_BYTES);
    int rc = buffer_append(&path, scp->folder.data, scp->folder.length);
    if (!rc)
        rc = buffer_append_text(&path, name);
    if (!rc)
        rc = kept_name_set(&scp->name, path.data, path.length);
    buffer_free(&path);
    return rc;
}

/* "C0644 1234 name" or "D0755 0 name" */
static int take_entry(struct scp *scp, const char *line, struct arrival *arrival)
{
    const char *p = line + 1;
    uint64_t mode;
    if (!take_number(&p, 8, ' ', &mode) || !take_number(&p, 10, ' ', &scp->size) || !*p ||
        strchr(p, '/') || scp->size > INT64_MAX)
        return lost(arrival, "a line is none of scp's");
    int rc = set_name(scp, p);
    if (rc == ERR_LIMIT)
        return lost(arrival, "directories lie in one another deeper than is remembered");
    struct buffer text = BUFFER_INIT(32);
    if (!rc)
        rc = buffer_printf(&text, "mode=%04o", (unsigned)(mode & 07777));
    if (!rc)
        rc = kept_name_set(&scp->detail, text.data, text.length);
    buffer_free(&text);
    sha256_running_start(&scp->hash);
    scp->left = scp->size;
    scp->failed = false;
    scp->since_ns = arrival->time_ns;
    return rc;
}

static bool is_times(const char *line)
{
    const char *p = line + 1;
    uint64_t unused;
    return take_number(&p, 10, ' ', &unused) && take_number(&p, 10, ' ', &unused) &&
           take_number(&p, 10, ' ', &unused) && take_number(&p, 10, '\0', &unused);
}

static int take_line(struct scp *scp, struct buffer *line, struct arrival *arrival)
{
    int rc = 0;
    char kind = line->data[0];
    if (memchr(line->data, '\0', line->length))
        return lost(arrival, "a line is none of scp's");
    if (kind == 1 || kind == 2) {
        rc = tell_problem(line, arrival->sink);
    } else {
        if (kind == 'C' || kind == 'D')
            rc = take_entry(scp, line->data, arrival);
        else if (!(kind == 'E' && line->length == 1) && !(kind == 'T' && is_times(line->data)))
            rc = lost(arrival, "a line is none of scp's");
        scp->kind = (uint8_t)kind;
        if (!rc)
            scp->state = AT_ANSWER;
    }
    if (!rc)
        buffer_clear(line);
    return rc;
}

/* Gathers a line; *whole when its end has come, which is not kept. On a failure the line has all
 * that arrived of it. */
static int gather(struct buffer *line, struct arrival *arrival, bool *whole)
{
    const uint8_t *data = arrival->data + arrival->used;
    size_t left = arrival->length - arrival->used;
    const uint8_t *end = memchr(data, '\n', left);
    size_t length = end ? (size_t)(end - data) : left;
    *whole = end != NULL;
    if (length >= line->limit - line->length)
        return lost(arrival, "a line is longer than any of scp's");
    int rc = buffer_append(line, data, length);
    if (!rc)
        arrival->used += length + *whole;
    return rc;
}

/* A line that made no sense is handed out with its end. */
static int give_back_end(int rc, struct buffer *line)
{
    return rc == DECODER_LOST && buffer_append(line, "\n", 1) ? ERR_NO_MEMORY : rc;
}

static int take_data(struct scp *scp, struct arrival *arrival)
{
    const uint8_t *data = arrival->data + arrival->used;
    size_t length = arrival->length - arrival->used;
    struct transfer_name name = kept_name_view(&scp->name);
    int rc = 0;
    if (length > scp->left)
        length = (size_t)scp->left;
    sha256_running_add(&scp->hash, data, length);
    if (arrival->sink->content)
        rc = arrival->sink->content(arrival->sink->context,
                                    scp->to_far ? TRANSFER_PUT : TRANSFER_GET, scp->number, &name,
                                    scp->size - scp->left, data, length);
    scp->left -= length;
    arrival->used += length;
    if (scp->left == 0)
        scp->state = AT_STATUS;
    return rc;
}

/* \0, or a sentence. */
static int take_source_status(struct scp *scp, struct buffer *line, struct arrival *arrival)
{
    bool whole;
    uint8_t first = line->length ? (uint8_t)line->data[0] : arrival->data[arrival->used];
    if (first > 2)
        return lost(arrival, "a file is longer than was said");
    if (first == 0) {
        arrival->used++;
    } else {
        int rc = gather(line, arrival, &whole);
        if (!rc && whole)
            rc = tell_problem(line, arrival->sink);
        if (rc || !whole)
            return rc;
        scp->failed = true;
        buffer_clear(line);
    }
    scp->state = AT_END;
    return 0;
}

static int take_from_source(struct scp *scp, struct arrival *arrival)
{
    struct buffer *line = &scp->lines[arrival->direction];
    bool whole = false;
    int rc;
    switch (scp->state) {
    case AT_LINE:
        if (!scp->greeted)
            return lost(arrival, "the source begins before the sink said so");
        rc = gather(line, arrival, &whole);
        if (!rc && whole && line->length == 0)
            rc = lost(arrival, "a line is none of scp's");
        else if (!rc && whole)
            rc = take_line(scp, line, arrival);
        return whole ? give_back_end(rc, line) : rc;
    case AT_DATA:
        return take_data(scp, arrival);
    case AT_STATUS:
        return take_source_status(scp, line, arrival);
    default:
        return lost(arrival, "the source goes on before the sink said so");
    }
}

/* ---- the sink -------------------------------------------------------------------------------- */

static int enter(struct scp *scp)
{
    buffer_clear(&scp->folder);
    int rc = buffer_append(&scp->folder, scp->name.bytes, scp->name.length);
    return rc ? rc : buffer_append(&scp->folder, "/", 1);
}

static void leave(struct scp *scp)
{
    size_t length = scp->folder.length ? scp->folder.length - 1 : 0;
    while (length && scp->folder.data[length - 1] != '/')
        length--;
    if (scp->folder.data)
        scp->folder.data[length] = '\0';
    scp->folder.length = length;
}

/* The sink answers the line that waits. */
static int answer_line(struct scp *scp, bool ok, struct arrival *arrival)
{
    int rc = 0;
    scp->state = AT_LINE;
    if (scp->kind == 'C' && ok) {
        scp->number++;
        scp->state = scp->size ? AT_DATA : AT_STATUS;
    } else if (scp->kind == 'C') {
        rc = tell_file(scp, "failure", arrival->sink);
    } else if (scp->kind == 'D') {
        rc = tell_folder(scp, ok ? "ok" : "failure", arrival->sink);
        if (!rc && ok)
            rc = enter(scp);
        if (rc == ERR_LIMIT)
            rc = lost(arrival, "directories lie in one another deeper than is remembered");
    } else if (scp->kind == 'E') {
        leave(scp);
    }
    return rc;
}

static int answer(struct scp *scp, bool ok, struct arrival *arrival)
{
    if (!scp->greeted) {
        scp->greeted = ok;
        return 0;
    }
    if (scp->state == AT_ANSWER)
        return answer_line(scp, ok, arrival);
    if (scp->state == AT_END) {
        scp->state = AT_LINE;
        return tell_file(scp, ok && !scp->failed ? "ok" : "failure", arrival->sink);
    }
    /* A problem may be told of at any time. */
    return ok ? lost(arrival, "the sink agrees to nothing") : 0;
}

static int take_from_sink(struct scp *scp, struct arrival *arrival)
{
    struct buffer *line = &scp->lines[arrival->direction];
    uint8_t first = line->length ? (uint8_t)line->data[0] : arrival->data[arrival->used];
    bool whole = false;
    int rc;
    if (first > 2)
        return lost(arrival, "the sink answers with what is no answer");
    if (first == 0) {
        rc = answer(scp, true, arrival);
        arrival->used += rc == 0;
        return rc;
    }
    rc = gather(line, arrival, &whole);
    if (rc || !whole)
        return rc;
    rc = tell_problem(line, arrival->sink);
    if (!rc)
        rc = answer(scp, false, arrival);
    buffer_clear(line);
    return rc;
}

int scp_take(struct scp *scp, struct arrival *arrival)
{
    bool source = (arrival->direction == TRANSFER_TO_FAR) == scp->to_far;
    int rc = 0;
    arrival->used = 0;
    while (!rc && arrival->used < arrival->length)
        rc = source ? take_from_source(scp, arrival) : take_from_sink(scp, arrival);
    return rc;
}

int scp_end(struct scp *scp, const struct transfer_sink *sink)
{
    bool file = scp->state != AT_LINE && scp->kind == 'C';
    return file ? tell_file(scp, "unfinished", sink) : 0;
}

void scp_walk(struct scp *scp, struct state_walk *walk)
{
    state_flag(walk, &scp->greeted);
    state_u8(walk, &scp->state);
    state_u8(walk, &scp->kind);
    state_flag(walk, &scp->failed);
    state_buffer(walk, &scp->lines[0]);
    state_buffer(walk, &scp->lines[1]);
    state_buffer(walk, &scp->folder);
    state_name(walk, &scp->name);
    state_name(walk, &scp->detail);
    state_u64(walk, &scp->left);
    state_u64(walk, &scp->size);
    state_u64(walk, &scp->number);
    state_i64(walk, &scp->since_ns);
    state_hash(walk, &scp->hash);
    if (!walk->rc && (scp->state > AT_END || scp->left > scp->size))
        walk->rc = ERR_DAMAGED;
}
