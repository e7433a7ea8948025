/* Sealing: journal in, recording out; and going on after a kill, a loss of power, a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/chain.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/seal.h"
#include "recorder/seal/seal_record.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define STARTED INT64_C(1795465321123456000)
#define MUCH ((size_t)256 << 20)

/* ---- a spool, a clock that the test moves, one session --------------------------------------- */

struct fixture {
    char path[512];
    struct spool *spool;
    struct seal_worker *worker;
    struct journal *journal;
    struct buffer sent[3]; /* what passed, per stream */
};

static int64_t now_ns = NS_PER_SECOND;

static int64_t fake_time(const struct clock *clock)
{
    (void)clock;
    return now_ns;
}

static const struct clock fake_clock = {fake_time, fake_time};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *base = getenv("TMPDIR");
    snprintf(f->path, sizeof(f->path), "%s/castbucket-seal-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(spool_open(f->path, &f->spool, NULL), 0);
    assert_int_equal(seal_worker_new(6, &f->worker, NULL), 0);
    for (int i = 0; i < 3; i++)
        f->sent[i] = BUFFER_INIT(MUCH);
    *state = f;
    return 0;
}

static int area(const struct fixture *f, enum spool_area which)
{
    return spool_area(f->spool, which);
}

static void clear(const struct fixture *f)
{
    static const char *const suffixes[] = {SPOOL_JOURNAL_SUFFIX, SPOOL_SEAL_SUFFIX,
                                           SPOOL_CAST_SUFFIX,    SPOOL_MANIFEST_SUFFIX,
                                           SPOOL_UPLOAD_SUFFIX,  SPOOL_REASON_SUFFIX};
    char name[SPOOL_NAME_SIZE];
    for (int which = SPOOL_JOURNALS; which <= SPOOL_QUARANTINE; which++)
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
            spool_name(name, ID, suffixes[i]);
            unlinkat(area(f, (enum spool_area)which), name, 0);
        }
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"journals", "sealed", "quarantine"};
    journal_free(f->journal);
    clear(f);
    int root = dup(spool_root(f->spool));
    seal_worker_free(f->worker);
    spool_free(f->spool);
    for (int i = 0; i < 3; i++) {
        unlinkat(root, names[i], AT_REMOVEDIR);
        buffer_free(&f->sent[i]);
    }
    unlinkat(root, "usage", 0);
    close(root);
    /* Fails when a test, or what it tested, left a file behind. */
    int rc = rmdir(f->path);
    free(f);
    return rc;
}

static bool there(const struct fixture *f, enum spool_area which, const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, ID, suffix);
    return faccessat(area(f, which), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct buffer load(const struct fixture *f, enum spool_area which, const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer bytes = BUFFER_INIT(MUCH);
    spool_name(name, ID, suffix);
    assert_int_equal(file_read(area(f, which), name, &bytes, NULL), 0);
    return bytes;
}

/* Not with file_write_atomic(), whose syncs take the time of a thousand of these. */
static void store(const struct fixture *f, enum spool_area which, const char *suffix,
                  const void *data, size_t length)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, ID, suffix);
    int fd = openat(area(f, which), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, data, length, NULL), 0);
    close(fd);
}

static void open_session(struct fixture *f, uint32_t has_terminal, uint32_t cast_version)
{
    char name[SPOOL_NAME_SIZE];
    struct journal_meta meta = {.id = ID,
                                .organization = "acme",
                                .socket = "web-1",
                                .user = "alice",
                                .key_fingerprint = "SHA256:abc",
                                .target_user = "root",
                                .target_address = "10.0.0.1:22",
                                .client_address = "192.0.2.1:50000",
                                .command = "make",
                                .term = "xterm",
                                .connection_id = "7",
                                .host = "bastion",
                                .kind = JOURNAL_EXEC,
                                .has_terminal = has_terminal,
                                .columns = 132,
                                .rows = 43,
                                .cast_version = cast_version,
                                .input_recorded = 1,
                                .started_ns = STARTED};
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(
        journal_create(area(f, SPOOL_JOURNALS), name, &meta, &fake_clock, &f->journal, NULL), 0);
}

static void append(struct fixture *f, enum journal_type type, const void *data, size_t length)
{
    now_ns += 1234567;
    assert_int_equal(journal_append(f->journal, type, data, length, NULL), 0);
    if (type >= JOURNAL_STDOUT && type <= JOURNAL_INPUT)
        assert_int_equal(buffer_append(&f->sent[type - JOURNAL_STDOUT], data, length), 0);
}

static void show(struct fixture *f, const char *text)
{
    append(f, JOURNAL_STDOUT, text, strlen(text));
}

static void kill_host(struct fixture *f)
{
    journal_free(f->journal);
    f->journal = NULL;
}

