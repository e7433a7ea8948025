/* ID.upload: how far a recording's upload is, so that the next recorder goes on from there.
 *
 *     {"version": 1, "place": "hex", "cast_key": "...", "cast_stored": false, "confirmed": false,
 *      "upload_id": "...", "part_size": n, "parts": [{"etag": "...", "sha256": "hex"}, ...]}
 *
 * `place` is storage_place() of the storage it was begun at. An upload that was begun at another
 * place or under another key is not gone on with. */
#ifndef CASTBUCKET_UPLOAD_UPLOAD_STATE_H
#define CASTBUCKET_UPLOAD_UPLOAD_STATE_H

#include <stdbool.h>

#include "recorder/base/error.h"
#include "recorder/spool/spool.h"
#include "recorder/store/key.h"
#include "recorder/store/store.h"

struct upload_state {
    char place[65];
    char cast_key[KEY_SIZE];
    bool cast_stored; /* the store confirmed the cast */
    bool confirmed;   /* and the manifest: the local copy may go */
    struct store_progress progress;
};

/* A missing or unreadable file is a state with nothing in it: an upload can always begin anew. */
__attribute__((warn_unused_result)) int upload_state_read(const struct spool *spool, const char *id,
                                                          struct upload_state *state,
                                                          struct error *error);
__attribute__((warn_unused_result)) int upload_state_write(const struct spool *spool,
                                                           const char *id,
                                                           const struct upload_state *state,
                                                           struct error *error);
void upload_state_free(struct upload_state *state);

#endif
