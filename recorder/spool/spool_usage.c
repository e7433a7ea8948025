#include "recorder/spool/spool_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/base/clock.h"
#include "recorder/base/file.h"
#include "recorder/spool/spool.h"

#define USAGE_NAME "usage"
#define USAGE_SIZE 4096
#define STAT_BLOCK 512 /* what st_blocks counts: stat(2) */

/* With space, because writing to a page that has none is SIGBUS. */
static bool make_whole(int root, int fd)
{
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode))
        return false;
    if (info.st_size >= USAGE_SIZE)
        return true;
    /* The umask is not ours to change. */
    return fchmod(fd, 0600) == 0 && file_give_to_owner(root, fd, NULL) == 0 &&
           fallocate(fd, 0, 0, USAGE_SIZE) == 0;
}

struct space_used *spool_usage_open(int root)
{
    void *page = MAP_FAILED;
    int fd = openat(root, USAGE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return NULL;
    if (make_whole(root, fd))
        page = mmap(NULL, USAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

void spool_usage_close(struct space_used *used)
{
    if (used)
        munmap(used, USAGE_SIZE);
}

/* Space, not length: journals have holes. */
static int add_area(int area, uint64_t *bytes)
{
    int fd = openat(area, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct stat info;
    if (!entries) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (const struct dirent *entry; (entry = readdir(entries));)
        if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            *bytes += (uint64_t)info.st_blocks * STAT_BLOCK;
    closedir(entries);
    return 0;
}

static int64_t boot_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

void spool_measure(const struct spool *spool, int64_t age_ns)
{
    struct space_used *used = spool_used(spool);
    int64_t now = boot_ns();
    if (!used)
        return;
    int64_t before = atomic_load(&used->measured_ns);
    /* One of the future is of before the machine's last start. */
    if (before && before <= now && now - before < age_ns)
        return;
    if (!atomic_compare_exchange_strong(&used->measured_ns, &before, now))
        return;
    uint64_t known = atomic_load(&used->bytes), bytes = 0;
    for (int area = SPOOL_JOURNALS; area <= SPOOL_QUARANTINE; area++)
        if (add_area(spool_area(spool, (enum spool_area)area), &bytes))
            return; /* what was known stays */
    /* What hosts took in the meantime stays counted, if perhaps twice, until the next time. */
    atomic_fetch_add(&used->bytes, bytes - known);
}
