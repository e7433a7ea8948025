/* The stored bytes of a recording, one stretch after another. */
#ifndef CASTBUCKET_READ_SOURCE_H
#define CASTBUCKET_READ_SOURCE_H

#include "recorder/read/recording.h"

/* What recording_copy() does, for the decoder's use. */
__attribute__((warn_unused_result)) int source_read(const struct recording_source *source,
                                                    int (*sink)(void *context, const void *data,
                                                                size_t length),
                                                    void *context, struct error *error);

/* A whole small object, tried again after ERR_RETRY. ERR_LIMIT past the buffer's limit. */
__attribute__((warn_unused_result)) int source_read_object(struct store *store, const char *key,
                                                           struct buffer *buffer,
                                                           struct error *error);

#endif
