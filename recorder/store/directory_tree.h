/* Inside recorder/store: a tree of folders and files addressed by keys, under an open root. No key
 * and no symbolic link that somebody planted in the tree leads out of it. */
#ifndef CASTBUCKET_STORE_DIRECTORY_TREE_H
#define CASTBUCKET_STORE_DIRECTORY_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"

/* Opens the folder that a key's last part lies in; *name points to that part within `key`. With
 * `make`, missing folders are made (0750) and every level is synced. ERR_NOT_FOUND. Returns a
 * descriptor for the caller to close, or an error code. */
__attribute__((warn_unused_result)) int
directory_tree_parent(int root, const char *key, bool make, const char **name, struct error *error);

/* Every regular file whose key starts with `prefix`, in the keys' byte order, as S3 lists. Names
 * that start with a dot, links and special files are passed over. Non-zero from `each` stops and is
 * returned. */
__attribute__((warn_unused_result)) int
directory_tree_list(int root, const char *prefix,
                    int (*each)(void *context, const char *key, uint64_t size), void *context,
                    struct error *error);

#endif
