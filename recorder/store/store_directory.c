#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/sha256.h"
#include "recorder/store/directory_tree.h"
#include "recorder/store/store_kind.h"

/* Files grow here and are moved into place when they are whole and on disk. Hidden, so that lists
 * and people pass over it; under the root, so that it is on the same file system. */
#define INCOMING ".incoming"
#define INCOMING_STALE_SECONDS (24 * 3600) /* left by a process that was killed */
#define MAX_ATTEMPTS 100
#define COPY_SIZE ((size_t)256 << 10)

struct store_directory {
    struct store store;
    char *path;
    atomic_bool swept;
};

static void free_directory(struct store *store)
{
    struct store_directory *directory = (struct store_directory *)store;
    free(directory->path);
    store_deinit(store);
    free(directory);
}

/* A file in the way is not an error of the moment, and its name alone does not say what to do. */
static int explain_root(const struct store_directory *directory, int rc, struct error *error)
{
    struct stat info;
    bool blocked = stat(directory->path, &info) == 0 ? !S_ISDIR(info.st_mode) : errno == ENOTDIR;
    return blocked
               ? error_set(error, ERR_SYSTEM,
                           "%s, or a part of that path, is not a directory: move the file away, "
                           "or set another --path",
                           directory->path)
               : rc;
}

/* The root is opened anew each time: it may be a mount that comes and goes. */
static int open_root(const struct store_directory *directory, bool make, struct error *error)
{
    int rc = make ? file_make_directories(directory->path, 0750, error) : 0;
    if (rc)
        return explain_root(directory, rc, error);
    int fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    rc = error_system(error, "cannot open the directory %s", directory->path);
    return explain_root(directory, rc, error);
}

/* Removes what killed processes left. Errors do not matter: the next process tries again. */
static void sweep(int incoming)
{
    struct stat info;
    char names[64][64];
    int count = 0;
    int fd = openat(incoming, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        if (fd >= 0)
            close(fd);
        return;
    }
    time_t now = time(NULL);
    for (const struct dirent *entry; count < 64 && (entry = readdir(entries));)
        if (strlen(entry->d_name) < sizeof(names[0]) &&
            fstatat(incoming, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode) && now - info.st_mtime > INCOMING_STALE_SECONDS)
            strcpy(names[count++], entry->d_name);
    closedir(entries);
    while (count)
        unlinkat(incoming, names[--count], 0);
}