static void end_session(struct fixture *f, uint32_t status)
{
    struct journal_end end = {
        .kind = JOURNAL_EXITED, .status = status, .signal = "", .message = ""};
    now_ns += 1000000;
    assert_int_equal(journal_end(f->journal, &end, NULL), 0);
    kill_host(f);
}

static struct sealer *open_sealer(const struct fixture *f)
{
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    if (sealer_open(f->spool, ID, &fake_clock, &sealer, &error))
        fail_msg("%s", error.text);
    return sealer;
}

static int run(const struct fixture *f, struct sealer *sealer, bool flush)
{
    struct error error = ERROR_INIT;
    int rc = sealer_run(sealer, f->worker, flush, &error);
    if (rc < 0)
        fail_msg("%s", error.text);
    return rc;
}

/* Runs it until there is nothing more to do, and returns how it then stands. */
static int run_out(const struct fixture *f, struct sealer *sealer, bool flush)
{
    int rc;
    while ((rc = run(f, sealer, flush)) == SEAL_MORE)
        ;
    return rc;
}

static void sync_now(struct sealer *sealer)
{
    now_ns += 2 * NS_PER_SECOND;
    assert_int_equal(sealer_sync(sealer, NULL), 0);
}

/* As a kill does: nothing is flushed, nothing is synced, another sealer goes on. */
static void seal_anew(const struct fixture *f, bool flush, int expected)
{
    struct sealer *sealer = open_sealer(f);
    assert_int_equal(run_out(f, sealer, flush), expected);
    sealer_free(sealer);
}

/* ---- what came out --------------------------------------------------------------------------- */

/* Inflates all of it. window_bits: 31 for gzip, -15 for raw deflate. */
static struct buffer inflate_all(const char *data, size_t length, int window_bits, int ends_with)
{
    static char block[1 << 16];
    struct buffer out = BUFFER_INIT(MUCH);
    z_stream stream = {.avail_in = (uInt)length};
    union {
        const char *data;
        Bytef *bytes;
    } in = {.data = data};
    stream.next_in = in.bytes;
    assert_int_equal(inflateInit2(&stream, window_bits), Z_OK);
    int rc;
    do {
        stream.next_out = (Bytef *)block;
        stream.avail_out = sizeof(block);
        rc = inflate(&stream, Z_NO_FLUSH);
        assert_int_equal(buffer_append(&out, block, sizeof(block) - stream.avail_out), 0);
    } while (rc == Z_OK && (stream.avail_out == 0 || stream.avail_in));
    assert_int_equal(rc == Z_BUF_ERROR ? Z_OK : rc, ends_with);
    assert_int_equal(stream.avail_in, 0);
    inflateEnd(&stream);
    return out;
}

static size_t shown_before_marker; /* bytes of standard output before the cast's last marker */

struct seen {
    struct buffer raw[3], notes; /* notes: a line for each r, m and x */
    int64_t last_ns;
};

static int see(void *context, const struct cast_event *event, struct error *error)
{
    (void)error;
    struct seen *seen = context;
    seen->last_ns = event->time_ns;
    if (event->code == 'm')
        shown_before_marker = seen->raw[0].length;
    if (event->code == 'o' || event->code == 'i')
        assert_int_equal(buffer_append(&seen->raw[event->stream], event->raw, event->raw_length),
                         0);
    else
        assert_int_equal(buffer_printf(&seen->notes, "%c %s\n", event->code, event->text), 0);
    return 0;
}

static void check_chunks(const struct manifest *manifest, const struct buffer *packed,
                         const struct buffer *cast)
{
    uint8_t link[32], hash[32];
    assert_int_equal(chain_start(link, manifest->id), 0);
    assert_true(manifest->chunk_count > 0);
    assert_int_equal(manifest->chunks[0].offset, 10);
    for (size_t i = 0; i < manifest->chunk_count; i++) {
        const struct manifest_chunk *chunk = &manifest->chunks[i];
        struct buffer alone = inflate_all(packed->data + chunk->offset, chunk->size, -MAX_WBITS,
                                          Z_OK);
        assert_int_equal(alone.length, chunk->cast_size);
        assert_memory_equal(alone.data, cast->data + chunk->cast_offset, alone.length);
        assert_int_equal(alone.data[alone.length - 1], '\n');
        assert_int_equal(sha256(packed->data + chunk->offset, chunk->size, hash), 0);
        assert_memory_equal(hash, chunk->sha256, 32);
        assert_int_equal(chain_add(link, hash), 0);
        buffer_free(&alone);
    }
    assert_memory_equal(link, manifest->chain, 32);
}

/* The recording is whole: valid gzip, valid cast, a manifest that fits, all that passed; and all
 * that it was made from is gone. `notes`: the other events. Returns the manifest. */
