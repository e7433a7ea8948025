#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hooks/proxy/config.h"
#include "hooks/proxy/log.h"

int config_snapshot(const char *path)
{
    char bytes[8192];
    ssize_t count;
    size_t total = 0;
    int memory = -1, file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        log_error("%s: cannot be read: %m", path);
        return -1;
    }
    memory = memfd_create("castbucket-proxy configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        goto fail;
    while ((count = read(file, bytes, sizeof(bytes))) > 0) {
        total += (size_t)count;
        if (total > CONFIG_MAX_FILE) {
            errno = EFBIG;
            goto fail;
        }
        if (write(memory, bytes, (size_t)count) != count)
            goto fail;
    }
    if (count < 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
        goto fail;
    close(file);
    return memory;
fail:
    log_error("%s: cannot be read: %m", path);
    close(file);
    if (memory >= 0)
        close(memory);
    return -1;
}
