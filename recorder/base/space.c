#include "recorder/base/space.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RESERVE_PART 4 /* of the file system */
#define LARGEST_RESERVE ((uint64_t)64 << 20)
#define STAT_BLOCK 512 /* what st_blocks counts: stat(2) */

int space_of(int fd, struct space *space, struct error *error)
{
    struct statvfs disk;
    if (fstatvfs(fd, &disk))
        return error_system(error, "cannot ask how much space there is");
    space->total = (uint64_t)disk.f_blocks * disk.f_frsize;
    space->available = (uint64_t)disk.f_bavail * disk.f_frsize;
    space->reserve = space->total / RESERVE_PART;
    if (space->reserve > LARGEST_RESERVE)
        space->reserve = LARGEST_RESERVE;
    return 0;
}

uint64_t space_quota_bytes(const struct space_quota *quota, const struct space *space)
{
    uint64_t bytes = quota->bytes ? quota->bytes : UINT64_MAX;
    uint64_t part = quota->percent ? space->total / 100 * quota->percent : UINT64_MAX;
    return bytes < part ? bytes : part;
}

static int within_quota(const struct space_limit *limit, const struct space *space, uint64_t length,
                        struct error *error)
{
    if (!limit || !limit->used)
        return 0;
    uint64_t most = space_quota_bytes(&limit->quota, space);
    uint64_t used = atomic_load_explicit(&limit->used->bytes, memory_order_relaxed);
    if (used < most && most - used >= length)
        return 0;
    return error_set(error, ERR_NO_SPACE,
                     "the spool's quota of %llu bytes is reached (%llu are used): uploads make "
                     "space, or a larger spool_quota does",
                     (unsigned long long)most, (unsigned long long)used);
}

int space_for_journal(int fd, uint64_t length, const struct space_limit *limit, struct error *error)
{
    struct space space;
    struct stat info;
    if (space_of(fd, &space, NULL) || fstat(fd, &info))
        return 0; /* unknown: then the disk itself says when it is full */
    int rc = within_quota(limit, &space, length, error);
    if (rc)
        return rc;
    uint64_t own = (uint64_t)info.st_blocks * STAT_BLOCK + length;
    uint64_t needed = length + space.reserve + own;
    if (space.available < needed)
        return error_set(error, ERR_NO_SPACE,
                         "No space left on device (%llu bytes are left, of which %llu are kept for "
                         "the recorder and %llu for sealing this session)",
                         (unsigned long long)space.available, (unsigned long long)space.reserve,
                         (unsigned long long)own);
    if (limit && limit->used)
        atomic_fetch_add_explicit(&limit->used->bytes, length, memory_order_relaxed);
    return 0;
}
