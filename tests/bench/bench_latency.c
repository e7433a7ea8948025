/* How long single calls of output() take, in wall time, in a session that prints RATE bytes a
 * second: alone, and with the recorder running beside it, in turns. */
#include "tests/bench/bench_plugin.h"

#define ROUNDS 3
#define RATE 50e6
#define SECONDS 1
#define BURST_NS 1000000 /* how often what is due is printed */
#define BLOCK_MAX ((size_t)4096)

static char block[BLOCK_MAX];
static double *times;
static size_t count, capacity;

static double wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Prints at RATE, and adds how long each call took to `times`. */
static void print_blocks(struct recording_session *session, size_t length)
{
    const struct timespec pause = {0, BURST_NS};
    double begun = wall_ns(), now = begun, sent = 0;
    while (now - begun < SECONDS * 1e9) {
        nanosleep(&pause, NULL);
        now = wall_ns();
        for (double due = (now - begun) * RATE / 1e9; sent < due; sent += (double)length) {
            double before = wall_ns();
            int verdict = plugin->output(session, RECORDING_STDOUT, block, length);
            double after = wall_ns();
            if (verdict != RECORDING_CONTINUE)
                give_up("output", "not recorded");
            if (count < capacity)
                times[count++] = after - before;
        }
    }
}

static double percentile(double part)
{
    return times[(size_t)((double)(count - 1) * part)];
}

/* p50 and p99.9 of one round. */
static void round_of(size_t length, int recorder, double *p50, double *p999)
{
    struct recording_answer answer = {.size = sizeof(answer)};
    struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED};
    struct recording_error error = {.size = sizeof(error)};
    count = 0;
    if (recorder && plugin->start(instance, &error))
        give_up("start", error.text);
    struct recording_session *session = open_recording(&answer);
    print_blocks(session, length);
    plugin->session_close(session, &how);
    if (recorder && plugin->quiesce(instance, 0, &error))
        give_up("quiesce", error.text);
    qsort(times, count, sizeof(*times), by_size);
    *p50 = percentile(0.5);
    *p999 = percentile(0.999);
}

static void measure(size_t length)
{
    double halves[2][ROUNDS], tails[2][ROUNDS];
    char name[80];
    for (int round = 0; round < ROUNDS; round++)
        for (int recorder = 0; recorder < 2; recorder++)
            round_of(length, recorder, &halves[recorder][round], &tails[recorder][round]);
    double half = median(halves[1], ROUNDS), half_alone = median(halves[0], ROUNDS);
    double tail = median(tails[1], ROUNDS), tail_alone = median(tails[0], ROUNDS);
    struct figure figure = {.unit = "us",
                            .against = "no recorder beside it",
                            .value = half / 1e3,
                            .reference = half_alone / 1e3,
                            .ratio = half_alone / half};
    snprintf(name, sizeof(name), "output() of %zu B at 50 MB/s, p50", length);
    figure.name = name;
    print_figure(&figure);
    snprintf(name, sizeof(name), "output() of %zu B at 50 MB/s, p99.9", length);
    figure.value = tail / 1e3;
    figure.reference = tail_alone / 1e3;
    figure.ratio = tail_alone / tail;
    figure.target = 20;
    figure.kind = VALUE_AT_MOST;
    print_figure(&figure);
}

int main(void)
{
    bench_make_folder();
    load_plugin();
    fill_like_a_log(block, sizeof(block));
    capacity = (size_t)(2 * RATE * SECONDS / 256);
    times = malloc(capacity * sizeof(*times));
    if (!times)
        give_up("memory", "there is none");
    memset(times, 0, capacity * sizeof(*times)); /* no faults while measuring */
    measure(256);
    measure(1024);
    measure(4096);
    plugin->destroy(instance);
    free(times);
    return 0;
}
