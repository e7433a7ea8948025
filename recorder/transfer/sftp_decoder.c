/* Takes the two streams apart into messages. Each begins with its length (four bytes, the greatest
 * first) and its type; answers and requests are told apart by the direction. */
#include <stdlib.h>
#include <string.h>

#include "recorder/transfer/sftp.h"

#define PREFIX 4                         /* a message's length field */
#define MESSAGE_MAX ((uint64_t)16 << 20) /* OpenSSH's own limit is 256 KiB */
#define HEAD_MAX ((size_t)64 << 10)      /* of a message that is kept whole: names fit many times */

struct sftp *sftp_new(void)
{
    struct sftp *sftp = calloc(1, sizeof(*sftp));
    if (!sftp)
        return NULL;
    sftp->sides[0].head = sftp->sides[1].head = BUFFER_INIT(PREFIX + HEAD_MAX);
    return sftp;
}

void sftp_free(struct sftp *sftp)
{
    if (!sftp)
        return;
    buffer_free(&sftp->sides[0].head);
    buffer_free(&sftp->sides[1].head);
    sftp_files_free(&sftp->files);
    sftp_requests_free(&sftp->requests);
    free(sftp);
}

const struct buffer *sftp_unfinished(const struct sftp *sftp, enum transfer_direction direction)
{
    return &sftp->sides[direction].head;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static const uint8_t *take(struct sftp_fields *fields, size_t length)
{
    static const uint8_t nothing[8];
    const uint8_t *at = fields->at;
    if (fields->bad || length > fields->left) {
        fields->bad = true;
        return nothing;
    }
    fields->at += length;
    fields->left -= length;
    return at;
}

uint8_t sftp_u8(struct sftp_fields *fields)
{
    return *take(fields, 1);
}

uint32_t sftp_u32(struct sftp_fields *fields)
{
    const uint8_t *at = take(fields, 4);
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t sftp_u64(struct sftp_fields *fields)
{
    uint64_t high = sftp_u32(fields);
    return high << 32 | sftp_u32(fields);
}

const uint8_t *sftp_string(struct sftp_fields *fields, size_t *length)
{
    *length = sftp_u32(fields);
    const uint8_t *at = take(fields, *length);
    if (fields->bad)
        *length = 0;
    return at;
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint32_t number_at(const struct buffer *head, size_t offset)
{
    struct sftp_fields fields = {(const uint8_t *)head->data + offset, 4, false};
    return sftp_u32(&fields);
}

static int lost(struct arrival *arrival, const char *reason)
{
    arrival->reason = reason;
    return DECODER_LOST;
}

static bool type_is_known(uint8_t type, enum transfer_direction direction)
{
    if (direction == TRANSFER_TO_FAR)
        return type == FXP_INIT || (type >= FXP_OPEN && type <= FXP_SYMLINK) ||
               type == FXP_EXTENDED;
    return type == FXP_VERSION || (type >= FXP_STATUS && type <= FXP_ATTRS) ||
           type == FXP_EXTENDED_REPLY;
}

/* How much of the message under way must be there before it can be looked at: all of it, or what
 * comes before the data of a file and the names of a directory. More may turn out to be needed once
 * that is there. */
static int wanted(const struct sftp_side *side, struct arrival *arrival, size_t *need)
{
    const struct buffer *head = &side->head;
    *need = PREFIX + 1;
    if (head->length < *need)
        return 0;
    uint64_t whole = number_at(head, 0);
    uint8_t type = (uint8_t)head->data[PREFIX];
    if (whole == 0 || whole > MESSAGE_MAX)
        return lost(arrival, "a message has a length that none has");
    if (!type_is_known(type, arrival->direction))
        return lost(arrival, "a message has a type that version 3 does not have");
    if (type == FXP_WRITE) {
        *need = PREFIX + 1 + 4 + 4;
        if (head->length >= *need) {
            uint32_t handle = number_at(head, PREFIX + 1 + 4);
            if (handle > SFTP_HANDLE)
                return lost(arrival, "a file's handle is longer than any");
            *need += handle + 8 + 4;
        }
    } else if (type == FXP_DATA || type == FXP_NAME) {
        *need = PREFIX + 1 + 4 + 4;
    } else if (type == FXP_EXTENDED_REPLY) {
        *need = PREFIX + 1 + 4;
    } else {
        if (whole > HEAD_MAX)
            return lost(arrival, "a message is longer than any of its kind");
        *need = PREFIX + (size_t)whole;
    }
    if (*need > PREFIX + whole)
        return lost(arrival, "a message ends too early");
    return 0;
}

static int act(struct sftp *sftp, struct sftp_side *side, struct arrival *arrival)
{
    struct sftp_stream stream = {0};
    const struct sftp_message message = {(const uint8_t *)side->head.data + PREFIX,
                                         side->head.length - PREFIX, number_at(&side->head, 0)};
    int rc = arrival->direction == TRANSFER_TO_FAR
                 ? sftp_take_request(sftp, &message, arrival, &stream)
                 : sftp_take_answer(sftp, &message, arrival, &stream);
    if (rc)
        return rc;
    stream.left = message.whole - message.length;
    side->stream = stream;
    buffer_clear(&side->head);
    return 0;
}

static int pass(struct sftp *sftp, struct sftp_stream *stream, struct arrival *arrival)
{
    size_t length = arrival->length - arrival->used;
    const uint8_t *data = arrival->data + arrival->used;
    if (length > stream->left)
        length = (size_t)stream->left;
    if (stream->file) {
        struct sftp_file *file = sftp_file_by_number(&sftp->files, stream->file);
        if (!file)
            return lost(arrival, "a file was closed while its data were on their way");
        struct sftp_run *run = stream->put ? &file->put : &file->got;
        struct transfer_name path = kept_name_view(&file->path);
        uint64_t offset = run->next - stream->left;
        sftp_run_add(run, data, length);
        int rc = arrival->sink->content
                     ? arrival->sink->content(arrival->sink->context,
                                              stream->put ? TRANSFER_PUT : TRANSFER_GET,
                                              file->number, &path, offset, data, length)
                     : 0;
        if (rc)
            return rc;
    }
    arrival->used += length;
    stream->left -= length;
    return 0;
}

int sftp_take(struct sftp *sftp, struct arrival *arrival)
{
    struct sftp_side *side = &sftp->sides[arrival->direction];
    int rc = 0;
    arrival->used = 0;
    while (!rc && arrival->used < arrival->length) {
        size_t need;
        if (side->stream.left) {
            rc = pass(sftp, &side->stream, arrival);
            continue;
        }
        rc = wanted(side, arrival, &need);
        if (rc)
            break;
        size_t missing = need - side->head.length, length = arrival->length - arrival->used;
        length = length < missing ? length : missing;
        rc = buffer_append(&side->head, arrival->data + arrival->used, length);
        if (rc)
            break;
        arrival->used += length;
        if (side->head.length < need)
            break;
        rc = wanted(side, arrival, &need);
        if (!rc && side->head.length == need)
            rc = act(sftp, side, arrival);
    }
    return rc;
}

/* The file opened next after the one with this number: slots are in no order. */
static const struct sftp_file *opened_after(const struct sftp_files *files, uint64_t number)
{
    const struct sftp_file *next = NULL;
    for (uint32_t i = 0; i < files->used; i++) {
        const struct sftp_file *file = files->slots[i];
        if (file && file->number > number && (!next || file->number < next->number))
            next = file;
    }
    return next;
}

int sftp_end(struct sftp *sftp, const struct transfer_sink *sink)
{
    int rc = 0;
    const struct sftp_file *file = opened_after(&sftp->files, 0);
    for (; !rc && file; file = opened_after(&sftp->files, file->number))
        rc = sftp_file_tell(file, "unfinished", sink);
    for (uint32_t i = sftp->requests.first; !rc && i < sftp->requests.end; i++)
        if (sftp->requests.list[i].waiting)
            rc = sftp_request_tell(&sftp->requests.list[i], "unanswered", sink);
    return rc;
}

void sftp_walk(struct sftp *sftp, struct state_walk *walk)
{
    state_flag(walk, &sftp->asked);
    state_flag(walk, &sftp->answered);
    for (int i = 0; i < 2; i++) {
        state_buffer(walk, &sftp->sides[i].head);
        state_u64(walk, &sftp->sides[i].stream.left);
        state_u64(walk, &sftp->sides[i].stream.file);
        state_flag(walk, &sftp->sides[i].stream.put);
    }
    sftp_files_walk(&sftp->files, walk);
    sftp_requests_walk(&sftp->requests, &sftp->files, walk);
}
