/* What the parts of the SFTP decoder share. The protocol is version 3,
 * draft-ietf-secsh-filexfer-02, with OpenSSH's extensions (its PROTOCOL file). */
#ifndef CASTBUCKET_TRANSFER_SFTP_H
#define CASTBUCKET_TRANSFER_SFTP_H

#include "recorder/transfer/decoders.h"

/* What is remembered of a session at most. One that needs more is not followed further: it goes on
 * as raw bytes. OpenSSH's clients have one file and 64 requests under way; sshfs a file for each
 * that a program has open. */
#define SFTP_FILES 4096
#define SFTP_REQUESTS 4096
#define SFTP_NAMES ((size_t)1 << 20) /* bytes of names, of all of both */
#define SFTP_HANDLE 256              /* the protocol's own limit */

/* ---- sftp_files.c: what is open ------------------------------------------------------------- */

/* Bytes that went through a file in one direction, in order or not. */
struct sftp_run {
    bool started;
    uint8_t broken;        /* enum sftp_broken: why there is no hash */
    uint32_t status;       /* the first failure's code; 0 */
    uint64_t offset, next; /* of the first byte; where the next one belongs */
    uint64_t bytes;
    struct sha256_running hash;
};

enum sftp_broken { SFTP_WHOLE = 0, SFTP_OUT_OF_ORDER = 1, SFTP_COPIED = 2 };

struct sftp_file {
    uint64_t number; /* from 1, in the order of opening; 0 is none */
    uint32_t flags;  /* SSH_FXF_* */
    bool directory;
    int64_t opened_ns;
    uint32_t handle_length;
    uint8_t handle[SFTP_HANDLE];
    struct kept_name path;
    struct sftp_run put, got;
};

struct sftp_files {
    struct sftp_file **slots; /* NULL: free */
    uint32_t *keys;           /* hash of the handle in the slot, for a quick search */
    uint32_t used, capacity;  /* slots that were ever used */
    uint64_t opened;          /* in all */
    size_t names;             /* bytes of names: files' and requests' */
};

void sftp_files_free(struct sftp_files *files);

/* NULL when there is none. */
struct sftp_file *sftp_file_by_handle(const struct sftp_files *files, const void *handle,
                                      size_t length);
struct sftp_file *sftp_file_by_number(const struct sftp_files *files, uint64_t number);

/* A new one; takes the name over. ERR_LIMIT when there are too many, ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int sftp_file_add(struct sftp_files *files, const void *handle,
                                                      size_t length, struct kept_name *path,
                                                      struct sftp_file **file);
void sftp_file_drop(struct sftp_files *files, struct sftp_file *file);

/* `length` bytes that belong at `offset` are about to come, in pieces. */
void sftp_run_begin(struct sftp_run *run, uint64_t offset, uint64_t length);
void sftp_run_add(struct sftp_run *run, const void *data, size_t length);

/* Tells what became of an open file. result: NULL: as the runs say. */
__attribute__((warn_unused_result)) int
sftp_file_tell(const struct sftp_file *file, const char *result, const struct transfer_sink *sink);
void sftp_files_walk(struct sftp_files *files, struct state_walk *walk);

/* SSH_FX_* as castbucket-cast(5) names them. */
const char *sftp_status_name(uint32_t status);

/* ---- sftp_requests.c: what is asked and not answered ----------------------------------------- */

struct sftp_request {
    bool waiting;
    uint8_t type; /* SSH_FXP_* */
    uint8_t op;   /* enum transfer_op to tell of when it is answered; 0: none */
    uint32_t id;
    uint32_t flags;        /* of an open */
    uint64_t file, target; /* numbers of open files; 0 */
    uint64_t offset, length;
    int64_t time_ns;
    struct kept_name path, to, detail;
};

/* In the order of asking; answered ones leave holes. */
struct sftp_requests {
    struct sftp_request *list;
    uint32_t first, end, capacity, waiting;
};

void sftp_requests_free(struct sftp_requests *requests);

/* A new one at the end, to be filled in. ERR_LIMIT, ERR_NO_MEMORY. */
__attribute__((warn_unused_result)) int sftp_request_add(struct sftp_requests *requests,
                                                         struct sftp_request **request);

/* The one with this id that waits longest; NULL. */
struct sftp_request *sftp_request_find(const struct sftp_requests *requests, uint32_t id);
void sftp_request_done(struct sftp_requests *requests, struct sftp_request *request,
                       struct sftp_files *files);

/* Tells of one that has an `op`. */
__attribute__((warn_unused_result)) int sftp_request_tell(const struct sftp_request *request,
                                                          const char *result,
                                                          const struct transfer_sink *sink);
void sftp_requests_walk(struct sftp_requests *requests, struct sftp_files *files,
                        struct state_walk *walk);

/* ---- sftp_messages.c: what messages mean ----------------------------------------------------- */

enum sftp_type {
    FXP_INIT = 1,
    FXP_VERSION = 2,
    FXP_OPEN = 3,
    FXP_CLOSE = 4,
    FXP_READ = 5,
    FXP_WRITE = 6,
    FXP_LSTAT = 7,
    FXP_FSTAT = 8,
    FXP_SETSTAT = 9,
    FXP_FSETSTAT = 10,
    FXP_OPENDIR = 11,
    FXP_READDIR = 12,
    FXP_REMOVE = 13,
    FXP_MKDIR = 14,
    FXP_RMDIR = 15,
    FXP_REALPATH = 16,
    FXP_STAT = 17,
    FXP_RENAME = 18,
    FXP_READLINK = 19,
    FXP_SYMLINK = 20,
    FXP_STATUS = 101,
    FXP_HANDLE = 102,
    FXP_DATA = 103,
    FXP_NAME = 104,
    FXP_ATTRS = 105,
    FXP_EXTENDED = 200,
    FXP_EXTENDED_REPLY = 201,
};

#define FXF_READ 1u
#define FXF_WRITE 2u

/* The bytes of a message that come after its head and go by without being kept. */
struct sftp_stream {
    uint64_t left;
    uint64_t file; /* whose data they are; 0: nobody's */
    bool put;
};

struct sftp {
    bool asked, answered; /* INIT and VERSION have passed */
    struct sftp_side {
        struct buffer head; /* of the message under way: what is not let go yet */
        struct sftp_stream stream;
    } sides[2];
    struct sftp_files files;
    struct sftp_requests requests;
};

/* A message whose head is all there: `bytes` are what follows its length, up to `length` of the
 * message's `whole`. */
struct sftp_message {
    const uint8_t *bytes;
    size_t length;
    uint64_t whole;
};

/* Each returns 0, an error, or DECODER_LOST with arrival->reason; and may set *stream to have the
 * rest of the message counted and hashed, which is skipped otherwise. */
__attribute__((warn_unused_result)) int sftp_take_request(struct sftp *sftp,
                                                          const struct sftp_message *message,
                                                          struct arrival *arrival,
                                                          struct sftp_stream *stream);
__attribute__((warn_unused_result)) int sftp_take_answer(struct sftp *sftp,
                                                         const struct sftp_message *message,
                                                         struct arrival *arrival,
                                                         struct sftp_stream *stream);

/* ---- reading a message ---------------------------------------------------------------------- */

struct sftp_fields {
    const uint8_t *at;
    size_t left;
    bool bad; /* something was not there */
};
uint8_t sftp_u8(struct sftp_fields *fields);
uint32_t sftp_u32(struct sftp_fields *fields);
uint64_t sftp_u64(struct sftp_fields *fields);
const uint8_t *sftp_string(struct sftp_fields *fields, size_t *length);

#endif
