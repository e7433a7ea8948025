#include "recorder/read/player.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "recorder/base/file.h"
#include "recorder/read/player_keys.h"
#include "recorder/read/terminal.h"
#include "recorder/read/terminal_filter.h"

#define SKIP_NS (10 * NS_PER_SECOND)
#define MAX_GAP_NS (INT64_C(1000000) * NS_PER_SECOND) /* 11 days; far from overflow */
/* Behind by more than this (a slow terminal or store), the replay goes on from where it is instead
 * of hurrying. */
#define MAX_LAG_NS (200 * NS_PER_MS)
#define MAX_SHOWN ((size_t)512 << 20) /* one event, filtered: twice the longest line */

struct player {
    const struct player_options *options;
    struct player_result *result;
    struct terminal_filter filter;
    struct buffer shown;
    double speed;
    int keys;
    bool started;
    bool transfer; /* a file transfer with its bytes: markers are shown instead of them */
    bool paused;
    int64_t position_ns; /* of the event shown last, in the recording's time */
    int64_t skip_to_ns;  /* in the recording's time: no waiting before it */
    int64_t due_ns;      /* of that event, on the monotonic clock */
};

static int64_t now(const struct player *player)
{
    return clock_monotonic_ns(player->options->clock);
}

/* Keeps the part of a wait that is left in proportion. */
static void change_speed(struct player *player, double factor)
{
    double speed = player->speed * factor;
    if (player->speed == 0 || speed < PLAYER_MIN_SPEED || speed > PLAYER_MAX_SPEED)
        return;
    int64_t at = now(player), left = player->due_ns - at;
    player->speed = speed;
    if (left > 0)
        player->due_ns = at + (int64_t)((double)left / factor);
}

/* Returns true when the next event is to be shown whatever the time is. */
static bool act(struct player *player, enum player_key key)
{
    switch (key) {
    case PLAYER_KEY_PAUSE:
        player->paused = !player->paused;
        return false;
    case PLAYER_KEY_STEP:
        return player->paused;
    case PLAYER_KEY_FASTER:
        change_speed(player, 2);
        return false;
    case PLAYER_KEY_SLOWER:
        change_speed(player, 0.5);
        return false;
    case PLAYER_KEY_SKIP:
        player->skip_to_ns = player->position_ns + SKIP_NS;
        return true;
    case PLAYER_KEY_QUIT:
        player->result->quit = true;
        return false;
    case PLAYER_KEY_NONE:
        return false;
    }
    return false;
}

/* At least 1: rounded down, the last part of a wait would be spent asking. */
static int milliseconds_until(int64_t left_ns)
{
    int64_t ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Waits until the event that begins `position_ns` is due. */
static void wait_for(struct player *player, int64_t position_ns)
{
    int64_t gap = position_ns - player->position_ns;
    int64_t limit = player->options->idle_limit_ns;
    if (limit && gap > limit)
        gap = limit;
    if (gap > MAX_GAP_NS)
        gap = MAX_GAP_NS;
    if (gap < 0)
        gap = 0;
    if (player->speed == 0 || position_ns < player->skip_to_ns) {
        player->due_ns = now(player);
        gap = 0;
    } else {
        if (now(player) - player->due_ns > MAX_LAG_NS)
            player->due_ns = now(player);
        player->due_ns += (int64_t)((double)gap / player->speed);
    }
    for (;;) {
        int64_t at = now(player), left = player->due_ns - at;
        if (player->result->quit || (!player->paused && left <= 0 && player->keys < 0))
            break;
        bool was_paused = player->paused;
        int timeout = player->paused ? -1 : left <= 0 ? 0 : milliseconds_until(left);
        enum player_key key = player_key_wait(&player->keys, timeout);
        if (player->keys < 0)
            player->paused = false; /* nobody is there to go on */
        if (act(player, key)) {
            player->due_ns = now(player);
            break;
        }
        if (was_paused) {
            /* The time spent paused does not count: at the end of it `left` is as it was. */
            player->due_ns = now(player) + (left > 0 ? left : 0);
        } else if (key == PLAYER_KEY_NONE && now(player) >= player->due_ns) {
            break;
        }
    }
    player->position_ns = position_ns;
}

static int show(struct player *player, const char *text, size_t length, struct error *error)
{
    buffer_clear(&player->shown);
    if (terminal_filter(&player->filter, text, length, &player->shown))
        return error_set(error, ERR_NO_MEMORY, "no memory to show %zu bytes", length);
    if (player->options->terminal)
        terminal_note_alternate(player->filter.alternate_screen);
    int rc = player->options->unfiltered
                 ? file_write_all(player->options->output, text, length, error)
                 : file_write_all(player->options->output, player->shown.data, player->shown.length,
                                  error);
    if (rc)
        error_prefix(error, "the replay");
    return rc;
}

static int take_info(void *context, const struct cast_info *info)
{
    struct player *player = context;
    player->transfer = *info->transfer && info->contents;
    return player->options->on_info ? player->options->on_info(player->options->context, info) : 0;
}

static int take_event(void *context, const struct cast_event *event, struct error *error)
{
    struct player *player = context;
    char shown = player->transfer ? 'm' : 'o';
    if (event->code != shown && event->code != 'x')
        return 0;
    if (!player->started) {
        player->started = true;
        player->due_ns = now(player);
    }
    wait_for(player, event->time_ns);
    if (player->result->quit)
        return ERR_CANCELLED;
    if (event->code == shown) {
        int rc = show(player, event->text, event->text_length, error);
        return rc || shown == 'o' ? rc : show(player, "\r\n", 2, error);
    }
    player->result->ended = true;
    snprintf(player->result->status, sizeof(player->result->status), "%.*s",
             (int)(event->text_length < 31 ? event->text_length : 31), event->text);
    return 0;
}

int player_play(const struct recording_source *source, const struct player_options *options,
                struct player_result *result, struct error *error)
{
    *result = (struct player_result){0};
    struct player player = {
        .options = options,
        .result = result,
        .filter = TERMINAL_FILTER_INIT,
        .shown = BUFFER_INIT(MAX_SHOWN),
        .speed = options->speed,
        .keys = options->keys,
    };
    int rc = recording_decode(source, take_info, take_event, &player, error);
    result->dropped = player.filter.dropped;
    buffer_free(&player.shown);
    return result->quit ? 0 : rc;
}
