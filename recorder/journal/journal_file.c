#include "recorder/journal/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder/base/file.h"

int journal_file_make(struct journal_file *file, int directory, const char *name, bool named,
                      struct error *error)
{
    *file = (struct journal_file){.directory = directory, .fd = -1};
    if (named) {
        if (snprintf(file->hidden, sizeof(file->hidden), ".%s.new", name) >=
            (int)sizeof(file->hidden)) {
            file->hidden[0] = '\0';
            return error_set(error, ERR_INVALID, "the name is too long");
        }
        file->fd = openat(directory, file->hidden,
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    } else {
        file->fd = openat(directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    }
    if (file->fd < 0) {
        file->hidden[0] = '\0';
        return error_system(error, "cannot create it");
    }
    /* The umask is not ours to change. */
    int rc = fchmod(file->fd, 0600) ? error_system(error, "cannot set its mode")
                                    : file_give_to_owner(directory, file->fd, error);
    if (!rc && flock(file->fd, LOCK_EX | LOCK_NB))
        rc = error_system(error, "cannot lock it");
    if (rc)
        journal_file_close(file);
    return rc;
}

int journal_file_show(struct journal_file *file, const char *name, struct error *error)
{
    if (file->hidden[0]) {
        if (renameat2(file->directory, file->hidden, file->directory, name, RENAME_NOREPLACE))
            return error_system(error, "cannot name it");
        file->hidden[0] = '\0';
        return 0;
    }
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
    if (linkat(AT_FDCWD, path, file->directory, name, AT_SYMLINK_FOLLOW))
        return error_system(error, "cannot name it");
    return 0;
}

void journal_file_close(struct journal_file *file)
{
    if (file->hidden[0])
        unlinkat(file->directory, file->hidden, 0);
    file->hidden[0] = '\0';
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* For file systems without fallocate(): writing zeros takes the space as well. */
static int write_zeros(int fd, uint64_t from, uint64_t to, struct error *error)
{
    static const char zeros[16384];
    while (from < to) {
        size_t length = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        ssize_t wrote = pwrite(fd, zeros, length, (off_t)from);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_system(error, "cannot give it space");
        from += (uint64_t)wrote;
    }
    return 0;
}

int journal_file_allocate(int fd, uint64_t from, uint64_t to, const struct space_limit *limit,
                          struct error *error)
{
    int rc = space_for_journal(fd, to - from, limit, error);
    if (rc) {
        error_prefix(error, "cannot give it space");
        return rc;
    }
    for (;;) {
        if (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) == 0)
            return 0;
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return write_zeros(fd, from, to, error);
        if (errno != EINTR)
            return error_system(error, "cannot give it space");
    }
}

void journal_file_fill(int fd, uint64_t from, uint64_t to)
{
    /* One long write of few zeros: its length decides how large the folios are. */
    enum { PARTS = 128 };
    static char zeros[16384];
    struct iovec parts[PARTS];
    while (from < to) {
        int count = 0;
        size_t left = (size_t)(to - from);
        for (; count < PARTS && left; count++) {
            size_t length = left < sizeof(zeros) ? left : sizeof(zeros);
            parts[count] = (struct iovec){.iov_base = zeros, .iov_len = length};
            left -= length;
        }
        ssize_t wrote = pwritev(fd, parts, count, (off_t)from);
        if (wrote <= 0)
            return;
        from += (uint64_t)wrote;
    }
}

int journal_file_open(int directory, const char *name, int flags, dev_t device, ino_t inode,
                      int *fd, struct error *error)
{
    *fd = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return error_system(error, "cannot open it again");
    struct stat info;
    int rc = 0;
    if (fstat(*fd, &info))
        rc = error_system(error, "cannot look at it");
    else if (info.st_dev != device || info.st_ino != inode)
        rc = error_set(error, ERR_CONFLICT, "another file has taken its place");
    if (rc) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}
