/* What requests and their answers mean for files. */
#include <stdio.h>
#include <string.h>

#include "recorder/transfer/sftp.h"

#define FX_OK 0
#define FX_EOF 1

#define ATTR_SIZE 1u
#define ATTR_OWNER 2u
#define ATTR_MODE 4u
#define ATTR_TIMES 8u

static int lost(struct arrival *arrival, const char *reason)
{
    arrival->reason = reason;
    return DECODER_LOST;
}

static int malformed(struct arrival *arrival)
{
    return lost(arrival, "a message's fields do not fit into it");
}

/* ---- requests -------------------------------------------------------------------------------- */

static int keep(struct sftp *sftp, struct kept_name *name, const void *bytes, size_t length,
                struct arrival *arrival)
{
    int rc = kept_name_set(name, bytes, length);
    if (rc)
        return rc;
    sftp->files.names += name->length;
    if (sftp->files.names > SFTP_NAMES)
        return lost(arrival, "there are more names under way than are remembered");
    return 0;
}

static int keep_string(struct sftp *sftp, struct kept_name *name, struct sftp_fields *fields,
                       struct arrival *arrival)
{
    size_t length;
    const uint8_t *bytes = sftp_string(fields, &length);
    return fields->bad ? malformed(arrival) : keep(sftp, name, bytes, length, arrival);
}

/* The file of a handle; NULL when there is none (the far side will refuse). */
static struct sftp_file *take_handle(const struct sftp *sftp, struct sftp_fields *fields)
{
    size_t length;
    const uint8_t *handle = sftp_string(fields, &length);
    return fields->bad ? NULL : sftp_file_by_handle(&sftp->files, handle, length);
}

static int keep_attributes(struct sftp *sftp, struct sftp_request *request,
                           struct sftp_fields *fields, struct arrival *arrival)
{
    char text[160];
    size_t used = 0;
    uint32_t flags = sftp_u32(fields);
    text[0] = '\0';
    if (flags & ATTR_SIZE)
        used += (size_t)snprintf(text, sizeof(text), "size=%llu ",
                                 (unsigned long long)sftp_u64(fields));
    if (flags & ATTR_OWNER) {
        uint32_t user = sftp_u32(fields), group = sftp_u32(fields);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "uid=%u gid=%u ", user, group);
    }
    if (flags & ATTR_MODE)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "mode=%04o ",
                                 sftp_u32(fields) & 07777);
    if (flags & ATTR_TIMES) {
        uint32_t access = sftp_u32(fields), change = sftp_u32(fields);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "atime=%u mtime=%u ", access,
                                 change);
    }
    if (fields->bad)
        return malformed(arrival);
    return keep(sftp, &request->detail, text, used ? used - 1 : 0, arrival);
}

static int take_rename(struct sftp *sftp, struct sftp_request *request, enum transfer_op op,
                       struct sftp_fields *fields, struct arrival *arrival)
{
    request->op = (uint8_t)op;
    int rc = keep_string(sftp, &request->path, fields, arrival);
    return rc ? rc : keep_string(sftp, &request->to, fields, arrival);
}

static int take_copy(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                     struct arrival *arrival)
{
    struct sftp_file *from = take_handle(sftp, fields);
    request->offset = sftp_u64(fields);
    request->length = sftp_u64(fields);
    struct sftp_file *to = take_handle(sftp, fields);
    sftp_u64(fields);
    if (fields->bad)
        return malformed(arrival);
    if (!from || !to)
        return 0;
    request->op = TRANSFER_COPY;
    request->target = to->number;
    int rc = keep(sftp, &request->path, from->path.bytes, from->path.length, arrival);
    return rc ? rc : keep(sftp, &request->to, to->path.bytes, to->path.length, arrival);
}

static bool is(const uint8_t *name, size_t length, const char *known)
{
    return strlen(known) == length && memcmp(name, known, length) == 0;
}

