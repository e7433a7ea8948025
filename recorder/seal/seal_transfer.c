#include "recorder/seal/seal_transfer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "recorder/base/crc32c.h"
#include "recorder/base/file.h"
#include "recorder/seal/transfer_json.h"
#include "recorder/transfer/transfer.h"
#include "recorder/transfer/transfer_state.h"
#include "recorder/transfer/transfer_text.h"

/* Compressed when so much of the cast waits: an operation makes less than half of what is free in
 * worker->cast then. */
#define PIECE ((size_t)64 << 10)
#define TEXT_MAX ((size_t)256 << 10) /* an operation with two names of 4096 bytes, escaped */
#define STATE_MAX (TRANSFER_STATE_MAX + SEAL_TRANSFER_LIST + 4096)

struct seal_transfer {
    struct transfer *decoder;
    bool contents;
    bool given_up;
    uint64_t operations, put_files, put_bytes, got_files, got_bytes, listed, markers;
    struct buffer list; /* what the manifest's list has between its brackets */
    struct buffer text; /* being made */
};

static void free_transfer(struct seal_transfer *transfer)
{
    if (!transfer)
        return;
    transfer_free(transfer->decoder);
    buffer_free(&transfer->list);
    buffer_free(&transfer->text);
    free(transfer);
}

void seal_transfer_drop(struct sealer *sealer)
{
    free_transfer(sealer->transfer);
    sealer->transfer = NULL;
}

/* ---- what the decoder says ------------------------------------------------------------------- */

struct telling {
    struct seal_transfer *transfer;
    struct seal_worker *worker;
    struct cast_encoder *encoder;
    int64_t time_ns;
    struct error *error;
};

static int no_memory(const struct telling *telling, int rc)
{
    return rc ? error_set(telling->error, rc, "no memory for an operation of a file transfer") : 0;
}

static void count(struct seal_transfer *transfer, const struct transfer_operation *operation)
{
    bool put = operation->op == TRANSFER_PUT || operation->op == TRANSFER_INPUT;
    bool got = operation->op == TRANSFER_GET || operation->op == TRANSFER_OUTPUT;
    transfer->operations++;
    transfer->put_files += operation->op == TRANSFER_PUT && operation->counted;
    transfer->got_files += operation->op == TRANSFER_GET && operation->counted;
    transfer->put_bytes += put ? operation->bytes : 0;
    transfer->got_bytes += got ? operation->bytes : 0;
}

/* The list stays as it is when there is no room for one more. */
static int add_to_list(struct seal_transfer *transfer, const struct transfer_operation *operation,
                       int64_t time_ns)
{
    struct buffer *list = &transfer->list, *text = &transfer->text;
    if (transfer->listed + 1 < transfer->operations)
        return 0;
    buffer_clear(text);
    int rc = transfer->listed ? buffer_append_text(text, ",") : 0;
    if (!rc)
        rc = transfer_json(operation, time_ns, text);
    if (rc || text->length > list->limit - list->length)
        return rc;
    rc = buffer_append(list, text->data, text->length);
    transfer->listed += !rc;
    return rc;
}

/* A line that people see, and, unless there are too many, find again. */
static int add_line(const struct telling *telling)
{
    struct seal_transfer *transfer = telling->transfer;
    struct buffer *cast = &telling->worker->cast;
    const struct buffer *text = &transfer->text;
    int rc = 0;
    if (!transfer->contents)
        rc = cast_note(telling->encoder, telling->time_ns, text->data, text->length, cast);
    if (!rc && transfer->markers < SEAL_TRANSFER_MARKERS) {
        transfer->markers++;
        rc = cast_marker(telling->encoder, telling->time_ns, text->data, cast);
    }
    return rc;
}

static int tell_operation(void *context, const struct transfer_operation *operation)
{
    struct telling *telling = context;
    struct seal_transfer *transfer = telling->transfer;
    struct buffer *cast = &telling->worker->cast, *text = &transfer->text;
    count(transfer, operation);
    buffer_clear(text);
    int rc = transfer_line(operation, text);
    if (!rc)
        rc = add_line(telling);
    buffer_clear(text);
    if (!rc)
        rc = transfer_json(operation, -1, text);
    if (!rc)
        rc = cast_file(telling->encoder, telling->time_ns, text->data, text->length, cast);
    if (!rc)
        rc = add_to_list(transfer, operation, telling->time_ns);
    rc = no_memory(telling, rc);
    return rc || cast->length < PIECE ? rc : chunk_compress(telling->worker, telling->error);
}

static int tell_note(void *context, const char *reason)
{
    struct telling *telling = context;
    telling->transfer->given_up = true;
    buffer_clear(&telling->transfer->text);
    int rc = buffer_printf(&telling->transfer->text,
                           "not understood from here on, recorded as it is: %s", reason);
    return no_memory(telling, rc ? rc : add_line(telling));
}

