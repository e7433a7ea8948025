#include "tests/unit/seal_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/seal/chain.h"

int64_t fixture_now_ns = NS_PER_SECOND;

static int64_t fake_time(const struct clock *clock)
{
    (void)clock;
    return fixture_now_ns;
}

const struct clock fixture_clock = {fake_time, fake_time};

int fixture_set_up(void **state)
{
    struct seal_fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *base = getenv("TMPDIR");
    snprintf(f->path, sizeof(f->path), "%s/castbucket-seal-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(spool_open(f->path, &f->spool, NULL), 0);
    assert_int_equal(seal_worker_new(6, &f->worker, NULL), 0);
    for (int i = 0; i < 3; i++)
        f->sent[i] = BUFFER_INIT(FIXTURE_MUCH);
    *state = f;
    return 0;
}

int fixture_area(const struct seal_fixture *f, enum spool_area which)
{
    return spool_area(f->spool, which);
}

void fixture_clear(const struct seal_fixture *f)
{
    static const char *const suffixes[] = {SPOOL_JOURNAL_SUFFIX, SPOOL_SEAL_SUFFIX,
                                           SPOOL_CAST_SUFFIX,    SPOOL_MANIFEST_SUFFIX,
                                           SPOOL_UPLOAD_SUFFIX,  SPOOL_REASON_SUFFIX};
    char name[SPOOL_NAME_SIZE];
    for (int which = SPOOL_JOURNALS; which <= SPOOL_QUARANTINE; which++)
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
            spool_name(name, FIXTURE_ID, suffixes[i]);
            unlinkat(fixture_area(f, (enum spool_area)which), name, 0);
        }
}

int fixture_tear_down(void **state)
{
    struct seal_fixture *f = *state;
    static const char *const names[] = {"journals", "sealed", "quarantine"};
    journal_free(f->journal);
    fixture_clear(f);
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

bool fixture_has(const struct seal_fixture *f, enum spool_area which, const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, FIXTURE_ID, suffix);
    return faccessat(fixture_area(f, which), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

struct buffer fixture_load(const struct seal_fixture *f, enum spool_area which, const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    struct buffer bytes = BUFFER_INIT(FIXTURE_MUCH);
    spool_name(name, FIXTURE_ID, suffix);
    assert_int_equal(file_read(fixture_area(f, which), name, &bytes, NULL), 0);
    return bytes;
}

/* Not with file_write_atomic(), whose syncs take the time of a thousand of these. */
void fixture_store(const struct seal_fixture *f, enum spool_area which, const char *suffix,
                   const void *data, size_t length)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, FIXTURE_ID, suffix);
    int fd = openat(fixture_area(f, which), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, data, length, NULL), 0);
    close(fd);
}

