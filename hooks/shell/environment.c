#include "hooks/shell/environment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define MOST 100000 /* variables; the kernel's own limit of bytes comes first */

static char **given;

/* Linux puts the strings of the environment one behind the other, up to the name of the file that
 * was executed (AT_EXECFN), and the loader removes only pointers to them. So between the first that
 * it left and that name are all that follow it; what it removed before the first cannot be told
 * from arguments and stays out. NULL when memory looks otherwise or there is none. */
static char **all_strings(char **left)
{
    union {
        unsigned long number;
        char *text;
    } end = {.number = getauxval(AT_EXECFN)};
    char *lowest = left[0];
    size_t count = 0;
    for (char **entry = left; *entry; entry++)
        if (*entry < lowest)
            lowest = *entry;
    if (!lowest || !end.text || lowest >= end.text)
        return NULL;
    char **all = calloc(MOST + 1, sizeof(*all)); /* pages that are not touched cost nothing */
    for (char *p = lowest; all && p < end.text && count < MOST; p += strlen(p) + 1)
        if (strchr(p, '='))
            all[count++] = p;
    return all;
}

void environment_keep(void)
{
    static char *none[] = {NULL};
    given = environ && environ[0] ? all_strings(environ) : NULL;
    if (!given)
        given = environ;
    environ = none;
}

const char *environment_get(const char *name)
{
    size_t length = strlen(name);
    if (!given)
        return getenv(name);
    for (char **entry = given; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

void environment_give(void)
{
    if (given)
        environ = given;
}
