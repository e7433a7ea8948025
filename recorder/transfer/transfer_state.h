/* Saving and loading a decoder's state: one walk over the fields serves both, so that they cannot
 * disagree. Integers are little-endian. */
#ifndef CASTBUCKET_TRANSFER_TRANSFER_STATE_H
#define CASTBUCKET_TRANSFER_TRANSFER_STATE_H

#include "recorder/base/sha256_running.h"
#include "recorder/transfer/transfer.h"

struct state_walk {
    struct buffer *out; /* saving; NULL: loading from: */
    const uint8_t *in;
    size_t left;
    int rc; /* the first failure, and after it nothing more happens: ERR_DAMAGED when what is loaded
               ends early or is out of its limits */
};

/* A copy of a name; `bytes` belongs to it. */
struct kept_name {
    char *bytes;
    uint32_t length, whole;
};

/* The first TRANSFER_NAME_MAX bytes. ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int kept_name_set(struct kept_name *name, const void *bytes,
                                                      size_t length);
void kept_name_free(struct kept_name *name);
struct transfer_name kept_name_view(const struct kept_name *name);

void state_u8(struct state_walk *walk, uint8_t *field);
void state_flag(struct state_walk *walk, bool *field);
void state_u32(struct state_walk *walk, uint32_t *field);
void state_u64(struct state_walk *walk, uint64_t *field);
void state_i64(struct state_walk *walk, int64_t *field);
void state_bytes(struct state_walk *walk, void *field, size_t length);
void state_name(struct state_walk *walk, struct kept_name *name);
void state_hash(struct state_walk *walk, struct sha256_running *hash);
void state_buffer(struct state_walk *walk, struct buffer *buffer);

/* A number that must not be more than `most`. */
void state_count(struct state_walk *walk, uint32_t *field, uint32_t most);

#endif
