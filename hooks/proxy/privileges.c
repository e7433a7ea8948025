#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/log.h"

int privileges_check(const struct proxy_config *config)
{
    if (!config->user) {
        if (geteuid() != 0)
            return 0;
        log_error("%s: user: missing: started as root, the proxy needs to know which account "
                  "carries connections (or user = \"root\", to stay root)",
                  config->path);
        return -1;
    }
    const struct passwd *account = getpwnam(config->user);
    if (!account) {
        log_error("%s: user: there is no account \"%s\"", config->path, config->user);
        return -1;
    }
    if (geteuid() != 0 && account->pw_uid != geteuid()) {
        log_error("%s: user: only root can become \"%s\"", config->path, config->user);
        return -1;
    }
    return 0;
}

/* Of root's capabilities, what somebody who asked to stay root still needs: to read and write files
 * whoever they belong to. */
static int limit_root(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    data[0].effective = data[0].permitted = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH |
                                            1U << CAP_FOWNER;
    struct __user_cap_data_struct now[2];
    if (syscall(SYS_capget, &header, now) < 0)
        return -1;
    /* A container may have fewer: what is not there cannot be asked for. */
    data[0].permitted &= now[0].permitted;
    data[0].effective &= now[0].permitted;
    return (int)syscall(SYS_capset, &header, data);
}

static int become_user(const struct proxy_config *config)
{
    for (unsigned long capability = 0; capability <= CAP_LAST_CAP; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    const struct passwd *account = getpwnam(config->user);
    if (!account)
        return -1;
    if (account->pw_uid == 0)
        return limit_root();
    if (initgroups(account->pw_name, account->pw_gid) < 0 ||
        setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
        setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0)
        return -1;
    return 0;
}

int privileges_drop(const struct proxy_config *config)
{
    const struct rlimit no_core = {0, 0};
    if (privileges_check(config) < 0)
        return -1;
    if (geteuid() == 0 && become_user(config) < 0) {
        log_error("%s: user: cannot become \"%s\": %m", config->path, config->user);
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        log_error("cannot give up privileges: %m");
        return -1;
    }
    return 0;
}