static int take_extended(struct sftp *sftp, struct sftp_request *request,
                         struct sftp_fields *fields, struct arrival *arrival)
{
    /* They tell the client something, and change nothing. */
    static const char *const harmless[] = {
        "statvfs@openssh.com", "fstatvfs@openssh.com",    "limits@openssh.com",
        "fsync@openssh.com",   "expand-path@openssh.com", "users-groups-by-id@openssh.com",
        "home-directory"};
    size_t length;
    const uint8_t *name = sftp_string(fields, &length);
    if (fields->bad)
        return malformed(arrival);
    if (is(name, length, "posix-rename@openssh.com"))
        return take_rename(sftp, request, TRANSFER_RENAME, fields, arrival);
    if (is(name, length, "hardlink@openssh.com"))
        return take_rename(sftp, request, TRANSFER_LINK, fields, arrival);
    if (is(name, length, "copy-data"))
        return take_copy(sftp, request, fields, arrival);
    if (is(name, length, "lsetstat@openssh.com")) {
        request->op = TRANSFER_SETSTAT;
        int rc = keep_string(sftp, &request->path, fields, arrival);
        return rc ? rc : keep_attributes(sftp, request, fields, arrival);
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
        if (is(name, length, harmless[i]))
            return 0;
    request->op = TRANSFER_OTHER;
    return keep(sftp, &request->detail, name, length, arrival);
}

/* One that is about a name only. */
static int take_path(struct sftp *sftp, struct sftp_request *request, enum transfer_op op,
                     struct sftp_fields *fields, struct arrival *arrival)
{
    request->op = (uint8_t)op;
    return keep_string(sftp, &request->path, fields, arrival);
}

static int take_open(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                     struct arrival *arrival)
{
    int rc = keep_string(sftp, &request->path, fields, arrival);
    request->flags = sftp_u32(fields);
    if (!rc && fields->bad)
        rc = malformed(arrival);
    request->op = request->flags & FXF_WRITE ? TRANSFER_PUT : TRANSFER_GET;
    return rc;
}

static int take_write(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                      const struct sftp_message *message, struct arrival *arrival,
                      struct sftp_stream *stream)
{
    struct sftp_file *file = take_handle(sftp, fields);
    request->offset = sftp_u64(fields);
    request->length = sftp_u32(fields);
    if (fields->bad || request->length != message->whole - message->length)
        return malformed(arrival);
    if (!file || file->directory)
        return lost(arrival, "something is written that is no open file");
    request->file = file->number;
    sftp_run_begin(&file->put, request->offset, request->length);
    *stream = (struct sftp_stream){.file = file->number, .put = true};
    return 0;
}

static int take_on_file(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                        struct arrival *arrival)
{
    struct sftp_file *file = take_handle(sftp, fields);
    request->file = file ? file->number : 0;
    if (request->type == FXP_READ) {
        request->offset = sftp_u64(fields);
        request->length = sftp_u32(fields);
    }
    if (fields->bad)
        return malformed(arrival);
    if (request->type != FXP_FSETSTAT)
        return 0;
    request->op = TRANSFER_SETSTAT;
    int rc = file ? keep(sftp, &request->path, file->path.bytes, file->path.length, arrival) : 0;
    return rc ? rc : keep_attributes(sftp, request, fields, arrival);
}

static int take_kind(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                     const struct sftp_message *message, struct arrival *arrival,
                     struct sftp_stream *stream)
{
    int rc;
    switch (request->type) {
    case FXP_OPEN:
        return take_open(sftp, request, fields, arrival);
    case FXP_WRITE:
        return take_write(sftp, request, fields, message, arrival, stream);
    case FXP_CLOSE:
    case FXP_READ:
    case FXP_FSTAT:
    case FXP_FSETSTAT:
    case FXP_READDIR:
        return take_on_file(sftp, request, fields, arrival);
    case FXP_OPENDIR:
        return take_path(sftp, request, TRANSFER_LIST, fields, arrival);
    case FXP_REMOVE:
        return take_path(sftp, request, TRANSFER_REMOVE, fields, arrival);
    case FXP_MKDIR:
        return take_path(sftp, request, TRANSFER_MKDIR, fields, arrival);
    case FXP_RMDIR:
        return take_path(sftp, request, TRANSFER_RMDIR, fields, arrival);
    case FXP_SETSTAT:
        rc = take_path(sftp, request, TRANSFER_SETSTAT, fields, arrival);
        return rc ? rc : keep_attributes(sftp, request, fields, arrival);
    case FXP_RENAME:
        return take_rename(sftp, request, TRANSFER_RENAME, fields, arrival);
    case FXP_SYMLINK:
        /* OpenSSH's server takes what the link points to first, the draft has it last; clients that
         * know go by OpenSSH. */
        request->op = TRANSFER_SYMLINK;
        rc = keep_string(sftp, &request->to, fields, arrival);
        return rc ? rc : keep_string(sftp, &request->path, fields, arrival);
    case FXP_EXTENDED:
        return take_extended(sftp, request, fields, arrival);
    default: /* LSTAT, STAT, REALPATH, READLINK: only asked */
        return 0;
    }
}

int sftp_take_request(struct sftp *sftp, const struct sftp_message *message,
                      struct arrival *arrival, struct sftp_stream *stream)
{
    struct sftp_fields fields = {message->bytes, message->length, false};
    struct sftp_request *request;
    uint8_t type = sftp_u8(&fields);
    uint32_t id = sftp_u32(&fields);
    if (fields.bad)
        return malformed(arrival);
    if ((type == FXP_INIT) == sftp->asked)
        return lost(arrival, "the client does not begin as SFTP does");
    sftp->asked = true;
    if (type == FXP_INIT)
        return 0;
    int rc = sftp_request_add(&sftp->requests, &request);
    if (rc == ERR_LIMIT)
        return lost(arrival, "more requests wait for an answer than are remembered");
    if (rc)
        return rc;
    request->type = type;
    request->id = id;
    request->time_ns = arrival->time_ns;
    rc = take_kind(sftp, request, &fields, message, arrival, stream);
    if (rc)
        sftp_request_done(&sftp->requests, request, &sftp->files);
    return rc;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void fail_run(struct sftp_run *run, uint32_t status)
{
    if (!run->status)
        run->status = status;
}

static int take_status(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                       struct arrival *arrival)
{
    uint32_t status = sftp_u32(fields);
    struct sftp_file *file = sftp_file_by_number(&sftp->files, request->file);
    struct sftp_file *target = sftp_file_by_number(&sftp->files, request->target);
    int rc = 0;
    if (fields->bad)
        return malformed(arrival);
    if (status == FX_OK && (request->type == FXP_OPEN || request->type == FXP_OPENDIR))
        return lost(arrival, "a file is opened without a handle");
    if (request->type == FXP_READ && file && status != FX_OK && status != FX_EOF)
        fail_run(&file->got, status);
    else if (request->type == FXP_WRITE && file && status != FX_OK)
        fail_run(&file->put, status);
    if (request->op == TRANSFER_COPY && target && status == FX_OK)
        target->put.broken = SFTP_COPIED;
    if (request->op)
        rc = sftp_request_tell(request, sftp_status_name(status), arrival->sink);
    if (!rc && request->type == FXP_CLOSE && file) {
        rc = sftp_file_tell(file, sftp_status_name(status), arrival->sink);
        sftp_file_drop(&sftp->files, file);
    }
    return rc;
}

static int take_opened(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                       struct arrival *arrival)
{
    size_t length;
    const uint8_t *handle = sftp_string(fields, &length);
    struct sftp_file *file;
    int rc = 0;
    if (fields->bad || (request->type != FXP_OPEN && request->type != FXP_OPENDIR))
        return malformed(arrival);
    if (length > SFTP_HANDLE)
        return lost(arrival, "a file's handle is longer than any");
    /* One that is given out twice: the first is over without anybody having closed it. */
    file = sftp_file_by_handle(&sftp->files, handle, length);
    if (file) {
        rc = sftp_file_tell(file, "unfinished", arrival->sink);
        sftp_file_drop(&sftp->files, file);
    }
    if (!rc && request->type == FXP_OPENDIR)
        rc = sftp_request_tell(request, "ok", arrival->sink);
    if (!rc)
        rc = sftp_file_add(&sftp->files, handle, length, &request->path, &file);
    if (rc == ERR_LIMIT)
        return lost(arrival, "more files are open than are remembered");
    if (rc)
        return rc;
    file->flags = request->flags;
    file->directory = request->type == FXP_OPENDIR;
    file->opened_ns = request->time_ns;
    return 0;
}

static int take_data(struct sftp *sftp, struct sftp_request *request, struct sftp_fields *fields,
                     const struct sftp_message *message, struct arrival *arrival,
                     struct sftp_stream *stream)
{
    uint32_t length = sftp_u32(fields);
    struct sftp_file *file = sftp_file_by_number(&sftp->files, request->file);
    if (fields->bad || length != message->whole - message->length)
        return malformed(arrival);
    if (request->type != FXP_READ || !file || file->directory || length > request->length)
        return lost(arrival, "data come that nobody asked for");
    sftp_run_begin(&file->got, request->offset, length);
    *stream = (struct sftp_stream){.file = file->number};
    return 0;
}

static bool answers(uint8_t answer, uint8_t request)
{
    if (answer == FXP_NAME)
        return request == FXP_READDIR || request == FXP_REALPATH || request == FXP_READLINK;
    if (answer == FXP_ATTRS)
        return request == FXP_LSTAT || request == FXP_FSTAT || request == FXP_STAT;
    return answer == FXP_EXTENDED_REPLY && request == FXP_EXTENDED;
}

int sftp_take_answer(struct sftp *sftp, const struct sftp_message *message, struct arrival *arrival,
                     struct sftp_stream *stream)
{
    struct sftp_fields fields = {message->bytes, message->length, false};
    uint8_t type = sftp_u8(&fields);
    uint32_t id = sftp_u32(&fields); /* of VERSION: the version */
    if (fields.bad)
        return malformed(arrival);
    if ((type == FXP_VERSION) == sftp->answered || !sftp->asked)
        return lost(arrival, "the server does not begin as SFTP does");
    if (type == FXP_VERSION && id != 3)
        return lost(arrival, "this is SFTP of another version than 3");
    sftp->answered = true;
    if (type == FXP_VERSION)
        return 0;
    struct sftp_request *request = sftp_request_find(&sftp->requests, id);
    if (!request)
        return lost(arrival, "an answer comes to what nobody asked");
    int rc = 0;
    if (type == FXP_STATUS)
        rc = take_status(sftp, request, &fields, arrival);
    else if (type == FXP_HANDLE)
        rc = take_opened(sftp, request, &fields, arrival);
    else if (type == FXP_DATA)
        rc = take_data(sftp, request, &fields, message, arrival, stream);
    else if (!answers(type, request->type))
        rc = lost(arrival, "an answer is not of the kind that was asked for");
    else if (request->op)
        rc = sftp_request_tell(request, "ok", arrival->sink);
    if (!rc)
        sftp_request_done(&sftp->requests, request, &sftp->files);
    return rc;
}
