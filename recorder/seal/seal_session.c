/* From the journal's frames to a chunk of the cast. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/seal/seal_transfer.h"
#include "recorder/seal/sealer.h"
#include "recorder/transfer/transfer_protocol.h"

/* A frame of up to 16 MiB is encoded in pieces, and compressed piece by piece, so that memory stays
 * the same whatever a host writes. */
#define PIECE ((size_t)64 << 10)
#define LABEL_MAX ((size_t)4096) /* a marker's, in bytes; longer is cut */

enum stop {
    GO_ON,
    STOP_FULL,  /* the chunk is large enough */
    STOP_WAIT,  /* the journal has no more now */
    STOP_FINAL, /* nor will it ever */
};

/* The chunk being made. */
struct draft {
    struct seal_progress next;
    struct seal_end *end; /* being filled in */
    int fd;               /* of ID.cast.gz; -1: nothing was read yet */
    int64_t first_ns;
};

const char *sealer_kind_name(uint32_t kind)
{
    switch (kind) {
    case JOURNAL_SHELL:
        return "shell";
    case JOURNAL_EXEC:
        return "exec";
    case JOURNAL_SUBSYSTEM:
        return "subsystem";
    case JOURNAL_FORWARDING:
        return "forwarding";
    default:
        return "";
    }
}

static int begin_cast(const struct journal_meta *meta, struct cast_encoder *encoder,
                      struct buffer *out, struct error *error)
{
    char title[2 * JOURNAL_META_TEXT + 2];
    snprintf(title, sizeof(title), "%s%s%s", meta->user, *meta->user && *meta->socket ? "@" : "",
             meta->socket);
    struct cast_header header = {
        .version = meta->cast_version == 3 ? 3 : 2,
        .columns = meta->columns,
        .rows = meta->rows,
        .started_ns = meta->started_ns,
        .term = meta->term,
        .command = meta->command,
        .title = title,
        .onlcr = !meta->has_terminal,
        .id = meta->id,
        .organization = meta->organization,
        .socket = meta->socket,
        .user = meta->user,
        .key_fingerprint = meta->key_fingerprint,
        .target_user = meta->target_user,
        .target_address = meta->target_address,
        .client_address = meta->client_address,
        .connection_id = meta->connection_id,
        .host = meta->host,
        .kind = sealer_kind_name(meta->kind),
        .transfer = transfer_protocol_name(transfer_protocol_find(meta->transfer)),
        .contents = *meta->contents,
    };
    int rc = cast_begin(encoder, &header, out);
    return rc ? error_set(error, rc, "no memory for the cast's header") : 0;
}

/* Opens the file and starts the chunk, at the first frame. */
static int begin_chunk(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                       struct error *error)
{
    if (draft->fd >= 0)
        return 0;
    int rc = sealer_file(sealer, SPOOL_CAST_SUFFIX, O_RDWR | O_CREAT, &draft->fd, error);
    if (!rc)
        rc = chunk_start(worker, draft->fd, &draft->next, error);
    draft->first_ns = -1;
    if (!rc)
        rc = seal_transfer_open(sealer, error);
    if (rc || draft->next.encoder.version)
        return rc;
    const struct journal_meta *meta = journal_reader_meta(sealer->reader);
    uint8_t header[GZIP_HEADER_SIZE];
    gzip_header(header, meta->started_ns);
    rc = write_at(draft->fd, header, sizeof(header), 0, error);
    if (!rc)
        rc = begin_cast(meta, &draft->next.encoder, &worker->cast, error);
    return rc;
}

