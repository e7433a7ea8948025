/* Protocols whose files cannot be told from outside (rsync's differences, git's packs): how many
 * bytes went each way, and their hash. Only after both sides have greeted one another as the
 * protocol's programs do. */
#include <stdlib.h>

#include "recorder/transfer/decoders.h"

#define GREETING 4

struct opaque {
    enum transfer_protocol protocol;
    struct opaque_side {
        struct buffer greeting; /* its first bytes, until they are all there */
        bool greeted;
        struct sha256_running hash; /* knows the length, too */
    } sides[2];
};

struct opaque *opaque_new(enum transfer_protocol protocol)
{
    struct opaque *opaque = calloc(1, sizeof(*opaque));
    if (!opaque)
        return NULL;
    opaque->protocol = protocol;
    for (int i = 0; i < 2; i++) {
        opaque->sides[i].greeting = BUFFER_INIT(GREETING);
        sha256_running_start(&opaque->sides[i].hash);
    }
    return opaque;
}

void opaque_free(struct opaque *opaque)
{
    if (!opaque)
        return;
    buffer_free(&opaque->sides[0].greeting);
    buffer_free(&opaque->sides[1].greeting);
    free(opaque);
}

/* rsync: the protocol's version, 20 to 255, in four bytes, the least first. git: the length of the
 * first line in four hexadecimal digits. */
static bool greets(enum transfer_protocol protocol, const uint8_t *bytes)
{
    if (protocol == TRANSFER_RSYNC)
        return bytes[0] >= 20 && !bytes[1] && !bytes[2] && !bytes[3];
    for (int i = 0; i < GREETING; i++)
        if (!((bytes[i] >= '0' && bytes[i] <= '9') || (bytes[i] >= 'a' && bytes[i] <= 'f')))
            return false;
    return true;
}

int opaque_take(struct opaque *opaque, struct arrival *arrival)
{
    struct opaque_side *side = &opaque->sides[arrival->direction];
    arrival->used = 0;
    if (!side->greeted) {
        size_t missing = GREETING - side->greeting.length;
        size_t length = arrival->length < missing ? arrival->length : missing;
        int rc = buffer_append(&side->greeting, arrival->data, length);
        if (rc)
            return rc;
        arrival->used = length;
        if (side->greeting.length < GREETING)
            return 0;
        if (!greets(opaque->protocol, (const uint8_t *)side->greeting.data)) {
            arrival->reason = "this is not how the protocol begins";
            return DECODER_LOST;
        }
        side->greeted = true;
        sha256_running_add(&side->hash, side->greeting.data, GREETING);
        buffer_clear(&side->greeting);
    }
    sha256_running_add(&side->hash, arrival->data + arrival->used, arrival->length - arrival->used);
    arrival->used = arrival->length;
    return 0;
}

const struct buffer *opaque_unfinished(const struct opaque *opaque,
                                       enum transfer_direction direction)
{
    return &opaque->sides[direction].greeting;
}

int opaque_end(struct opaque *opaque, const struct transfer_sink *sink)
{
    int rc = 0;
    for (int i = 0; !rc && i < 2; i++) {
        const struct sha256_running *hash = &opaque->sides[i].hash;
        if (hash->length == 0)
            continue;
        struct transfer_operation operation = {
            .op = i == TRANSFER_TO_FAR ? TRANSFER_INPUT : TRANSFER_OUTPUT,
            .detail = transfer_protocol_name(opaque->protocol),
            .counted = true,
            .bytes = hash->length,
            .hashed = true,
        };
        sha256_running_get(hash, operation.sha256);
        rc = sink->operation(sink->context, &operation);
    }
    return rc;
}

void opaque_walk(struct opaque *opaque, struct state_walk *walk)
{
    for (int i = 0; i < 2; i++) {
        state_buffer(walk, &opaque->sides[i].greeting);
        state_flag(walk, &opaque->sides[i].greeted);
        state_hash(walk, &opaque->sides[i].hash);
        if (!walk->rc && opaque->sides[i].greeting.length >= GREETING)
            walk->rc = ERR_DAMAGED;
    }
}
