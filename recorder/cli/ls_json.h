/* One line of `castbucket ls --json`. */
#ifndef CASTBUCKET_CLI_LS_JSON_H
#define CASTBUCKET_CLI_LS_JSON_H

#include <stdio.h>

#include "recorder/seal/manifest.h"

/* What is unknown is null. `complete`: the manifest is there and agrees with what is stored. */
__attribute__((warn_unused_result)) int ls_json_print(FILE *to, const char *key, const char *id,
                                                      const char *socket, uint64_t size,
                                                      const struct manifest *manifest,
                                                      const char *problem, struct error *error);

#endif
