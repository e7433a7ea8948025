/* AWS's shared files (~/.aws/config, ~/.aws/credentials): sections of `key = value`.
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
#ifndef CASTBUCKET_AWS_PROFILE_H
#define CASTBUCKET_AWS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/error.h"

/* Called for each setting in the profile's sections, in the file's order; the last one wins. Key in
 * lower case, both borrowed. Non-zero stops and is returned. */
typedef int profile_each(void *context, const char *key, const char *value);

/* Reads a file's profile. `is_config`: sections are named "profile NAME", as ~/.aws/config has
 * them, and "default" either way. *found: whether the profile is there at all. The file's text is
 * overwritten afterwards. ERR_NOT_FOUND: no such file. ERR_DENIED: it may not be read. */
__attribute__((warn_unused_result)) int profile_read(const char *file, const char *profile,
                                                     bool is_config, profile_each *each,
                                                     void *context, bool *found,
                                                     struct error *error);

#endif
