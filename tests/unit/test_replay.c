/* Recordings decoded and replayed from files, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "recorder/base/clock.h"
#include "recorder/read/player.h"

static const char cast[] = "{\"version\": 2, \"width\": 100, \"height\": 30, \"castbucket\": {}}\n"
                           "[0.1, \"o\", \"one \"]\n"
                           "[0.2, \"o\", \"\xef\xbf\xbd\"]\n"
                           "[0.2, \"b\", \"/w==\"]\n"
                           "[0.3, \"i\", \"typed\"]\n"
                           "[0.3, \"o\", \" two\\u001b[6n\"]\n"
                           "[0.5, \"x\", \"7\"]\n";

struct place {
    char folder[200], path[256];
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *base = getenv("TMPDIR");
    snprintf(place->folder, sizeof(place->folder), "%s/castbucket-replay-XXXXXX",
             base ? base : "/tmp");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/x", place->folder);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    rmdir(place->folder);
    free(place);
    return 0;
}

static void save(const struct place *place, const void *data, size_t length)
{
    FILE *file = fopen(place->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* One gzip member at `to`; returns its size. */
static size_t zip(const char *text, size_t length, unsigned char *to, size_t room)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (z_const unsigned char *)(uintptr_t)text;
    stream.avail_in = (uInt)length;
    stream.next_out = to;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t size = room - stream.avail_out;
    deflateEnd(&stream);
    return size;
}

struct seen {
    int infos, events;
    struct buffer raw;
    int stop_at;
};

static int see_info(void *context, const struct cast_info *info)
{
    struct seen *seen = context;
    assert_int_equal(seen->events, 0);
    assert_int_equal(info->columns, 100);
    seen->infos++;
    return 0;
}

static int see_event(void *context, const struct cast_event *event, struct error *error)
{
    struct seen *seen = context;
    (void)error;
    seen->events++;
    if (event->code == 'o')
        assert_int_equal(buffer_append(&seen->raw, event->raw, event->raw_length), 0);
    return seen->events == seen->stop_at ? 77 : 0;
}

static struct seen decode(const struct place *place, int stop_at, int wanted, struct error *error)
{
    struct seen seen = {.raw = BUFFER_INIT(10000), .stop_at = stop_at};
    const struct recording_source source = {.path = place->path};
    *error = ERROR_INIT;
    assert_int_equal(recording_decode(&source, see_info, see_event, &seen, error), wanted);
    return seen;
}

static void expect_whole(const struct place *place)
{
    struct error error;
    struct seen seen = decode(place, 0, 0, &error);
    assert_int_equal(seen.infos, 1);
    assert_int_equal(seen.events, 5);
    assert_string_equal(seen.raw.data, "one \xff two\x1b[6n");
    buffer_free(&seen.raw);
}

static void casts_are_read_plain_zipped_and_in_several_members(void **state)
{
    struct place *place = *state;
    unsigned char zipped[4096];
    save(place, cast, sizeof(cast) - 1);
    expect_whole(place);
    size_t size = zip(cast, sizeof(cast) - 1, zipped, sizeof(zipped));
    save(place, zipped, size);
    expect_whole(place);
    size = zip(cast, 100, zipped, sizeof(zipped));
    size += zip(cast + 100, sizeof(cast) - 1 - 100, zipped + size, sizeof(zipped) - size);
    memset(zipped + size, 0, 512);
    save(place, zipped, size + 512);
    expect_whole(place);
}

static void what_is_readable_is_delivered_and_the_damage_is_named(void **state)
{
    struct place *place = *state;
    unsigned char zipped[4096];
    struct error error;
    /* A flush after the third line, as a chunk's end: up to there all is readable. */
    size_t half = (size_t)(strstr(cast, "[0.3") - cast);
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (z_const unsigned char *)(uintptr_t)cast;
    stream.avail_in = (uInt)half;
    stream.next_out = zipped;
    stream.avail_out = sizeof(zipped);
    assert_int_equal(deflate(&stream, Z_FULL_FLUSH), Z_OK);
    size_t cut = sizeof(zipped) - stream.avail_out;
    stream.avail_in = (uInt)(sizeof(cast) - 1 - half);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t size = sizeof(zipped) - stream.avail_out;
    deflateEnd(&stream);

    save(place, zipped, size);
    expect_whole(place);
    save(place, zipped, cut);
    struct seen seen = decode(place, 0, ERR_DAMAGED, &error);
    char offset[32];
    snprintf(offset, sizeof(offset), "byte %zu: ", cut);
    assert_non_null(strstr(error.text, offset));
    assert_non_null(strstr(error.text, "ends early"));
    assert_non_null(strstr(error.text, place->path));
    assert_int_equal(seen.infos, 1);
    assert_int_equal(seen.events, 2);
    assert_string_equal(seen.raw.data, "one \xff");
    buffer_free(&seen.raw);

    zipped[size - 6] ^= 1; /* the CRC-32 */
    save(place, zipped, size);
    seen = decode(place, 0, ERR_DAMAGED, &error);
    assert_int_equal(seen.events, 5);
    buffer_free(&seen.raw);
    zipped[size - 6] ^= 1;

    memcpy(zipped + size, "more", 4);
    save(place, zipped, size + 4);
    seen = decode(place, 0, ERR_DAMAGED, &error);
    assert_non_null(strstr(error.text, "other bytes follow"));
    assert_int_equal(seen.events, 5);
    buffer_free(&seen.raw);
}

