#include "tests/unit/fault_injection.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum fault_kind armed;
static int fault_number;
static bool fault_lasting;
static atomic_long left;
static _Atomic(const char *) failed;

void fault_arm(enum fault_kind kind, int number, unsigned long n, bool lasting)
{
    fault_number = number;
    fault_lasting = lasting;
    atomic_store(&left, (long)n);
    atomic_store(&failed, NULL);
    armed = kind;
}

bool fault_disarm(void)
{
    armed = FAULT_NONE;
    return atomic_load(&failed) != NULL;
}

const char *fault_name(void)
{
    const char *name = atomic_load(&failed);
    return name ? name : "";
}

static bool fails(enum fault_kind kind, const char *name)
{
    if (armed != kind)
        return false;
    long before = atomic_fetch_sub(&left, 1);
    if (before > 0 || (before < 0 && !fault_lasting))
        return false;
    const char *none = NULL;
    atomic_compare_exchange_strong(&failed, &none, name);
    errno = kind == FAULT_MEMORY ? ENOMEM : fault_number;
    return true;
}

/* What --wrap makes of a call, and of its definition. */
#define WRAP(kind, type, name, parameters, arguments, failure)                                     \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails(kind, #name) ? (failure) : __real_##name arguments;                           \
    }

/* clang-format off */
WRAP(FAULT_MEMORY, void *, malloc, (size_t a), (a), NULL)
WRAP(FAULT_MEMORY, void *, calloc, (size_t a, size_t b), (a, b), NULL)
WRAP(FAULT_MEMORY, void *, realloc, (void *p, size_t a), (p, a), NULL)
WRAP(FAULT_MEMORY, void *, reallocarray, (void *p, size_t a, size_t b), (p, a, b), NULL)
WRAP(FAULT_MEMORY, char *, strdup, (const char *p), (p), NULL)
WRAP(FAULT_MEMORY, char *, strndup, (const char *p, size_t a), (p, a), NULL)
WRAP(FAULT_FILES, ssize_t, read, (int fd, void *p, size_t a), (fd, p, a), -1)
WRAP(FAULT_FILES, ssize_t, pread, (int fd, void *p, size_t a, off_t at), (fd, p, a, at), -1)
WRAP(FAULT_FILES, ssize_t, write, (int fd, const void *p, size_t a), (fd, p, a), -1)
WRAP(FAULT_FILES, ssize_t, pwrite, (int fd, const void *p, size_t a, off_t at), (fd, p, a, at), -1)
WRAP(FAULT_FILES, int, fsync, (int fd), (fd), -1)
WRAP(FAULT_FILES, int, fdatasync, (int fd), (fd), -1)
WRAP(FAULT_FILES, int, ftruncate, (int fd, off_t a), (fd, a), -1)
WRAP(FAULT_FILES, int, fallocate, (int fd, int mode, off_t at, off_t a), (fd, mode, at, a), -1)
WRAP(FAULT_FILES, int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP(FAULT_FILES, int, fstat, (int fd, struct stat *p), (fd, p), -1)
WRAP(FAULT_FILES, int, fstatat, (int fd, const char *name, struct stat *p, int flags), (fd, name, p, flags), -1)
WRAP(FAULT_FILES, int, flock, (int fd, int how), (fd, how), -1)
WRAP(FAULT_FILES, int, mkdirat, (int fd, const char *name, mode_t mode), (fd, name, mode), -1)
WRAP(FAULT_FILES, int, mkdir, (const char *name, mode_t mode), (name, mode), -1)
WRAP(FAULT_FILES, int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags), -1)
WRAP(FAULT_FILES, int, renameat, (int fd, const char *name, int to, const char *new_name), (fd, name, to, new_name), -1)
WRAP(FAULT_FILES, int, renameat2, (int fd, const char *name, int to, const char *new_name, unsigned flags), (fd, name, to, new_name, flags), -1)
WRAP(FAULT_FILES, int, linkat, (int fd, const char *name, int to, const char *new_name, int flags), (fd, name, to, new_name, flags), -1)
WRAP(FAULT_FILES, void *, mmap, (void *p, size_t a, int protection, int flags, int fd, off_t at), (p, a, protection, flags, fd, at), MAP_FAILED)
WRAP(FAULT_FILES, int, madvise, (void *p, size_t a, int advice), (p, a, advice), -1)
WRAP(FAULT_FILES, DIR *, fdopendir, (int fd), (fd), NULL)
/* clang-format on */

int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(FAULT_FILES, "open") ? -1 : __real_open(name, flags, mode);
}

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(FAULT_FILES, "openat") ? -1 : __real_openat(fd, name, flags, mode);
}
