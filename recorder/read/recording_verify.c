/* What is stored against what the manifest says of it. One pass: the bytes as they come are hashed
 * as the chunks that should lie there and, when the recording is shorter than it was, also as those
 * that would lie there if the missing bytes were missing before them. So a hole in the middle does
 * not make what follows it look changed. */
#include <stdlib.h>
#include <string.h>

#include "recorder/read/gunzip.h"
#include "recorder/read/recording.h"
#include "recorder/seal/chain.h"

/* Hashes chunk after chunk, each `shift` bytes before its place. */
struct track {
    uint64_t shift;
    size_t next;    /* chunk */
    uint64_t taken; /* bytes of it */
    struct sha256 hash;
    bool *whole; /* of each chunk; NULL: this track is not used */
};

struct verifying {
    const struct manifest *manifest;
    struct track in_place, shifted;
    uint64_t size; /* read so far */
    struct sha256 all;
    struct gunzip *gunzip;
    struct cast_decoder *decoder;
    bool header_fits;
    void (*on_fault)(void *context, const struct recording_fault *fault);
    void (*on_progress)(void *context, uint64_t bytes);
    void *context;
    struct recording_verdict *verdict;
    struct error *error;
};

/* ---- reading --------------------------------------------------------------------------------- */

static int end_chunk(struct track *track, const struct manifest_chunk *chunk)
{
    uint8_t hash[SHA256_SIZE];
    int rc = sha256_final(&track->hash, hash);
    if (!rc)
        track->whole[track->next] = memcmp(hash, chunk->sha256, sizeof(hash)) == 0;
    track->next++;
    track->taken = 0;
    return rc;
}

/* Bytes [offset, offset + length) of what is stored. */
static int follow(struct track *track, const struct manifest *manifest, uint64_t offset,
                  const char *data, size_t length)
{
    int rc = 0;
    while (!rc && track->whole && track->next < manifest->chunk_count) {
        const struct manifest_chunk *chunk = &manifest->chunks[track->next];
        if (chunk->offset < track->shift) {
            track->next++;
            continue;
        }
        uint64_t from = chunk->offset - track->shift + track->taken;
        if (from >= offset + length && chunk->size != track->taken)
            break;
        uint64_t left = chunk->size - track->taken, skip = from - offset;
        size_t take = left < length - skip ? (size_t)left : (size_t)(length - skip);
        if (track->taken == 0)
            rc = sha256_init(&track->hash);
        if (!rc && take)
            rc = sha256_update(&track->hash, data + skip, take);
        track->taken += take;
        if (!rc && track->taken == chunk->size)
            rc = end_chunk(track, chunk);
    }
    return rc;
}

/* The cast's own header, from the first bytes; decoding ends when it is there, or cannot be. */
static void look_at_header(struct verifying *verifying, const void *data, size_t length)
{
    if (!verifying->gunzip)
        return;
    int rc = gunzip_feed(verifying->gunzip, data, length, NULL);
    const struct cast_info *info = cast_decoder_info(verifying->decoder);
    if (info)
        verifying->header_fits = strcmp(info->id, verifying->manifest->id) == 0;
    if (rc || info) {
        gunzip_free(verifying->gunzip);
        verifying->gunzip = NULL;
    }
}

static int take_bytes(void *context, const void *data, size_t length)
{
    struct verifying *verifying = context;
    const struct manifest *manifest = verifying->manifest;
    if (follow(&verifying->in_place, manifest, verifying->size, data, length) ||
        follow(&verifying->shifted, manifest, verifying->size, data, length) ||
        sha256_update(&verifying->all, data, length))
        return error_set(verifying->error, ERR_NO_MEMORY, "no memory to compute a checksum");
    look_at_header(verifying, data, length);
    verifying->size += length;
    if (verifying->on_progress)
        verifying->on_progress(verifying->context, verifying->size);
    return 0;
}

static int take_text(void *context, const void *data, size_t length, struct error *error)
{
    return cast_decoder_feed(context, data, length, error);
}

static int ignore_event(void *context, const struct cast_event *event, struct error *error)
{
    (void)context, (void)event, (void)error;
    return 0;
}

/* ---- judging --------------------------------------------------------------------------------- */

static void report(struct verifying *verifying, const struct recording_fault *fault)
{
    verifying->verdict->faults++;
    verifying->on_fault(verifying->context, fault);
}

static bool is_whole(const struct verifying *verifying, size_t i)
{
    return verifying->in_place.whole[i] ||
           (verifying->shifted.whole && verifying->shifted.whole[i]);
}

/* Chunks [from, to) are all not as they were. */
static void report_chunks(struct verifying *verifying, size_t from, size_t to)
{
    const struct manifest *manifest = verifying->manifest;
    const struct manifest_chunk *first = &manifest->chunks[from], *last = &manifest->chunks[to - 1];
    bool shifted_after = to < manifest->chunk_count && !verifying->in_place.whole[to];
    bool missing = last->offset + last->size > verifying->size || shifted_after;
    const struct recording_fault fault = {
        .kind = missing ? RECORDING_MISSING : RECORDING_CHANGED,
        .offset = first->offset,
        .size = last->offset + last->size - first->offset,
        .chunk = from,
        .chunks = to - from,
        .from_ns = first->time_ns,
        .to_ns = to < manifest->chunk_count ? manifest->chunks[to].time_ns : manifest->duration_ns,
    };
    report(verifying, &fault);
}

