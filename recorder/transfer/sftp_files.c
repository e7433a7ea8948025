#include <stdlib.h>
#include <string.h>

#include "recorder/transfer/sftp.h"

/* FNV-1a. */
static uint32_t key_of(const uint8_t *handle, size_t length)
{
    uint32_t key = 2166136261u;
    for (size_t i = 0; i < length; i++)
        key = (key ^ handle[i]) * 16777619u;
    return key;
}

void sftp_files_free(struct sftp_files *files)
{
    for (uint32_t i = 0; i < files->used; i++) {
        if (!files->slots[i])
            continue;
        kept_name_free(&files->slots[i]->path);
        free(files->slots[i]);
    }
    free(files->slots);
    free(files->keys);
    *files = (struct sftp_files){0};
}

struct sftp_file *sftp_file_by_handle(const struct sftp_files *files, const void *handle,
                                      size_t length)
{
    uint32_t key = key_of(handle, length);
    for (uint32_t i = 0; i < files->used; i++) {
        struct sftp_file *file = files->slots[i];
        if (files->keys[i] == key && file && file->handle_length == length &&
            memcmp(file->handle, handle, length) == 0)
            return file;
    }
    return NULL;
}

struct sftp_file *sftp_file_by_number(const struct sftp_files *files, uint64_t number)
{
    for (uint32_t i = 0; number && i < files->used; i++)
        if (files->slots[i] && files->slots[i]->number == number)
            return files->slots[i];
    return NULL;
}

static int find_slot(struct sftp_files *files, uint32_t *slot)
{
    for (*slot = 0; *slot < files->used; ++*slot)
        if (!files->slots[*slot])
            return 0;
    if (files->used == SFTP_FILES)
        return ERR_LIMIT;
    if (files->used == files->capacity) {
        uint32_t capacity = files->capacity ? files->capacity * 2 : 8;
        struct sftp_file **slots = reallocarray(files->slots, capacity, sizeof(*slots));
        if (!slots)
            return ERR_NO_MEMORY;
        files->slots = slots;
        uint32_t *keys = reallocarray(files->keys, capacity, sizeof(*keys));
        if (!keys)
            return ERR_NO_MEMORY;
        files->keys = keys;
        files->capacity = capacity;
    }
    files->slots[files->used++] = NULL;
    return 0;
}

int sftp_file_add(struct sftp_files *files, const void *handle, size_t length,
                  struct kept_name *path, struct sftp_file **file)
{
    uint32_t slot;
    int rc = find_slot(files, &slot);
    if (rc)
        return rc;
    struct sftp_file *made = calloc(1, sizeof(*made));
    if (!made)
        return ERR_NO_MEMORY;
    made->number = ++files->opened;
    made->handle_length = (uint32_t)length;
    if (length)
        memcpy(made->handle, handle, length);
    made->path = *path;
    *path = (struct kept_name){0};
    sha256_running_start(&made->put.hash);
    sha256_running_start(&made->got.hash);
    files->slots[slot] = made;
    files->keys[slot] = key_of(made->handle, length);
    *file = made;
    return 0;
}

void sftp_file_drop(struct sftp_files *files, struct sftp_file *file)
{
    for (uint32_t i = 0; i < files->used; i++) {
        if (files->slots[i] != file)
            continue;
        files->slots[i] = NULL;
        files->names -= file->path.length;
        kept_name_free(&file->path);
        free(file);
        break;
    }
    while (files->used && !files->slots[files->used - 1])
        files->used--;
}

void sftp_run_begin(struct sftp_run *run, uint64_t offset, uint64_t length)
{
    if (!run->started) {
        run->started = true;
        run->offset = run->next = offset;
    }
    if (offset != run->next && run->broken == SFTP_WHOLE)
        run->broken = SFTP_OUT_OF_ORDER;
    run->next = offset + length;
}

void sftp_run_add(struct sftp_run *run, const void *data, size_t length)
{
    run->bytes += length;
    if (run->broken == SFTP_WHOLE)
        sha256_running_add(&run->hash, data, length);
}

