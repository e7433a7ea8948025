/* The manifest: the small JSON object beside a recording. Written last: where it is, the recording
 * is complete. Also what `castbucket ls` reads, and what Athena or DuckDB can query in place.
 *
 *     {"format": "castbucket-manifest", "version": 1, "id": "...", "organization": "...",
 *      "socket": "...", "user": "...", "key_fingerprint": "...", "target_user": "...",
 *      "target_address": "...", "client_address": "...", "connection_id": "...", "host": "...",
 *      "kind": "shell", "command": "...", "term": "...", "columns": 80, "rows": 24,
 *      "started": "2026-11-23T20:22:01.123456Z", "duration": 12.345678, "cast_version": 2,
 *      "end": "exited" | "signaled" | "lost" | "cut", "exit_status": 0, "signal": "...",
 *      "message": "...", "damaged": "...",
 *      "output_bytes": n, "input_bytes": n, "lost_bytes": n, "cast_bytes": n, "size": n,
 *      "transfer": {"protocol": "sftp", "contents": false, "understood": true, "operations": n,
 *                   "put_files": n, "put_bytes": n, "got_files": n, "got_bytes": n, "listed": n,
 *                   "list": [{"time": s, "op": "put", ...}, ...]},
 *      "sha256": "hex of the whole .cast.gz",
 *      "chain": "hex of the last link",
 *      "chunks": [{"offset": n, "size": n, "cast_offset": n, "cast_size": n, "time": s,
 *                  "sha256": "hex of the compressed chunk"}, ...],
 *      "signing_key": "hex", "signature": "Base64"}    if it is signed: see signature.h
 *
 * The chain: link 0 is the SHA-256 of the id's text; link n is SHA-256(link n-1 || sha256 of chunk
 * n), over raw bytes. Unknown strings are left out. "cut": the host ended without closing the
 * session. "transfer" is there for file transfers only; its list has the first `listed` of the
 * operations, the cast's `f` events all of them. */
#ifndef CASTBUCKET_SEAL_MANIFEST_H
#define CASTBUCKET_SEAL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/base/error.h"

#define MANIFEST_MAX_SIZE ((size_t)64 << 20)

struct manifest_chunk {
    uint64_t offset, size;           /* in the .cast.gz */
    uint64_t cast_offset, cast_size; /* in the cast */
    int64_t time_ns;                 /* of its first event, since the start */
    uint8_t sha256[32];
};

/* What a file transfer was; `protocol` "": it was none. */
struct manifest_transfer {
    const char *protocol;
    bool contents;   /* the protocol's bytes are in the cast */
    bool understood; /* to its end */
    uint64_t operations, put_files, put_bytes, got_files, got_bytes, listed;
    const char *list; /* for writing: the members of the JSON array; "" after reading */
};

/* Strings: never NULL, "" when unknown. */
struct manifest {
    const char *id, *organization, *socket, *user, *key_fingerprint, *target_user, *target_address,
        *client_address, *connection_id, *host, *kind, *command, *term;
    uint32_t columns, rows;
    int64_t started_ns, duration_ns;
    int cast_version;
    const char *end; /* "exited", "signaled", "lost" or "cut" */
    int exit_status; /* -1: none */
    const char *signal, *message, *damaged;
    uint64_t output_bytes, input_bytes, lost_bytes, cast_bytes, size;
    struct manifest_transfer transfer;
    uint8_t sha256[32], chain[32];
    const struct manifest_chunk *chunks;
    size_t chunk_count;
    const char *signing_key, *signature; /* as read; not written: see signature_add() */
};

/* Appends the JSON and a newline. */
__attribute__((warn_unused_result)) int manifest_write(const struct manifest *manifest,
                                                       struct buffer *out, struct error *error);

/* Reads and checks it (required members, types, ids, hashes' lengths, chunks that follow one
 * another). Unknown members are ignored. The result owns its strings and chunks. */
__attribute__((warn_unused_result)) int
manifest_read(const char *text, size_t length, struct manifest **manifest, struct error *error);
void manifest_free(struct manifest *manifest); /* only of manifest_read() */

#endif
