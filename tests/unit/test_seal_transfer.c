/* Sealing a file transfer: the same list whoever seals it, however often they are killed, and space
 * that stays the same however much passes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/cast/cast_encoder.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/seal.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define MUCH ((size_t)256 << 20)

struct fixture {
    char path[512];
    struct spool *spool;
    struct seal_worker *worker;
    struct journal *journal;
    struct buffer raw[4]; /* what the recording has, per stream */
    struct buffer files, markers;
    struct manifest *manifest;
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
    assert_int_equal(seal_worker_new(1, &f->worker, NULL), 0);
    for (int i = 0; i < 4; i++)
        f->raw[i] = BUFFER_INIT(MUCH);
    f->files = f->markers = BUFFER_INIT(MUCH);
    *state = f;
    return 0;
}

static void forget(struct fixture *f)
{
    static const char *const left[] = {SPOOL_CAST_SUFFIX, SPOOL_MANIFEST_SUFFIX};
    for (int i = 0; i < 4; i++)
        buffer_clear(&f->raw[i]);
    buffer_clear(&f->files);
    buffer_clear(&f->markers);
    manifest_free(f->manifest);
    f->manifest = NULL;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(spool_remove(f->spool, SPOOL_SEALED, ID, left[i], NULL), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"journals", "sealed", "quarantine"};
    journal_free(f->journal);
    forget(f);
    int root = dup(spool_root(f->spool));
    seal_worker_free(f->worker);
    spool_free(f->spool);
    for (int i = 0; i < 3; i++)
        unlinkat(root, names[i], AT_REMOVEDIR);
    unlinkat(root, "usage", 0);
    close(root);
    for (int i = 0; i < 4; i++)
        buffer_free(&f->raw[i]);
    buffer_free(&f->files);
    buffer_free(&f->markers);
    int rc = rmdir(f->path); /* fails when a file was left behind */
    free(f);
    return rc;
}

static void open_session(struct fixture *f, const char *transfer, const char *contents)
{
    char name[SPOOL_NAME_SIZE];
    const struct journal_meta meta = {.id = ID,
                                      .organization = "acme",
                                      .socket = "web-1",
                                      .user = "alice",
                                      .command = "sftp",
                                      .kind = JOURNAL_SUBSYSTEM,
                                      .cast_version = 2,
                                      .transfer = transfer,
                                      .contents = contents,
                                      .started_ns = INT64_C(1795465321123456000)};
    spool_name(name, ID, SPOOL_JOURNAL_SUFFIX);
    assert_int_equal(journal_create(spool_area(f->spool, SPOOL_JOURNALS), name, &meta, &fake_clock,
                                    &f->journal, NULL),
                     0);
}

static void append(struct fixture *f, enum journal_type type, const void *data, size_t length)
{
    now_ns += 1000000;
    assert_int_equal(journal_append(f->journal, type, data, length, NULL), 0);
}

static void kill_host(struct fixture *f)
{
    journal_free(f->journal);
    f->journal = NULL;
}

static void end_session(struct fixture *f)
{
    const struct journal_end end = {.kind = JOURNAL_EXITED, .signal = "", .message = ""};
    assert_int_equal(journal_end(f->journal, &end, NULL), 0);
    kill_host(f);
}

/* ---- SFTP ------------------------------------------------------------------------------------ */

/* Fields by letters: b byte, i 4 bytes, l 8 bytes, s text, d data and its length. */
static void say(struct fixture *f, enum journal_type type, const char *fields, ...)
{
    struct buffer text = BUFFER_INIT(MUCH);
    va_list list;
    va_start(list, fields);
    assert_int_equal(buffer_append(&text, "\0\0\0", 4), 0);
    for (const char *p = fields; *p; p++) {
        const char *data = NULL;
        uint64_t number;
        int width = *p == 'b' ? 1 : *p == 'l' ? 8 : 4;
        if (*p == 's' || *p == 'd') {
            data = va_arg(list, const char *);
            number = *p == 's' ? strlen(data) : va_arg(list, size_t);
        } else {
            number = *p == 'l' ? va_arg(list, uint64_t) : va_arg(list, unsigned);
        }
        for (int i = width - 1; i >= 0; i--) {
            char byte = (char)(number >> (8 * i));
            assert_int_equal(buffer_append(&text, &byte, 1), 0);
        }
        if (data)
            assert_int_equal(buffer_append(&text, data, number), 0);
    }
    va_end(list);
    for (int i = 0; i < 4; i++)
        text.data[i] = (char)((text.length - 4) >> (24 - 8 * i));
    /* In two frames, so that a chunk can end within a message. */
    append(f, type, text.data, text.length / 2);
    append(f, type, text.data + text.length / 2, text.length - text.length / 2);
    buffer_free(&text);
}

