#include "recorder/read/player_keys.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* What one press sends comes in one read. */
static enum player_key key_of(const char *sent, size_t length)
{
    if (length >= 3 && (memcmp(sent, "\x1b[C", 3) == 0 || memcmp(sent, "\x1bOC", 3) == 0))
        return PLAYER_KEY_SKIP;
    switch (sent[0]) {
    case ' ':
        return PLAYER_KEY_PAUSE;
    case '.':
        return PLAYER_KEY_STEP;
    case '+':
    case '=': /* the same key without shift, on many keyboards */
        return PLAYER_KEY_FASTER;
    case '-':
        return PLAYER_KEY_SLOWER;
    case 'q':
    case 'Q':
        return PLAYER_KEY_QUIT;
    default:
        return PLAYER_KEY_NONE;
    }
}

enum player_key player_key_wait(int *fd, int milliseconds)
{
    char sent[16];
    struct pollfd ready = {.fd = *fd, .events = POLLIN};
    if (poll(&ready, 1, milliseconds) <= 0 || !ready.revents)
        return PLAYER_KEY_NONE;
    ssize_t got = read(*fd, sent, 1);
    /* The rest of an arrow key; a plain key leaves what was typed ahead for the next call. */
    if (got == 1 && sent[0] == '\x1b' && poll(&ready, 1, 20) > 0) {
        ssize_t more = read(*fd, sent + 1, 2);
        got += more > 0 ? more : 0;
    }
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
        *fd = -1;
    return got > 0 ? key_of(sent, (size_t)got) : PLAYER_KEY_NONE;
}
