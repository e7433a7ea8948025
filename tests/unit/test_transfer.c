/* File transfers taken apart: what is told, and that what is not understood is handed out whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/base/sha256_running.h"
#include "recorder/base/text.h"
#include "recorder/transfer/transfer.h"
#include "recorder/transfer/transfer_text.h"

#define MUCH ((size_t)64 << 20)
#define IN TRANSFER_TO_FAR
#define OUT TRANSFER_FROM_FAR

/* ---- what passed, and what was told of it ---------------------------------------------------- */

struct story {
    struct {
        enum transfer_direction direction;
        size_t start, length;
    } part[16384];
    size_t parts;
    struct buffer bytes;
};

struct told {
    struct buffer lines, raw[2], content;
};

static struct told new_told(void)
{
    return (struct told){
        BUFFER_INIT(MUCH), {BUFFER_INIT(MUCH), BUFFER_INIT(MUCH)}, BUFFER_INIT(MUCH)};
}

static void free_told(struct told *told)
{
    buffer_free(&told->lines);
    buffer_free(&told->raw[0]);
    buffer_free(&told->raw[1]);
    buffer_free(&told->content);
}

static int take_operation(void *context, const struct transfer_operation *operation)
{
    struct told *told = context;
    assert_int_equal(transfer_line(operation, &told->lines), 0);
    return buffer_append(&told->lines, "\n", 1);
}

static int take_note(void *context, const char *reason)
{
    struct told *told = context;
    return buffer_printf(&told->lines, "note: %s\n", reason);
}

static int take_raw(void *context, enum transfer_direction direction, const void *data,
                    size_t length)
{
    struct told *told = context;
    return buffer_append(&told->raw[direction], data, length);
}

static int take_content(void *context, enum transfer_op op, uint64_t number,
                        const struct transfer_name *path, uint64_t offset, const void *data,
                        size_t length)
{
    struct told *told = context;
    (void)op, (void)number, (void)path, (void)offset;
    return buffer_append(&told->content, data, length);
}

static struct transfer_sink sink_of(struct told *told)
{
    return (struct transfer_sink){told, take_operation, take_note, take_raw, take_content};
}

static void pass(struct story *story, enum transfer_direction direction, const void *data,
                 size_t length)
{
    assert_true(story->parts < sizeof(story->part) / sizeof(*story->part));
    story->part[story->parts].direction = direction;
    story->part[story->parts].start = story->bytes.length;
    story->part[story->parts++].length = length;
    assert_int_equal(buffer_append(&story->bytes, data, length), 0);
}

static struct story *new_story(void)
{
    struct story *story = calloc(1, sizeof(*story));
    assert_non_null(story);
    story->bytes = BUFFER_INIT(MUCH);
    return story;
}

static void free_story(struct story *story)
{
    buffer_free(&story->bytes);
    free(story);
}

static struct transfer *reload(struct transfer *transfer)
{
    struct buffer state = BUFFER_INIT(TRANSFER_STATE_MAX), again = BUFFER_INIT(TRANSFER_STATE_MAX);
    assert_int_equal(transfer_save(transfer, &state), 0);
    transfer_free(transfer);
    assert_int_equal(transfer_load(state.data, state.length, &transfer), 0);
    assert_int_equal(transfer_save(transfer, &again), 0);
    assert_int_equal(again.length, state.length);
    assert_memory_equal(again.data, state.data, state.length);
    buffer_free(&state);
    buffer_free(&again);
    return transfer;
}

/* Each part in pieces of `piece` bytes (0: whole); saved and loaded after each when `saved`. */
static struct told tell(const struct story *story, enum transfer_protocol protocol, size_t piece,
                        bool saved)
{
    struct told told = new_told();
    const struct transfer_sink sink = sink_of(&told);
    struct transfer *transfer = transfer_new(protocol);
    for (size_t i = 0; i < story->parts; i++) {
        size_t length = story->part[i].length, step = piece && piece < length ? piece : length;
        for (size_t at = 0; at < length; at += step) {
            size_t this = length - at < step ? length - at : step;
            assert_int_equal(transfer_take(transfer, story->part[i].direction, (int64_t)i,
                                           story->bytes.data + story->part[i].start + at, this,
                                           &sink),
                             0);
            if (saved)
                transfer = reload(transfer);
        }
    }
    assert_int_equal(transfer_end(transfer, &sink), 0);
    transfer_free(transfer);
    return told;
}

