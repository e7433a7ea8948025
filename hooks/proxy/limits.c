#include "hooks/proxy/limits.h"

#include <sys/resource.h>

#include "hooks/proxy/log.h"

/* A handshake takes some 6 MiB and some 10 ms; each try of a key, as much again of time. */
#define MEMORY ((rlim_t)96 << 20)
#define SECONDS 30

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_COUNTS 0 /* what a sanitizer maps for itself is beyond any limit */
#else
#define MEMORY_COUNTS 1
#endif

static int set(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(what, &limit) < 0)
        return -1;
    limit.rlim_cur = most == RLIM_INFINITY || most > limit.rlim_max ? limit.rlim_max : most;
    return setrlimit(what, &limit);
}

int limits_set(void)
{
    if ((!MEMORY_COUNTS || set(RLIMIT_DATA, MEMORY) == 0) && set(RLIMIT_CPU, SECONDS) == 0)
        return 0;
    log_error("cannot limit a connection before its login: %m");
    return -1;
}

void limits_lift(void)
{
    if (set(RLIMIT_DATA, RLIM_INFINITY) < 0 || set(RLIMIT_CPU, RLIM_INFINITY) < 0)
        log_warning("cannot lift the limits of a login: %m");
}
