#include "tests/faults/power/simulated_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define NEVER (-1)
#define AN_HOUR 3600 /* files of images are this old: nobody is just creating them */

int __real_openat(int fd, const char *name, int flags, ...);
int __real_unlinkat(int fd, const char *name, int flags);
int __real_mkdirat(int fd, const char *name, mode_t mode);
int __real_ftruncate(int fd, off_t length);

/* A file or directory, kept open so that its number is not used again. */
struct node {
    ino_t number;
    int fd;
    bool is_directory;
    int synced_version; /* of a directory: of the names, or NEVER */
    bool synced;        /* of a file */
    char *bytes;        /* as they were then */
    size_t size;
};

/* Like one line of `find`. */
struct name {
    struct node *directory, *node;
    char text[NAME_MAX + 1];
};

struct version {
    struct name *names;
    size_t count;
};

static struct {
    bool active;
    int root;
    dev_t device;
    void (*before)(const char *call);
    struct node **nodes;
    size_t node_count;
    struct version *versions;
    int version_count;
    unsigned early_renames;
} disk;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noreturn)) static void give_up(const char *what)
{
    perror(what);
    _exit(3);
}

static void *must(void *memory)
{
    if (!memory)
        give_up("memory");
    return memory;
}

/* ---- what there is ----------------------------------------------------------------------------
 */

static struct node *node_of(ino_t number)
{
    for (size_t i = 0; i < disk.node_count; i++)
        if (disk.nodes[i]->number == number)
            return disk.nodes[i];
    return NULL;
}

static struct node *node_at(int directory, const char *name)
{
    struct stat info;
    if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW))
        return NULL;
    struct node *node = node_of(info.st_ino);
    if (node)
        return node;
    node = must(calloc(1, sizeof(*node)));
    node->number = info.st_ino;
    node->is_directory = S_ISDIR(info.st_mode);
    node->synced_version = NEVER;
    node->fd = __real_openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (node->fd < 0)
        give_up(name);
    disk.nodes = must(reallocarray(disk.nodes, disk.node_count + 1, sizeof(*disk.nodes)));
    disk.nodes[disk.node_count++] = node;
    return node;
}

static void list(struct node *directory, struct version *version)
{
    int fd = __real_openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries)
        give_up("list");
    for (const struct dirent *entry; (entry = readdir(entries));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct node *node = node_at(directory->fd, entry->d_name);
        if (!node)
            continue;
        version->names = must(
            reallocarray(version->names, version->count + 1, sizeof(*version->names)));
        struct name *name = &version->names[version->count++];
        name->directory = directory;
        name->node = node;
        snprintf(name->text, sizeof(name->text), "%s", entry->d_name);
        if (node->is_directory)
            list(node, version);
    }
    closedir(entries);
}

static void names_changed(void)
{
    struct version version = {0};
    list(node_at(disk.root, "."), &version);
    disk.versions = must(
        reallocarray(disk.versions, (size_t)disk.version_count + 1, sizeof(*disk.versions)));
    disk.versions[disk.version_count++] = version;
}

static char *present_bytes(const struct node *node, size_t *size)
{
    struct stat info;
    if (fstat(node->fd, &info))
        give_up("fstat");
    *size = (size_t)info.st_size;
    char *bytes = must(malloc(*size + 1));
    for (size_t at = 0; at < *size;) {
        ssize_t got = pread(node->fd, bytes + at, *size - at, (off_t)at);
        if (got <= 0)
            give_up("pread");
        at += (size_t)got;
    }
    return bytes;
}

static void sync_node(struct node *node)
{
    if (node->is_directory) {
        node->synced_version = disk.version_count - 1;
        return;
    }
    free(node->bytes);
    node->bytes = present_bytes(node, &node->size);
    node->synced = true;
}

static void sync_all(void)
{
    for (size_t i = 0; i < disk.node_count; i++)
        sync_node(disk.nodes[i]);
}