static void judge_chunks(struct verifying *verifying)
{
    size_t count = verifying->manifest->chunk_count;
    for (size_t i = 0; i < count;) {
        size_t from = i;
        while (i < count && !is_whole(verifying, i))
            i++;
        if (i > from)
            report_chunks(verifying, from, i);
        for (; i < count && is_whole(verifying, i); i++)
            verifying->verdict->chunks++;
    }
}

/* What is around the chunks, once they were judged. */
static void judge_rest(struct verifying *verifying, const uint8_t hash[SHA256_SIZE])
{
    const struct manifest *manifest = verifying->manifest;
    const struct manifest_chunk *last = manifest->chunk_count
                                            ? &manifest->chunks[manifest->chunk_count - 1]
                                            : NULL;
    uint64_t end = last ? last->offset + last->size : 0;
    struct recording_fault fault = {.from_ns = manifest->duration_ns,
                                    .to_ns = manifest->duration_ns};
    if (verifying->size > manifest->size) {
        fault.kind = RECORDING_EXTRA;
        fault.offset = manifest->size;
        fault.size = verifying->size - manifest->size;
        report(verifying, &fault);
    } else if (verifying->verdict->faults == 0 && verifying->size < manifest->size) {
        fault.kind = RECORDING_MISSING;
        fault.offset = verifying->size > end ? verifying->size : end;
        fault.size = manifest->size - fault.offset;
        report(verifying, &fault);
    } else if (verifying->verdict->faults == 0 &&
               memcmp(hash, manifest->sha256, SHA256_SIZE) != 0) {
        fault.kind = RECORDING_FRAME;
        fault.size = manifest->size;
        report(verifying, &fault);
    }
}

static int judge_chain(struct verifying *verifying)
{
    const struct manifest *manifest = verifying->manifest;
    uint8_t link[SHA256_SIZE];
    int rc = chain_start(link, manifest->id);
    for (size_t i = 0; !rc && i < manifest->chunk_count; i++)
        rc = chain_add(link, manifest->chunks[i].sha256);
    verifying->verdict->chain_fits = !rc && memcmp(link, manifest->chain, sizeof(link)) == 0;
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int prepare(struct verifying *verifying, const struct recording_source *source,
                   struct error *error)
{
    const struct manifest *manifest = verifying->manifest;
    size_t count = manifest->chunk_count + 1;
    uint64_t size = 0;
    int rc = recording_size(source, &size, error);
    if (rc)
        return rc;
    verifying->in_place.whole = calloc(count, sizeof(bool));
    if (size < manifest->size) {
        verifying->shifted.shift = manifest->size - size;
        verifying->shifted.whole = calloc(count, sizeof(bool));
    }
    if (!verifying->in_place.whole || (verifying->shifted.shift && !verifying->shifted.whole) ||
        sha256_init(&verifying->all))
        return error_set(error, ERR_NO_MEMORY, "no memory to verify %zu chunks", count);
    rc = cast_decoder_new(ignore_event, NULL, &verifying->decoder, error);
    return rc ? rc : gunzip_new(take_text, verifying->decoder, &verifying->gunzip, error);
}

static int judge(struct verifying *verifying, struct error *error)
{
    uint8_t hash[SHA256_SIZE];
    if (sha256_final(&verifying->all, hash) || judge_chain(verifying))
        return error_set(error, ERR_NO_MEMORY, "no memory to compute a checksum");
    verifying->verdict->size = verifying->size;
    judge_chunks(verifying);
    /* A damaged chunk says nothing about whose it is. */
    bool readable = verifying->manifest->chunk_count && is_whole(verifying, 0);
    verifying->verdict->header_fits = verifying->header_fits || !readable;
    judge_rest(verifying, hash);
    return 0;
}

int recording_verify(const struct recording_source *source, const struct manifest *manifest,
                     void (*on_fault)(void *context, const struct recording_fault *fault),
                     void (*on_progress)(void *context, uint64_t bytes), void *context,
                     struct recording_verdict *verdict, struct error *error)
{
    struct error why = ERROR_INIT;
    struct verifying verifying = {.manifest = manifest,
                                  .header_fits = true,
                                  .on_fault = on_fault,
                                  .on_progress = on_progress,
                                  .context = context,
                                  .verdict = verdict,
                                  .error = &why};
    *verdict = (struct recording_verdict){.there = true};
    int rc = prepare(&verifying, source, &why);
    if (!rc)
        rc = recording_copy(source, take_bytes, &verifying, &why);
    if (rc == ERR_NOT_FOUND) {
        const struct recording_fault all = {.kind = RECORDING_MISSING,
                                            .size = manifest->size,
                                            .chunks = manifest->chunk_count,
                                            .to_ns = manifest->duration_ns};
        verdict->there = false;
        verdict->header_fits = true;
        report(&verifying, &all);
        rc = judge_chain(&verifying) ? error_set(&why, ERR_NO_MEMORY, "no memory to verify") : 0;
    } else if (!rc) {
        rc = judge(&verifying, &why);
    }
    if (rc && error)
        *error = why;
    sha256_free(&verifying.all);
    sha256_free(&verifying.in_place.hash);
    sha256_free(&verifying.shifted.hash);
    free(verifying.in_place.whole);
    free(verifying.shifted.whole);
    gunzip_free(verifying.gunzip);
    cast_decoder_free(verifying.decoder);
    return rc;
}
