/* What the fuzz targets share.
 *
 * Each fuzz_NAME.c has one LLVMFuzzerTestOneInput(). `make fuzz` links it with clang's libFuzzer;
 * `make check` links it with replay.c, which gives it the files of corpus/NAME. A target fails by
 * what the sanitizers find and by fuzz_require(). */
#ifndef CASTBUCKET_TESTS_FUZZ_H
#define CASTBUCKET_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): holds in every build. */
#define fuzz_require(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* An input that is taken apart from its front. What is not there any more is 0 and empty. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *input);
uint64_t fuzz_number(struct fuzz_input *input, size_t bytes); /* little-endian */

/* The next `length` bytes or, if there are fewer, what is left: *taken of them. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t length, size_t *taken);

/* Up to the next NUL or newline, or the end: a copy for free(). */
char *fuzz_line(struct fuzz_input *input);

/* All that is left as text, for free(). */
char *fuzz_text(struct fuzz_input *input);

/* A directory under TMPDIR or /tmp that lasts until the process exits; made at the first call. */
const char *fuzz_directory(void);

/* Writes a file in an open directory. */
void fuzz_write(int directory, const char *name, const void *data, size_t length);

#endif
