/* Session ids: UUID version 7 (RFC 9562, 5.7), so that ids sort by the time they were made. */
#ifndef CASTBUCKET_BASE_ID_H
#define CASTBUCKET_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"

#define ID_SIZE 37 /* 36 characters, lower case, and the NUL */

/* A new id for the given time: 48 bits of milliseconds, 74 random bits from getrandom(2). */
__attribute__((warn_unused_result)) int id_new(char id[ID_SIZE], int64_t wall_ns,
                                               struct error *error);

/* Whether `text` is a lower-case UUIDv7 and nothing else. */
bool id_is_valid(const char *text);

/* The millisecond an id was made, as nanoseconds since 1970. The id must be valid. */
int64_t id_time_ns(const char *id);

#endif
