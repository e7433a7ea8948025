/* The table of `castbucket ls`: rows are gathered, then printed as wide as they need to be, or as
 * the terminal allows. */
#ifndef CASTBUCKET_CLI_LS_TABLE_H
#define CASTBUCKET_CLI_LS_TABLE_H

#include <stdio.h>

#include "recorder/seal/manifest.h"

enum ls_column {
    LS_STARTED,
    LS_DURATION,
    LS_USER,
    LS_SOCKET,
    LS_SIZE,
    LS_EXIT,
    LS_COMMAND,
    LS_ID,
    LS_COLUMNS
};

struct ls_table {
    struct ls_row {
        char *cell[LS_COLUMNS]; /* escaped */
    } * rows;
    size_t count, capacity;
};

/* `manifest` may be NULL; `socket` is what the key says then. ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int ls_table_add(struct ls_table *table, const char *id,
                                                     const char *socket, uint64_t size,
                                                     const struct manifest *manifest);

/* width 0: as wide as need be. On a narrower terminal the text columns are cut, marked with an
 * ellipsis, and ids to the beginning that no other one in the table has (commands take that). */
void ls_table_print(const struct ls_table *table, unsigned width, FILE *to);

void ls_table_free(struct ls_table *table);

#endif