static int open_incoming(struct store_directory *directory, int root, struct error *error)
{
    if (mkdirat(root, INCOMING, 0700) && errno != EEXIST)
        return error_system(error, "cannot make the directory %s/%s", directory->path, INCOMING);
    int fd = openat(root, INCOMING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_system(error, "cannot open the directory %s/%s", directory->path, INCOMING);
    if (!atomic_exchange(&directory->swept, true))
        sweep(fd);
    return fd;
}

static int copy_block(const struct store_object *object, uint64_t offset, size_t length,
                      char *buffer, int fd, struct sha256 *hash, struct error *error)
{
    int rc = 0;
    const char *data = buffer;
    if (object->data)
        data = (const char *)object->data + offset;
    else
        rc = file_pread_all(object->fd, buffer, length, (off_t)offset, error);
    if (!rc)
        rc = file_write_all(fd, data, length, error);
    if (!rc && sha256_update(hash, data, length))
        rc = error_set(error, ERR_NO_MEMORY, "no memory to hash it");
    return rc;
}

/* Copies the object's bytes and sees that they are the ones that were promised. */
static int copy_object(const struct store_directory *directory, const struct store_object *object,
                       int fd, struct error *error)
{
    struct sha256 hash = {0};
    uint8_t sum[SHA256_SIZE];
    char *buffer = object->data ? NULL : malloc(COPY_SIZE);
    int rc = sha256_init(&hash);
    if (rc || (!buffer && !object->data)) {
        rc = error_set(error, ERR_NO_MEMORY, "no memory to copy it");
        goto out;
    }
    for (uint64_t done = 0; done < object->size && !rc;) {
        uint64_t left = object->size - done;
        size_t take = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
        if (atomic_load(&directory->store.cancelled))
            rc = error_set(error, ERR_CANCELLED, "stopped");
        else
            rc = copy_block(object, done, take, buffer, fd, &hash, error);
        done += take;
    }
    if (!rc && sha256_final(&hash, sum))
        rc = error_set(error, ERR_NO_MEMORY, "no memory to hash it");
    if (!rc && memcmp(sum, object->sha256, sizeof(sum)) != 0)
        rc = error_set(error, ERR_DAMAGED, "its bytes do not match their SHA-256");
out:
    sha256_free(&hash);
    free(buffer);
    return rc;
}

/* Moves a whole file to its name unless that is taken. */
static int place(int incoming, const char *temporary, int folder, const char *name,
                 struct error *error)
{
    int rc = renameat2(incoming, temporary, folder, name, RENAME_NOREPLACE);
    /* Not every file system has RENAME_NOREPLACE (NFS); a hard link is as atomic. The temporary
     * name is removed by the caller. */
    if (rc && (errno == EINVAL || errno == ENOSYS))
        rc = linkat(incoming, temporary, folder, name, 0);
    if (rc)
        return error_system(error, "cannot move it into place");
    return file_sync_directory(folder, error);
}

/* Creates the file to copy to. Another put that has just ended may have removed the directory
 * between our opening it and our using it: then once more. */
static int open_temporary(struct store_directory *directory, int root, const char *name,
                          int *incoming, struct error *error)
{
    for (int attempt = 0;; attempt++) {
        *incoming = open_incoming(directory, root, error);
        if (*incoming == ERR_NOT_FOUND && attempt < MAX_ATTEMPTS)
            continue;
        if (*incoming < 0)
            return *incoming;
        int fd = openat(*incoming, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd >= 0)
            return fd;
        bool removed = errno == ENOENT && attempt < MAX_ATTEMPTS;
        int rc = error_system(error, "cannot create a file in %s/%s", directory->path, INCOMING);
        close(*incoming);
        if (!removed)
            return rc;
    }
}

static int store_file(struct store_directory *directory, const struct store_object *object,
                      int root, int folder, const char *name, struct error *error)
{
    unsigned long long tag[2];
    char temporary[40];
    int incoming;
    if (getrandom(tag, sizeof(tag), 0) != sizeof(tag))
        return error_system(error, "cannot get random bytes for a temporary name");
    snprintf(temporary, sizeof(temporary), "%016llx%016llx", tag[0], tag[1]);
    int fd = open_temporary(directory, root, temporary, &incoming, error);
    if (fd < 0)
        return fd;
    int rc = copy_object(directory, object, fd, error);
    if (!rc && (fchmod(fd, 0640) || fsync(fd)))
        rc = error_system(error, "cannot sync it");
    if (!rc)
        rc = place(incoming, temporary, folder, name, error);
    if (close(fd) && !rc)
        rc = error_system(error, "cannot close it");
    unlinkat(incoming, temporary, 0);
    close(incoming);
    /* People look at this directory: leave nothing of ours in it. Fails while others use it. */
    unlinkat(root, INCOMING, AT_REMOVEDIR);
    return rc;
}

static int put_new(struct store *store, const struct store_object *object, struct error *error)
{
    struct store_directory *directory = (struct store_directory *)store;
    const char *name;
    struct stat info;
    int root = open_root(directory, true, error);
    if (root < 0)
        return root;
    int folder = directory_tree_parent(root, object->key, true, &name, error);
    int rc = folder < 0 ? folder : 0;
    /* Saves copying a large file for nothing; what decides is the rename. */
    if (!rc && fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        rc = error_set(error, ERR_EXISTS, "it is there already");
    if (!rc)
        rc = store_file(directory, object, root, folder, name, error);
    if (rc)
        error_prefix(error, "cannot store %s%s", store->url, object->key);
    if (folder >= 0)
        close(folder);
    close(root);
    return rc;
}

static int open_file(struct store *store, const char *key, struct stat *info, struct error *error)
{
    const char *name;
    int root = open_root((struct store_directory *)store, false, error);
    if (root < 0)
        return root;
    int folder = directory_tree_parent(root, key, false, &name, error);
    close(root);
    if (folder == ERR_NOT_FOUND)
        return error_set(error, ERR_NOT_FOUND, "there is no %s%s", store->url, key);
    if (folder < 0)
        return folder;
    /* O_NONBLOCK: a FIFO that somebody put there must not hold us. */
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int rc = 0;
    if (fd < 0 && errno == ENOENT)
        rc = error_set(error, ERR_NOT_FOUND, "there is no %s%s", store->url, key);
    else if (fd < 0 && errno == ELOOP)
        rc = error_set(error, ERR_CONFLICT, "%s%s is a symbolic link: move it away", store->url,
                       key);
    else if (fd < 0 || fstat(fd, info))
        rc = error_system(error, "cannot open %s%s", store->url, key);
    else if (!S_ISREG(info->st_mode))
        rc = error_set(error, ERR_CONFLICT, "%s%s is not a regular file: move it away", store->url,
                       key);
    close(folder);
    if (rc && fd >= 0)
        close(fd);
    return rc ? rc : fd;
}

static int get(struct store *store, const char *key, uint64_t offset, uint64_t length,
               int (*sink)(void *context, const void *data, size_t length), void *context,
               struct error *error)
{
    struct stat info;
    int fd = open_file(store, key, &info, error);
    if (fd < 0)
        return fd;
    uint64_t size = (uint64_t)info.st_size;
    uint64_t end = length && length < size - offset ? offset + length : size;
    char *buffer = malloc(COPY_SIZE);
    int rc = 0;
    if (offset > size)
        rc = error_set(error, ERR_INVALID, "%s%s ends before %llu", store->url, key,
                       (unsigned long long)offset);
    else if (!buffer)
        rc = error_set(error, ERR_NO_MEMORY, "no memory to read %s%s", store->url, key);
    while (offset < end && !rc) {
        size_t take = end - offset < COPY_SIZE ? (size_t)(end - offset) : COPY_SIZE;
        rc = file_pread_all(fd, buffer, take, (off_t)offset, error);
        if (rc) {
            error_prefix(error, "%s%s", store->url, key);
            break;
        }
        rc = sink(context, buffer, take);
        if (rc)
            error_set(error, rc, "reading %s%s was stopped", store->url, key);
        offset += take;
    }
    free(buffer);
    close(fd);
    return rc;
}

static int has(struct store *store, const struct store_object *object, struct error *error)
{
    struct stat info;
    int fd = open_file(store, object->key, &info, error);
    if (fd < 0)
        return fd;
    close(fd);
    return store_compare(store, object, (uint64_t)info.st_size, false, error);
}

static int
put(struct store *store, const struct store_object *object, struct store_progress *progress,
    int (*save)(void *context, const struct store_progress *progress, struct error *error),
    void *context, struct error *error)
{
    (void)progress, (void)save, (void)context; /* a copy is atomic: there is nothing to resume */
    int rc = put_new(store, object, error);
    if (rc != ERR_EXISTS)
        return rc;
    struct stat info;
    int fd = open_file(store, object->key, &info, error);
    if (fd < 0)
        return fd;
    rc = store_compare(store, object, (uint64_t)info.st_size, false, error);
    /* It may have been put by a process that was killed before it could sync the folder. */
    if (!rc && fsync(fd))
        rc = error_system(error, "cannot sync %s%s", store->url, object->key);
    close(fd);
    if (!rc) {
        const char *name;
        int root = open_root((struct store_directory *)store, false, error);
        if (root < 0)
            return root;
        int folder = directory_tree_parent(root, object->key, true, &name, error);
        rc = folder < 0 ? folder : file_sync_directory(folder, error);
        if (folder >= 0)
            close(folder);
        close(root);
    }
    return rc;
}

static int list(struct store *store, const char *prefix,
                int (*each)(void *context, const char *key, uint64_t size), void *context,
                struct error *error)
{
    int root = open_root((struct store_directory *)store, false, error);
    if (root < 0)
        return root;
    int rc = directory_tree_list(root, prefix, each, context, error);
    close(root);
    return rc;
}

static int check_access(struct store *store, store_report *report, void *context, bool *usable,
                        struct error *error)
{
    struct store_directory *directory = (struct store_directory *)store;
    struct store_check check = {"open the directory", "", 0, directory->path};
    struct error why = ERROR_INIT;
    int root = open_root(directory, true, &why);
    *usable = root >= 0;
    if (root < 0) {
        check.code = root;
        check.detail = why.text;
        error_set(error, root, "%s", why.text);
    } else {
        close(root);
    }
    report(context, &check);
    return check.code;
}

static void advice(struct store *store, int code, const char *permission, char *text, size_t size)
{
    const struct store_directory *directory = (const struct store_directory *)store;
    (void)permission;
    if (code == ERR_DENIED)
        snprintf(text, size, "let this user write in %s", directory->path);
    else
        text[0] = '\0';
}

static const struct store_kind kind = {
    .free = free_directory,
    .put = put,
    .put_new = put_new,
    .has = has,
    .get = get,
    .list = list,
    .check_access = check_access,
    .advice = advice,
};

int store_directory_open(const struct organization_settings *organization, struct store **store,
                         struct error *error)
{
    const char *path = organization->storage.path;
    size_t length = strlen(path);
    if (path[0] != '/')
        return error_set(error, ERR_INVALID, "the directory '%.200s' of %s is not an absolute path",
                         path, organization->name);
    struct store_directory *directory = calloc(1, sizeof(*directory));
    char *url = malloc(length + sizeof("file:///"));
    int rc = ERR_NO_MEMORY;
    if (directory && url) {
        sprintf(url, "file://%s%s", path, path[length - 1] == '/' ? "" : "/");
        rc = store_init(&directory->store, &kind, url, organization, error);
        directory->path = strdup(path);
    }
    free(url);
    if (rc || !directory->path) {
        if (directory)
            free_directory(&directory->store);
        return error_set(error, ERR_NO_MEMORY, "no memory to open the storage of %s",
                         organization->name);
    }
    *store = &directory->store;
    return 0;
}