void fixture_open_session(struct seal_fixture *f, uint32_t has_terminal, uint32_t cast_version)
{
    char name[SPOOL_NAME_SIZE];
    struct journal_meta meta = {.id = FIXTURE_ID,
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
                                .transfer = f->transfer ? f->transfer : "",
                                .contents = f->transfer ? "kept" : "",
                                .started_ns = FIXTURE_STARTED};
    spool_name(name, FIXTURE_ID, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(journal_create(fixture_area(f, SPOOL_JOURNALS), name, &meta, &fixture_clock,
                                    &f->journal, NULL),
                     0);
}

void fixture_append(struct seal_fixture *f, enum journal_type type, const void *data, size_t length)
{
    fixture_now_ns += 1234567;
    assert_int_equal(journal_append(f->journal, type, data, length, NULL), 0);
    if (type >= JOURNAL_STDOUT && type <= JOURNAL_INPUT)
        assert_int_equal(buffer_append(&f->sent[type - JOURNAL_STDOUT], data, length), 0);
}

void fixture_show(struct seal_fixture *f, const char *text)
{
    fixture_append(f, JOURNAL_STDOUT, text, strlen(text));
}

void fixture_kill_host(struct seal_fixture *f)
{
    journal_free(f->journal);
    f->journal = NULL;
}

void fixture_end_session(struct seal_fixture *f, uint32_t status)
{
    struct journal_end end = {
        .kind = JOURNAL_EXITED, .status = status, .signal = "", .message = ""};
    fixture_now_ns += 1000000;
    assert_int_equal(journal_end(f->journal, &end, NULL), 0);
    fixture_kill_host(f);
}

struct sealer *fixture_open_sealer(const struct seal_fixture *f)
{
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    if (sealer_open(f->spool, FIXTURE_ID, &fixture_clock, &sealer, &error))
        fail_msg("%s", error.text);
    return sealer;
}

int fixture_run(const struct seal_fixture *f, struct sealer *sealer, bool flush)
{
    struct error error = ERROR_INIT;
    int rc = sealer_run(sealer, f->worker, flush, &error);
    if (rc < 0)
        fail_msg("%s", error.text);
    return rc;
}

int fixture_run_out(const struct seal_fixture *f, struct sealer *sealer, bool flush)
{
    int rc;
    while ((rc = fixture_run(f, sealer, flush)) == SEAL_MORE)
        ;
    return rc;
}

void fixture_sync(struct sealer *sealer)
{
    fixture_now_ns += 2 * NS_PER_SECOND;
    assert_int_equal(sealer_sync(sealer, NULL), 0);
}

void fixture_seal_anew(const struct seal_fixture *f, bool flush, int expected)
{
    struct sealer *sealer = fixture_open_sealer(f);
    assert_int_equal(fixture_run_out(f, sealer, flush), expected);
    sealer_free(sealer);
}

struct buffer fixture_inflate(const char *data, size_t length, int window_bits, int ends_with)
{
    static char block[1 << 16];
    struct buffer out = BUFFER_INIT(FIXTURE_MUCH);
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

static int see(void *context, const struct cast_event *event, struct error *error)
{
    (void)error;
    struct fixture_cast *seen = context;
    seen->last_ns = event->time_ns;
    if (event->code == 'm')
        seen->shown_before_marker = seen->raw[0].length;
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
        struct buffer alone = fixture_inflate(packed->data + chunk->offset, chunk->size, -MAX_WBITS,
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

struct manifest *fixture_read(const struct seal_fixture *f, struct fixture_cast *seen)
{
    uint8_t hash[32];
    struct error error = ERROR_INIT;
    struct buffer text = fixture_load(f, SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX);
    struct buffer packed = fixture_load(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX);
    struct buffer cast = fixture_inflate(packed.data, packed.length, 16 + MAX_WBITS, Z_STREAM_END);
    struct manifest *manifest;
    if (manifest_read(text.data, text.length, &manifest, &error))
        fail_msg("%s", error.text);
    assert_int_equal(manifest->size, packed.length);
    assert_int_equal(manifest->cast_bytes, cast.length);
    assert_int_equal(sha256(packed.data, packed.length, hash), 0);
    assert_memory_equal(manifest->sha256, hash, 32);
    check_chunks(manifest, &packed, &cast);

    struct buffer empty = BUFFER_INIT(FIXTURE_MUCH);
    *seen = (struct fixture_cast){.raw = {empty, empty, empty}, .notes = empty};
    struct cast_decoder *decoder;
    assert_int_equal(cast_decoder_new(see, seen, &decoder, NULL), 0);
    assert_int_equal(cast_decoder_feed(decoder, cast.data, cast.length, &error), 0);
    assert_int_equal(cast_decoder_finish(decoder, &error), 0);
    assert_string_equal(cast_decoder_info(decoder)->title, "alice@web-1");
    cast_decoder_free(decoder);
    assert_int_equal(manifest->output_bytes, seen->raw[0].length + seen->raw[1].length);
    assert_int_equal(manifest->input_bytes, seen->raw[2].length);
    if (seen->last_ns) {
        assert_true(manifest->duration_ns - seen->last_ns <= 1000);
        assert_true(seen->last_ns - manifest->duration_ns <= 1000);
    }
    buffer_free(&text);
    buffer_free(&packed);
    buffer_free(&cast);
    return manifest;
}

void fixture_cast_free(struct fixture_cast *cast)
{
    for (int i = 0; i < 3; i++)
        buffer_free(&cast->raw[i]);
    buffer_free(&cast->notes);
}

struct manifest *fixture_recorded(const struct seal_fixture *f, const char *notes)
{
    struct fixture_cast seen;
    struct manifest *manifest = fixture_read(f, &seen);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(seen.raw[i].length, f->sent[i].length);
        if (seen.raw[i].length)
            assert_memory_equal(seen.raw[i].data, f->sent[i].data, seen.raw[i].length);
    }
    assert_string_equal(seen.notes.data ? seen.notes.data : "", notes);
    assert_false(fixture_has(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX));
    assert_false(fixture_has(f, SPOOL_SEALED, SPOOL_SEAL_SUFFIX));
    fixture_cast_free(&seen);
    return manifest;
}

void fixture_forget_sent(struct seal_fixture *f)
{
    for (int i = 0; i < 3; i++)
        buffer_clear(&f->sent[i]);
}

/* Terminal output that is not all alike: lines, colours, some bytes that are not UTF-8. */
void fixture_show_much(struct seal_fixture *f, size_t length, uint64_t seed)
{
    char line[256];
    for (size_t sent = 0; sent < length;) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int used = snprintf(line, sizeof(line), "\x1b[3%dm%llx \xe2\x82\xac\x1b[0m\r\n%s",
                            (int)(seed >> 61), (unsigned long long)seed,
                            seed >> 40 & 15 ? "" : "\xff\xfe");
        fixture_append(f, JOURNAL_STDOUT, line, (size_t)used);
        sent += (size_t)used;
    }
}
