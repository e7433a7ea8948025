#include "recorder/seal/seal_record.h"

#include <endian.h>
#include <string.h>

#include "recorder/base/crc32c.h"

#define MAGIC UINT32_C(0x314c4553) /* "SEL1" */

/* One walk over the fields serves both directions, so that they cannot disagree. */
struct walk {
    uint8_t *at;
    bool writing;
};

static void walk_bytes(struct walk *walk, void *field, size_t length)
{
    if (walk->writing)
        memcpy(walk->at, field, length);
    else
        memcpy(field, walk->at, length);
    walk->at += length;
}

static void walk_u64(struct walk *walk, uint64_t *field)
{
    uint64_t little = htole64(*field);
    walk_bytes(walk, &little, sizeof(little));
    *field = le64toh(little);
}

static void walk_i64(struct walk *walk, int64_t *field)
{
    uint64_t bits = (uint64_t)*field;
    walk_u64(walk, &bits);
    *field = (int64_t)bits;
}

static void walk_u32(struct walk *walk, uint32_t *field)
{
    uint32_t little = htole32(*field);
    walk_bytes(walk, &little, sizeof(little));
    *field = le32toh(little);
}

static void walk_flag(struct walk *walk, bool *field)
{
    uint8_t byte = *field;
    walk_bytes(walk, &byte, 1);
    *field = byte != 0;
}

static void walk_encoder(struct walk *walk, struct cast_encoder *encoder)
{
    uint8_t version = (uint8_t)encoder->version;
    walk_bytes(walk, &version, 1);
    encoder->version = version;
    walk_flag(walk, &encoder->onlcr);
    walk_bytes(walk, &encoder->stream, 1);
    walk_bytes(walk, encoder->carry_length, sizeof(encoder->carry_length));
    walk_bytes(walk, encoder->carry, sizeof(encoder->carry));
    walk_i64(walk, &encoder->written_us);
    walk_i64(walk, &encoder->last_ns);
}

struct preamble {
    uint32_t magic, crc, tail_length, unused;
};

static void walk_preamble(struct walk *walk, struct preamble *preamble)
{
    walk_u32(walk, &preamble->magic);
    walk_u32(walk, &preamble->crc);
    walk_u32(walk, &preamble->tail_length);
    walk_u32(walk, &preamble->unused);
}

static void walk_progress(struct walk *walk, struct seal_progress *progress)
{
    walk_u64(walk, &progress->chunks);
    walk_u64(walk, &progress->journal_offset);
    walk_i64(walk, &progress->journal_time_ns);
    walk_u64(walk, &progress->cast_size);
    walk_u64(walk, &progress->size);
    walk_u32(walk, &progress->crc);
    walk_flag(walk, &progress->final);
    walk_encoder(walk, &progress->encoder);
    walk_u64(walk, &progress->output_bytes);
    walk_u64(walk, &progress->input_bytes);
    walk_u64(walk, &progress->lost_bytes);
    walk_u64(walk, &progress->chunk.offset);
    walk_u64(walk, &progress->chunk.size);
    walk_u64(walk, &progress->chunk.cast_offset);
    walk_u64(walk, &progress->chunk.cast_size);
    walk_i64(walk, &progress->chunk.time_ns);
    walk_bytes(walk, progress->chunk.sha256, sizeof(progress->chunk.sha256));
    walk_bytes(walk, progress->chain, sizeof(progress->chain));
    walk_u64(walk, &progress->transfer_offset);
    walk_u32(walk, &progress->transfer_size);
    walk_u32(walk, &progress->transfer_crc);
    walk_u64(walk, &progress->synced);
}

/* The CRC of what follows the CRC's own field, and of the texts. */
static uint32_t record_crc(const uint8_t record[SEAL_RECORD_SIZE], const void *tail, size_t length)
{
    return crc32c(crc32c(0, record + 8, SEAL_RECORD_SIZE - 8), tail, length);
}

static int encode_tail(const struct seal_end *end, struct buffer *out)
{
    const char *const texts[] = {end->end, end->signal, end->message, end->damaged};
    uint8_t number[4];
    struct walk walk = {number, true};
    uint32_t status = (uint32_t)end->exit_status;
    walk_u32(&walk, &status);
    int rc = buffer_append(out, number, sizeof(number));
    for (size_t i = 0; !rc && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = buffer_append(out, texts[i], strlen(texts[i]) + 1);
    return rc;
}

/* Takes one NUL-terminated text. */
static bool take_text(const char **tail, size_t *left, char *to, size_t size)
{
    const char *nul = *left ? memchr(*tail, '\0', *left) : NULL;
    if (!nul || (size_t)(nul - *tail) >= size)
        return false;
    size_t taken = (size_t)(nul - *tail) + 1;
    memcpy(to, *tail, taken);
    *tail += taken;
    *left -= taken;
    return true;
}

static bool decode_tail(const char *tail, size_t left, struct seal_end *end)
{
    uint32_t status;
    if (left < sizeof(status))
        return false;
    memcpy(&status, tail, sizeof(status));
    end->exit_status = (int)le32toh(status);
    tail += sizeof(status);
    left -= sizeof(status);
    return take_text(&tail, &left, end->end, sizeof(end->end)) &&
           take_text(&tail, &left, end->signal, sizeof(end->signal)) &&
           take_text(&tail, &left, end->message, sizeof(end->message)) &&
           take_text(&tail, &left, end->damaged, sizeof(end->damaged)) && left == 0;
}

int seal_record_encode(const struct seal_progress *progress, const struct seal_end *end,
                       struct buffer *out)
{
    static const uint8_t blank[SEAL_RECORD_SIZE];
    struct seal_progress copy = *progress;
    size_t start = out->length;
    int rc = buffer_append(out, blank, sizeof(blank));
    if (!rc && progress->final)
        rc = encode_tail(end, out);
    if (rc)
        return rc;
    uint8_t *record = (uint8_t *)out->data + start;
    const uint8_t *tail = record + SEAL_RECORD_SIZE;
    size_t tail_length = out->length - start - SEAL_RECORD_SIZE;
    struct preamble preamble = {.magic = MAGIC, .tail_length = (uint32_t)tail_length};
    struct walk walk = {record, true};
    walk_preamble(&walk, &preamble);
    walk_progress(&walk, &copy);
    preamble.crc = record_crc(record, tail, tail_length);
    walk.at = record;
    walk_preamble(&walk, &preamble);
    return 0;
}

bool seal_record_decode(const uint8_t record[SEAL_RECORD_SIZE], const void *tail,
                        size_t tail_length, struct seal_progress *progress, struct seal_end *end)
{
    uint8_t copy[SEAL_RECORD_SIZE];
    struct preamble preamble;
    struct walk walk = {copy, false};
    memcpy(copy, record, sizeof(copy));
    *progress = (struct seal_progress){0};
    walk_preamble(&walk, &preamble);
    if (preamble.magic != MAGIC || preamble.tail_length > tail_length ||
        preamble.crc != record_crc(record, tail, preamble.tail_length))
        return false;
    walk_progress(&walk, progress);
    const struct cast_encoder *encoder = &progress->encoder;
    for (size_t i = 0; i < sizeof(encoder->carry_length); i++)
        if (encoder->carry_length[i] >= sizeof(encoder->carry[i]))
            return false;
    return !progress->final || decode_tail(tail, preamble.tail_length, end);
}