/* What is told does not depend on how bytes came, nor on whether the decoder is another one. */
static void expect(struct story *story, enum transfer_protocol protocol, const char *lines)
{
    struct told whole = tell(story, protocol, 0, false);
    if (strcmp(whole.lines.data ? whole.lines.data : "", lines) != 0)
        fail_msg("told:\n%s\nexpected:\n%s", whole.lines.data, lines);
    for (size_t piece = 1; piece < 40; piece = piece * 2 + 1) {
        struct told again = tell(story, protocol, piece, piece < 8);
        assert_string_equal(again.lines.data ? again.lines.data : "", lines);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(again.raw[i].length, whole.raw[i].length);
            if (whole.raw[i].length)
                assert_memory_equal(again.raw[i].data, whole.raw[i].data, whole.raw[i].length);
        }
        assert_int_equal(again.content.length, whole.content.length);
        if (whole.content.length)
            assert_memory_equal(again.content.data, whole.content.data, whole.content.length);
        free_told(&again);
    }
    free_told(&whole);
    free_story(story);
}

static const char *hash_of(const void *data, size_t length)
{
    static char hex[65];
    uint8_t hash[SHA256_SIZE];
    assert_int_equal(sha256(data, length, hash), 0);
    text_hex(hex, hash, sizeof(hash));
    return hex;
}

/* ---- SFTP ------------------------------------------------------------------------------------ */

