/* What the files of this directory share and nobody else sees. */
#ifndef CASTBUCKET_SETTINGS_INTERNAL_H
#define CASTBUCKET_SETTINGS_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include <jansson.h>

#include "recorder/settings/settings.h"
#include "recorder/settings/settings_table.h"

struct settings {
    atomic_uint references;
    json_t *root; /* owns every string below; not touched after parsing */
    struct settings_top top;
    struct organization_settings *organizations; /* in the file's order */
    struct socket_settings *sockets;
    const struct organization_settings **organizations_by_name; /* sorted, for bsearch */
    const struct socket_settings **sockets_by_name;
    size_t organization_count, socket_count;
};

/* For qsort and bsearch over pointers to either struct: both begin with their name. */
int settings_compare_names(const void *a, const void *b);

/* Whether a file with this fstat may be trusted: regular, and not for everybody to change. */
__attribute__((warn_unused_result)) int
settings_check_file(const char *path, const struct stat *info, struct error *error);

/* settings_load(), and what fstat said of the file before it was read; zeros when it could not be
 * opened. */
__attribute__((warn_unused_result)) int settings_load_file(const char *path,
                                                           struct settings **settings,
                                                           struct stat *identity,
                                                           struct error *error);

#endif
