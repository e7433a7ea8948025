/* Recordings as their readers see them: listed, fetched, replayed; from a store or a local file. */
#ifndef CASTBUCKET_READ_RECORDING_H
#define CASTBUCKET_READ_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/base/error.h"
#include "recorder/base/sha256.h"
#include "recorder/cast/cast_decoder.h"
#include "recorder/seal/manifest.h"
#include "recorder/store/store.h"

struct recording_query {
    const char *organization;
    const char *socket;         /* NULL: all */
    int64_t since_ns, until_ns; /* by start; 0: open */
};

/* Called in order of start time. `manifest` is NULL for a recording whose manifest is missing (its
 * upload is under way; `problem` is NULL) or unreadable (`problem` says why). A manifest that
 * contradicts what is stored, because of size or because somebody copied it to another key, comes
 * with a problem too. key is the .cast.gz's; size is 0 if there is none. Non-zero stops and is
 * returned. */
typedef int recording_fn(void *context, const char *key, const char *id, uint64_t size,
                         const struct manifest *manifest, const char *problem, struct error *error);

/* Lists from the store: since <= start < until. Manifests are fetched several at a time, and only
 * of ids whose time fits. `each` is called on the caller's thread. ERR_RETRY and the store's other
 * errors end the listing; what is wrong with one recording does not. */
__attribute__((warn_unused_result)) int recording_list(struct store *store,
                                                       const struct recording_query *query,
                                                       recording_fn *each, void *context,
                                                       struct error *error);

/* Finds the key of an id (the whole id, or a prefix of at least 8 characters that only one
 * recording has: ERR_INVALID if several do). ERR_NOT_FOUND. */
__attribute__((warn_unused_result)) int recording_find(struct store *store,
                                                       const char *organization, const char *id,
                                                       char *key, size_t key_size,
                                                       struct error *error);

/* Fetches the manifest beside a recording and compares it with the key. ERR_NOT_FOUND: there is
 * none (yet). ERR_DAMAGED: unreadable, or it is another recording's. Free with manifest_free().
 * `text` (may be NULL) gets its bytes. */
__attribute__((warn_unused_result)) int recording_manifest(struct store *store, const char *key,
                                                           struct manifest **manifest,
                                                           struct buffer *text,
                                                           struct error *error);

/* The same of a local file, which is compared with nothing. ERR_NOT_FOUND: there is none. */
__attribute__((warn_unused_result)) int recording_manifest_file(const char *path,
                                                                struct manifest **manifest,
                                                                struct buffer *text,
                                                                struct error *error);

/* A source of the .cast.gz's bytes: a store's object or a local file (.cast.gz or plain .cast). */
struct recording_source {
    struct store *store; /* with key; or NULL and: */
    const char *key;
    const char *path;
    struct sha256 *digest; /* updated with the stored bytes as they pass; NULL: not wanted */
    uint64_t *size;        /* raised by their number; NULL: not wanted */
};

/* Copies the bytes as they are stored, in order. A store is read in stretches of a few MiB, each
 * tried again after ERR_RETRY from where it stopped, so a sink may take its time. The sink is
 * called on the caller's thread; non-zero stops and is returned, with nothing in `error`. */
__attribute__((warn_unused_result)) int recording_copy(const struct recording_source *source,
                                                       int (*sink)(void *context, const void *data,
                                                                   size_t length),
                                                       void *context, struct error *error);

/* Decompresses and decodes; calls on_event for each, as the bytes come. A recording that ends early
 * or is damaged delivers what is readable and then returns ERR_DAMAGED, naming the place. `on_info`
 * (may be NULL) once, before the events. Memory is bounded by the longest line. */
__attribute__((warn_unused_result)) int
recording_decode(const struct recording_source *source,
                 int (*on_info)(void *context, const struct cast_info *info),
                 cast_event_fn *on_event, void *context, struct error *error);

/* A stretch of a recording that is not as it was recorded. */
struct recording_fault {
    enum recording_fault_kind {
        RECORDING_MISSING, /* it is not there */
        RECORDING_CHANGED, /* other bytes are in its place */
        RECORDING_EXTRA,   /* more bytes follow than were recorded */
        RECORDING_FRAME,   /* gzip's own bytes around the chunks are others; all chunks are whole */
    } kind;
    uint64_t offset, size;  /* in the .cast.gz, as it was recorded */
    size_t chunk, chunks;   /* the first, and how many; none of RECORDING_EXTRA and _FRAME */
    int64_t from_ns, to_ns; /* of the session; the same when there are no chunks */
};

struct recording_verdict {
    uint64_t size;    /* of what is stored */
    size_t chunks;    /* that are whole */
    size_t faults;    /* reported */
    bool chain_fits;  /* the manifest's chain is that of its chunks */
    bool header_fits; /* the cast says that it is this session's; true when it cannot be read */
    bool there;       /* the recording itself is there */
};

/* Compares all stored bytes with the manifest. `on_fault` is called for each fault, in order, when
 * all was read, and `on_progress` (may be NULL) with the bytes read so far. What is wrong with the
 * recording is no error: it is in the verdict; all is well when there are no faults and all that
 * has to fit does. */
__attribute__((warn_unused_result)) int
recording_verify(const struct recording_source *source, const struct manifest *manifest,
                 void (*on_fault)(void *context, const struct recording_fault *fault),
                 void (*on_progress)(void *context, uint64_t bytes), void *context,
                 struct recording_verdict *verdict, struct error *error);

/* The size of what is stored. ERR_NOT_FOUND. */
__attribute__((warn_unused_result)) int recording_size(const struct recording_source *source,
                                                       uint64_t *size, struct error *error);

#endif