static bool same_as_synced(const struct node *node)
{
    size_t size;
    char *bytes = present_bytes(node, &size);
    bool same = node->synced && node->size == size && memcmp(bytes, node->bytes, size) == 0;
    free(bytes);
    return same;
}

/* ---- images -----------------------------------------------------------------------------------
 */

struct image {
    enum disk_luck luck;
    unsigned *dice;
    int version;      /* of names that nobody synced, DISK_ANYTHING */
    unsigned present; /* how many of 16 pages are those of now */
};

static unsigned roll(unsigned *dice, unsigned sides)
{
    return (unsigned)rand_r(dice) % sides;
}

static bool is_zero(const char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* A page of a file as it was synced, and zeros behind its end. */
static void synced_page(const struct node *node, size_t at, char page[PAGE])
{
    memset(page, 0, PAGE);
    if (node->synced && at < node->size)
        memcpy(page, node->bytes + at, node->size - at < PAGE ? node->size - at : PAGE);
}

static void put_file(const struct image *image, const struct node *node, int fd)
{
    size_t size, synced_size = node->synced ? node->size : 0;
    char page[PAGE], *bytes = present_bytes(node, &size);
    bool early = image->luck == DISK_NAMES_BEFORE_BYTES;
    bool any = image->luck == DISK_ANYTHING;
    size_t length = early || (any && roll(image->dice, 2)) ? size : synced_size;
    for (size_t at = 0; at < length; at += PAGE) {
        size_t there = at < size ? (size - at < PAGE ? size - at : PAGE) : 0;
        synced_page(node, at, page);
        if (early && is_zero(bytes + at, there))
            memset(page, 0, PAGE); /* a hole, perhaps */
        if (any && at < size && roll(image->dice, 16) < image->present) {
            memset(page, 0, PAGE);
            memcpy(page, bytes + at, there);
        }
        size_t take = length - at < PAGE ? length - at : PAGE;
        if (!is_zero(page, take) && pwrite(fd, page, take, (off_t)at) != (ssize_t)take)
            give_up("write an image");
    }
    if (__real_ftruncate(fd, (off_t)length))
        give_up("cut an image");
    free(bytes);
}

static int version_of(const struct image *image, const struct node *directory)
{
    int synced = directory->synced_version;
    if (image->luck == DISK_NAMES_BEFORE_BYTES)
        return disk.version_count - 1;
    return image->luck == DISK_ANYTHING && image->version > synced ? image->version : synced;
}

static void put_directory(const struct image *image, const struct node *directory, int target)
{
    const struct timespec old[2] = {{.tv_sec = time(NULL) - AN_HOUR},
                                    {.tv_sec = time(NULL) - AN_HOUR}};
    int number = version_of(image, directory);
    const struct version *version = number == NEVER ? NULL : &disk.versions[number];
    for (size_t i = 0; version && i < version->count; i++) {
        const struct name *name = &version->names[i];
        if (name->directory != directory)
            continue;
        if (name->node->is_directory && __real_mkdirat(target, name->text, 0700))
            give_up("make an image's folder");
        int flags = name->node->is_directory ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT | O_EXCL;
        int fd = __real_openat(target, name->text, flags | O_CLOEXEC, 0600);
        if (fd < 0)
            give_up("make an image");
        if (name->node->is_directory)
            put_directory(image, name->node, fd);
        else
            put_file(image, name->node, fd);
        futimens(fd, old);
        close(fd);
    }
}

void disk_image(const char *target, enum disk_luck luck, unsigned *dice)
{
    struct image image = {.luck = luck, .dice = dice};
    image.version = (int)roll(dice, (unsigned)disk.version_count);
    image.present = roll(dice, 17);
    if (__real_mkdirat(AT_FDCWD, target, 0700))
        give_up(target);
    int fd = __real_openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_directory(&image, node_at(disk.root, "."), fd);
    close(fd);
}

void disk_begin(const char *root, void (*before)(const char *call))
{
    struct stat info;
    disk.root = __real_openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk.root < 0 || fstat(disk.root, &info))
        give_up(root);
    disk.device = info.st_dev;
    disk.before = before;
    names_changed();
    sync_all();
    disk.active = true;
}

