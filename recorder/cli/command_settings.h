/* What the `castbucket settings` commands share. */
#ifndef CASTBUCKET_CLI_COMMAND_SETTINGS_H
#define CASTBUCKET_CLI_COMMAND_SETTINGS_H

#include <stdio.h>

#include "recorder/cli/cli.h"

/* The keys of the file, from the table: kind, default and help of each. */
void settings_print_keys(FILE *to);

#endif
