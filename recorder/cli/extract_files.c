#include "recorder/cli/extract_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/cast/cast_encoder.h"
#include "recorder/transfer/transfer.h"

#define NAME_SIZE 160
#define BASE_MAX 100 /* characters of a file's own name that are kept */

struct extract_files {
    int directory;
    struct transfer *decoder;
    int fd; /* of the file below; -1: none is open */
    enum transfer_op op;
    uint64_t number, last; /* numbers go up, so a greater one than `last` is a new file */
    uint64_t files;
    bool lost;
    struct error *error; /* of the call under way */
};

int extract_files_new(const char *directory, struct extract_files **extract, struct error *error)
{
    struct extract_files *made = calloc(1, sizeof(*made));
    *extract = NULL;
    if (!made)
        return error_set(error, ERR_NO_MEMORY, "no memory to extract files");
    made->fd = -1;
    if (mkdir(directory, 0700) && errno != EEXIST) {
        free(made);
        return error_system(error, "cannot make %s", directory);
    }
    made->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made->directory < 0) {
        free(made);
        return error_system(error, "cannot open %s", directory);
    }
    *extract = made;
    return 0;
}

int extract_files_begin(struct extract_files *extract, const struct cast_info *info,
                        struct error *error)
{
    enum transfer_protocol protocol = strcmp(info->command, "sftp") == 0
                                          ? TRANSFER_SFTP
                                          : transfer_protocol_of_command(info->command);
    if (!*info->transfer || !info->contents)
        return error_set(error, ERR_INVALID, "there are no files in this recording: %s",
                         *info->transfer ? "transfer_contents was off for its socket"
                                         : "it is not that of a file transfer");
    if (protocol != TRANSFER_SFTP && protocol != TRANSFER_SCP_TO && protocol != TRANSFER_SCP_FROM)
        return error_set(error, ERR_INVALID,
                         "files cannot be told apart in this protocol; `castbucket get --raw "
                         "--stream input` and `--stream stdout` give its bytes");
    extract->decoder = transfer_new(protocol);
    return extract->decoder ? 0 : error_set(error, ERR_NO_MEMORY, "no memory to extract files");
}

static void name_of(char name[NAME_SIZE], enum transfer_op op, uint64_t number,
                    const struct transfer_name *path)
{
    const char *slash = path->length ? memrchr(path->bytes, '/', path->length) : NULL;
    const char *base = slash ? slash + 1 : path->bytes;
    size_t length = path->length - (size_t)(base - path->bytes);
    int used = snprintf(name, NAME_SIZE, "%06llu-%s-", (unsigned long long)number,
                        transfer_op_name(op));
    if (length > BASE_MAX)
        length = BASE_MAX;
    for (size_t i = 0; i < length; i++) {
        char c = base[i];
        bool harmless = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                        c == '.' || c == '_' || c == '-';
        name[used++] = harmless ? c : '_';
    }
    name[used] = '\0';
}

/* The file that comes next, as a rule the one that is open. */
static int turn_to(struct extract_files *extract, enum transfer_op op, uint64_t number,
                   const struct transfer_name *path)
{
    char name[NAME_SIZE];
    if (extract->fd >= 0 && extract->number == number && extract->op == op)
        return 0;
    if (extract->fd >= 0)
        close(extract->fd);
    name_of(name, op, number, path);
    int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (number > extract->last ? O_EXCL : 0);
    extract->fd = openat(extract->directory, name, flags, 0600);
    if (extract->fd < 0)
        return error_system(extract->error, "cannot make %s", name);
    extract->files += number > extract->last;
    if (number > extract->last)
        extract->last = number;
    extract->number = number;
    extract->op = op;
    return 0;
}

static int take_content(void *context, enum transfer_op op, uint64_t number,
                        const struct transfer_name *path, uint64_t offset, const void *data,
                        size_t length)
{
    struct extract_files *extract = context;
    const char *p = data;
    int rc = turn_to(extract, op, number, path);
    if (!rc && offset > INT64_MAX - length)
        rc = error_set(extract->error, ERR_LIMIT, "a file is longer than any can be");
    while (!rc && length) {
        ssize_t wrote = pwrite(extract->fd, p, length, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_system(extract->error, "cannot write an extracted file");
        p += wrote;
        offset += (uint64_t)wrote;
        length -= (size_t)wrote;
    }
    return rc;
}

static int take_operation(void *context, const struct transfer_operation *operation)
{
    (void)context, (void)operation;
    return 0;
}

static int take_note(void *context, const char *reason)
{
    struct extract_files *extract = context;
    (void)reason;
    extract->lost = true;
    return 0;
}

static int take_raw(void *context, enum transfer_direction direction, const void *data,
                    size_t length)
{
    (void)context, (void)direction, (void)data, (void)length;
    return 0;
}

static struct transfer_sink sink_of(struct extract_files *extract)
{
    return (struct transfer_sink){extract, take_operation, take_note, take_raw, take_content};
}

int extract_files_take(struct extract_files *extract, const struct cast_event *event,
                       struct error *error)
{
    const struct transfer_sink sink = sink_of(extract);
    bool in = event->code == 'i', out = event->code == 'o' && event->stream == CAST_STDOUT;
    if (!in && !out)
        return 0;
    extract->error = error;
    int rc = transfer_take(extract->decoder, in ? TRANSFER_TO_FAR : TRANSFER_FROM_FAR,
                           event->time_ns, event->raw, event->raw_length, &sink);
    if (rc == ERR_NO_MEMORY)
        return error_set(error, rc, "no memory to extract files");
    return rc;
}

int extract_files_end(struct extract_files *extract, uint64_t *files, struct error *error)
{
    *files = extract->files;
    if (extract->lost)
        return error_set(error, ERR_DAMAGED,
                         "from some point on the recording does not follow the protocol: files "
                         "after it, and the one it is in, are not extracted");
    return 0;
}

void extract_files_free(struct extract_files *extract)
{
    if (!extract)
        return;
    if (extract->fd >= 0)
        close(extract->fd);
    close(extract->directory);
    transfer_free(extract->decoder);
    free(extract);
}
