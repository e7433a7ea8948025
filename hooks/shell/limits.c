#include "hooks/shell/limits.h"

#include <stdio.h>
#include <sys/resource.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define MEBI ((rlim_t)1 << 20)

/* `least`: below it a session could begin and its recording end before the session does. A limit of
 * CPU time is no such thing: it ends both. */
static const struct {
    __rlimit_resource_t resource;
    rlim_t least;
    const char *name;
} table[] = {
    {RLIMIT_FSIZE, RLIM_INFINITY, "file size (fsize, ulimit -f)"},
    {RLIMIT_NOFILE, 64, "open files (nofile, ulimit -n)"},
    {RLIMIT_AS, 256 * MEBI, "address space (as, ulimit -v)"},
    {RLIMIT_DATA, 64 * MEBI, "data (data, ulimit -d)"},
    {RLIMIT_STACK, MEBI, "stack (stack, ulimit -s)"},
    {RLIMIT_CPU, 0, "CPU time (cpu, ulimit -t)"},
};

static struct rlimit given[COUNT(table)], given_core;

int limits_widen(void)
{
    if (getrlimit(RLIMIT_CORE, &given_core))
        return -1;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (getrlimit(table[i].resource, &given[i]))
            return -1;
        if (given[i].rlim_max < table[i].least) {
            fprintf(stderr,
                    "castbucket-shell: refused: it was started with a limit of %llu for %s, which "
                    "could end a recording before its session; take it off this account's limits\n",
                    (unsigned long long)given[i].rlim_max, table[i].name);
            return -1;
        }
        struct rlimit wide = {given[i].rlim_max, given[i].rlim_max};
        /* The stack's is read at exec; now it would only move where mappings go. */
        if (table[i].resource != RLIMIT_STACK && setrlimit(table[i].resource, &wide))
            return -1;
    }
    return setrlimit(RLIMIT_CORE, &(struct rlimit){0, given_core.rlim_max});
}

void limits_restore(void)
{
    setrlimit(RLIMIT_CORE, &given_core);
    for (size_t i = 0; i < COUNT(table); i++)
        setrlimit(table[i].resource, &given[i]);
}
