/* Keys: {prefix}org={org}/socket={socket}/date={YYYY-MM-DD}/{id}.cast.gz, and .json beside it.
 *
 * Names from outside are percent-encoded: every byte but A-Z a-z 0-9 _ - and, not first, '.'. So an
 * encoded name has no '/', is never "." or "..", cannot climb out of its organization, and no two
 * names share an encoding. The date is the session's start in UTC. `name=value` folders are what
 * Athena, DuckDB and Spark take for partitions. */
#ifndef CASTBUCKET_STORE_KEY_H
#define CASTBUCKET_STORE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/error.h"

#define KEY_SIZE 1025 /* S3's limit of 1,024 bytes, and the NUL */
#define KEY_CAST_SUFFIX ".cast.gz"
#define KEY_MANIFEST_SUFFIX ".json"

/* `prefix` "" or ending in a slash. suffix: one of the above. */
__attribute__((warn_unused_result)) int key_make(char key[KEY_SIZE], const char *prefix,
                                                 const char *organization, const char *socket,
                                                 int64_t started_ns, const char *id,
                                                 const char *suffix, struct error *error);

/* {prefix}org={org}/ and, if socket is not NULL, socket={socket}/: what a list or a session policy
 * is narrowed to. */
__attribute__((warn_unused_result)) int key_prefix(char key[KEY_SIZE], const char *prefix,
                                                   const char *organization, const char *socket,
                                                   struct error *error);

/* The id of "…/ID.cast.gz" or "…/ID.json", and which; false for any other key. */
bool key_parse(const char *key, char id[37], bool *is_manifest);

#endif
