#include "recorder/store/directory_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/store/key.h"

#define MAX_DEPTH 32

static int open_folder(int parent, const char *name, bool make, const char *key,
                       struct error *error)
{
    bool made = make && mkdirat(parent, name, 0750) == 0;
    if (make && !made && errno != EEXIST)
        return error_system(error, "cannot make the folder %s of %s", name, key);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return error_set(error, ERR_DENIED,
                         "%s: '%s' is not a folder (links are not followed): remove it", key, name);
    if (fd < 0)
        return error_system(error, "cannot open the folder %s of %s", name, key);
    /* The process's umask is not ours to change. */
    int rc = made && fchmod(fd, 0750) ? error_system(error, "cannot set the mode of %s", name) : 0;
    /* Also when it was there: its maker may have been killed before syncing. */
    if (!rc && make)
        rc = file_sync_directory(parent, error);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

int directory_tree_parent(int root, const char *key, bool make, const char **name,
                          struct error *error)
{
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_system(error, "cannot open the storage's directory");
    const char *part = key;
    for (;;) {
        char folder[NAME_MAX + 1];
        size_t length = strcspn(part, "/");
        if (length == 0 || length > NAME_MAX || part[0] == '.') {
            close(fd);
            return error_set(error, ERR_INVALID, "'%.200s' is not a key of this storage", key);
        }
        if (part[length] == '\0') {
            *name = part;
            return fd;
        }
        memcpy(folder, part, length);
        folder[length] = '\0';
        int next = open_folder(fd, folder, make, key, error);
        close(fd);
        if (next < 0)
            return next;
        fd = next;
        part += length + 1;
    }
}

struct entry {
    char *name; /* with a slash at the end for a folder: then byte order is key order */
    uint64_t size;
};

struct listing {
    const char *prefix;
    int (*each)(void *context, const char *key, uint64_t size);
    void *context;
    struct error *error;
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void free_entries(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(entries[i].name);
    free(entries);
}

/* Whether below base + name there can be keys with the prefix, or it is one itself. */
static bool may_match(const char *prefix, const char *base, const char *name)
{
    char key[KEY_SIZE + NAME_MAX + 2];
    int length = snprintf(key, sizeof(key), "%s%s", base, name);
    size_t wanted = strlen(prefix);
    return length > 0 &&
           strncmp(key, prefix, (size_t)length < wanted ? (size_t)length : wanted) == 0;
}

static int add_entry(const struct listing *listing, int folder, const char *base, const char *name,
                     struct entry **entries, size_t *count, size_t *capacity)
{
    struct stat info;
    if (name[0] == '.')
        return 0;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0
                               : error_system(listing->error, "cannot look at %s%s", base, name);
    bool is_folder = S_ISDIR(info.st_mode);
    if (!is_folder && !S_ISREG(info.st_mode))
        return 0;
    char shown[NAME_MAX + 2];
    snprintf(shown, sizeof(shown), "%s%s", name, is_folder ? "/" : "");
    if (!may_match(listing->prefix, base, shown) ||
        (!is_folder && strlen(base) + strlen(name) < strlen(listing->prefix)))
        return 0;
    if (*count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 32;
        struct entry *grown = reallocarray(*entries, larger, sizeof(*grown));
        if (!grown)
            return error_set(listing->error, ERR_NO_MEMORY, "no memory to list %s", base);
        *entries = grown;
        *capacity = larger;
    }
    char *copy = strdup(shown);
    if (!copy)
        return error_set(listing->error, ERR_NO_MEMORY, "no memory to list %s", base);
    (*entries)[(*count)++] = (struct entry){copy, (uint64_t)info.st_size};
    return 0;
}

static int read_entries(const struct listing *listing, int folder, const char *base,
                        struct entry **entries, size_t *count)
{
    size_t capacity = 0;
    int rc = 0;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        rc = error_system(listing->error, "cannot list '%s'", base);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno)
                rc = error_system(listing->error, "cannot list '%s'", base);
            break;
        }
        rc = add_entry(listing, folder, base, entry->d_name, entries, count, &capacity);
    }
    closedir(directory);
    if (!rc && *count)
        qsort(*entries, *count, sizeof(**entries), compare_entries);
    return rc;
}

static int list_folder(const struct listing *listing, int folder, const char *base, int depth)
{
    struct entry *entries = NULL;
    size_t count = 0;
    if (depth == MAX_DEPTH)
        return error_set(listing->error, ERR_LIMIT, "'%s' has too many folders", base);
    int rc = read_entries(listing, folder, base, &entries, &count);
    for (size_t i = 0; i < count && !rc; i++) {
        char key[KEY_SIZE];
        char *name = entries[i].name;
        size_t length = strlen(name);
        if (snprintf(key, sizeof(key), "%s%s", base, name) >= (int)sizeof(key))
            continue; /* longer than any key of ours */
        if (name[length - 1] != '/') {
            rc = listing->each(listing->context, key, entries[i].size);
            continue;
        }
        name[length - 1] = '\0';
        int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue;
        rc = fd < 0 ? error_system(listing->error, "cannot open '%s'", key)
                    : list_folder(listing, fd, key, depth + 1);
        if (fd >= 0)
            close(fd);
    }
    free_entries(entries, count);
    return rc;
}

int directory_tree_list(int root, const char *prefix,
                        int (*each)(void *context, const char *key, uint64_t size), void *context,
                        struct error *error)
{
    const struct listing listing = {prefix, each, context, error};
    return list_folder(&listing, root, "", 0);
}