static void begin_sftp(struct fixture *f, const char *contents)
{
    open_session(f, "sftp", contents);
    say(f, JOURNAL_INPUT, "bi", 1, 3);
    say(f, JOURNAL_STDOUT, "bi", 2, 3);
}

static void status(struct fixture *f, unsigned id)
{
    say(f, JOURNAL_STDOUT, "biiss", 101, id, 0, "Success", "");
}

static void open_file(struct fixture *f, const char *path)
{
    say(f, JOURNAL_INPUT, "bisii", 3, 1, path, 0x1a, 0);
    say(f, JOURNAL_STDOUT, "bis", 102, 1, "h");
}

static void write_block(struct fixture *f, uint64_t offset, const void *data, size_t length)
{
    say(f, JOURNAL_INPUT, "bisld", 6, 2, "h", offset, data, length);
    status(f, 2);
}

static void close_file(struct fixture *f)
{
    say(f, JOURNAL_INPUT, "bis", 4, 3, "h");
    status(f, 3);
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* As a kill does: nothing is flushed. */
static int seal_anew(struct fixture *f, bool sync)
{
    struct sealer *sealer;
    struct error error = ERROR_INIT;
    if (sealer_open(f->spool, ID, &fake_clock, &sealer, &error))
        fail_msg("%s", error.text);
    int rc;
    while ((rc = sealer_run(sealer, f->worker, true, &error)) == SEAL_MORE)
        ;
    if (rc < 0)
        fail_msg("%s", error.text);
    if (sync)
        assert_int_equal(sealer_sync(sealer, NULL), 0);
    sealer_free(sealer);
    return rc;
}

static int take(void *context, const struct cast_event *event, struct error *error)
{
    struct fixture *f = context;
    (void)error;
    if (event->code == 'o' || event->code == 'i')
        return buffer_append(&f->raw[event->stream], event->raw, event->raw_length);
    if (event->code == 'f')
        return buffer_printf(&f->files, "%s\n", event->text);
    return event->code == 'm' ? buffer_printf(&f->markers, "%s\n", event->text) : 0;
}

/* Reads the recording. */
static void look(struct fixture *f)
{
    static char block[1 << 16];
    struct buffer packed = BUFFER_INIT(MUCH), text = BUFFER_INIT(MUCH);
    struct cast_decoder *decoder;
    struct error error = ERROR_INIT;
    z_stream stream = {0};
    int area = spool_area(f->spool, SPOOL_SEALED), rc;
    assert_int_equal(file_read(area, ID SPOOL_CAST_SUFFIX, &packed, NULL), 0);
    assert_int_equal(file_read(area, ID SPOOL_MANIFEST_SUFFIX, &text, NULL), 0);
    if (manifest_read(text.data, text.length, &f->manifest, &error))
        fail_msg("%s", error.text);
    assert_true(text.length < (256 << 10) + f->manifest->chunk_count * 300);
    assert_int_equal(cast_decoder_new(take, f, &decoder, NULL), 0);
    stream.next_in = (Bytef *)packed.data;
    stream.avail_in = (uInt)packed.length;
    assert_int_equal(inflateInit2(&stream, 31), Z_OK);
    do {
        stream.next_out = (Bytef *)block;
        stream.avail_out = sizeof(block);
        rc = inflate(&stream, Z_NO_FLUSH);
        assert_int_equal(cast_decoder_feed(decoder, block, sizeof(block) - stream.avail_out, NULL),
                         0);
    } while (rc == Z_OK);
    assert_int_equal(rc, Z_STREAM_END);
    inflateEnd(&stream);
    assert_int_equal(cast_decoder_finish(decoder, NULL), 0);
    cast_decoder_free(decoder);
    buffer_free(&packed);
    buffer_free(&text);
    assert_int_not_equal(faccessat(area, ID SPOOL_TRANSFER_SUFFIX, F_OK, 0), 0);
}

static uint64_t space(const struct fixture *f, enum spool_area area, const char *suffix)
{
    char name[SPOOL_NAME_SIZE];
    struct stat info;
    spool_name(name, ID, suffix);
    assert_int_equal(fstatat(spool_area(f->spool, area), name, &info, 0), 0);
    return (uint64_t)info.st_blocks * 512;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void what_a_transfer_did_is_in_the_cast_and_in_the_manifest(void **state)
{
    struct fixture *f = *state;
    begin_sftp(f, "");
    open_file(f, "/srv/a b");
    write_block(f, 0, "hello", 5);
    close_file(f);
    append(f, JOURNAL_STDERR, "warned\n", 7);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    const char *hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    char expected[512];
    snprintf(expected, sizeof(expected), "put \"/srv/a b\" 5 bytes sha256:%s ok\n", hash);
    assert_string_equal(f->markers.data, expected);
    assert_string_equal(f->raw[CAST_NOTES].data, expected);
    assert_int_equal(f->raw[CAST_STDOUT].length, 0);
    assert_int_equal(f->raw[CAST_INPUT].length, 0);
    assert_string_equal(f->raw[CAST_STDERR].data, "warned\n");
    assert_non_null(strstr(f->files.data, hash));
    assert_non_null(strstr(f->files.data, "{\"op\":\"put\",\"path\":\"/srv/a b\",\"opened\":0."));
    const struct manifest_transfer *transfer = &f->manifest->transfer;
    assert_string_equal(transfer->protocol, "sftp");
    assert_true(transfer->understood && !transfer->contents);
    assert_int_equal(transfer->operations, 1);
    assert_int_equal(transfer->put_files, 1);
    assert_int_equal(transfer->put_bytes, 5);
    assert_int_equal(transfer->got_files, 0);
    assert_int_equal(transfer->listed, 1);
}

static void contents_are_kept_where_that_is_set(void **state)
{
    struct fixture *f = *state;
    begin_sftp(f, "kept");
    open_file(f, "x");
    write_block(f, 0, "the secret", 10);
    close_file(f);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    assert_int_equal(f->raw[CAST_INPUT].length, f->manifest->input_bytes);
    assert_int_equal(f->raw[CAST_STDOUT].length, f->manifest->output_bytes);
    assert_non_null(memmem(f->raw[CAST_INPUT].data, f->raw[CAST_INPUT].length, "the secret", 10));
    assert_int_equal(f->raw[CAST_NOTES].length, 0);
    assert_true(f->manifest->transfer.contents);
    assert_int_equal(f->manifest->transfer.put_bytes, 10);
}

static void a_sealer_killed_at_any_point_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct buffer first = BUFFER_INIT(MUCH);
    char block[1000];
    memset(block, 'b', sizeof(block));
    for (int round = 0; round < 3; round++) {
        now_ns = NS_PER_SECOND;
        begin_sftp(f, "");
        open_file(f, "one");
        for (unsigned i = 0; i < 60; i++) {
            write_block(f, i * sizeof(block), block, sizeof(block));
            if (round)
                assert_int_equal(seal_anew(f, round == 2 && i % 7 == 0), SEAL_IDLE);
        }
        close_file(f);
        say(f, JOURNAL_INPUT, "bis", 13, 9, "gone");
        if (round)
            assert_int_equal(seal_anew(f, round == 2), SEAL_IDLE);
        status(f, 9);
        open_file(f, "two");
        write_block(f, 0, block, 10);
        if (round)
            assert_int_equal(seal_anew(f, false), SEAL_IDLE);
        kill_host(f);
        assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
        look(f);
        assert_non_null(strstr(f->files.data, "\"result\":\"unfinished\""));
        if (round == 0)
            assert_int_equal(buffer_append(&first, f->files.data, f->files.length), 0);
        assert_string_equal(f->files.data, first.data);
        assert_int_equal(f->manifest->transfer.operations, 3);
        forget(f);
    }
    buffer_free(&first);
}

/* As after a loss of power: the record is on disk, the state that it is about is not. */
static void a_state_that_is_lost_is_made_again_from_the_journal(void **state)
{
    struct fixture *f = *state;
    int area = spool_area(f->spool, SPOOL_SEALED);
    for (int how = 0; how < 3; how++) {
        begin_sftp(f, "");
        open_file(f, "one");
        write_block(f, 0, "12", 2);
        assert_int_equal(seal_anew(f, how == 2), SEAL_IDLE);
        struct buffer bytes = BUFFER_INIT(MUCH);
        assert_int_equal(file_read(area, ID SPOOL_TRANSFER_SUFFIX, &bytes, NULL), 0);
        write_block(f, 2, "34", 2);
        assert_int_equal(seal_anew(f, false), SEAL_IDLE);
        int fd = openat(area, ID SPOOL_TRANSFER_SUFFIX, O_RDWR);
        assert_true(fd >= 0);
        if (how == 0)
            assert_int_equal(ftruncate(fd, 0), 0);
        else
            assert_int_equal(pwrite(fd, "damage", 6, (off_t)bytes.length + 20), 6);
        close(fd);
        buffer_free(&bytes);
        close_file(f);
        end_session(f);
        assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
        look(f);
        assert_non_null(strstr(f->files.data, "\"bytes\":4,"));
        assert_non_null(strstr(f->files.data,
                               "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"));
        forget(f);
    }
}

static void the_spool_stays_flat_while_much_passes(void **state)
{
    struct fixture *f = *state;
    static char block[32768];
    begin_sftp(f, "");
    open_file(f, "large");
    for (unsigned i = 0; i < 2000; i++) {
        write_block(f, (uint64_t)i * sizeof(block), block, sizeof(block));
        if (i % 250 == 0)
            assert_int_equal(seal_anew(f, true), SEAL_IDLE);
    }
    assert_int_equal(seal_anew(f, true), SEAL_IDLE);
    assert_true(space(f, SPOOL_SEALED, SPOOL_TRANSFER_SUFFIX) <= 64 << 10);
    assert_true(space(f, SPOOL_SEALED, SPOOL_CAST_SUFFIX) <= 64 << 10);
    assert_true(space(f, SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX) < 16 << 20);
    close_file(f);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    assert_int_equal(f->manifest->transfer.put_bytes, 2000 * sizeof(block));
    assert_true(f->manifest->chunk_count < 10);
}

static void many_small_files_are_all_in_the_cast_and_as_many_as_fit_in_the_manifest(void **state)
{
    struct fixture *f = *state;
    char path[64];
    size_t lines = 0;
    begin_sftp(f, "");
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(path, sizeof(path), "/srv/folder/file-%u", i);
        open_file(f, path);
        close_file(f);
    }
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    for (const char *p = f->files.data; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 20000);
    assert_int_equal(f->manifest->transfer.operations, 20000);
    assert_true(f->manifest->transfer.listed > 300 && f->manifest->transfer.listed < 2000);
    lines = 0;
    for (const char *p = f->markers.data; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 10000);
}

