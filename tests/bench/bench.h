/* What the benchmark programs share: rounds that alternate, medians, and the line for each figure
 * that tests/bench/run reads. */
#ifndef CASTBUCKET_BENCH_H
#define CASTBUCKET_BENCH_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The thread's own time, kernel included: other work on the machine disturbs it least. */
static inline double thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

__attribute__((noreturn)) static inline void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static inline int by_size(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static inline double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_size);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* A directory of our own, beside the others of TMPDIR; removed with all in it at exit. */
static char bench_folder[256];

static inline int bench_remove_one(const char *path, const struct stat *info, int type,
                                   struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static inline void bench_clean_up(void)
{
    nftw(bench_folder, bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void bench_make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(bench_folder, sizeof(bench_folder), "%s/castbucket-bench.XXXXXX",
             parent ? parent : "/tmp");
    if (!mkdtemp(bench_folder))
        give_up(bench_folder, "cannot be made");
    atexit(bench_clean_up);
}

/* Text that looks like `git log -p --color`: `length` bytes, the same at each call. */
static inline void fill_like_a_log(char *to, size_t length)
{
    static const char *const lines[] = {
        "\033[33mcommit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\033[m\r\n",
        "Author: A Person <person@example.com>\r\n",
        "\033[1mdiff --git a/source/file.c b/source/file.c\033[m\r\n",
        "\033[36m@@ -12,7 +12,9 @@\033[m static int number_of(const char *text)\r\n",
        "     for (size_t i = 0; i < count && values[i] != wanted; i++)\r\n",
        "\033[31m-        return -1; /* there is none */\033[m\r\n",
        "\033[32m+\033[m\033[32m        return error_set(error, NOT_FOUND, text);\033[m\r\n",
        " \r\n",
    };
    uint32_t state = 1;
    for (size_t at = 0; at < length;) {
        state = state * 1664525 + 1013904223;
        const char *line = lines[state >> 29];
        size_t size = strlen(line) < length - at ? strlen(line) : length - at;
        memcpy(to + at, line, size);
        at += size;
        /* Numbers that change, so that it does not compress away. */
        if (size > 40)
            for (int i = 0; i < 6; i++)
                to[at - 30 + (size_t)i] = (char)('0' + (state >> (4 * i) & 15) % 10);
    }
}

enum target_kind { RATIO_AT_LEAST, VALUE_AT_MOST, VALUE_AT_LEAST };

/* One figure. `value` in `unit`; `against` is what it is compared with, whose figure is
 * `reference`; `ratio` is what the two make, the larger the better. `target`: 0 is none. */
struct figure {
    const char *name, *unit, *against;
    double value, reference, ratio, target;
    enum target_kind kind;
};

static inline void print_figure(const struct figure *figure)
{
    printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"", figure->name, figure->value,
           figure->unit);
    if (figure->against)
        printf(", \"against\": \"%s\", \"reference\": %.6g, \"ratio\": %.4g", figure->against,
               figure->reference, figure->ratio);
    if (figure->target > 0)
        printf(", \"target\": %.6g, \"target_of\": \"%s\", \"better\": \"%s\"", figure->target,
               figure->kind == RATIO_AT_LEAST ? "ratio" : "value",
               figure->kind == VALUE_AT_MOST ? "less" : "more");
    puts("}");
    fflush(stdout);
}

#endif
