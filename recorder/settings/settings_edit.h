/* Changing the settings file, for the command line only.
 *
 * A change is read, changed, validated as a whole by settings_parse() and written atomically, all
 * under a lock (flock on the file's directory, so that no lock file is left lying about): two edits
 * at once both count, and a reader sees the old file or the new one. On any failure the file is as
 * it was. Its mode and owner are kept; a new file has mode 0640. */
#ifndef CASTBUCKET_SETTINGS_EDIT_H
#define CASTBUCKET_SETTINGS_EDIT_H

#include <jansson.h>

#include "recorder/base/error.h"

/* Changes the file's object in place. A non-zero return abandons the edit and is returned. */
typedef int settings_change_fn(void *context, json_t *root, struct error *error);

/* Edits the file, or creates it when it is not there (its directory must be). */
__attribute__((warn_unused_result)) int settings_edit(const char *path, settings_change_fn *change,
                                                      void *context, struct error *error);

/* The object at `name` in `parent`, which is made when it is not there; borrowed. ERR_INVALID when
 * something else is at its place. */
__attribute__((warn_unused_result)) int settings_edit_member(json_t *parent, const char *name,
                                                             json_t **object, struct error *error);

/* Sets `name` to a new reference, which is taken over; NULL is ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int settings_edit_set(json_t *object, const char *name,
                                                          json_t *value, struct error *error);

#endif
