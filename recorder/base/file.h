/* The file-system seam: every write that must survive a crash goes through here.
 *
 * All names are relative to an open directory (`directory`, an O_PATH or O_RDONLY descriptor, or
 * AT_FDCWD), so that a renamed or re-mounted parent cannot redirect a write. Descriptors are opened
 * with O_CLOEXEC and O_NOFOLLOW. */
#ifndef CASTBUCKET_BASE_FILE_H
#define CASTBUCKET_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

/* Replaces or creates `name` with exactly these bytes: temporary file in the same directory,
 * fsync, rename, fsync of the directory. After a crash the file is the old one or the new one. */
__attribute__((warn_unused_result)) int file_write_atomic(int directory, const char *name,
                                                          const void *data, size_t length,
                                                          mode_t mode, struct error *error);

/* Removes what file_write_atomic() leaves in a directory when its process is killed. Only while
 * nobody writes there. Errors do not matter: the next call tries again. */
void file_sweep_temporary(int directory);

/* Appends the whole file to `buffer`, up to the buffer's limit (ERR_LIMIT past it). */
__attribute__((warn_unused_result)) int file_read(int directory, const char *name,
                                                  struct buffer *buffer, struct error *error);

/* write(2) and pwrite(2) until all is written. */
__attribute__((warn_unused_result)) int file_write_all(int fd, const void *data, size_t length,
                                                       struct error *error);

/* pread(2) until `length` bytes came; fewer (end of file) is ERR_DAMAGED. */
__attribute__((warn_unused_result)) int file_pread_all(int fd, void *data, size_t length,
                                                       off_t offset, struct error *error);

/* mkdir -p. Directories that are there already keep their mode. */
__attribute__((warn_unused_result)) int file_make_directories(const char *path, mode_t mode,
                                                              struct error *error);

/* What root makes in somebody else's directory is that somebody's: a host that runs as root leaves
 * journals which a recorder that does not can read. Does nothing for others than root. */
__attribute__((warn_unused_result)) int file_give_to_owner(int directory, int fd,
                                                           struct error *error);

/* Flushes to disk all that was written to the file system of this directory: of very many files it
 * is cheaper than each by itself. ERR_SYSTEM also where the kernel would not say that something
 * could not be written (Linux before 5.8). The same descriptor should be used each time: a failure
 * is told to each descriptor once. */
__attribute__((warn_unused_result)) int file_sync_system(int directory, struct error *error);

/* Flushes a directory's entries to disk. */
__attribute__((warn_unused_result)) int file_sync_directory(int directory, struct error *error);

#endif