const char *sftp_status_name(uint32_t status)
{
    static const char *const names[] = {
        "ok",          "end-of-file",   "no-such-file",    "permission-denied", "failure",
        "bad-message", "no-connection", "connection-lost", "unsupported"};
    return status < sizeof(names) / sizeof(*names) ? names[status] : "unknown-status";
}

static const char *why_no_hash(enum transfer_op op, uint8_t broken)
{
    return broken == SFTP_COPIED ? "the far side copied into it by itself"
           : op == TRANSFER_PUT  ? "not written from one end to the other in order"
                                 : "not read from one end to the other in order";
}

static int tell_run(const struct sftp_file *file, enum transfer_op op, const struct sftp_run *run,
                    const char *result, const struct transfer_sink *sink)
{
    struct transfer_operation operation = {
        .op = op,
        .path = kept_name_view(&file->path),
        .result = result ? result : sftp_status_name(run->status),
        .counted = true,
        .bytes = run->bytes,
        .offset = run->offset,
        .since_ns = file->opened_ns,
    };
    if (result && strcmp(result, "ok") == 0 && run->status)
        operation.result = sftp_status_name(run->status);
    operation.hashed = run->broken == SFTP_WHOLE;
    if (operation.hashed)
        sha256_running_get(&run->hash, operation.sha256);
    else
        operation.unhashed = why_no_hash(op, run->broken);
    return sink->operation(sink->context, &operation);
}

int sftp_file_tell(const struct sftp_file *file, const char *result,
                   const struct transfer_sink *sink)
{
    bool put = file->flags & FXF_WRITE || file->put.started;
    int rc = 0;
    if (file->directory)
        return 0;
    if (put)
        rc = tell_run(file, TRANSFER_PUT, &file->put, result, sink);
    if (!rc && (!put || file->got.started))
        rc = tell_run(file, TRANSFER_GET, &file->got, result, sink);
    return rc;
}

static void walk_run(struct sftp_run *run, struct state_walk *walk)
{
    state_flag(walk, &run->started);
    state_u8(walk, &run->broken);
    state_u32(walk, &run->status);
    if (!run->started)
        return;
    state_u64(walk, &run->offset);
    state_u64(walk, &run->next);
    state_u64(walk, &run->bytes);
    state_hash(walk, &run->hash);
}

static void walk_file(struct sftp_file *file, struct state_walk *walk)
{
    state_u64(walk, &file->number);
    state_u32(walk, &file->flags);
    state_flag(walk, &file->directory);
    state_i64(walk, &file->opened_ns);
    walk_run(&file->put, walk);
    walk_run(&file->got, walk);
}

static void load_files(struct sftp_files *files, uint32_t count, struct state_walk *walk)
{
    for (uint32_t i = 0; !walk->rc && i < count; i++) {
        uint8_t handle[SFTP_HANDLE];
        uint32_t length = 0;
        struct kept_name path = {0};
        struct sftp_file *file = NULL;
        state_count(walk, &length, SFTP_HANDLE);
        state_bytes(walk, handle, length);
        state_name(walk, &path);
        if (!walk->rc)
            walk->rc = sftp_file_add(files, handle, length, &path, &file);
        kept_name_free(&path);
        if (walk->rc)
            return;
        files->names += file->path.length;
        walk_file(file, walk);
    }
}

void sftp_files_walk(struct sftp_files *files, struct state_walk *walk)
{
    uint32_t count = 0;
    uint64_t opened = files->opened;
    for (uint32_t i = 0; i < files->used; i++)
        count += files->slots[i] != NULL;
    state_count(walk, &count, SFTP_FILES);
    state_u64(walk, &opened);
    if (!walk->out) {
        load_files(files, count, walk);
        files->opened = opened;
        return;
    }
    for (uint32_t i = 0; i < files->used; i++) {
        struct sftp_file *file = files->slots[i];
        if (!file)
            continue;
        state_count(walk, &file->handle_length, SFTP_HANDLE);
        state_bytes(walk, file->handle, file->handle_length);
        state_name(walk, &file->path);
        walk_file(file, walk);
    }
}