static struct manifest *recorded(const struct fixture *f, const char *notes)
{
    uint8_t hash[32];
    struct error error = ERROR_INIT;
    struct buffer text = load(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX);
    struct buffer packed = load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    struct buffer cast = inflate_all(packed.data, packed.length, 16 + MAX_WBITS, Z_STREAM_END);
    struct manifest *manifest;
    if (manifest_read(text.data, text.length, &manifest, &error))
        fail_msg("%s", error.text);
    assert_int_equal(manifest->size, packed.length);
    assert_int_equal(manifest->cast_bytes, cast.length);
    assert_int_equal(sha256(packed.data, packed.length, hash), 0);
    assert_memory_equal(manifest->sha256, hash, 32);
    check_chunks(manifest, &packed, &cast);

    struct buffer empty = BUFFER_INIT(MUCH);
    struct seen seen = {{empty, empty, empty}, empty, 0};
    struct cast_decoder *decoder;
    assert_int_equal(cast_decoder_new(see, &seen, &decoder, NULL), 0);
    assert_int_equal(cast_decoder_feed(decoder, cast.data, cast.length, &error), 0);
    assert_int_equal(cast_decoder_finish(decoder, &error), 0);
    assert_string_equal(cast_decoder_info(decoder)->title, "alice@web-1");
    cast_decoder_free(decoder);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen.raw[i].length, f->sent[i].length);
        if (seen.raw[i].length)
            assert_memory_equal(seen.raw[i].data, f->sent[i].data, seen.raw[i].length);
        buffer_free(&seen.raw[i]);
    }
    assert_string_equal(seen.notes.data ? seen.notes.data : "", notes);
    assert_int_equal(manifest->output_bytes, f->sent[0].length + f->sent[1].length);
    assert_int_equal(manifest->input_bytes, f->sent[2].length);
    if (seen.last_ns) {
        assert_true(manifest->duration_ns - seen.last_ns <= 1000);
        assert_true(seen.last_ns - manifest->duration_ns <= 1000);
    }
    assert_false(there(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
    assert_false(there(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    buffer_free(&seen.notes);
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&cast);
    return manifest;
}

static void forget_sent(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        buffer_clear(&f->sent[i]);
}

/* Terminal output that is not all alike: lines, colours, some bytes that are not UTF-8. */
static void show_much(struct fixture *f, size_t length, uint64_t seed)
{
    char line[256];
    for (size_t sent = 0; sent < length;) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int used = snprintf(line, sizeof(line), "\x1b[3%dm%llx \xe2\x82\xac\x1b[0m\r\n%s",
                            (int)(seed >> 61), (unsigned long long)seed,
                            seed >> 40 & 15 ? "" : "\xff\xfe");
        append(f, JOURNAL_STDOUT, line, (size_t)used);
        sent += (size_t)used;
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void session_with_every_kind_of_event_is_recorded_whole(void **state)
{
    struct fixture *f = *state;
    for (uint32_t version = 2; version <= 3; version++) {
        const uint32_t size[2] = {100, 50};
        const uint64_t lost = 4711;
        clear(f);
        forget_sent(f);
        open_session(f, 0, version);
        show(f, "plain\n");
        append(f, JOURNAL_STDERR, "e\xc3", 2);
        append(f, JOURNAL_INPUT, "typed\r", 6);
        append(f, JOURNAL_RESIZE, size, sizeof(size));
        append(f, JOURNAL_STDERR, "\xa9\xff\n", 3);
        append(f, JOURNAL_MARKER, "here", 4);
        append(f, JOURNAL_GAP, &lost, sizeof(lost));
        show(f, "after\xe2\x82");
        end_session(f, 3);
        seal_anew(f, false, SEAL_COMPLETE);
        struct manifest *manifest = recorded(
            f, "r 100x50\nm here\nm gap: 4711 bytes were not recorded\nx 3\n");
        assert_string_equal(manifest->end, "exited");
        assert_int_equal(manifest->exit_status, 3);
        assert_int_equal(manifest->lost_bytes, 4711);
        assert_int_equal(manifest->cast_version, version);
        assert_int_equal(manifest->started_ns, STARTED);
        assert_string_equal(manifest->organization, "acme");
        assert_string_equal(manifest->socket, "web-1");
        assert_string_equal(manifest->kind, "exec");
        assert_string_equal(manifest->command, "make");
        assert_string_equal(manifest->host, "bastion");
        assert_string_equal(manifest->damaged, "");
        manifest_free(manifest);
    }
}

static void character_cut_by_a_gap_is_not_made_whole_of_what_follows(void **state)
{
    struct fixture *f = *state;
    const uint64_t lost = htole64(7);
    open_session(f, 1, 2);
    show(f, "before \xc3");
    append(f, JOURNAL_GAP, &lost, sizeof(lost));
    show(f, "\xa4 after");
    end_session(f, 0);
    seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(recorded(f, "m gap: 7 bytes were not recorded\nx 0\n"));
    assert_int_equal(shown_before_marker, strlen("before \xc3"));
}

static void session_without_events_is_a_valid_recording(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    end_session(f, 0);
    seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(recorded(f, "x 0\n"));
}

static void signal_and_message_reach_the_manifest(void **state)
{
    struct fixture *f = *state;
    struct journal_end end = {.kind = JOURNAL_SIGNALED, .signal = "KILL", .message = "by \"oom\""};
    open_session(f, 1, 2);
    assert_int_equal(journal_end(f->journal, &end, NULL), 0);
    kill_host(f);
    seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = recorded(f, "");
    assert_string_equal(manifest->end, "signaled");
    assert_int_equal(manifest->exit_status, -1);
    assert_string_equal(manifest->signal, "KILL");
    assert_string_equal(manifest->message, "by \"oom\"");
    manifest_free(manifest);
}

static void killed_host_leaves_a_recording_that_says_so(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    show(f, "all that was seen\xe2");
    kill_host(f);
    seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = recorded(
        f, "m cut: the recording host ended without closing the session\n");
    assert_string_equal(manifest->end, "cut");
    assert_int_equal(manifest->exit_status, -1);
    manifest_free(manifest);
}

static void live_session_is_sealed_by_size_and_by_age(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    struct sealer *sealer = open_sealer(f);
    assert_int_equal(run(f, sealer, false), SEAL_IDLE);
    show(f, "a few bytes");
    assert_false(sealer_due(sealer));
    assert_int_equal(run(f, sealer, false), SEAL_IDLE);
    assert_false(there(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
    now_ns += SEAL_CHUNK_SECONDS * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(run(f, sealer, false), SEAL_IDLE);
    assert_true(there(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
    assert_false(sealer_due(sealer));

    show_much(f, 3 * SEAL_CHUNK_BYTES, 1);
    assert_true(sealer_due(sealer));
    assert_int_equal(run(f, sealer, false), SEAL_MORE);
    assert_int_equal(run_out(f, sealer, false), SEAL_IDLE);
    assert_false(sealer_due(sealer));
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    struct buffer before = load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    assert_int_equal(run(f, sealer, true), SEAL_IDLE);
    struct buffer after = load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    assert_int_equal(before.length, after.length);
    buffer_free(&before);
    buffer_free(&after);

    end_session(f, 0);
    now_ns += NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(run(f, sealer, false), SEAL_COMPLETE);
    assert_false(sealer_due(sealer));
    assert_int_equal(run(f, sealer, true), SEAL_COMPLETE);
    sealer_free(sealer);
    struct manifest *manifest = recorded(f, "x 0\n");
    assert_true(manifest->chunk_count >= 4);
    for (size_t i = 0; i + 1 < manifest->chunk_count; i++)
        assert_true(manifest->chunks[i].cast_size < 2 * SEAL_CHUNK_BYTES);
    manifest_free(manifest);
}

static void host_killed_while_nothing_waits_is_noticed(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    show(f, "x");
    struct sealer *sealer = open_sealer(f);
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    assert_false(sealer_due(sealer));
    kill_host(f);
    now_ns += 6 * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(run(f, sealer, false), SEAL_COMPLETE);
    sealer_free(sealer);
    manifest_free(recorded(f, "m cut: the recording host ended without closing the session\n"));
}

static void frames_larger_than_a_chunk_are_recorded(void **state)
{
    struct fixture *f = *state;
    size_t length = (size_t)5 << 20;
    char *data = malloc(length);
    assert_non_null(data);
    for (size_t i = 0; i < length; i++)
        data[i] = (char)(i * 7 ^ i >> 9 ^ i >> 3);
    open_session(f, 0, 3);
    append(f, JOURNAL_STDOUT, data, length);
    show(f, "end");
    end_session(f, 0);
    free(data);
    seal_anew(f, false, SEAL_COMPLETE);
    struct manifest *manifest = recorded(f, "x 0\n");
    assert_int_equal(manifest->chunk_count, 2);
    manifest_free(manifest);
}

static void being_behind_makes_chunks_larger_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    uint64_t behind[] = {UINT64_MAX, 0, UINT64_MAX};
    open_session(f, 1, 2);
    struct sealer *sealer = open_sealer(f);
    for (size_t i = 0; i < 3; i++) {
        show_much(f, 100000, 5);
        assert_true(sealer_backlog(sealer) > 100000);
        seal_worker_behind(f->worker, behind[i]);
        assert_int_equal(sealer_run(sealer, f->worker, true, &error), SEAL_IDLE);
        assert_int_equal(sealer_backlog(sealer), 0);
    }
    sealer_free(sealer);
    end_session(f, 0);
    seal_anew(f, true, SEAL_COMPLETE);
    struct manifest *manifest = recorded(f, "x 0\n");
    assert_int_equal(manifest->chunk_count, 4);
    assert_true(manifest->chunks[0].size > manifest->chunks[1].size);
    assert_true(manifest->chunks[2].size > manifest->chunks[1].size);
    manifest_free(manifest);
}

static void journal_space_is_given_back_and_the_rest_is_sealed(void **state)
{
    struct fixture *f = *state;
    char name[SPOOL_NAME_SIZE];
    struct stat before, after;
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    open_session(f, 1, 2);
    struct sealer *sealer = open_sealer(f);
    show_much(f, (size_t)2 << 20, 2);
    assert_int_equal(fstatat(area(f, SPOOL_JOURNALS), name, &before, 0), 0);
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    sync_now(sealer);
    assert_int_equal(fstatat(area(f, SPOOL_JOURNALS), name, &after, 0), 0);
    assert_true(after.st_blocks < before.st_blocks);
    show(f, "the rest");
    sealer_free(sealer);
    end_session(f, 0);
    seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(recorded(f, "x 0\n"));
}

static void each_kill_between_chunks_is_survived(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 9;
    for (uint32_t version = 2; version <= 3; version++) {
        clear(f);
        forget_sent(f);
        open_session(f, 0, version);
        for (int i = 0; i < 60; i++) {
            /* Single bytes, so that characters and ill-formed stretches lie across kills. */
            static const char bytes[] = "\xf0\x9f\x98\x80\n\xe2\x82\xff\xac";
            enum journal_type type = JOURNAL_STDOUT;
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if (seed >> 62 == 0)
                type = JOURNAL_STDERR;
            append(f, type, &bytes[i % 9], 1);
            if (seed >> 50 & 1)
                seal_anew(f, true, SEAL_IDLE);
        }
        end_session(f, 0);
        seal_anew(f, false, SEAL_COMPLETE);
        manifest_free(recorded(f, "x 0\n"));
    }
}

/* A session of three chunks, sealed but for its end; its files as they then are. */
struct snapshot {
    struct buffer journal, seal, cast;
};

static struct snapshot three_chunks(struct fixture *f, bool finish)
{
    struct snapshot s;
    open_session(f, 0, 2);
    show(f, "one\n\xff\xe2");
    seal_anew(f, true, SEAL_IDLE);
    show(f, "\x82\xac two\n");
    seal_anew(f, true, SEAL_IDLE);
    append(f, JOURNAL_STDERR, "three", 5);
    seal_anew(f, true, SEAL_IDLE);
    show(f, "four");
    end_session(f, 5);
    if (finish) {
        /* A directory where the manifest should go makes the last step fail. */
        char name[SPOOL_NAME_SIZE];
        spool_name(name, ID, SPOOL_MANIFEST_SUFFIX);
        assert_int_equal(mkdirat(area(f, SPOOL_QUARANTINE), "empty", 0700), 0);
        struct sealer *sealer = open_sealer(f);
        assert_int_equal(mkdirat(area(f, SPOOL_SEALED), name, 0700), 0);
        assert_true(sealer_run(sealer, f->worker, false, NULL) < 0);
        sealer_free(sealer);
        assert_int_equal(unlinkat(area(f, SPOOL_SEALED), name, AT_REMOVEDIR), 0);
        assert_int_equal(unlinkat(area(f, SPOOL_QUARANTINE), "empty", AT_REMOVEDIR), 0);
    }
    s.journal = load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
    s.seal = load(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX);
    s.cast = load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    return s;
}

/* Seals from the snapshot with its files cut at these lengths. */
static void seal_from(struct fixture *f, const struct snapshot *s, size_t seal, size_t cast)
{
    clear(f);
    store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s->journal.data, s->journal.length);
    store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s->seal.data, seal);
    store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, s->cast.data, cast);
    seal_anew(f, false, SEAL_COMPLETE);
    manifest_free(recorded(f, "x 5\n"));
}

static void drop(struct snapshot *s)
{
    buffer_free(&s->journal);
    buffer_free(&s->seal);
    buffer_free(&s->cast);
}

static void files_cut_at_any_length_are_gone_on_from(void **state)
{
    struct fixture *f = *state;
    for (int finish = 0; finish <= 1; finish++) {
        clear(f);
        forget_sent(f);
        struct snapshot s = three_chunks(f, finish);
        for (size_t length = 0; length <= s.seal.length; length += length % 256 < 4 ? 1 : 13)
            seal_from(f, &s, length, s.cast.length);
        for (size_t length = 0; length <= s.cast.length; length += 3)
            seal_from(f, &s, s.seal.length, length);
        for (size_t length = 0; length <= s.cast.length; length += 17)
            seal_from(f, &s, s.seal.length * length / s.cast.length, s.cast.length - length);
        drop(&s);
    }
}

static void wrong_bytes_on_disk_after_power_loss_are_sealed_again(void **state)
{
    struct fixture *f = *state;
    struct snapshot s = three_chunks(f, false);
    for (size_t at = 0; at < s.cast.length; at += 2) {
        /* From here on the chunks were never written, though their records were. */
        struct buffer whole = s.cast;
        s.cast = BUFFER_INIT(MUCH);
        assert_int_equal(buffer_append(&s.cast, whole.data, whole.length), 0);
        memset(s.cast.data + at, 0, s.cast.length - at);
        seal_from(f, &s, s.seal.length, s.cast.length);
        buffer_free(&s.cast);
        s.cast = whole;
    }
    for (size_t at = 0; at < s.seal.length; at += 5) {
        s.seal.data[at] ^= 0x10;
        clear(f);
        store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s.journal.data, s.journal.length);
        store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
        store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, s.cast.data, s.cast.length);
        /* Only the last record is looked at when going on; all of them, at the end. */
        struct sealer *sealer = open_sealer(f);
        struct error error = ERROR_INIT;
        int rc = sealer_run(sealer, f->worker, false, &error);
        if (at < s.seal.length - SEAL_RECORD_SIZE) {
            assert_int_equal(rc, ERR_DAMAGED);
            assert_non_null(strstr(error.text, "record"));
            assert_false(there(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX));
            assert_true(there(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
        } else {
            assert_int_equal(rc, SEAL_COMPLETE);
            manifest_free(recorded(f, "x 5\n"));
        }
        sealer_free(sealer);
        s.seal.data[at] ^= 0x10;
    }
    drop(&s);
}

static void chunk_changed_on_disk_is_named_and_nothing_is_removed(void **state)
{
    struct fixture *f = *state;
    struct snapshot s = three_chunks(f, false);
    s.cast.data[12] ^= 1;
    store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, s.cast.data, s.cast.length);
    struct sealer *sealer = open_sealer(f);
    struct error error = ERROR_INIT;
    assert_int_equal(sealer_run(sealer, f->worker, false, &error), ERR_DAMAGED);
    assert_non_null(strstr(error.text, "chunk 0 of " ID));
    assert_false(there(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX));
    assert_true(there(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
    assert_true(there(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    sealer_free(sealer);
    drop(&s);
}

/* `records`: or everything that tells of the chunks. */
static void lose_a_sealed_chunk(struct fixture *f, bool records)
{
    open_session(f, 1, 2);
    struct sealer *sealer = open_sealer(f);
    show_much(f, (size_t)1 << 20, 5);
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    sync_now(sealer);
    sealer_free(sealer);
    struct buffer cast = load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    cast.data[cast.length - 9] ^= 1;
    store(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX, cast.data, cast.length);
    if (records)
        store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, "", 0);
    journal_free(f->journal);
    f->journal = NULL;
    now_ns += 60 * NS_PER_SECOND;
    seal_anew(f, true, SEAL_COMPLETE);
    /* What was lost is there for people; the rest is a recording that says so. */
    struct buffer kept = load(f, SPOOL_QUARANTINE, SPOOL_CAST_SUFFIX);
    assert_int_equal(kept.length, cast.length);
    assert_memory_equal(kept.data, cast.data, cast.length);
    assert_true(there(f, SPOOL_QUARANTINE, SPOOL_JOURNAL_SUFFIX));
    assert_true(there(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX));
    struct buffer text = load(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX);
    struct manifest *manifest;
    assert_int_equal(manifest_read(text.data, text.length, &manifest, NULL), 0);
    buffer_free(&text);
    assert_string_equal(manifest->end, "cut");
    assert_non_null(strstr(manifest->damaged, "journal"));
    assert_true(records || manifest->output_bytes > 0);
    manifest_free(manifest);
    buffer_free(&kept);
    buffer_free(&cast);
}

static void sealed_chunk_lost_after_its_journal_was_given_back_is_told(void **state)
{
    lose_a_sealed_chunk(*state, false);
}

static void all_records_lost_after_the_journal_was_given_back_is_told(void **state)
{
    lose_a_sealed_chunk(*state, true);
}

static void kill_after_the_manifest_leaves_only_cleaning_up(void **state)
{
    struct fixture *f = *state;
    struct snapshot s = three_chunks(f, true);
    seal_anew(f, false, SEAL_COMPLETE);
    struct buffer before = load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
    seal_anew(f, false, SEAL_COMPLETE);
    assert_false(there(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
    store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s.journal.data, s.journal.length);
    seal_anew(f, false, SEAL_COMPLETE);
    struct buffer after = load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, after.length);
    manifest_free(recorded(f, "x 5\n"));
    buffer_free(&before);
    buffer_free(&after);
    drop(&s);
}

static void recording_uploaded_and_removed_is_not_made_again(void **state)
{
    struct fixture *f = *state;
    struct snapshot s = three_chunks(f, true);
    char name[SPOOL_NAME_SIZE];
    for (int with_journal = 0; with_journal <= 1; with_journal++) {
        clear(f);
        store(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX, s.seal.data, s.seal.length);
        if (with_journal)
            store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, s.journal.data, s.journal.length);
        seal_anew(f, false, SEAL_COMPLETE);
        assert_false(there(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
        assert_false(there(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
        assert_false(there(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX));
        assert_false(there(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX));
    }
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    drop(&s);
}

/* Flips a bit of the journal where `text` is. */
static void damage_journal(const struct fixture *f, const char *text)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer journal = load(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX);
    char *found = memmem(journal.data, journal.length, text, strlen(text));
    assert_non_null(found);
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    int fd = openat(area(f, SPOOL_JOURNALS), name, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    *found ^= 1;
    assert_int_equal(pwrite(fd, found, 1, found - journal.data), 1);
    close(fd);
    buffer_free(&journal);
}

static void damaged_journal_is_recorded_up_to_there_and_kept(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    show(f, "readable");
    size_t readable = f->sent[0].length;
    show(f, "unreadable");
    damage_journal(f, "unreadable");
    struct sealer *sealer = open_sealer(f);
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    show(f, "later");
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    now_ns += 20 * NS_PER_SECOND;
    assert_false(sealer_due(sealer));
    f->sent[0].length = readable;
    end_session(f, 0);
    now_ns += 20 * NS_PER_SECOND;
    assert_true(sealer_due(sealer));
    assert_int_equal(run_out(f, sealer, false), SEAL_COMPLETE);
    sealer_free(sealer);

    assert_true(there(f, SPOOL_QUARANTINE, SPOOL_JOURNAL_SUFFIX));
    struct buffer reason = load(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX);
    char notes[2048];
    snprintf(notes, sizeof(notes), "m damaged: %s\n", reason.data);
    struct manifest *manifest = recorded(f, notes);
    assert_string_equal(manifest->damaged, reason.data);
    assert_string_equal(manifest->end, "cut");
    manifest_free(manifest);
    buffer_free(&reason);
}

static void frame_that_makes_no_sense_counts_as_damage(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    show(f, "before");
    append(f, JOURNAL_RESIZE, "short", 5);
    size_t before = f->sent[0].length;
    show(f, "after");
    f->sent[0].length = before;
    end_session(f, 0);
    seal_anew(f, false, SEAL_COMPLETE);
    struct buffer reason = load(f, SPOOL_QUARANTINE, SPOOL_REASON_SUFFIX);
    char notes[2048];
    snprintf(notes, sizeof(notes), "m damaged: %s\n", reason.data);
    manifest_free(recorded(f, notes));
    buffer_free(&reason);
}

static void journal_without_a_header_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    assert_int_equal(sealer_open(f->spool, ID, &fake_clock, &sealer, &error), ERR_NOT_FOUND);
    store(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX, "", 0);
    assert_int_equal(sealer_open(f->spool, ID, &fake_clock, &sealer, &error), ERR_DAMAGED);
    assert_int_equal(sealer_open(f->spool, "../x", &fake_clock, &sealer, &error), ERR_INVALID);
    assert_null(sealer);
}

static void full_disk_is_an_error_and_the_next_try_goes_on(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    show_much(f, (size_t)1 << 20, 11);
    end_session(f, 0);
    struct sealer *sealer = open_sealer(f);
    struct rlimit before, little;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    int rc = 0;
    /* More and more may be written, so that each write fails once or several times. */
    for (rlim_t most = 0; rc != SEAL_COMPLETE && most < (1 << 20); most += 5000) {
        little = (struct rlimit){most, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
        do
            rc = sealer_run(sealer, f->worker, false, NULL);
        while (rc == SEAL_MORE);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(rc < 0 || rc == SEAL_COMPLETE);
        if (most == 0)
            assert_true(rc < 0);
    }
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);
    assert_int_equal(rc, SEAL_COMPLETE);
    sealer_free(sealer);
    struct manifest *manifest = recorded(f, "x 0\n");
    assert_true(manifest->chunk_count >= 4);
    manifest_free(manifest);
}

static void sealers_hold_no_descriptors(void **state)
{
    struct fixture *f = *state;
    open_session(f, 1, 2);
    int before = dup(0);
    close(before);
    show_much(f, (size_t)1 << 20, 3);
    struct sealer *sealer = open_sealer(f);
    assert_int_equal(run_out(f, sealer, true), SEAL_IDLE);
    sync_now(sealer);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
    sealer_free(sealer);
}

static void records_come_back_and_any_flipped_bit_is_found(void **state)
{
    (void)state;
    struct seal_progress in = {.chunks = 1,
                               .journal_offset = UINT64_MAX,
                               .journal_time_ns = INT64_MAX,
                               .cast_size = 4,
                               .size = 5,
                               .crc = 0xdeadbeef,
                               .final = true,
                               .encoder = {.version = 3,
                                           .onlcr = true,
                                           .stream = 1,
                                           .carry_length = {1, 2, 3},
                                           .carry = {{1}, {2, 3}, {4, 5, 6}},
                                           .written_us = -1,
                                           .last_ns = 7},
                               .output_bytes = 8,
                               .input_bytes = 9,
                               .lost_bytes = 10,
                               .chunk = {.offset = 11,
                                         .size = 12,
                                         .cast_offset = 13,
                                         .cast_size = 14,
                                         .time_ns = 15,
                                         .sha256 = {16}},
                               .chain = {17}},
                         out;
    struct seal_end end = {.end = "exited", .exit_status = 18, .signal = "s", .message = "m"};
    struct seal_end end_out;
    struct buffer bytes = BUFFER_INIT(65536), again = BUFFER_INIT(65536);
    assert_int_equal(seal_record_encode(&in, &end, &bytes), 0);
    uint8_t *record = (uint8_t *)bytes.data, *tail = record + SEAL_RECORD_SIZE;
    size_t tail_length = bytes.length - SEAL_RECORD_SIZE;
    assert_true(seal_record_decode(record, tail, tail_length, &out, &end_out));
    assert_int_equal(seal_record_encode(&out, &end_out, &again), 0);
    assert_int_equal(again.length, bytes.length);
    assert_memory_equal(again.data, bytes.data, bytes.length);
    assert_int_equal(out.encoder.version, 3);
    assert_true(out.encoder.onlcr);
    assert_int_equal(out.encoder.stream, 1);
    assert_memory_equal(out.encoder.carry_length, in.encoder.carry_length, 3);
    assert_memory_equal(out.encoder.carry, in.encoder.carry, sizeof(in.encoder.carry));
    assert_int_equal(out.encoder.written_us, -1);
    assert_int_equal(out.encoder.last_ns, 7);
    assert_true(out.journal_offset == UINT64_MAX);
    assert_int_equal(out.crc, in.crc);
    assert_int_equal(out.chain[0], 17);
    assert_int_equal(out.chunk.sha256[0], 16);
    assert_int_equal(out.chunk.time_ns, 15);
    assert_int_equal(out.lost_bytes, 10);
    assert_true(out.final);
    assert_int_equal(end_out.exit_status, 18);
    assert_string_equal(end_out.message, "m");
    for (size_t bit = 0; bit < bytes.length * 8; bit++) {
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(seal_record_decode(record, tail, tail_length, &out, &end_out));
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t length = 0; length < tail_length; length++)
        assert_false(seal_record_decode(record, tail, length, &out, &end_out));
    buffer_free(&bytes);
    buffer_free(&again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(session_with_every_kind_of_event_is_recorded_whole),
        TEST(character_cut_by_a_gap_is_not_made_whole_of_what_follows),
        TEST(session_without_events_is_a_valid_recording),
        TEST(signal_and_message_reach_the_manifest),
        TEST(killed_host_leaves_a_recording_that_says_so),
        TEST(live_session_is_sealed_by_size_and_by_age),
        TEST(host_killed_while_nothing_waits_is_noticed),
        TEST(frames_larger_than_a_chunk_are_recorded),
        TEST(being_behind_makes_chunks_larger_and_loses_nothing),
        TEST(journal_space_is_given_back_and_the_rest_is_sealed),
        TEST(each_kill_between_chunks_is_survived),
        TEST(files_cut_at_any_length_are_gone_on_from),
        TEST(wrong_bytes_on_disk_after_power_loss_are_sealed_again),
        TEST(chunk_changed_on_disk_is_named_and_nothing_is_removed),
        TEST(sealed_chunk_lost_after_its_journal_was_given_back_is_told),
        TEST(all_records_lost_after_the_journal_was_given_back_is_told),
        TEST(kill_after_the_manifest_leaves_only_cleaning_up),
        TEST(recording_uploaded_and_removed_is_not_made_again),
        TEST(damaged_journal_is_recorded_up_to_there_and_kept),
        TEST(frame_that_makes_no_sense_counts_as_damage),
        TEST(journal_without_a_header_is_refused),
        TEST(full_disk_is_an_error_and_the_next_try_goes_on),
        TEST(sealers_hold_no_descriptors),
        cmocka_unit_test(records_come_back_and_any_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