/* Fields by letters: b byte, i 4 bytes, l 8 bytes, s text, d data with its length. */
static void message(struct story *story, enum transfer_direction direction, const char *fields, ...)
{
    struct buffer text = BUFFER_INIT(MUCH);
    va_list list;
    va_start(list, fields);
    assert_int_equal(buffer_append(&text, "\0\0\0", 4), 0);
    for (const char *p = fields; *p; p++) {
        const char *data = NULL;
        uint64_t number = 0;
        int width = *p == 'b' ? 1 : *p == 'l' ? 8 : 4;
        if (*p == 's' || *p == 'd') {
            data = va_arg(list, const char *);
            number = *p == 's' ? strlen(data) : va_arg(list, size_t);
        } else if (*p == 'l') {
            number = va_arg(list, uint64_t);
        } else {
            number = va_arg(list, unsigned);
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
    pass(story, direction, text.data, text.length);
    buffer_free(&text);
}

static struct story *begin(void)
{
    struct story *story = new_story();
    message(story, IN, "bi", 1, 3);
    message(story, OUT, "biss", 2, 3, "posix-rename@openssh.com", "1");
    return story;
}

static void status(struct story *story, unsigned id, unsigned code)
{
    message(story, OUT, "biiss", 101, id, code, "so it is", "en");
}

static void open_file(struct story *story, unsigned id, const char *path, unsigned flags,
                      const char *handle)
{
    message(story, IN, "bisii", 3, id, path, flags, 0);
    message(story, OUT, "bis", 102, id, handle);
}

static void write_file(struct story *story, unsigned id, const char *handle, uint64_t offset,
                       const void *data, size_t length)
{
    message(story, IN, "bisld", 6, id, handle, offset, data, length);
    status(story, id, 0);
}

static void close_file(struct story *story, unsigned id, const char *handle)
{
    message(story, IN, "bis", 4, id, handle);
    status(story, id, 0);
}

static void test_a_file_that_is_put_is_told_with_its_bytes_and_their_hash(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "/srv/a.txt", 0x1a, "h");
    write_file(story, 2, "h", 0, "hello, ", 7);
    write_file(story, 3, "h", 7, "world\n", 6);
    close_file(story, 4, "h");
    snprintf(expected, sizeof(expected), "put /srv/a.txt 13 bytes sha256:%s ok\n",
             hash_of("hello, world\n", 13));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_an_empty_file_has_the_hash_of_nothing(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "empty", 0x1a, "\x01");
    close_file(story, 2, "\x01");
    snprintf(expected, sizeof(expected), "put empty 0 bytes sha256:%s ok\n", hash_of("", 0));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_pipelined_reads_are_one_file(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 7, "/etc/motd", 1, "h");
    message(story, IN, "bisli", 5, 8, "h", UINT64_C(0), 4);
    message(story, IN, "bisli", 5, 9, "h", UINT64_C(4), 4);
    message(story, IN, "bisli", 5, 10, "h", UINT64_C(8), 4);
    message(story, OUT, "bis", 103, 8, "abcd");
    message(story, OUT, "bis", 103, 9, "ef");
    status(story, 10, 1);
    message(story, IN, "bisli", 5, 11, "h", UINT64_C(6), 2);
    status(story, 11, 1);
    close_file(story, 12, "h");
    snprintf(expected, sizeof(expected), "get /etc/motd 6 bytes sha256:%s ok\n",
             hash_of("abcdef", 6));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_a_transfer_that_is_resumed_says_from_where(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "big", 2, "h");
    write_file(story, 2, "h", UINT64_C(1) << 33, "tail", 4);
    close_file(story, 3, "h");
    snprintf(expected, sizeof(expected), "put big 4 bytes from 8589934592 on sha256:%s ok\n",
             hash_of("tail", 4));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_what_is_not_in_order_has_no_hash_and_a_reason(void **state)
{
    (void)state;
    struct story *story = begin();
    open_file(story, 1, "sparse", 0x1a, "h");
    write_file(story, 2, "h", 0, "ab", 2);
    write_file(story, 3, "h", 4096, "cd", 2);
    close_file(story, 4, "h");
    open_file(story, 5, "mixed", 1, "h");
    message(story, IN, "bisli", 5, 6, "h", UINT64_C(0), 4);
    message(story, IN, "bisli", 5, 7, "h", UINT64_C(4), 4);
    message(story, OUT, "bis", 103, 7, "efgh");
    message(story, OUT, "bis", 103, 6, "abcd");
    close_file(story, 8, "h");
    expect(story, TRANSFER_SFTP,
           "put sparse 4 bytes (no hash: not written from one end to the other in order) ok\n"
           "get mixed 8 bytes from 4 on (no hash: not read from one end to the other in order) "
           "ok\n");
}

static void test_each_change_of_a_name_is_told_with_its_result(void **state)
{
    (void)state;
    struct story *story = begin();
    message(story, IN, "biss", 18, 1, "a", "b");
    status(story, 1, 0);
    message(story, IN, "bisss", 200, 2, "posix-rename@openssh.com", "b", "c d");
    status(story, 2, 4);
    message(story, IN, "bisss", 200, 3, "hardlink@openssh.com", "c", "d");
    status(story, 3, 8);
    message(story, IN, "biss", 20, 4, "points/to", "link");
    status(story, 4, 0);
    message(story, IN, "bis", 13, 5, "gone");
    status(story, 5, 2);
    message(story, IN, "bisi", 14, 6, "new", 0);
    message(story, IN, "bis", 15, 7, "old");
    status(story, 7, 3);
    status(story, 6, 0);
    message(story, IN, "bisiliiiii", 9, 8, "x", 15, UINT64_C(5), 1000, 1001, 0100755, 12, 13);
    status(story, 8, 0);
    message(story, IN, "bisi", 10, 9, "no such handle", 0);
    status(story, 9, 4);
    message(story, IN, "bis", 11, 10, "/home");
    message(story, OUT, "bis", 102, 10, "dir");
    message(story, IN, "bis", 12, 11, "dir");
    message(story, OUT, "biissi", 104, 11, 1, "name", "long name", 0);
    close_file(story, 12, "dir");
    message(story, IN, "bis", 17, 13, "/home");
    message(story, OUT, "bii", 105, 13, 0);
    message(story, IN, "bis", 200, 14, "shell@example.com");
    status(story, 14, 8);
    expect(story, TRANSFER_SFTP,
           "rename a -> b ok\n"
           "rename b -> \"c d\" failure\n"
           "link c -> d unsupported\n"
           "symlink link -> points/to ok\n"
           "remove gone no-such-file\n"
           "rmdir old permission-denied\n"
           "mkdir new ok\n"
           "setstat x size=5 uid=1000 gid=1001 mode=0755 atime=12 mtime=13 ok\n"
           "setstat failure\n"
           "list /home ok\n"
           "other shell@example.com unsupported\n");
}

static void test_a_copy_at_the_far_side_takes_the_hash_away(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "from", 1, "f");
    open_file(story, 2, "to", 0x1a, "t");
    message(story, IN, "bissllsl", 200, 3, "copy-data", "f", UINT64_C(0), UINT64_C(0), "t",
            UINT64_C(0));
    status(story, 3, 0);
    close_file(story, 4, "t");
    close_file(story, 5, "f");
    snprintf(expected, sizeof(expected),
             "copy from -> to (no hash: the far side copied it by itself) ok\n"
             "put to 0 bytes (no hash: the far side copied into it by itself) ok\n"
             "get from 0 bytes sha256:%s ok\n",
             hash_of("", 0));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_refused_and_failed_files_say_so(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    message(story, IN, "bisii", 3, 1, "/root/x", 0x1a, 0);
    status(story, 1, 3);
    message(story, IN, "bisii", 3, 2, "/root/y", 1, 0);
    status(story, 2, 2);
    open_file(story, 3, "/full", 0x1a, "h");
    message(story, IN, "bisls", 6, 4, "h", UINT64_C(0), "data");
    status(story, 4, 4);
    close_file(story, 5, "h");
    snprintf(expected, sizeof(expected),
             "put /root/x permission-denied\nget /root/y no-such-file\n"
             "put /full 4 bytes sha256:%s failure\n",
             hash_of("data", 4));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_what_is_open_at_the_end_is_unfinished(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "half", 0x1a, "h");
    write_file(story, 2, "h", 0, "12345", 5);
    message(story, IN, "bis", 13, 3, "asked");
    snprintf(expected, sizeof(expected),
             "put half 5 bytes sha256:%s unfinished\nremove asked unanswered\n",
             hash_of("12345", 5));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_names_may_be_any_bytes_of_any_length(void **state)
{
    (void)state;
    struct story *story = begin();
    char longest[5001], expected[6000];
    memset(longest, 'n', sizeof(longest));
    longest[5000] = '\0';
    message(story, IN, "bid", 13, 1, "a\0\n\x1b[2J\xff", (size_t)8);
    status(story, 1, 2);
    message(story, IN, "bis", 13, 2, longest);
    status(story, 2, 2);
    message(story, IN, "bis", 13, 3, "");
    status(story, 3, 2);
    snprintf(expected, sizeof(expected),
             "remove a\\x00\\n\\x1b[2J\\xff no-such-file\n"
             "remove %.4096s... (5000 bytes in all) no-such-file\n"
             "remove \"\" no-such-file\n",
             longest);
    expect(story, TRANSFER_SFTP, expected);
}

/* Everything from part `from` on is handed out as it came, in both directions. */
static void expect_raw_from(struct story *story, size_t from, const char *lines)
{
    struct buffer raw[2] = {BUFFER_INIT(MUCH), BUFFER_INIT(MUCH)};
    struct told told = tell(story, TRANSFER_SFTP, 0, true);
    for (size_t i = from; i < story->parts; i++)
        assert_int_equal(buffer_append(&raw[story->part[i].direction],
                                       story->bytes.data + story->part[i].start,
                                       story->part[i].length),
                         0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(told.raw[i].length, raw[i].length);
        if (raw[i].length)
            assert_memory_equal(told.raw[i].data, raw[i].data, raw[i].length);
        buffer_free(&raw[i]);
    }
    free_told(&told);
    expect(story, TRANSFER_SFTP, lines);
}

static void test_what_is_not_sftp_at_all_is_handed_out_whole(void **state)
{
    (void)state;
    struct story *story = new_story();
    pass(story, OUT, "Welcome to bastion\n", 19);
    pass(story, IN, "id\n", 3);
    pass(story, OUT, "uid=0(root)\n", 12);
    expect_raw_from(story, 0, "note: a message has a length that none has\n");

    story = new_story();
    message(story, OUT, "biss", 2, 3, "an answer", "first");
    pass(story, OUT, "more", 4);
    expect_raw_from(story, 0, "note: the server does not begin as SFTP does\n");
}

static void test_another_version_is_handed_out(void **state)
{
    (void)state;
    struct story *story = new_story();
    message(story, IN, "bi", 1, 6);
    message(story, OUT, "biss", 2, 6, "supported2", "");
    message(story, IN, "bisiii", 3, 1, "file", 0, 0, 0);
    expect_raw_from(story, 1, "note: this is SFTP of another version than 3\n");
}

static void test_a_length_of_four_gigabytes_is_none(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512];
    open_file(story, 1, "f", 0x1a, "h");
    write_file(story, 2, "h", 0, "ab", 2);
    size_t from = story->parts;
    pass(story, IN, "\xff\xff\xff\xff\x06 what is this", 18);
    status(story, 9, 0);
    snprintf(expected, sizeof(expected),
             "put f 2 bytes sha256:%s unfinished\n"
             "note: a message has a length that none has\n",
             hash_of("ab", 2));
    expect_raw_from(story, from, expected);
}

static void test_answers_to_nothing_and_data_that_nobody_asked_for_are_handed_out(void **state)
{
    (void)state;
    struct story *story = begin();
    size_t from = story->parts;
    message(story, OUT, "bis", 103, 1, "smuggled");
    message(story, IN, "bis", 13, 2, "x");
    expect_raw_from(story, from, "note: an answer comes to what nobody asked\n");

    story = begin();
    message(story, IN, "bis", 17, 1, "x");
    from = story->parts;
    message(story, OUT, "bis", 103, 1, "smuggled");
    expect_raw_from(story, from, "note: data come that nobody asked for\n");

    story = begin();
    from = story->parts;
    message(story, IN, "bisls", 6, 1, "no handle", UINT64_C(0), "smuggled");
    expect_raw_from(story, from, "note: something is written that is no open file\n");
}

static void test_lengths_that_do_not_fit_are_handed_out(void **state)
{
    (void)state;
    struct story *story = begin();
    size_t from = story->parts;
    pass(story, IN, "\0\0\0\x0c\x0d\0\0\0\1\xff\xff\xff\xf0pat", 16);
    expect_raw_from(story, from, "note: a message's fields do not fit into it\n");

    story = begin();
    open_file(story, 1, "f", 0x1a, "h");
    from = story->parts;
    pass(story, IN, "\0\0\0\x1a\x06\0\0\0\2\0\0\0\1h\0\0\0\0\0\0\0\0\xff\0\0\0data", 30);
    struct told told = tell(story, TRANSFER_SFTP, 0, true);
    assert_int_equal(told.raw[IN].length, story->part[from].length);
    free_told(&told);
    free_story(story);
}

static void test_a_number_used_twice_is_answered_in_turn(void **state)
{
    (void)state;
    struct story *story = begin();
    message(story, IN, "bis", 13, 1, "first");
    message(story, IN, "bis", 13, 1, "second");
    status(story, 1, 0);
    status(story, 1, 2);
    expect(story, TRANSFER_SFTP, "remove first ok\nremove second no-such-file\n");
}

static void test_a_handle_given_twice_ends_the_file_before(void **state)
{
    (void)state;
    struct story *story = begin();
    char expected[512], first[65];
    open_file(story, 1, "one", 0x1a, "h");
    write_file(story, 2, "h", 0, "1", 1);
    open_file(story, 3, "two", 0x1a, "h");
    write_file(story, 4, "h", 0, "2", 1);
    close_file(story, 5, "h");
    strcpy(first, hash_of("1", 1));
    snprintf(expected, sizeof(expected),
             "put one 1 bytes sha256:%s unfinished\nput two 1 bytes sha256:%s ok\n", first,
             hash_of("2", 1));
    expect(story, TRANSFER_SFTP, expected);
}

static void test_memory_and_state_are_bounded_whatever_is_open(void **state)
{
    (void)state;
    struct told told = new_told();
    const struct transfer_sink sink = sink_of(&told);
    struct transfer *transfer = transfer_new(TRANSFER_SFTP);
    struct story *story = begin();
    char path[301];
    memset(path, 'p', sizeof(path));
    path[300] = '\0';
    for (unsigned i = 0; i < 6000; i++) {
        char handle[257];
        memset(handle, 'h', 256);
        handle[256] = '\0';
        snprintf(handle, 9, "%08u", i);
        handle[8] = 'h';
        open_file(story, i, path, 0x1a, handle);
        write_file(story, i, handle, 0, "x", 1);
        if (story->parts > 16000 || i == 5999) {
            for (size_t k = 0; k < story->parts; k++)
                assert_int_equal(transfer_take(transfer, story->part[k].direction, 0,
                                               story->bytes.data + story->part[k].start,
                                               story->part[k].length, &sink),
                                 0);
            free_story(story);
            story = new_story();
            transfer = reload(transfer); /* into TRANSFER_STATE_MAX */
        }
    }
    assert_non_null(strstr(told.lines.data, "note: "));
    assert_true(told.raw[IN].length > 0 && told.raw[OUT].length > 0);
    free_story(story);
    transfer_free(transfer);
    free_told(&told);
}

/* ---- scp ------------------------------------------------------------------------------------- */

static void say(struct story *story, enum transfer_direction direction, const char *text)
{
    pass(story, direction, text, strlen(text));
}

static void go_on(struct story *story, enum transfer_direction direction)
{
    pass(story, direction, "", 1);
}

static void test_scp_to_the_far_side_is_puts_in_directories(void **state)
{
    (void)state;
    struct story *story = new_story();
    char expected[1024], first[65];
    go_on(story, OUT);
    say(story, IN, "T1700000000 0 1700000000 0\n");
    go_on(story, OUT);
    say(story, IN, "D0755 0 dir\n");
    go_on(story, OUT);
    say(story, IN, "C0644 6 a b\n");
    go_on(story, OUT);
    say(story, IN, "hello\n");
    go_on(story, IN);
    go_on(story, OUT);
    say(story, IN, "C0600 9 denied\n");
    say(story, OUT, "\1scp: dir/denied: Permission denied\n");
    say(story, IN, "E\n");
    go_on(story, OUT);
    say(story, IN, "C0644 0 empty\n");
    go_on(story, OUT);
    go_on(story, IN);
    go_on(story, OUT);
    strcpy(first, hash_of("hello\n", 6));
    snprintf(expected, sizeof(expected),
             "mkdir dir mode=0755 ok\n"
             "put \"dir/a b\" mode=0644 6 bytes sha256:%s ok\n"
             "other scp: dir/denied: Permission denied failure\n"
             "put dir/denied mode=0600 0 bytes sha256:%s failure\n"
             "put empty mode=0644 0 bytes sha256:%s ok\n",
             first, hash_of("", 0), hash_of("", 0));
    expect(story, TRANSFER_SCP_TO, expected);
}

static void test_scp_from_the_far_side_is_gets(void **state)
{
    (void)state;
    struct story *story = new_story();
    char expected[1024];
    go_on(story, IN);
    say(story, OUT, "\1scp: nothing: No such file or directory\n");
    say(story, OUT, "C0644 3 abc\n");
    go_on(story, IN);
    say(story, OUT, "abc");
    say(story, OUT, "\1scp: abc: Input/output error\n");
    go_on(story, IN);
    say(story, OUT, "C0644 100 cut\n");
    go_on(story, IN);
    say(story, OUT, "abc");
    snprintf(expected, sizeof(expected),
             "other scp: nothing: No such file or directory failure\n"
             "other scp: abc: Input/output error failure\n"
             "get abc mode=0644 3 bytes sha256:%s failure\n"
             "get cut mode=0644 3 bytes sha256:%s unfinished\n",
             hash_of("abc", 3), hash_of("abc", 3));
    expect(story, TRANSFER_SCP_FROM, expected);
}

static void test_what_is_not_scp_is_handed_out(void **state)
{
    static const char *const starts[] = {"$ ", "\1problem\n$ ", ""};
    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        struct story *story = new_story();
        pass(story, OUT, starts[i], strlen(starts[i]) + (i == 2));
        say(story, IN, "rm -rf /\n");
        struct told told = tell(story, TRANSFER_SCP_TO, 1, true);
        assert_int_equal(told.raw[IN].length, 9);
        assert_memory_equal(told.raw[IN].data, "rm -rf /\n", 9);
        assert_non_null(strstr(told.lines.data, "note: "));
        free_told(&told);
        free_story(story);
    }
}

static void test_scp_that_goes_on_before_it_may_is_handed_out(void **state)
{
    (void)state;
    struct story *story = new_story();
    go_on(story, OUT);
    say(story, IN, "C0644 5 a\nhello");
    struct told told = tell(story, TRANSFER_SCP_TO, 0, false);
    assert_memory_equal(told.raw[IN].data, "hello", 5);
    assert_non_null(strstr(told.lines.data, "note: the source goes on before the sink said so\n"));
    free_told(&told);
    free_story(story);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void test_an_opaque_protocol_is_bytes_and_a_hash_each_way(void **state)
{
    (void)state;
    struct story *story = new_story();
    char expected[512], there[65];
    pass(story, IN, "\x1f\0\0\0secret", 10);
    pass(story, OUT, "\x1f\0\0\0list", 8);
    strcpy(there, hash_of("\x1f\0\0\0secret", 10));
    snprintf(expected, sizeof(expected),
             "input rsync 10 bytes sha256:%s\noutput rsync 8 bytes sha256:%s\n", there,
             hash_of("\x1f\0\0\0list", 8));
    expect(story, TRANSFER_RSYNC, expected);

    story = new_story();
    pass(story, IN, "bash -i\n", 8);
    struct told told = tell(story, TRANSFER_RSYNC, 3, true);
    assert_int_equal(told.raw[IN].length, 8);
    assert_string_equal(told.lines.data, "note: this is not how the protocol begins\n");
    free_told(&told);
    free_story(story);
}

static void test_a_transfer_is_told_by_what_runs(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        enum transfer_protocol protocol;
    } cases[] = {
        {"scp -t /srv", TRANSFER_SCP_TO},
        {"/usr/bin/scp -v -r -p -d -t -- 'a b'", TRANSFER_SCP_TO},
        {"scp -rf x", TRANSFER_SCP_FROM},
        {"scp a b:c", TRANSFER_NONE},
        {"scp -S sh -t x", TRANSFER_NONE},
        {"scp -t x; bash", TRANSFER_NONE},
        {"scp -t `bash`", TRANSFER_NONE},
        {"scp -t $(bash)", TRANSFER_NONE},
        {"scp -t x | bash", TRANSFER_NONE},
        {"scp -t x\nbash", TRANSFER_NONE},
        {"/usr/lib/openssh/sftp-server -R", TRANSFER_SFTP},
        {"internal-sftp", TRANSFER_SFTP},
        {"sftp-server-of-mine", TRANSFER_NONE},
        {"rsync --server -vlogDtpre.iLsfxCIvu . /x", TRANSFER_RSYNC},
        {"rsync -a x y", TRANSFER_NONE},
        {"git-upload-pack 'repo.git'", TRANSFER_GIT},
        {"git receive-pack 'repo.git'", TRANSFER_GIT},
        {"git log", TRANSFER_NONE},
        {"", TRANSFER_NONE},
        {NULL, TRANSFER_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (transfer_protocol_of_command(cases[i].command) != cases[i].protocol)
            fail_msg("%s", cases[i].command);
    assert_int_equal(transfer_protocol_of_subsystem("sftp"), TRANSFER_SFTP);
    assert_int_equal(transfer_protocol_of_subsystem("netconf"), TRANSFER_NONE);
}

static void test_a_state_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    struct told told = new_told();
    const struct transfer_sink sink = sink_of(&told);
    struct transfer *transfer = transfer_new(TRANSFER_SFTP), *loaded;
    struct buffer bytes = BUFFER_INIT(TRANSFER_STATE_MAX);
    struct story *story = begin();
    open_file(story, 1, "f", 0x1a, "h");
    message(story, IN, "bis", 13, 2, "x");
    for (size_t k = 0; k < story->parts; k++)
        assert_int_equal(transfer_take(transfer, story->part[k].direction, 0,
                                       story->bytes.data + story->part[k].start,
                                       story->part[k].length, &sink),
                         0);
    assert_int_equal(transfer_save(transfer, &bytes), 0);
    for (size_t length = 0; length < bytes.length; length++) {
        assert_int_equal(transfer_load(bytes.data, length, &loaded), ERR_DAMAGED);
        assert_null(loaded);
    }
    free_story(story);
    transfer_free(transfer);
    buffer_free(&bytes);
    free_told(&told);
}

static void test_a_hash_goes_on_where_it_was_saved(void **state)
{
    (void)state;
    uint8_t data[1000], out[SHA256_SIZE], expected[SHA256_SIZE];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7);
    assert_int_equal(sha256(data, sizeof(data), expected), 0);
    for (size_t step = 1; step < 300; step += 13) {
        struct sha256_running hash;
        sha256_running_start(&hash);
        for (size_t at = 0; at < sizeof(data); at += step) {
            struct sha256_running copy = hash;
            size_t length = sizeof(data) - at < step ? sizeof(data) - at : step;
            sha256_running_add(&copy, data + at, length);
            hash = copy;
        }
        assert_true(hash.length == sizeof(data));
        sha256_running_get(&hash, out);
        assert_memory_equal(out, expected, sizeof(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_is_put_is_told_with_its_bytes_and_their_hash),
        cmocka_unit_test(test_an_empty_file_has_the_hash_of_nothing),
        cmocka_unit_test(test_pipelined_reads_are_one_file),
        cmocka_unit_test(test_a_transfer_that_is_resumed_says_from_where),
        cmocka_unit_test(test_what_is_not_in_order_has_no_hash_and_a_reason),
        cmocka_unit_test(test_each_change_of_a_name_is_told_with_its_result),
        cmocka_unit_test(test_a_copy_at_the_far_side_takes_the_hash_away),
        cmocka_unit_test(test_refused_and_failed_files_say_so),
        cmocka_unit_test(test_what_is_open_at_the_end_is_unfinished),
        cmocka_unit_test(test_names_may_be_any_bytes_of_any_length),
        cmocka_unit_test(test_what_is_not_sftp_at_all_is_handed_out_whole),
        cmocka_unit_test(test_another_version_is_handed_out),
        cmocka_unit_test(test_a_length_of_four_gigabytes_is_none),
        cmocka_unit_test(test_answers_to_nothing_and_data_that_nobody_asked_for_are_handed_out),
        cmocka_unit_test(test_lengths_that_do_not_fit_are_handed_out),
        cmocka_unit_test(test_a_number_used_twice_is_answered_in_turn),
        cmocka_unit_test(test_a_handle_given_twice_ends_the_file_before),
        cmocka_unit_test(test_memory_and_state_are_bounded_whatever_is_open),
        cmocka_unit_test(test_scp_to_the_far_side_is_puts_in_directories),
        cmocka_unit_test(test_scp_from_the_far_side_is_gets),
        cmocka_unit_test(test_what_is_not_scp_is_handed_out),
        cmocka_unit_test(test_scp_that_goes_on_before_it_may_is_handed_out),
        cmocka_unit_test(test_an_opaque_protocol_is_bytes_and_a_hash_each_way),
        cmocka_unit_test(test_a_transfer_is_told_by_what_runs),
        cmocka_unit_test(test_a_state_that_is_not_whole_is_refused),
        cmocka_unit_test(test_a_hash_goes_on_where_it_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
