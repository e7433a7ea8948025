/* File transfers' decoders: never a crash, whatever passes; and what is told does not depend on how
 * the bytes are cut nor on the decoder being saved and loaded in between. A state that is anything
 * is refused or can be gone on with.
 *
 * Input: a byte for the protocol, from 1 (enum transfer_protocol), with 0x80 set for a state to be
 * loaded first (two bytes with its length, and the state); then parts: a byte whose lowest bit is
 * the direction, two bytes with the length, and the bytes. */
#include "recorder/transfer/transfer.h"
#include "recorder/transfer/transfer_text.h"
#include "tests/fuzz/fuzz.h"

#define MUCH ((size_t)64 << 20)

struct told {
    struct buffer lines, raw[2];
    uint64_t content;
    bool given_up;
};

static int take_operation(void *context, const struct transfer_operation *operation)
{
    struct told *told = context;
    fuzz_require(*transfer_op_name(operation->op));
    fuzz_require(!operation->hashed || !operation->unhashed);
    fuzz_require(transfer_line(operation, &told->lines) == 0);
    return buffer_append(&told->lines, "\n", 1);
}

static int take_note(void *context, const char *reason)
{
    struct told *told = context;
    fuzz_require(!told->given_up && *reason);
    told->given_up = true;
    return buffer_append_text(&told->lines, reason);
}

static int take_raw(void *context, enum transfer_direction direction, const void *data,
                    size_t length)
{
    struct told *told = context;
    fuzz_require(length);
    return buffer_append(&told->raw[direction], data, length);
}

static int take_content(void *context, enum transfer_op op, uint64_t number,
                        const struct transfer_name *path, uint64_t offset, const void *data,
                        size_t length)
{
    struct told *told = context;
    (void)path, (void)offset, (void)data;
    fuzz_require(number && (op == TRANSFER_PUT || op == TRANSFER_GET));
    told->content += length;
    return 0;
}

static struct transfer *reload(struct transfer *transfer)
{
    struct buffer state = BUFFER_INIT(TRANSFER_STATE_MAX);
    fuzz_require(transfer_save(transfer, &state) == 0);
    transfer_free(transfer);
    fuzz_require(transfer_load(state.data, state.length, &transfer) == 0);
    buffer_free(&state);
    return transfer;
}

static struct told run(struct transfer *transfer, struct fuzz_input input, size_t step, bool saved)
{
    struct buffer empty = BUFFER_INIT(MUCH);
    struct told told = {empty, {empty, empty}, 0, false};
    const struct transfer_sink sink = {&told, take_operation, take_note, take_raw, take_content};
    for (int64_t time_ns = 1; input.left; time_ns++) {
        enum transfer_direction direction = fuzz_byte(&input) & 1 ? TRANSFER_FROM_FAR
                                                                  : TRANSFER_TO_FAR;
        size_t length = (size_t)fuzz_number(&input, 2);
        const uint8_t *bytes = fuzz_bytes(&input, length, &length);
        for (size_t at = 0, this; at < length; at += this) {
            this = step && step < length - at ? step : length - at;
            fuzz_require(transfer_take(transfer, direction, time_ns, bytes + at, this, &sink) == 0);
            if (saved)
                transfer = reload(transfer);
        }
    }
    fuzz_require(transfer_end(transfer, &sink) == 0);
    transfer_free(transfer);
    return told;
}

static bool same(const struct buffer *one, const struct buffer *other)
{
    return one->length == other->length &&
           (one->length == 0 || memcmp(one->data, other->data, one->length) == 0);
}

static void free_told(struct told *told)
{
    buffer_free(&told->lines);
    buffer_free(&told->raw[0]);
    buffer_free(&told->raw[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    uint8_t options = fuzz_byte(&input);
    enum transfer_protocol protocol = (enum transfer_protocol)(1 + (options & 0x7f) % TRANSFER_GIT);
    if (options & 0x80) {
        struct transfer *transfer;
        size_t length = (size_t)fuzz_number(&input, 2);
        const uint8_t *state = fuzz_bytes(&input, length, &length);
        if (transfer_load(state, length, &transfer) == 0) {
            struct told told = run(transfer, input, 0, true);
            free_told(&told);
        }
        return 0;
    }
    struct told whole = run(transfer_new(protocol), input, 0, false);
    struct told pieces = run(transfer_new(protocol), input, 1 + size % 7, size < 4096);
    fuzz_require(same(&whole.lines, &pieces.lines));
    fuzz_require(same(&whole.raw[0], &pieces.raw[0]) && same(&whole.raw[1], &pieces.raw[1]));
    fuzz_require(whole.content == pieces.content);
    free_told(&whole);
    free_told(&pieces);
    return 0;
}
