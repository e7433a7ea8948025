#include "recorder/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

int file_write_all(int fd, const void *data, size_t length, struct error *error)
{
    const char *p = data;
    while (length) {
        ssize_t wrote = write(fd, p, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_system(error, "cannot write");
        p += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

int file_pread_all(int fd, void *data, size_t length, off_t offset, struct error *error)
{
    char *p = data;
    while (length) {
        ssize_t got = pread(fd, p, length, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read");
        if (got == 0)
            return error_set(error, ERR_DAMAGED, "the file ends %zu bytes early", length);
        p += got;
        offset += got;
        length -= (size_t)got;
    }
    return 0;
}

int file_sync_directory(int directory, struct error *error)
{
    /* An O_PATH descriptor cannot be synced, so open the directory itself once more. */
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_system(error, "cannot open the directory to sync it");
    int rc = fsync(fd) == 0 ? 0 : error_system(error, "cannot sync the directory");
    close(fd);
    return rc;
}

static bool syncfs_tells_of_failures(void)
{
    struct utsname kernel;
    unsigned major = 0, minor = 0;
    return uname(&kernel) == 0 && sscanf(kernel.release, "%u.%u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 8));
}

int file_sync_system(int directory, struct error *error)
{
    if (!syncfs_tells_of_failures())
        return error_set(error, ERR_SYSTEM, "the kernel cannot sync a file system reliably");
    return syncfs(directory) == 0 ? 0 : error_system(error, "cannot sync the file system");
}

int file_write_atomic(int directory, const char *name, const void *data, size_t length, mode_t mode,
                      struct error *error)
{
    unsigned long long tag;
    char temporary[NAME_MAX + 1];
    int rc = 0;
    if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag))
        return error_system(error, "cannot get random bytes for a temporary name");

    /* The temporary name stays in the target's directory, whatever path `name` has. */
    const char *slash = strrchr(name, '/');
    int folder = slash ? (int)(slash - name) + 1 : 0;
    char path[PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), ".%.200s.%016llx", name + folder, tag) < 0 ||
        snprintf(path, sizeof(path), "%.*s%s", folder, name, temporary) >= (int)sizeof(path))
        return error_set(error, ERR_INVALID, "%s: the path is too long", name);

    int fd = openat(directory, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_system(error, "%s: cannot create a temporary file beside it", name);
    /* fchmod, because the process's umask is not ours to change. */
    if (fchmod(fd, mode)) {
        rc = error_system(error, "%s: cannot set the mode", name);
        goto out;
    }
    rc = file_write_all(fd, data, length, error);
    if (rc) {
        error_prefix(error, "%s", name);
        goto out;
    }
    if (fsync(fd)) {
        rc = error_system(error, "%s: cannot sync", name);
        goto out;
    }
    if (renameat(directory, path, directory, name)) {
        rc = error_system(error, "%s: cannot rename the new file into place", name);
        goto out;
    }
    path[0] = '\0';
    char parent[PATH_MAX];
    snprintf(parent, sizeof(parent), "%.*s", folder ? folder : 1, folder ? name : ".");
    int up = openat(directory, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (up < 0 || fsync(up))
        rc = error_system(error, "%s: cannot sync its directory", name);
    if (up >= 0)
        close(up);
out:
    close(fd);
    if (path[0])
        unlinkat(directory, path, 0);
    return rc;
}

/* ".NAME." and 16 hexadecimal digits, as file_write_atomic() makes them. */
static bool is_temporary(const char *name)
{
    const char *tag = strrchr(name, '.');
    return name[0] == '.' && tag && tag > name + 1 && strlen(tag) == 17 &&
           strspn(tag + 1, "0123456789abcdef") == 16;
}

void file_sweep_temporary(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (is_temporary(entry->d_name))
            unlinkat(directory, entry->d_name, 0);
    closedir(entries);
}

int file_read(int directory, const char *name, struct buffer *buffer, struct error *error)
{
    int rc = 0;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_system(error, "cannot open %s", name);
    for (;;) {
        size_t room = buffer->limit - buffer->length;
        size_t want = room < 65536 ? room : 65536;
        if (want == 0) {
            char more;
            ssize_t got = read(fd, &more, 1);
            if (got < 0)
                rc = error_system(error, "cannot read %s", name);
            else if (got > 0)
                rc = error_set(error, ERR_LIMIT, "%s is larger than %zu bytes", name,
                               buffer->limit);
            break;
        }
        rc = buffer_reserve(buffer, want);
        if (rc) {
            error_set(error, rc, "no memory to read %s", name);
            break;
        }
        ssize_t got = read(fd, buffer->data + buffer->length, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = error_system(error, "cannot read %s", name);
        if (got <= 0)
            break;
        buffer->length += (size_t)got;
        buffer->data[buffer->length] = '\0';
    }
    close(fd);
    return rc;
}

int file_make_directories(const char *path, mode_t mode, struct error *error)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(part))
        return error_set(error, ERR_INVALID, "the path '%.64s' is empty or too long", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) && errno != EEXIST)
            return error_system(error, "cannot make the directory %s", part);
    }
    struct stat info;
    if (stat(path, &info))
        return error_system(error, "cannot look at %s", path);
    if (!S_ISDIR(info.st_mode))
        return error_set(error, ERR_INVALID, "%s is not a directory", path);
    return 0;
}

int file_give_to_owner(int directory, int fd, struct error *error)
{
    struct stat owner;
    if (geteuid() != 0)
        return 0;
    if (fstat(directory, &owner) || (owner.st_uid != 0 && fchown(fd, owner.st_uid, owner.st_gid)))
        return error_system(error, "cannot give it to its directory's owner");
    return 0;
}
