#include "recorder/transfer/transfer.h"

#include <stdlib.h>

#include "recorder/transfer/decoders.h"

#define STATE_VERSION 1

struct transfer {
    uint8_t protocol; /* enum transfer_protocol */
    bool given_up;
    struct sftp *sftp; /* one of these, by the protocol */
    struct scp *scp;
    struct opaque *opaque;
};

const char *transfer_op_name(enum transfer_op op)
{
    static const char *const names[TRANSFER_OPS] = {
        [TRANSFER_PUT] = "put",         [TRANSFER_GET] = "get",
        [TRANSFER_RENAME] = "rename",   [TRANSFER_REMOVE] = "remove",
        [TRANSFER_MKDIR] = "mkdir",     [TRANSFER_RMDIR] = "rmdir",
        [TRANSFER_SETSTAT] = "setstat", [TRANSFER_SYMLINK] = "symlink",
        [TRANSFER_LINK] = "link",       [TRANSFER_COPY] = "copy",
        [TRANSFER_LIST] = "list",       [TRANSFER_OTHER] = "other",
        [TRANSFER_INPUT] = "input",     [TRANSFER_OUTPUT] = "output",
    };
    return op >= TRANSFER_PUT && op < TRANSFER_OPS ? names[op] : "";
}

struct transfer *transfer_new(enum transfer_protocol protocol)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    if (!transfer)
        return NULL;
    transfer->protocol = (uint8_t)protocol;
    if (protocol == TRANSFER_SFTP)
        transfer->sftp = sftp_new();
    else if (protocol == TRANSFER_SCP_TO || protocol == TRANSFER_SCP_FROM)
        transfer->scp = scp_new(protocol == TRANSFER_SCP_TO);
    else
        transfer->opaque = opaque_new(protocol);
    if (transfer->sftp || transfer->scp || transfer->opaque)
        return transfer;
    free(transfer);
    return NULL;
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    sftp_free(transfer->sftp);
    scp_free(transfer->scp);
    opaque_free(transfer->opaque);
    free(transfer);
}

static int decode(struct transfer *transfer, struct arrival *arrival)
{
    return transfer->sftp  ? sftp_take(transfer->sftp, arrival)
           : transfer->scp ? scp_take(transfer->scp, arrival)
                           : opaque_take(transfer->opaque, arrival);
}

static int end(struct transfer *transfer, const struct transfer_sink *sink)
{
    return transfer->sftp  ? sftp_end(transfer->sftp, sink)
           : transfer->scp ? scp_end(transfer->scp, sink)
                           : opaque_end(transfer->opaque, sink);
}

static int hand_out_unfinished(const struct transfer *transfer, const struct transfer_sink *sink)
{
    int rc = 0;
    for (int i = 0; !rc && i < 2; i++) {
        enum transfer_direction direction = (enum transfer_direction)i;
        const struct buffer *bytes = transfer->sftp ? sftp_unfinished(transfer->sftp, direction)
                                     : transfer->scp
                                         ? scp_unfinished(transfer->scp, direction)
                                         : opaque_unfinished(transfer->opaque, direction);
        if (bytes->length)
            rc = sink->raw(sink->context, direction, bytes->data, bytes->length);
    }
    return rc;
}

int transfer_give_up(struct transfer *transfer, const char *reason,
                     const struct transfer_sink *sink)
{
    if (transfer->given_up)
        return 0;
    transfer->given_up = true;
    int rc = end(transfer, sink);
    if (!rc)
        rc = sink->note(sink->context, reason);
    return rc ? rc : hand_out_unfinished(transfer, sink);
}

int transfer_take(struct transfer *transfer, enum transfer_direction direction, int64_t time_ns,
                  const void *data, size_t length, const struct transfer_sink *sink)
{
    struct arrival arrival = {
        .direction = direction, .time_ns = time_ns, .data = data, .length = length, .sink = sink};
    int rc = transfer->given_up ? 0 : decode(transfer, &arrival);
    if (rc == DECODER_LOST)
        rc = transfer_give_up(transfer, arrival.reason, sink);
    if (!rc && transfer->given_up && arrival.used < length)
        rc = sink->raw(sink->context, direction, arrival.data + arrival.used,
                       length - arrival.used);
    return rc;
}

int transfer_end(struct transfer *transfer, const struct transfer_sink *sink)
{
    if (transfer->given_up)
        return 0;
    int rc = end(transfer, sink);
    return rc ? rc : hand_out_unfinished(transfer, sink);
}

static void walk_decoder(const struct transfer *transfer, struct state_walk *walk)
{
    if (transfer->sftp)
        sftp_walk(transfer->sftp, walk);
    else if (transfer->scp)
        scp_walk(transfer->scp, walk);
    else
        opaque_walk(transfer->opaque, walk);
}

int transfer_save(const struct transfer *transfer, struct buffer *out)
{
    struct state_walk walk = {.out = out};
    uint8_t version = STATE_VERSION, protocol = transfer->protocol;
    bool given_up = transfer->given_up;
    state_u8(&walk, &version);
    state_u8(&walk, &protocol);
    state_flag(&walk, &given_up);
    if (!given_up)
        walk_decoder(transfer, &walk);
    return walk.rc;
}

int transfer_load(const void *data, size_t length, struct transfer **transfer)
{
    struct state_walk walk = {.in = data, .left = length};
    uint8_t version = 0, protocol = 0;
    bool given_up = false;
    *transfer = NULL;
    state_u8(&walk, &version);
    state_u8(&walk, &protocol);
    state_flag(&walk, &given_up);
    if (walk.rc || version != STATE_VERSION || protocol < TRANSFER_SFTP || protocol > TRANSFER_GIT)
        return ERR_DAMAGED;
    struct transfer *made = transfer_new((enum transfer_protocol)protocol);
    if (!made)
        return ERR_NO_MEMORY;
    made->given_up = given_up;
    if (!given_up)
        walk_decoder(made, &walk);
    if (!walk.rc && walk.left)
        walk.rc = ERR_DAMAGED;
    if (walk.rc) {
        transfer_free(made);
        return walk.rc;
    }
    *transfer = made;
    return 0;
}
