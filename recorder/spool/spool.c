#include "recorder/spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/id.h"
#include "recorder/spool/spool_usage.h"

#define LOCK_NAME "recorder.lock"
#define AREA_COUNT 3

static const char *const area_names[AREA_COUNT] = {"journals", "sealed", "quarantine"};

struct spool {
    char *path;
    int root;
    int areas[AREA_COUNT];
    int lock; /* -1: not held */
    struct space_used *used;
};

static int open_area(struct spool *spool, int area, struct error *error)
{
    const char *name = area_names[area];
    bool made = mkdirat(spool->root, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return error_system(error, "cannot make the directory %s/%s", spool->path, name);
    spool->areas[area] = openat(spool->root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (spool->areas[area] < 0)
        return error_system(error, "cannot open the directory %s/%s", spool->path, name);
    return made ? file_give_to_owner(spool->root, spool->areas[area], error) : 0;
}

int spool_open(const char *path, struct spool **spool, struct error *error)
{
    *spool = NULL;
    struct spool *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to open the spool %s", path);
    new->root = new->lock = -1;
    for (int i = 0; i < AREA_COUNT; i++)
        new->areas[i] = -1;

    int rc;
    new->path = strdup(path);
    if (!new->path) {
        rc = error_set(error, ERR_NO_MEMORY, "no memory to open the spool %s", path);
        goto out;
    }
    rc = file_make_directories(path, 0700, error);
    if (rc) {
        error_prefix(error, "cannot open the spool");
        goto out;
    }
    new->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (new->root < 0) {
        rc = error_system(error, "cannot open the spool %s", path);
        goto out;
    }
    for (int i = 0; i < AREA_COUNT && !rc; i++)
        rc = open_area(new, i, error);
    if (!rc)
        new->used = spool_usage_open(new->root);
out:
    if (rc)
        spool_free(new);
    else
        *spool = new;
    return rc;
}

const char *spool_path(const struct spool *spool)
{
    return spool->path;
}

int spool_area(const struct spool *spool, enum spool_area area)
{
    return spool->areas[area];
}

struct space_used *spool_used(const struct spool *spool)
{
    return spool->used;
}

int spool_root(const struct spool *spool)
{
    return spool->root;
}

void spool_name(char name[SPOOL_NAME_SIZE], const char *id, const char *suffix)
{
    snprintf(name, SPOOL_NAME_SIZE, "%s%s", id, suffix);
}

bool spool_name_parse(const char *name, const char *suffix, char *id)
{
    if (strlen(name) != ID_SIZE - 1 + strlen(suffix) || strcmp(name + ID_SIZE - 1, suffix) != 0)
        return false;
    memcpy(id, name, ID_SIZE - 1);
    id[ID_SIZE - 1] = '\0';
    return id_is_valid(id);
}

int spool_lock(struct spool *spool, struct error *error)
{
    if (spool->lock >= 0)
        return 0;
    int fd = openat(spool->root, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_system(error, "cannot open %s/%s", spool->path, LOCK_NAME);
    char pid[24] = "";
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int rc;
        if (errno == EWOULDBLOCK) {
            ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);
            pid[got > 0 ? strspn(pid, "0123456789") : 0] = '\0';
            rc = error_set(error, ERR_EXISTS,
                           "another recorder (process %s) is at work in the spool %s",
                           pid[0] ? pid : "unknown", spool->path);
        } else {
            rc = error_system(error, "cannot lock %s/%s", spool->path, LOCK_NAME);
        }
        close(fd);
        return rc;
    }
    /* The lock is the flock; the pid is only told to people, so a full disk does not matter. */
    int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)length, 0) != length)
        pid[0] = '\0';
    spool->lock = fd;
    /* Only the holder of the lock writes files here, so these are a killed one's. */
    file_sweep_temporary(spool->root);
    file_sweep_temporary(spool->areas[SPOOL_SEALED]);
    file_sweep_temporary(spool->areas[SPOOL_QUARANTINE]);
    return 0;
}

void spool_unlock(struct spool *spool)
{
    if (spool->lock < 0)
        return;
    /* Explicitly, because a child forked in the meantime may still share the descriptor. */
    flock(spool->lock, LOCK_UN);
    close(spool->lock);
    spool->lock = -1;
}

struct id_list {
    char (*ids)[ID_SIZE];
    size_t count, capacity;
};

static int list_add(struct id_list *list, const char id[ID_SIZE], struct error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        void *ids = reallocarray(list->ids, capacity, sizeof(*list->ids));
        if (!ids)
            return error_set(error, ERR_NO_MEMORY, "no memory to list %zu recordings", capacity);
        list->ids = ids;
        list->capacity = capacity;
    }
    memcpy(list->ids[list->count++], id, ID_SIZE);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int read_ids(const struct spool *spool, enum spool_area area, const char *suffix,
                    struct id_list *list, struct error *error)
{
    /* A descriptor of its own: the position of a shared one would be shared between threads. */
    int fd = openat(spool->areas[area], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int rc = error_system(error, "cannot list %s/%s", spool->path, area_names[area]);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = 0;
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        char id[ID_SIZE];
        if (entry && spool_name_parse(entry->d_name, suffix, id))
            rc = list_add(list, id, error);
        if (!entry && errno)
            rc = error_system(error, "cannot list %s/%s", spool->path, area_names[area]);
        if (!entry)
            break;
    }
    closedir(directory);
    return rc;
}

int spool_each(const struct spool *spool, enum spool_area area, const char *suffix,
               int (*each)(void *context, const char *id), void *context, struct error *error)
{
    struct id_list list = {0};
    int rc = read_ids(spool, area, suffix, &list, error);
    if (!rc && list.count)
        qsort(list.ids, list.count, sizeof(*list.ids), compare_ids);
    for (size_t i = 0; i < list.count && !rc; i++)
        rc = each(context, list.ids[i]);
    free(list.ids);
    return rc;
}

int spool_remove(const struct spool *spool, enum spool_area area, const char *id,
                 const char *suffix, struct error *error)
{
    char name[SPOOL_NAME_SIZE];
    spool_name(name, id, suffix);
    if (unlinkat(spool->areas[area], name, 0) && errno != ENOENT)
        return error_system(error, "cannot remove %s/%s/%s", spool->path, area_names[area], name);
    return 0;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    spool_unlock(spool);
    spool_usage_close(spool->used);
    for (int i = 0; i < AREA_COUNT; i++)
        if (spool->areas[i] >= 0)
            close(spool->areas[i]);
    if (spool->root >= 0)
        close(spool->root);
    free(spool->path);
    free(spool);
}
