/* Going on from what lies in sealed/: any ID.seal and ID.cast.gz beside any journal. Never a crash;
 * what is called complete has a manifest that can be read and a cast whose size it says.
 *
 * Input: a byte of options, two bytes with the length of ID.seal, two with that of ID.cast.gz, both
 * files, and the journal (made_journal.h). Option bit 0: no ID.cast.gz; bit 1: the bytes of ID.seal
 * are the fields of records (see record()), whose CRCs and hashes are right. */
#include <sys/stat.h>

#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/seal.h"
#include "recorder/seal/seal_record.h"
#include "tests/fuzz/made_journal.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define MUCH ((size_t)4 << 20)

static int64_t now_ns = NS_PER_SECOND;

static int64_t moving_time(const struct clock *clock)
{
    (void)clock;
    return now_ns += NS_PER_SECOND;
}

static const struct clock moving_clock = {moving_time, moving_time};

/* One record out of the input: small numbers and, by options, wild ones. */
static void record(struct fuzz_input *input, const struct buffer *cast, struct buffer *seal)
{
    struct seal_progress progress = {.chunks = fuzz_byte(input)};
    struct seal_end end = {.exit_status = fuzz_byte(input)};
    uint8_t options = fuzz_byte(input);
    size_t width = options & 1 ? 8 : 2;
    progress.journal_offset = fuzz_number(input, width);
    progress.journal_time_ns = (int64_t)fuzz_number(input, width);
    progress.cast_size = fuzz_number(input, width);
    progress.size = fuzz_number(input, width);
    progress.final = options & 2;
    progress.encoder.version = options & 4 ? 3 : options & 8 ? 2 : fuzz_byte(input);
    progress.encoder.onlcr = options & 16;
    progress.encoder.stream = options & 32 ? fuzz_byte(input) : CAST_STDOUT;
    for (int i = 0; i < 3 && options & 64; i++) {
        progress.encoder.carry_length[i] = fuzz_byte(input) % 5;
        for (int k = 0; k < 4; k++)
            progress.encoder.carry[i][k] = fuzz_byte(input);
    }
    progress.encoder.last_ns = (int64_t)fuzz_number(input, width);
    progress.encoder.written_us = (int64_t)fuzz_number(input, width);
    progress.output_bytes = fuzz_number(input, width);
    progress.chunk.offset = fuzz_number(input, width);
    progress.chunk.size = fuzz_number(input, width);
    progress.chunk.cast_size = progress.cast_size;
    progress.chunk.time_ns = progress.journal_time_ns;
    if (cast->length && progress.chunk.offset <= cast->length &&
        progress.chunk.size <= cast->length - progress.chunk.offset)
        fuzz_require(sha256(cast->data + progress.chunk.offset, progress.chunk.size,
                            progress.chunk.sha256) == 0);
    snprintf(end.end, sizeof(end.end), "%s", options & 128 ? "cut" : "exited");
    fuzz_require(seal_record_encode(&progress, &end, seal) == 0);
}

static void check_complete(const struct spool *spool)
{
    struct buffer text = BUFFER_INIT(MUCH);
    struct manifest *manifest;
    struct error error = ERROR_INIT;
    struct stat info;
    int rc = file_read(spool_area(spool, SPOOL_SEALED), ID SPOOL_MANIFEST_SUFFIX, &text, NULL);
    if (rc == ERR_NOT_FOUND) {
        /* Uploaded and removed, says a final record without its recording. */
        fuzz_require(fstatat(spool_area(spool, SPOOL_SEALED), ID SPOOL_CAST_SUFFIX, &info, 0));
        return;
    }
    fuzz_require(rc == 0);
    rc = manifest_read(text.data, text.length, &manifest, &error);
    if (rc)
        fprintf(stderr, "%s\n%s", error.text, text.data);
    fuzz_require(rc == 0);
    fuzz_require(fstatat(spool_area(spool, SPOOL_SEALED), ID SPOOL_CAST_SUFFIX, &info, 0) == 0);
    fuzz_require((uint64_t)info.st_size == manifest->size);
    manifest_free(manifest);
    buffer_free(&text);
}

static void clean(const struct spool *spool)
{
    static const char *const suffixes[] = {SPOOL_JOURNAL_SUFFIX,  SPOOL_SEAL_SUFFIX,
                                           SPOOL_TRANSFER_SUFFIX, SPOOL_CAST_SUFFIX,
                                           SPOOL_MANIFEST_SUFFIX, SPOOL_REASON_SUFFIX};
    for (int area = SPOOL_JOURNALS; area <= SPOOL_QUARANTINE; area++)
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
            fuzz_require(spool_remove(spool, (enum spool_area)area, ID, suffixes[i], NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spool *spool;
    static struct seal_worker *worker;
    struct fuzz_input input = {data, size};
    struct buffer seal = BUFFER_INIT(MUCH), cast = BUFFER_INIT(MUCH), journal = BUFFER_INIT(MUCH);
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    if (!spool)
        fuzz_require(spool_open(fuzz_directory(), &spool, NULL) == 0 &&
                     seal_worker_new(1, &worker, NULL) == 0);
    uint8_t options = fuzz_byte(&input);
    size_t seal_length = fuzz_number(&input, 2), cast_length = fuzz_number(&input, 2);
    const uint8_t *seal_bytes = fuzz_bytes(&input, seal_length, &seal_length);
    const uint8_t *cast_bytes = fuzz_bytes(&input, cast_length, &cast_length);
    fuzz_require(cast_length == 0 || buffer_append(&cast, cast_bytes, cast_length) == 0);
    struct fuzz_input fields = {seal_bytes, seal_length};
    while (options & 2 && fields.left)
        record(&fields, &cast, &seal);
    if (!(options & 2) && seal_length)
        fuzz_require(buffer_append(&seal, seal_bytes, seal_length) == 0);
    made_journal(&input, ID, &journal);

    int sealed = spool_area(spool, SPOOL_SEALED);
    fuzz_write(sealed, ID SPOOL_SEAL_SUFFIX, seal.data, seal.length);
    if (!(options & 1))
        fuzz_write(sealed, ID SPOOL_CAST_SUFFIX, cast.data, cast.length);
    fuzz_write(spool_area(spool, SPOOL_JOURNALS), ID SPOOL_JOURNAL_SUFFIX, journal.data,
               journal.length);
    int rc = sealer_open(spool, ID, &moving_clock, &sealer, &error);
    if (rc == 0) {
        for (int i = 0; i < 1000 && (rc = sealer_run(sealer, worker, true, &error)) >= 0; i++)
            if (rc == SEAL_COMPLETE)
                break;
        fuzz_require(rc == SEAL_COMPLETE || rc < 0);
        if (rc == SEAL_COMPLETE)
            check_complete(spool);
        sealer_free(sealer);
    }
    fuzz_require(rc >= 0 || (rc == error.code && error.text[0]));
    clean(spool);
    buffer_free(&seal);
    buffer_free(&cast);
    buffer_free(&journal);
    return 0;
}