static int tell_raw(void *context, enum transfer_direction direction, const void *data,
                    size_t length)
{
    struct telling *telling = context;
    if (telling->transfer->contents) /* it is there already */
        return 0;
    return sealer_add_bytes(telling->worker, telling->encoder,
                            direction == TRANSFER_TO_FAR ? CAST_INPUT : CAST_STDOUT,
                            telling->time_ns, data, length, telling->error);
}

static struct transfer_sink sink_of(struct telling *telling)
{
    return (struct transfer_sink){
        .context = telling, .operation = tell_operation, .note = tell_note, .raw = tell_raw};
}

/* What the sink did not fail at was memory. */
static int result(int rc, const struct telling *telling)
{
    return rc == ERR_NO_MEMORY || rc == ERR_LIMIT ? no_memory(telling, rc) : rc;
}

/* Whoever extracts the files follows the protocol in the order of the cast: an unfinished
 * character, such as the end of a name, must not wait until behind the other side's answer. */
static int add_contents(struct seal_worker *worker, struct cast_encoder *encoder,
                        enum cast_stream stream, const struct journal_frame *frame,
                        struct error *error)
{
    enum cast_stream other = stream == CAST_INPUT ? CAST_STDOUT : CAST_INPUT;
    if (encoder->carry_length[other] && cast_end(encoder, frame->time_ns, -1, &worker->cast))
        return error_set(error, ERR_NO_MEMORY, "no memory for a file transfer's bytes");
    return sealer_add_bytes(worker, encoder, stream, frame->time_ns, frame->data, frame->length,
                            error);
}

int seal_transfer_take(struct seal_transfer *transfer, struct seal_worker *worker,
                       struct cast_encoder *encoder, enum cast_stream stream,
                       const struct journal_frame *frame, struct error *error)
{
    struct telling telling = {transfer, worker, encoder, frame->time_ns, error};
    const struct transfer_sink sink = sink_of(&telling);
    int rc = transfer->contents ? add_contents(worker, encoder, stream, frame, error) : 0;
    if (rc)
        return rc;
    rc = transfer_take(transfer->decoder,
                       stream == CAST_INPUT ? TRANSFER_TO_FAR : TRANSFER_FROM_FAR, frame->time_ns,
                       frame->data, frame->length, &sink);
    return result(rc, &telling);
}

int seal_transfer_give_up(struct seal_transfer *transfer, struct seal_worker *worker,
                          struct cast_encoder *encoder, int64_t time_ns, const char *reason,
                          struct error *error)
{
    struct telling telling = {transfer, worker, encoder, time_ns, error};
    const struct transfer_sink sink = sink_of(&telling);
    return result(transfer_give_up(transfer->decoder, reason, &sink), &telling);
}

int seal_transfer_end(struct seal_transfer *transfer, struct seal_worker *worker,
                      struct cast_encoder *encoder, int64_t time_ns, struct error *error)
{
    struct telling telling = {transfer, worker, encoder, time_ns, error};
    const struct transfer_sink sink = sink_of(&telling);
    return result(transfer_end(transfer->decoder, &sink), &telling);
}

struct manifest_transfer seal_transfer_describe(const struct seal_transfer *transfer,
                                                const struct journal_meta *meta)
{
    return (struct manifest_transfer){
        .protocol = transfer_protocol_name(transfer_protocol_find(meta->transfer)),
        .contents = transfer->contents,
        .understood = !transfer->given_up,
        .operations = transfer->operations,
        .put_files = transfer->put_files,
        .put_bytes = transfer->put_bytes,
        .got_files = transfer->got_files,
        .got_bytes = transfer->got_bytes,
        .listed = transfer->listed,
        .list = transfer->list.data ? transfer->list.data : "",
    };
}

/* ---- its state ------------------------------------------------------------------------------- */

static void walk_counts(struct seal_transfer *transfer, struct state_walk *walk)
{
    state_flag(walk, &transfer->given_up);
    state_u64(walk, &transfer->operations);
    state_u64(walk, &transfer->put_files);
    state_u64(walk, &transfer->put_bytes);
    state_u64(walk, &transfer->got_files);
    state_u64(walk, &transfer->got_bytes);
    state_u64(walk, &transfer->listed);
    state_u64(walk, &transfer->markers);
    state_buffer(walk, &transfer->list);
}

