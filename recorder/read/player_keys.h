/* Keys pressed during a replay. */
#ifndef CASTBUCKET_READ_PLAYER_KEYS_H
#define CASTBUCKET_READ_PLAYER_KEYS_H

enum player_key {
    PLAYER_KEY_NONE,
    PLAYER_KEY_PAUSE,
    PLAYER_KEY_STEP,
    PLAYER_KEY_FASTER,
    PLAYER_KEY_SLOWER,
    PLAYER_KEY_SKIP,
    PLAYER_KEY_QUIT,
};

/* Waits up to `milliseconds` (-1: for ever) for a key on *fd. NONE: the time is over, or the key
 * means nothing, or a signal came. At the end of input *fd becomes -1. */
enum player_key player_key_wait(int *fd, int milliseconds);

#endif
