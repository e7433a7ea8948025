/* `castbucket transfers --extract`: the files themselves, out of a recording that has the
 * protocol's bytes. They are decoded once more, so what is written is what was hashed. */
#ifndef CASTBUCKET_CLI_EXTRACT_FILES_H
#define CASTBUCKET_CLI_EXTRACT_FILES_H

#include "recorder/cast/cast_decoder.h"

struct extract_files;

/* Into `directory`, which is made if it is not there. A file is named by its number in the
 * recording, what was done, and the last part of its name as far as that is harmless; one that is
 * there already is an error. */
__attribute__((warn_unused_result)) int
extract_files_new(const char *directory, struct extract_files **extract, struct error *error);

/* ERR_INVALID when the recording has no bytes to extract. */
__attribute__((warn_unused_result)) int extract_files_begin(struct extract_files *extract,
                                                            const struct cast_info *info,
                                                            struct error *error);
__attribute__((warn_unused_result)) int extract_files_take(struct extract_files *extract,
                                                           const struct cast_event *event,
                                                           struct error *error);

/* Sets how many files there are. ERR_DAMAGED when a part could not be followed. */
__attribute__((warn_unused_result)) int extract_files_end(struct extract_files *extract,
                                                          uint64_t *files, struct error *error);
void extract_files_free(struct extract_files *extract);

#endif