int seal_transfer_save(struct sealer *sealer, struct seal_progress *next, struct error *error)
{
    struct buffer state = BUFFER_INIT(STATE_MAX);
    struct state_walk walk = {.out = &state};
    int fd;
    walk_counts(sealer->transfer, &walk);
    int rc = walk.rc ? walk.rc : transfer_save(sealer->transfer->decoder, &state);
    if (rc) {
        rc = error_set(error, rc, "no memory for the state of a file transfer");
        goto out;
    }
    next->transfer_offset = sealer->done.transfer_offset + sealer->done.transfer_size;
    next->transfer_size = (uint32_t)state.length;
    next->transfer_crc = crc32c(0, state.data, state.length);
    rc = sealer_file(sealer, SPOOL_TRANSFER_SUFFIX, O_RDWR | O_CREAT, &fd, error);
    if (rc)
        goto out;
    rc = write_at(fd, state.data, state.length, next->transfer_offset, error);
    if (rc)
        error_prefix(error, "%s%s", sealer->id, SPOOL_TRANSFER_SUFFIX);
    close(fd);
out:
    buffer_free(&state);
    return rc;
}

/* Reads the state that a record is about; ERR_DAMAGED when it is not there, or not whole. */
static int read_state(const struct sealer *sealer, const struct seal_progress *progress,
                      struct buffer *state, struct error *error)
{
    int fd;
    if (progress->transfer_size > STATE_MAX || progress->transfer_offset > INT64_MAX / 2)
        return error_set(error, ERR_DAMAGED, "%s%s: it cannot be so large", sealer->id,
                         SPOOL_TRANSFER_SUFFIX);
    int rc = sealer_file(sealer, SPOOL_TRANSFER_SUFFIX, O_RDWR, &fd, error);
    if (rc == ERR_NOT_FOUND)
        return error_set(error, ERR_DAMAGED, "%s%s is missing", sealer->id, SPOOL_TRANSFER_SUFFIX);
    if (rc)
        return rc;
    rc = buffer_reserve(state, progress->transfer_size);
    if (rc)
        rc = error_set(error, rc, "no memory for the state of a file transfer");
    if (!rc)
        rc = file_pread_all(fd, state->data, progress->transfer_size,
                            (off_t)progress->transfer_offset, error);
    close(fd);
    if (rc)
        return rc;
    state->length = progress->transfer_size;
    if (crc32c(0, state->data, state->length) != progress->transfer_crc)
        return error_set(error, ERR_DAMAGED, "%s%s: its checksum is wrong", sealer->id,
                         SPOOL_TRANSFER_SUFFIX);
    return 0;
}

int seal_transfer_check(const struct sealer *sealer, const struct seal_progress *progress,
                        bool *whole, struct error *error)
{
    struct buffer state = BUFFER_INIT(STATE_MAX);
    struct error problem = ERROR_INIT;
    int rc = progress->transfer_size ? read_state(sealer, progress, &state, &problem) : 0;
    buffer_free(&state);
    *whole = rc == 0;
    if (rc == 0 || rc == ERR_DAMAGED)
        return 0;
    if (error)
        *error = problem;
    return rc;
}

static int load(struct sealer *sealer, struct seal_transfer *transfer, struct error *error)
{
    struct buffer state = BUFFER_INIT(STATE_MAX);
    int rc = read_state(sealer, &sealer->done, &state, error);
    if (!rc) {
        struct state_walk walk = {.in = (const uint8_t *)state.data, .left = state.length};
        walk_counts(transfer, &walk);
        rc = walk.rc ? walk.rc : transfer_load(walk.in, walk.left, &transfer->decoder);
        if (rc)
            rc = error_set(error, rc, "%s%s: it cannot be read", sealer->id, SPOOL_TRANSFER_SUFFIX);
    }
    buffer_free(&state);
    return rc;
}

int seal_transfer_open(struct sealer *sealer, struct error *error)
{
    const struct journal_meta *meta = journal_reader_meta(sealer->reader);
    enum transfer_protocol protocol = transfer_protocol_find(meta->transfer);
    if (sealer->transfer || protocol == TRANSFER_NONE)
        return 0;
    struct seal_transfer *made = calloc(1, sizeof(*made));
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory for a file transfer");
    made->contents = *meta->contents;
    made->list = BUFFER_INIT(SEAL_TRANSFER_LIST);
    made->text = BUFFER_INIT(TEXT_MAX);
    int rc = 0;
    if (sealer->done.transfer_size) {
        rc = load(sealer, made, error);
    } else {
        made->decoder = transfer_new(protocol);
        if (!made->decoder)
            rc = error_set(error, ERR_NO_MEMORY, "no memory for a file transfer");
    }
    if (rc)
        free_transfer(made);
    else
        sealer->transfer = made;
    return rc;
}

void seal_transfer_release(const struct sealer *sealer)
{
    int fd;
    uint64_t length = sealer->done.transfer_offset & ~UINT64_C(4095);
    if (length == 0 || sealer_file(sealer, SPOOL_TRANSFER_SUFFIX, O_RDWR, &fd, NULL))
        return;
    /* Where the file system cannot, it stays until the recording is complete. */
    (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)length);
    close(fd);
}
