#include "hooks/shell/privileges.h"

#include <errno.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "hooks/shell/environment.h"
#include "hooks/shell/limits.h"

static bool separate;
static uid_t person, recorder;
static gid_t person_group, recorder_group;

bool privileges_separate(void)
{
    return separate;
}

uid_t privileges_recorder(void)
{
    return recorder;
}

/* A file system without set-user-ID, no_new_privs or a tracer take the privilege away. Then nothing
 * could be recorded where the person cannot reach it, and nobody may mistake it for a recording. */
static int check_plain(void)
{
    struct stat self;
    if (getgid() == getegid() &&
        (stat("/proc/self/exe", &self) || !(self.st_mode & S_ISUID) || self.st_uid == getuid()))
        return 0;
    fputs("castbucket-shell: it was started without the privilege of its file's owner, and cannot "
          "record safely: its file system must not be mounted nosuid, and it must not be run "
          "traced or "
          "under no_new_privs\n",
          stderr);
    return -1;
}

/* What else survives exec. */
static void let_go(void)
{
    const struct itimerval none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &none, NULL);
    setitimer(ITIMER_VIRTUAL, &none, NULL);
    setitimer(ITIMER_PROF, &none, NULL);
    close_range(STDERR_FILENO + 1, ~0U, 0);
}

int privileges_begin(void)
{
    uid_t effective, saved;
    gid_t effective_group, saved_group;
    if (getresuid(&person, &effective, &saved) ||
        getresgid(&person_group, &effective_group, &saved_group))
        return -1;
    if (person == effective)
        return check_plain();
    if (effective == 0 || effective_group == person_group) {
        fprintf(stderr,
                "castbucket-shell: its file must be set-user-ID and set-group-ID to the account "
                "castbucket, not %s: chown castbucket:castbucket and chmod 6755 it\n",
                effective == 0 ? "to root" : "set-user-ID alone");
        return -1;
    }
    separate = true;
    recorder = effective;
    recorder_group = effective_group;
    prctl(PR_SET_DUMPABLE, 0);
    let_go();
    environment_keep();
    return limits_widen();
}

static void files_of(uid_t user, gid_t group)
{
    if (!separate)
        return;
    setfsgid(group);
    setfsuid(user);
    prctl(PR_SET_DUMPABLE, 0); /* each change of credentials sets it to fs.suid_dumpable */
}

void privileges_files_of_person(void)
{
    files_of(person, person_group);
}

void privileges_files_of_recorder(void)
{
    files_of(recorder, recorder_group);
}

int privileges_protect(void)
{
    uid_t real, effective, saved;
    if (!separate)
        return 0;
    if (setresgid(recorder_group, person_group, recorder_group) ||
        setresuid(recorder, person, recorder) || getresuid(&real, &effective, &saved))
        return -1;
    privileges_files_of_recorder();
    if (real == recorder && saved == recorder && (uid_t)setfsuid((uid_t)-1) == recorder)
        return 0;
    errno = EPERM;
    return -1;
}

int privileges_become_person(void)
{
    uid_t real, effective, saved;
    if (!separate)
        return 0;
    if (setresgid(person_group, person_group, person_group) || setresuid(person, person, person) ||
        getresuid(&real, &effective, &saved))
        return -1;
    if (real != person || effective != person || saved != person ||
        (person != 0 && setuid(recorder) == 0)) {
        errno = EPERM;
        return -1;
    }
    limits_restore();
    environment_give();
    return 0;
}