int sealer_add_bytes(struct seal_worker *worker, struct cast_encoder *encoder,
                     enum cast_stream stream, int64_t time_ns, const void *data, size_t left,
                     struct error *error)
{
    const char *p = data;
    while (left) {
        size_t length = left < PIECE ? left : PIECE;
        int rc = cast_bytes(encoder, stream, time_ns, p, length, &worker->cast);
        if (rc)
            return error_set(error, rc, "no memory for %zu bytes of cast", length);
        p += length;
        left -= length;
        if (worker->cast.length >= PIECE) {
            rc = chunk_compress(worker, error);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int add_bytes(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                     enum cast_stream stream, const struct journal_frame *frame,
                     struct error *error)
{
    struct cast_encoder *encoder = &draft->next.encoder;
    if (sealer->transfer && stream != CAST_STDERR)
        return seal_transfer_take(sealer->transfer, worker, encoder, stream, frame, error);
    return sealer_add_bytes(worker, encoder, stream, frame->time_ns, frame->data, frame->length,
                            error);
}

static int add_marker(struct seal_worker *worker, struct draft *draft, int64_t time_ns,
                      const char *label, struct error *error)
{
    int rc = cast_marker(&draft->next.encoder, time_ns, label, &worker->cast);
    return rc ? error_set(error, rc, "no memory for a marker") : 0;
}

static int add_label(struct seal_worker *worker, struct draft *draft,
                     const struct journal_frame *frame, struct error *error)
{
    buffer_clear(&worker->scratch);
    int rc = buffer_append(&worker->scratch, frame->data,
                           frame->length < LABEL_MAX ? frame->length : LABEL_MAX);
    if (rc)
        return error_set(error, rc, "no memory for a marker");
    return add_marker(worker, draft, frame->time_ns, worker->scratch.data, error);
}

static int malformed(const struct sealer *sealer, const struct journal_frame *frame,
                     struct error *error)
{
    return error_set(error, ERR_DAMAGED, "journal %s: the frame before offset %llu makes no sense",
                     sealer->id, (unsigned long long)frame->end);
}

static int add_resize(const struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                      const struct journal_frame *frame, struct error *error)
{
    uint32_t size[2];
    if (frame->length != sizeof(size))
        return malformed(sealer, frame, error);
    memcpy(size, frame->data, sizeof(size));
    int rc = cast_resize(&draft->next.encoder, frame->time_ns, le32toh(size[0]), le32toh(size[1]),
                         &worker->cast);
    return rc ? error_set(error, rc, "no memory for a resize") : 0;
}

static int add_gap(const struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                   const struct journal_frame *frame, struct error *error)
{
    uint64_t lost;
    char label[64];
    if (frame->length != sizeof(lost))
        return malformed(sealer, frame, error);
    memcpy(&lost, frame->data, sizeof(lost));
    lost = le64toh(lost);
    snprintf(label, sizeof(label), "gap: %llu bytes were not recorded", (unsigned long long)lost);
    /* A character that began before the gap does not end behind it. */
    int rc = cast_end(&draft->next.encoder, frame->time_ns, -1, &worker->cast);
    rc = rc ? error_set(error, rc, "no memory for a gap")
            : add_marker(worker, draft, frame->time_ns, label, error);
    /* The manifest's numbers are JSON's, which go to 2^63 - 1. */
    if (!rc && __builtin_add_overflow(draft->next.lost_bytes, lost, &draft->next.lost_bytes))
        draft->next.lost_bytes = INT64_MAX;
    if (draft->next.lost_bytes > INT64_MAX)
        draft->next.lost_bytes = INT64_MAX;
    if (!rc && sealer->transfer)
        rc = seal_transfer_give_up(sealer->transfer, worker, &draft->next.encoder, frame->time_ns,
                                   "bytes are missing", error);
    return rc;
}

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}

static int end_transfer(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                        int64_t time_ns, struct error *error)
{
    return sealer->transfer
               ? seal_transfer_end(sealer->transfer, worker, &draft->next.encoder, time_ns, error)
               : 0;
}

static int add_end(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                   const struct journal_frame *frame, struct error *error)
{
    struct journal_end end;
    struct seal_end *to = draft->end;
    int rc = journal_reader_end(sealer->reader, frame, &end, error);
    if (rc)
        return rc;
    to->exit_status = -1;
    if (end.kind == JOURNAL_EXITED) {
        copy_text(to->end, sizeof(to->end), "exited");
        to->exit_status = end.status > INT32_MAX ? INT32_MAX : (int)end.status;
    } else if (end.kind == JOURNAL_SIGNALED) {
        copy_text(to->end, sizeof(to->end), "signaled");
    } else {
        copy_text(to->end, sizeof(to->end), "lost");
    }
    copy_text(to->signal, sizeof(to->signal), end.signal);
    copy_text(to->message, sizeof(to->message), end.message);
    rc = end_transfer(sealer, worker, draft, frame->time_ns, error);
    if (rc)
        return rc;
    rc = cast_end(&draft->next.encoder, frame->time_ns, to->exit_status, &worker->cast);
    return rc ? error_set(error, rc, "no memory for the cast's end") : 0;
}

static int add_frame(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                     const struct journal_frame *frame, struct error *error)
{
    switch (frame->type) {
    case JOURNAL_STDOUT:
        draft->next.output_bytes += frame->length;
        return add_bytes(sealer, worker, draft, CAST_STDOUT, frame, error);
    case JOURNAL_STDERR:
        draft->next.output_bytes += frame->length;
        return add_bytes(sealer, worker, draft, CAST_STDERR, frame, error);
    case JOURNAL_INPUT:
        draft->next.input_bytes += frame->length;
        return add_bytes(sealer, worker, draft, CAST_INPUT, frame, error);
    case JOURNAL_RESIZE:
        return add_resize(sealer, worker, draft, frame, error);
    case JOURNAL_MARKER:
        return add_label(worker, draft, frame, error);
    case JOURNAL_GAP:
        return add_gap(sealer, worker, draft, frame, error);
    case JOURNAL_END:
        return add_end(sealer, worker, draft, frame, error);
    case JOURNAL_META:
    default:
        return malformed(sealer, frame, error);
    }
}

/* The end of a journal that has no end: its writer is gone, or nothing after here can be read. */
static int add_cut(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                   const char *label, struct error *error)
{
    struct seal_progress *next = &draft->next;
    copy_text(draft->end->end, sizeof(draft->end->end), "cut");
    draft->end->exit_status = -1;
    int rc = end_transfer(sealer, worker, draft, next->journal_time_ns, error);
    if (rc)
        return rc;
    rc = cast_end(&next->encoder, next->journal_time_ns, -1, &worker->cast);
    if (rc)
        return error_set(error, rc, "no memory for the cast's end");
    return add_marker(worker, draft, next->journal_time_ns, label, error);
}

/* Damage is final when the writer is gone. Before that nothing is decided: the session goes on, and
 * its journal is kept as it is. */
static int take_damage(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                       const struct error *damage, enum stop *stop, struct error *error)
{
    char label[sizeof(damage->text) + 16];
    sealer->unreadable = true;
    *stop = STOP_WAIT;
    if (!sealer->gone)
        return 0;
    *stop = STOP_FINAL;
    int rc = begin_chunk(sealer, worker, draft, error);
    if (rc)
        return rc;
    snprintf(label, sizeof(label), "damaged: %s", damage->text);
    copy_text(draft->end->damaged, sizeof(draft->end->damaged), damage->text);
    return add_cut(sealer, worker, draft, label, error);
}

static int take_frame(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                      const struct journal_frame *frame, enum stop *stop, struct error *error)
{
    struct seal_progress *next = &draft->next;
    int rc = begin_chunk(sealer, worker, draft, error);
    if (rc)
        return rc;
    if (draft->first_ns < 0)
        draft->first_ns = frame->time_ns;
    rc = add_frame(sealer, worker, draft, frame, error);
    if (rc)
        return rc;
    next->journal_offset = frame->end;
    next->journal_time_ns = frame->time_ns;
    size_t most = SEAL_CHUNK_BYTES << sealer_widening(sealer);
    if (frame->type == JOURNAL_END)
        *stop = STOP_FINAL;
    else if (worker->cast_size + worker->cast.length >= most ||
             next->journal_offset - sealer->done.journal_offset >= 4 * most)
        *stop = STOP_FULL; /* the latter for frames that make little cast */
    return 0;
}

static int take_next(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                     enum stop *stop, struct error *error)
{
    struct journal_frame frame;
    struct error problem = ERROR_INIT;
    int rc = journal_reader_next(sealer->reader, &frame, &problem);
    if (rc == JOURNAL_FRAME)
        rc = take_frame(sealer, worker, draft, &frame, stop, &problem);
    else if (rc == JOURNAL_WAIT && sealer->gone) {
        *stop = STOP_FINAL;
        rc = begin_chunk(sealer, worker, draft, &problem);
        if (!rc)
            rc = add_cut(sealer, worker, draft,
                         "cut: the recording host ended without closing the session", &problem);
    } else if (rc == JOURNAL_WAIT)
        *stop = STOP_WAIT;
    if (rc == ERR_DAMAGED)
        return take_damage(sealer, worker, draft, &problem, stop, error);
    if (rc < 0 && error)
        *error = problem;
    return rc < 0 ? rc : 0;
}

static int append_record(struct sealer *sealer, struct seal_worker *worker,
                         const struct draft *draft, struct error *error)
{
    int fd;
    buffer_clear(&worker->scratch);
    int rc = seal_record_encode(&draft->next, draft->end, &worker->scratch);
    if (rc)
        return error_set(error, rc, "no memory for a record");
    rc = sealer_file(sealer, SPOOL_SEAL_SUFFIX, O_RDWR | O_CREAT, &fd, error);
    if (rc)
        return rc;
    rc = write_at(fd, worker->scratch.data, worker->scratch.length,
                  sealer->records * SEAL_RECORD_SIZE, error);
    if (rc)
        error_prefix(error, "%s%s", sealer->id, SPOOL_SEAL_SUFFIX);
    close(fd);
    return rc;
}

/* The chunk's bytes first, then the record that says they are there. */
static int commit(struct sealer *sealer, struct seal_worker *worker, struct draft *draft,
                  struct error *error)
{
    int64_t time_ns = draft->first_ns >= 0 ? draft->first_ns : draft->next.journal_time_ns;
    int rc = chunk_end(worker, &draft->next, time_ns, error);
    if (rc)
        return rc;
    if (draft->next.final && !sealer->names_synced) {
        /* See sealer_resume(): a final record whose recording is missing means it was uploaded. */
        rc = file_sync_directory(spool_area(sealer->spool, SPOOL_SEALED), error);
        if (rc)
            return rc;
    }
    draft->next.synced = sealer->records_synced;
    if (sealer->transfer)
        rc = seal_transfer_save(sealer, &draft->next, error);
    if (!rc)
        rc = append_record(sealer, worker, draft, error);
    if (rc)
        return rc;
    sealer->done = draft->next;
    sealer->records++;
    sealer->unsynced = true;
    return 0;
}

int sealer_chunk(struct sealer *sealer, struct seal_worker *worker, struct error *error)
{
    struct draft draft = {.next = sealer->done, .fd = -1};
    enum stop stop = GO_ON;
    /* Asked before reading: what was published until then will all be read below. */
    if (!sealer->gone)
        sealer->gone = journal_reader_writer_gone(sealer->reader);
    draft.end = calloc(1, sizeof(*draft.end));
    if (!draft.end)
        return error_set(error, ERR_NO_MEMORY, "no memory to seal %s", sealer->id);
    int rc = 0;
    while (!rc && stop == GO_ON)
        rc = take_next(sealer, worker, &draft, &stop, error);
    draft.next.final = stop == STOP_FINAL;
    if (!rc && draft.fd >= 0)
        rc = commit(sealer, worker, &draft, error);
    if (!rc && draft.next.final) {
        sealer->end = draft.end;
        draft.end = NULL;
    }
    /* A chunk that did not become one takes space, which may be what it failed for. If it cannot be
     * cut, either, the next one is written over it. */
    if (rc && draft.fd >= 0)
        (void)!ftruncate(draft.fd, (off_t)sealer->done.size);
    if (rc || sealer->unreadable)
        sealer_read_again(sealer);
    if (rc)
        seal_transfer_drop(sealer);
    if (!rc)
        rc = sealer_read_on(sealer, error);
    if (draft.fd >= 0)
        close(draft.fd);
    free(draft.end);
    if (rc)
        return rc;
    return stop == STOP_WAIT ? SEAL_IDLE : SEAL_MORE;
}
