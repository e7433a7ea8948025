/* A file that appears whole or not at all, or standard output. */
#ifndef CASTBUCKET_CLI_OUTPUT_FILE_H
#define CASTBUCKET_CLI_OUTPUT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "recorder/base/error.h"

struct output_file {
    const char *path; /* borrowed; "-": standard output */
    FILE *file;
    bool replace;
    bool in_place; /* a device, a pipe: written directly, nothing to rename */
};

/* Begins a file of mode 0600 beside `path`; a signal that ends the process removes it. One at a
 * time. ERR_EXISTS when `path` is there and may not be replaced. */
__attribute__((warn_unused_result)) int
output_file_open(const char *path, bool replace, struct output_file *output, struct error *error);

__attribute__((warn_unused_result)) int
output_file_write(struct output_file *output, const void *data, size_t length, struct error *error);

/* Syncs it and puts it in its place. */
__attribute__((warn_unused_result)) int output_file_commit(struct output_file *output,
                                                           struct error *error);

/* Removes what was not committed. */
void output_file_close(struct output_file *output);

#endif
