/* From journal to recording (read, check, encode, deflate, hash, write), against zlib alone on the
 * same cast bytes at the same level. */
#include <fcntl.h>
#include <zlib.h>

#include "recorder/base/file.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/seal.h"
#include "tests/bench/bench.h"

#define ROUNDS 5
#define SIZE ((size_t)16 << 20)
#define PIECE 4096
#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define LEVEL 6 /* what the recorder uses */

static struct spool *spool;
static char *data;
static size_t cast_size;

static void journal(void)
{
    struct journal *made;
    struct error error = ERROR_INIT;
    struct journal_meta meta = {.id = ID,
                                .organization = "acme",
                                .socket = "web-1",
                                .has_terminal = 1,
                                .cast_version = 2,
                                .started_ns = INT64_C(1795465321123456000)};
    struct journal_end end = {.kind = JOURNAL_EXITED, .signal = "", .message = ""};
    char name[SPOOL_NAME_SIZE];
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    int rc = journal_create(spool_area(spool, SPOOL_JOURNALS), name, &meta, &clock_system, &made,
                            &error);
    for (size_t at = 0; !rc && at < SIZE; at += PIECE)
        rc = journal_append(made, JOURNAL_STDOUT, data + at, PIECE, &error);
    if (!rc)
        rc = journal_end(made, &end, &error);
    if (rc)
        give_up("journal", error.text);
    journal_free(made);
}

static void remove_result(const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, ID, suffix);
    unlinkat(spool_area(spool, SPOOL_SEALED), name, 0);
}

/* Nanoseconds of the thread; syncing waits, and does not count. */
static double seal(struct seal_worker *worker)
{
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    double begun = thread_ns();
    int rc = sealer_open(spool, ID, &clock_system, &sealer, &error);
    while (rc >= 0 && rc != SEAL_COMPLETE)
        rc = sealer_run(sealer, worker, false, &error);
    double took = thread_ns() - begun;
    if (rc < 0)
        give_up("seal", error.text);
    sealer_free(sealer);
    return took;
}

static char *read_cast(void)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/spool/sealed/" ID SPOOL_CAST_SUFFIX, bench_folder);
    gzFile file = gzopen(path, "r");
    char *cast = malloc(2 * SIZE);
    if (!file || !cast)
        give_up(path, "cannot be read");
    cast_size = 0;
    int got;
    while ((got = gzread(file, cast + cast_size, 1 << 16)) > 0)
        cast_size += (size_t)got;
    gzclose(file);
    return cast;
}

/* One stream, its CRC-32 included, as gzip would make it. */
static double zlib_alone(const char *cast, size_t *packed_size)
{
    static unsigned char packed[64 << 10];
    z_stream stream = {0};
    double begun = thread_ns();
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        give_up("zlib", "failed");
    for (size_t at = 0; at < cast_size;) {
        size_t length = cast_size - at < sizeof(packed) ? cast_size - at : sizeof(packed);
        stream.next_in = (Bytef *)(uintptr_t)(cast + at);
        stream.avail_in = (uInt)length;
        at += length;
        do {
            stream.next_out = packed;
            stream.avail_out = sizeof(packed);
            deflate(&stream, at == cast_size ? Z_FINISH : Z_NO_FLUSH);
        } while (stream.avail_out == 0);
    }
    *packed_size = stream.total_out;
    deflateEnd(&stream);
    return thread_ns() - begun;
}

int main(void)
{
    char path[400];
    struct error error = ERROR_INIT;
    struct seal_worker *worker;
    struct stat info;
    double seals[ROUNDS], zlibs[ROUNDS];
    size_t packed = 1;
    char *cast = NULL;
    bench_make_folder();
    snprintf(path, sizeof(path), "%s/spool", bench_folder);
    data = malloc(SIZE);
    if (!data || spool_open(path, &spool, &error) || seal_worker_new(LEVEL, &worker, &error))
        give_up("the spool", error.text);
    fill_like_a_log(data, SIZE);
    for (int round = 0; round < ROUNDS; round++) {
        journal();
        seals[round] = seal(worker);
        if (!cast) {
            cast = read_cast();
            snprintf(path, sizeof(path), "%s/spool/sealed/" ID SPOOL_CAST_SUFFIX, bench_folder);
            if (stat(path, &info))
                give_up(path, "is not there");
        }
        remove_result(SPOOL_CAST_SUFFIX);
        remove_result(SPOOL_MANIFEST_SUFFIX);
        zlibs[round] = zlib_alone(cast, &packed);
    }
    double megabytes = (double)cast_size / 1e6;
    double value = megabytes / (median(seals, ROUNDS) / 1e9);
    double reference = megabytes / (median(zlibs, ROUNDS) / 1e9);
    struct figure speed = {.name = "sealing, of cast",
                           .unit = "MB/s",
                           .against = "zlib alone",
                           .value = value,
                           .reference = reference,
                           .ratio = value / reference,
                           .target = 0.9};
    struct figure size = {.name = "sealing, size of the recording",
                          .unit = "MB",
                          .against = "zlib, one stream",
                          .value = (double)info.st_size / 1e6,
                          .reference = (double)packed / 1e6,
                          .ratio = (double)packed / (double)info.st_size};
    print_figure(&speed);
    print_figure(&size);
    free(cast);
    free(data);
    seal_worker_free(worker);
    spool_free(spool);
    return 0;
}
