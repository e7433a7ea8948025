/* The journal's file: made under no name, locked, given space. For journal_writer.c only. */
#ifndef CASTBUCKET_JOURNAL_FILE_H
#define CASTBUCKET_JOURNAL_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "recorder/base/error.h"
#include "recorder/base/space.h"

/* A file that nobody sees before journal_file_show(): without a name where the file system can
 * (so a crash leaves nothing), else under a hidden one. */
struct journal_file {
    int directory;
    int fd;
    char hidden[NAME_MAX + 1]; /* "" for a file without a name */
};

/* Mode 0600, empty, flock(LOCK_EX) taken. `named` chooses the hidden name at once. */
__attribute__((warn_unused_result)) int journal_file_make(struct journal_file *file, int directory,
                                                          const char *name, bool named,
                                                          struct error *error);

/* Gives it its name; ERR_EXISTS if that is taken. */
__attribute__((warn_unused_result)) int journal_file_show(struct journal_file *file,
                                                          const char *name, struct error *error);

/* Closes the descriptor, and removes a hidden name that was never shown. The lock stays as long as
 * the file is mapped through this descriptor's description. */
void journal_file_close(struct journal_file *file);

/* Makes [from, to) of the file real: allocated and zero. ERR_NO_SPACE also by
 * recorder/base/space.h.
 */
__attribute__((warn_unused_result)) int journal_file_allocate(int fd, uint64_t from, uint64_t to,
                                                              const struct space_limit *limit,
                                                              struct error *error);

/* Brings [from, to) of the file into memory by writing zeros, which is only for a part that was
 * never anything else. Writing makes large folios where the file system has them, and faults do
 * not. What cannot be written stays as it is: it reads as zeros anyhow. */
void journal_file_fill(int fd, uint64_t from, uint64_t to);

/* Opens a journal again by its name, if it is still the same file. */
__attribute__((warn_unused_result)) int journal_file_open(int directory, const char *name,
                                                          int flags, dev_t device, ino_t inode,
                                                          int *fd, struct error *error);

#endif
