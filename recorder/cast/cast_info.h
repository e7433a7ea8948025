/* The first line of a cast, read. */
#ifndef CASTBUCKET_CAST_CAST_INFO_H
#define CASTBUCKET_CAST_CAST_INFO_H

#include "recorder/cast/cast_decoder.h"

#define CAST_MAX_HEADER ((size_t)1 << 20) /* longest header line accepted, in bytes */

struct cast_info_owner; /* what an info's strings live in */

/* Sets *info and *owner, which cast_info_free() frees. *ours: it has our "castbucket" object. The
 * error does not name the line. */
__attribute__((warn_unused_result)) int cast_info_read(const char *line, size_t length,
                                                       struct cast_info *info, bool *ours,
                                                       struct cast_info_owner **owner,
                                                       struct error *error);
void cast_info_free(struct cast_info_owner *owner);

#endif
