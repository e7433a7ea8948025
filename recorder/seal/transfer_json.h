/* An operation of a file transfer as JSON: the text of the cast's `f` events, see
 * castbucket-cast(5). */
#ifndef CASTBUCKET_SEAL_TRANSFER_JSON_H
#define CASTBUCKET_SEAL_TRANSFER_JSON_H

#include "recorder/transfer/transfer.h"

/* Appends an object. time_ns: its member "time"; below 0: none, because the event has it. */
__attribute__((warn_unused_result)) int transfer_json(const struct transfer_operation *operation,
                                                      int64_t time_ns, struct buffer *out);

#endif
