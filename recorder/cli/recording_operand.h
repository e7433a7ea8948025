/* The operand of `get` and `play`: an id of an organization's recording, or a local file. */
#ifndef CASTBUCKET_CLI_RECORDING_OPERAND_H
#define CASTBUCKET_CLI_RECORDING_OPERAND_H

#include <stdbool.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/open_store.h"
#include "recorder/read/recording.h"
#include "recorder/store/key.h"

struct recording_operand {
    struct open_store opened; /* of an id */
    char key[KEY_SIZE];
    char id[37];
    struct manifest *manifest;   /* NULL: a file, or none is there yet, or: */
    struct buffer manifest_text; /* its bytes */
    struct error manifest_error; /* why it cannot be used */
    struct recording_source source;
    struct sha256 digest; /* of what passed through `source` */
    uint64_t size;
};

/* A word with a slash, one that ends in .cast or .cast.gz, "-" (standard input), and, without
 * --org, one that is the name of a file, is a file; all else is an id. Returns -1 to go on, or an
 * exit status after a sentence on standard error. Close it in either case. */
int recording_operand_open(const struct cli_command *command, const char *settings_path,
                           const char *organization, const char *word,
                           struct recording_operand *operand);

/* After everything was read: compares with the manifest. ERR_DAMAGED. Says on standard error when
 * there is no manifest to compare with. */
__attribute__((warn_unused_result)) int recording_operand_verify(const struct cli_command *command,
                                                                 struct recording_operand *operand,
                                                                 struct error *error);

void recording_operand_close(struct recording_operand *operand);

#endif
