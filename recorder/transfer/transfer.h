/* What happened to which file: decodes the two directions of a file transfer into operations.
 *
 * Why here, in the recorder, and not in the host: the host's side only appends. It journals both
 * directions as they pass, like any other bytes, and a hostile stream is taken apart by a process
 * that holds nobody's connection. The decoder's whole state, with every SHA-256 under way, can be
 * saved as a run of bytes and gone on with in another process; sealing saves it with each chunk, so
 * that a journal's space can be given back in the middle of a file, and a recorder that is killed
 * goes on from there.
 *
 * Nothing is dropped that was not understood. A message's bytes are let go only when the message as
 * a whole made sense at its place: right type, right lengths, an answer to something asked, data of
 * a file that is open. At the first one that does not, the decoder gives up for good: from that
 * message on it hands out the bytes of both directions as they are, after a note that says why.
 * (What a file's data mean is not looked at: two people who want to can pass anything in a file.)
 *
 * One thread at a time per decoder. Knows no files, no JSON and no cast. */
#ifndef CASTBUCKET_TRANSFER_TRANSFER_H
#define CASTBUCKET_TRANSFER_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/base/sha256.h"
#include "recorder/transfer/transfer_protocol.h"

enum transfer_direction {
    TRANSFER_TO_FAR = 0,   /* what the person's side sends: a session's input */
    TRANSFER_FROM_FAR = 1, /* what the far side answers: standard output */
};

enum transfer_op {
    TRANSFER_PUT = 1, /* a file opened for writing, or sent to the far side, is over */
    TRANSFER_GET,     /* a file opened for reading only, or fetched */
    TRANSFER_RENAME,
    TRANSFER_REMOVE,
    TRANSFER_MKDIR,
    TRANSFER_RMDIR,
    TRANSFER_SETSTAT,
    TRANSFER_SYMLINK, /* `path` is the link, `to` what it points to */
    TRANSFER_LINK,    /* `path` is the file, `to` its new name */
    TRANSFER_COPY,    /* made by the far side itself */
    TRANSFER_LIST,    /* a directory was opened to be read */
    TRANSFER_OTHER,   /* `detail` says what */
    TRANSFER_INPUT,   /* of an opaque protocol: all that went to the far side */
    TRANSFER_OUTPUT,  /* and all that came from there */
};
#define TRANSFER_OPS (TRANSFER_OUTPUT + 1)
const char *transfer_op_name(enum transfer_op op);

/* Any bytes; the first TRANSFER_NAME_MAX of them. */
#define TRANSFER_NAME_MAX ((size_t)4096)
struct transfer_name {
    const char *bytes;
    size_t length;
    size_t whole; /* how long it really was */
};

/* What is not given is NULL, 0 or false. Lives for the call. */
struct transfer_operation {
    enum transfer_op op;
    struct transfer_name path, to;
    const char *detail;
    const char *result;     /* "ok", or why not: see castbucket-cast(5) */
    bool counted;           /* `bytes` is set */
    uint64_t bytes, offset; /* that passed; where in the file the first of them belongs */
    bool hashed;            /* of exactly these bytes, in order; else `unhashed` says why not */
    uint8_t sha256[SHA256_SIZE];
    const char *unhashed;
    int64_t since_ns; /* when the file was opened, since the session began */
};

/* Who wants to know. A non-zero return stops and is returned by the call under way; the decoder is
 * of no more use then. */
struct transfer_sink {
    void *context;
    int (*operation)(void *context, const struct transfer_operation *operation);
    /* The decoder gives up, for this reason. */
    int (*note)(void *context, const char *reason);
    /* Bytes that were not understood. */
    int (*raw)(void *context, enum transfer_direction direction, const void *data, size_t length);
    /* NULL: not wanted. A piece of a file; `number` tells the files of a decoder apart, from 1. */
    int (*content)(void *context, enum transfer_op op, uint64_t number,
                   const struct transfer_name *path, uint64_t offset, const void *data,
                   size_t length);
};

struct transfer;

/* NULL: no memory. */
struct transfer *transfer_new(enum transfer_protocol protocol);
void transfer_free(struct transfer *transfer);

/* Bytes as they passed, split anywhere. The two directions must come in the order in which they
 * passed the host: an answer after what it answers. */
__attribute__((warn_unused_result)) int
transfer_take(struct transfer *transfer, enum transfer_direction direction, int64_t time_ns,
              const void *data, size_t length, const struct transfer_sink *sink);

/* Gives up because of something else, such as bytes that are missing. */
__attribute__((warn_unused_result)) int
transfer_give_up(struct transfer *transfer, const char *reason, const struct transfer_sink *sink);

/* Nothing more comes: what is not over is told as it is, and an unfinished message's bytes are
 * handed out raw. */
__attribute__((warn_unused_result)) int transfer_end(struct transfer *transfer,
                                                     const struct transfer_sink *sink);

/* Appends all that the decoder remembers: at most TRANSFER_STATE_MAX bytes. */
#define TRANSFER_STATE_MAX ((size_t)4 << 20)
__attribute__((warn_unused_result)) int transfer_save(const struct transfer *transfer,
                                                      struct buffer *out);

/* The opposite. ERR_DAMAGED if it is not what transfer_save() wrote; ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int transfer_load(const void *data, size_t length,
                                                      struct transfer **transfer);

#endif
