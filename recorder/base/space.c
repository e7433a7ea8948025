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

int space_for_journal(int fd, uint64_t length, struct error *error)
{
    struct space space;
    struct stat info;
    if (space_of(fd, &space, NULL) || fstat(fd, &info))
        return 0; /* unknown: then the disk itself says when it is full */
    uint64_t own = (uint64_t)info.st_blocks * STAT_BLOCK + length;
    uint64_t needed = length + space.reserve + own;
    if (space.available >= needed)
        return 0;
    return error_set(error, ERR_NO_SPACE,
                     "No space left on device (%llu bytes are left, of which %llu are kept for the "
                     "recorder and %llu for sealing this session)",
                     (unsigned long long)space.available, (unsigned long long)space.reserve,
                     (unsigned long long)own);
}
