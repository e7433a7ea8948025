/* The environment that it was started with: the command's, and no business of the relay's.
 * Libraries look into it (TZ, LANG, proxies, OpenSSL's configuration), so a privileged relay has
 * none. */
#ifndef CASTBUCKET_HOOKS_SHELL_ENVIRONMENT_H
#define CASTBUCKET_HOOKS_SHELL_ENVIRONMENT_H

/* Sets it aside. */
void environment_keep(void);

/* Of what was set aside, or of the present one when nothing was. NULL: not there. */
const char *environment_get(const char *name);

/* Puts back what was set aside, with what the loader of a set-user-ID program takes out (TMPDIR and
 * such): the command has no privilege, and gets what it would have without us. */
void environment_give(void);

#endif
