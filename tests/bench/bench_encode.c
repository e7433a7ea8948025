/* Bytes of a terminal to lines of a cast, against memcpy() of the same bytes. */
#include "recorder/cast/cast_encoder.h"
#include "tests/bench/bench.h"

#define ROUNDS 15
#define SIZE ((size_t)4 << 20)
#define PIECE ((size_t)64 << 10)

static char *data, *copy;

static double encode(void)
{
    struct buffer out = BUFFER_INIT((size_t)8 << 20);
    struct cast_encoder encoder;
    struct cast_header header = {.version = 2};
    if (cast_begin(&encoder, &header, &out) || buffer_reserve(&out, 9 * PIECE + 4096))
        give_up("cast_begin", "failed");
    double begun = 0;
    for (size_t at = 0; at < SIZE; at += PIECE) {
        buffer_clear(&out);
        if (cast_bytes(&encoder, CAST_STDOUT, 0, data + at, PIECE, &out))
            give_up("cast_bytes", "failed");
        if (at == 0) /* the first one touches the buffer's pages */
            begun = thread_ns();
    }
    double took = thread_ns() - begun;
    buffer_free(&out);
    return (double)(SIZE - PIECE) / took;
}

static double copied(void)
{
    double begun = 0;
    for (size_t at = 0; at < SIZE; at += PIECE) {
        memcpy(copy, data + at, PIECE);
        __asm__ volatile("" : : "r"(copy) : "memory");
        if (at == 0)
            begun = thread_ns();
    }
    return (double)(SIZE - PIECE) / (thread_ns() - begun);
}

static void measure(const char *name, double target)
{
    double rates[ROUNDS], copies[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        copies[round] = copied();
        rates[round] = encode();
    }
    double rate = median(rates, ROUNDS), reference = median(copies, ROUNDS);
    struct figure figure = {.name = name,
                            .unit = "GB/s",
                            .against = "memcpy",
                            .value = rate,
                            .reference = reference,
                            .ratio = rate / reference,
                            .target = target,
                            .kind = VALUE_AT_LEAST};
    print_figure(&figure);
}

static void repeat(const char *text)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < SIZE; at++)
        data[at] = text[at % length];
}

int main(void)
{
    data = malloc(SIZE);
    copy = malloc(PIECE);
    if (!data || !copy)
        give_up("memory", "there is none");
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i % 80 == 78 ? '\r' : i % 80 == 79 ? '\n' : 'a' + i * 7 % 26);
    measure("cast encoding, ASCII lines of 80", 2);
    fill_like_a_log(data, SIZE);
    measure("cast encoding, coloured git log", 0);
    repeat("Съешь же ещё этих мягких французских булок, да выпей чаю\r\n");
    measure("cast encoding, UTF-8, Cyrillic", 1);
    repeat("┌──────────────┐│漢字かな交じり文││日本語の文章です│└──────────────┘\r\n");
    measure("cast encoding, UTF-8, 3-byte characters", 1);
    repeat("naïve café, « déjà vu » — “quoted” résumé, 50 € each…\r\n");
    measure("cast encoding, UTF-8 among ASCII", 1);
    uint32_t state = 1;
    for (size_t i = 0; i < SIZE; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (char)(state >> 24);
    }
    measure("cast encoding, random bytes", 0);
    free(data);
    free(copy);
    return 0;
}