unsigned disk_early_renames(void)
{
    return disk.early_renames;
}

void disk_end(void)
{
    disk.active = false;
    for (size_t i = 0; i < disk.node_count; i++) {
        close(disk.nodes[i]->fd);
        free(disk.nodes[i]->bytes);
        free(disk.nodes[i]);
    }
    for (int i = 0; i < disk.version_count; i++)
        free(disk.versions[i].names);
    free(disk.nodes);
    free(disk.versions);
    close(disk.root);
}

/* ---- the calls --------------------------------------------------------------------------------
 */

static bool begin(const char *call)
{
    if (!disk.active)
        return false;
    pthread_mutex_lock(&lock);
    disk.before(call);
    return true;
}

static void end(bool begun, bool names)
{
    if (!begun)
        return;
    if (names)
        names_changed();
    pthread_mutex_unlock(&lock);
}

#define WRAP(name, type, parameters, arguments, names)                                             \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        bool begun = begin(#name);                                                                 \
        type result = __real_##name arguments;                                                     \
        end(begun, names);                                                                         \
        return result;                                                                             \
    }

/* clang-format off */
WRAP(ftruncate, int, (int fd, off_t length), (fd, length), false)
WRAP(fallocate, int, (int fd, int mode, off_t at, off_t length), (fd, mode, at, length), false)
WRAP(mkdirat, int, (int fd, const char *name, mode_t mode), (fd, name, mode), true)
WRAP(unlinkat, int, (int fd, const char *name, int flags), (fd, name, flags), true)
WRAP(linkat, int, (int fd, const char *name, int to, const char *new_name, int flags), (fd, name, to, new_name, flags), true)
/* clang-format on */

static void look_at_rename(int fd, const char *name)
{
    const struct node *node = disk.active ? node_at(fd, name) : NULL;
    if (!node || node->is_directory || same_as_synced(node))
        return;
    fprintf(stderr, "renamed before its bytes were synced: %s\n", name);
    disk.early_renames++;
}

int __real_renameat(int fd, const char *name, int to, const char *new_name);
int __wrap_renameat(int fd, const char *name, int to, const char *new_name);
int __wrap_renameat(int fd, const char *name, int to, const char *new_name)
{
    bool begun = begin("renameat");
    look_at_rename(fd, name);
    int rc = __real_renameat(fd, name, to, new_name);
    end(begun, true);
    return rc;
}

int __real_renameat2(int fd, const char *name, int to, const char *new_name, unsigned flags);
int __wrap_renameat2(int fd, const char *name, int to, const char *new_name, unsigned flags);
int __wrap_renameat2(int fd, const char *name, int to, const char *new_name, unsigned flags)
{
    bool begun = begin("renameat2");
    look_at_rename(fd, name);
    int rc = __real_renameat2(fd, name, to, new_name, flags);
    end(begun, true);
    return rc;
}

int __wrap_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    bool begun = (flags & O_CREAT) && begin("openat");
    int opened = __real_openat(fd, name, flags, mode);
    end(begun, true);
    return opened;
}

/* The disk writes at once; what takes its time is the real one, which nobody asks. */
static int sync_this(int fd, const char *call)
{
    struct stat info;
    if (!begin(call))
        return 0;
    if (fstat(fd, &info))
        give_up("sync what is not open");
    struct node *node = info.st_dev == disk.device ? node_of(info.st_ino) : NULL;
    if (!node) { /* it has no name yet, or never will */
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        node = info.st_dev == disk.device ? node_at(AT_FDCWD, path) : NULL;
    }
    if (node)
        sync_node(node);
    end(true, false);
    return 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return sync_this(fd, "fsync");
}

int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return sync_this(fd, "fdatasync");
}

int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    (void)fd;
    if (begin("syncfs")) {
        sync_all();
        end(true, false);
    }
    return 0;
}
