#include "recorder/transfer/transfer_state.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

int kept_name_set(struct kept_name *name, const void *bytes, size_t length)
{
    size_t kept = length < TRANSFER_NAME_MAX ? length : TRANSFER_NAME_MAX;
    char *copy = malloc(kept + 1);
    if (!copy)
        return ERR_NO_MEMORY;
    if (kept)
        memcpy(copy, bytes, kept);
    copy[kept] = '\0';
    free(name->bytes);
    *name = (struct kept_name){copy, (uint32_t)kept, (uint32_t)length};
    return 0;
}

void kept_name_free(struct kept_name *name)
{
    free(name->bytes);
    *name = (struct kept_name){0};
}

struct transfer_name kept_name_view(const struct kept_name *name)
{
    return (struct transfer_name){name->bytes, name->length, name->whole};
}

void state_bytes(struct state_walk *walk, void *field, size_t length)
{
    if (walk->rc || length == 0)
        return;
    if (walk->out) {
        walk->rc = buffer_append(walk->out, field, length);
    } else if (length > walk->left) {
        walk->rc = ERR_DAMAGED;
    } else {
        memcpy(field, walk->in, length);
        walk->in += length;
        walk->left -= length;
    }
}

void state_u8(struct state_walk *walk, uint8_t *field)
{
    state_bytes(walk, field, 1);
}

void state_flag(struct state_walk *walk, bool *field)
{
    uint8_t byte = *field;
    state_bytes(walk, &byte, 1);
    *field = byte != 0;
}

void state_u32(struct state_walk *walk, uint32_t *field)
{
    uint32_t little = htole32(*field);
    state_bytes(walk, &little, sizeof(little));
    *field = le32toh(little);
}

void state_u64(struct state_walk *walk, uint64_t *field)
{
    uint64_t little = htole64(*field);
    state_bytes(walk, &little, sizeof(little));
    *field = le64toh(little);
}

void state_i64(struct state_walk *walk, int64_t *field)
{
    uint64_t bits = (uint64_t)*field;
    state_u64(walk, &bits);
    *field = (int64_t)bits;
}

void state_count(struct state_walk *walk, uint32_t *field, uint32_t most)
{
    state_u32(walk, field);
    if (walk->rc || *field > most) {
        walk->rc = walk->rc ? walk->rc : ERR_DAMAGED;
        *field = 0;
    }
}

void state_name(struct state_walk *walk, struct kept_name *name)
{
    uint32_t length = name->length, whole = name->whole;
    bool given = name->bytes != NULL;
    state_flag(walk, &given);
    if (!given)
        return;
    state_count(walk, &length, TRANSFER_NAME_MAX);
    state_u32(walk, &whole);
    if (walk->rc)
        return;
    if (walk->out) {
        state_bytes(walk, name->bytes, length);
    } else if (length > walk->left || whole < length) {
        walk->rc = ERR_DAMAGED;
    } else {
        walk->rc = kept_name_set(name, walk->in, length);
        name->whole = whole;
        walk->in += length;
        walk->left -= length;
    }
}

void state_hash(struct state_walk *walk, struct sha256_running *hash)
{
    for (size_t i = 0; i < sizeof(hash->state) / sizeof(*hash->state); i++)
        state_u32(walk, &hash->state[i]);
    state_u64(walk, &hash->length);
    state_bytes(walk, hash->block, sizeof(hash->block));
}

void state_buffer(struct state_walk *walk, struct buffer *buffer)
{
    uint32_t length = (uint32_t)buffer->length;
    state_count(walk, &length, (uint32_t)buffer->limit);
    if (walk->rc || length == 0)
        return;
    if (walk->out) {
        state_bytes(walk, buffer->data, length);
        return;
    }
    if (length > walk->left) {
        walk->rc = ERR_DAMAGED;
        return;
    }
    buffer_clear(buffer);
    walk->rc = buffer_append(buffer, walk->in, length);
    walk->in += length;
    walk->left -= length;
}