static void what_is_not_understood_is_there_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    begin_sftp(f, "");
    append(f, JOURNAL_INPUT, "rm -rf \xff/\n", 10);
    append(f, JOURNAL_STDOUT, "done\n", 5);
    assert_int_equal(seal_anew(f, true), SEAL_IDLE);
    append(f, JOURNAL_INPUT, "more", 4);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    assert_int_equal(f->raw[CAST_INPUT].length, 14);
    assert_memory_equal(f->raw[CAST_INPUT].data, "rm -rf \xff/\nmore", 14);
    assert_string_equal(f->raw[CAST_STDOUT].data, "done\n");
    assert_false(f->manifest->transfer.understood);
    assert_string_equal(f->markers.data, "not understood from here on, recorded as it is: a "
                                         "message has a length that none has\n");
}

static void after_a_gap_nothing_is_taken_for_understood(void **state)
{
    struct fixture *f = *state;
    const uint64_t lost = 100;
    begin_sftp(f, "");
    open_file(f, "x");
    append(f, JOURNAL_GAP, &lost, sizeof(lost));
    append(f, JOURNAL_INPUT, "middle", 6);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    assert_memory_equal(f->raw[CAST_INPUT].data, "middle", 6);
    assert_non_null(strstr(f->files.data, "\"result\":\"unfinished\""));
    assert_non_null(strstr(f->markers.data, "bytes are missing"));
}

static void names_that_are_no_text_are_there_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    char longest[5001];
    memset(longest, 1, sizeof(longest));
    longest[5000] = '\0';
    begin_sftp(f, "");
    say(f, JOURNAL_INPUT, "biss", 18, 9, "a\xff\"\n", longest);
    status(f, 9);
    end_session(f);
    assert_int_equal(seal_anew(f, false), SEAL_COMPLETE);
    look(f);
    assert_non_null(strstr(f->files.data, "\"path_base64\":\"Yf8iCg==\",\"to\":\"\\u0001"));
    assert_non_null(strstr(f->files.data, "\"to_length\":5000"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_a_transfer_did_is_in_the_cast_and_in_the_manifest),
        TEST(contents_are_kept_where_that_is_set),
        TEST(a_sealer_killed_at_any_point_changes_nothing),
        TEST(a_state_that_is_lost_is_made_again_from_the_journal),
        TEST(the_spool_stays_flat_while_much_passes),
        TEST(many_small_files_are_all_in_the_cast_and_as_many_as_fit_in_the_manifest),
        TEST(what_is_not_understood_is_there_byte_for_byte),
        TEST(after_a_gap_nothing_is_taken_for_understood),
        TEST(names_that_are_no_text_are_there_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