static void what_is_no_cast_is_an_error_that_names_the_file(void **state)
{
    struct place *place = *state;
    struct error error;
    static const char *const wrong[] = {"", "\x1f", "\x1f\x8bgarbage", "hello\n", "{}\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        save(place, wrong[i], strlen(wrong[i]));
        struct seen seen = decode(place, 0, ERR_DAMAGED, &error);
        assert_non_null(strstr(error.text, place->path));
        assert_int_equal(seen.infos, 0);
    }
    unlink(place->path);
    (void)decode(place, 0, ERR_NOT_FOUND, &error);
    assert_non_null(strstr(error.text, place->path));
}

static void a_reader_may_stop(void **state)
{
    struct place *place = *state;
    struct error error;
    save(place, cast, sizeof(cast) - 1);
    struct seen seen = decode(place, 2, 77, &error);
    assert_int_equal(seen.events, 2);
    assert_int_equal(error.code, 0);
    buffer_free(&seen.raw);
}

/* ---- playing ---- */

struct replay {
    char text[4096];
    struct player_result result;
    int64_t took_ns;
};

static struct replay play(const struct place *place, struct player_options options,
                          const char *keys)
{
    struct replay replay = {0};
    int out[2], in[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], keys, strlen(keys)), strlen(keys));
    options.output = out[1];
    options.keys = *keys ? in[0] : -1;
    options.clock = &clock_system;
    const struct recording_source source = {.path = place->path};
    struct error error = ERROR_INIT;
    int64_t before = clock_monotonic_ns(&clock_system);
    assert_int_equal(player_play(&source, &options, &replay.result, &error), 0);
    replay.took_ns = clock_monotonic_ns(&clock_system) - before;
    close(out[1]);
    ssize_t got = read(out[0], replay.text, sizeof(replay.text) - 1);
    assert_true(got >= 0);
    close(out[0]);
    close(in[0]);
    close(in[1]);
    return replay;
}

static void a_replay_takes_its_time(void **state)
{
    struct place *place = *state;
    save(place, cast, sizeof(cast) - 1);
    struct replay replay = play(place, (struct player_options){.speed = 1}, "");
    assert_string_equal(replay.text, "one \xef\xbf\xbd two");
    assert_true(replay.took_ns >= 490 * NS_PER_MS);
    assert_true(replay.result.ended);
    assert_string_equal(replay.result.status, "7");
    assert_int_equal(replay.result.dropped, 1);

    replay = play(place, (struct player_options){.speed = 5}, "");
    assert_true(replay.took_ns >= 95 * NS_PER_MS && replay.took_ns < 450 * NS_PER_MS);
}

static void pauses_can_be_shortened_or_left_out(void **state)
{
    struct place *place = *state;
    static const char slow[] = "{\"version\": 2, \"width\": 80, \"height\": 24}\n"
                               "[10000.0, \"o\", \"a\"]\n[20000.0, \"o\", \"b\"]\n"
                               "[1e300, \"o\", \"c\"]\n";
    save(place, slow, sizeof(slow) - 1);
    struct player_options options = {.speed = 1, .idle_limit_ns = 50 * NS_PER_MS};
    struct replay replay;
    /* 1e300 is no time; what comes before it is shown. */
    const struct recording_source source = {.path = place->path};
    struct player_result result;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    options.output = null;
    options.keys = -1;
    options.clock = &clock_system;
    int rc = player_play(&source, &options, &result, NULL);
    assert_true(rc == 0 || rc == ERR_DAMAGED);
    close(null);

    save(place, slow, (size_t)(strstr(slow, "[1e300") - slow));
    replay = play(place, (struct player_options){.speed = 1, .idle_limit_ns = 50 * NS_PER_MS}, "");
    assert_string_equal(replay.text, "ab");
    assert_true(replay.took_ns >= 95 * NS_PER_MS && replay.took_ns < 5 * NS_PER_SECOND);
    replay = play(place, (struct player_options){.speed = 0}, "");
    assert_string_equal(replay.text, "ab");
    assert_true(replay.took_ns < 5 * NS_PER_SECOND);
}

static void keys_pause_step_skip_and_quit(void **state)
{
    struct place *place = *state;
    static const char slow[] = "{\"version\": 2, \"width\": 80, \"height\": 24}\n"
                               "[1000.0, \"o\", \"a\"]\n[1001.0, \"o\", \"b\"]\n"
                               "[1009.5, \"o\", \"c\"]\n[5000.0, \"o\", \"d\"]\n";
    save(place, slow, sizeof(slow) - 1);
    const struct player_options options = {.speed = 1};
    struct replay replay = play(place, options, "q");
    assert_string_equal(replay.text, "");
    assert_true(replay.result.quit);
    replay = play(place, options, " ..q");
    assert_string_equal(replay.text, "ab");
    replay = play(place, options, "\x1b[C\x1b[C\x1b[Cq");
    assert_string_equal(replay.text, "abc");
    replay = play(place, (struct player_options){.speed = 1}, ".q");
    assert_string_equal(replay.text, ""); /* steps only while paused */
    assert_true(replay.took_ns < 5 * NS_PER_SECOND);
}

static void unfiltered_passes_everything(void **state)
{
    struct place *place = *state;
    save(place, cast, sizeof(cast) - 1);
    struct replay replay = play(place, (struct player_options){.unfiltered = true}, "");
    assert_string_equal(replay.text, "one \xef\xbf\xbd two\x1b[6n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(casts_are_read_plain_zipped_and_in_several_members, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_readable_is_delivered_and_the_damage_is_named,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_cast_is_an_error_that_names_the_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reader_may_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replay_takes_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pauses_can_be_shortened_or_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_pause_step_skip_and_quit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unfiltered_passes_everything, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
