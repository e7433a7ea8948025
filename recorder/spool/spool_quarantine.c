#include "recorder/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "recorder/base/clock.h"
#include "recorder/base/file.h"
#include "recorder/base/text.h"

/* Moved in this order, so that the file that makes a recorder look at the session goes last: after
 * a kill in between, the next recorder comes here again and finishes. */
static const struct {
    enum spool_area area;
    const char *suffix;
} session_files[] = {
    {SPOOL_SEALED, SPOOL_SEAL_SUFFIX},     {SPOOL_SEALED, SPOOL_TRANSFER_SUFFIX},
    {SPOOL_SEALED, SPOOL_CAST_SUFFIX},     {SPOOL_SEALED, SPOOL_UPLOAD_SUFFIX},
    {SPOOL_SEALED, SPOOL_MANIFEST_SUFFIX}, {SPOOL_JOURNALS, SPOOL_JOURNAL_SUFFIX},
};

#define MAX_EARLIER 100 /* times one session's file can be quarantined and put back by a person */

static int add_reason(const struct spool *spool, const char *id, const char *reason,
                      struct error *error)
{
    char name[SPOOL_NAME_SIZE], when[TEXT_TIME_SIZE], why[1024], line[1100];
    spool_name(name, id, SPOOL_REASON_SUFFIX);
    text_time(when, clock_wall_ns(&clock_system));
    text_escape(why, sizeof(why), reason);
    int length = snprintf(line, sizeof(line), "%s %s\n", when, why);
    int fd = openat(spool_area(spool, SPOOL_QUARANTINE), name,
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_system(error, "cannot create %s/quarantine/%s", spool_path(spool), name);
    int rc = file_write_all(fd, line, (size_t)length, error);
    if (!rc && fsync(fd))
        rc = error_system(error, "cannot sync");
    if (rc)
        error_prefix(error, "%s/quarantine/%s", spool_path(spool), name);
    close(fd);
    return rc;
}

static int move_file(const struct spool *spool, enum spool_area area, const char *name,
                     struct error *error)
{
    char target[SPOOL_NAME_SIZE + 8];
    snprintf(target, sizeof(target), "%s", name);
    for (int earlier = 1; earlier <= MAX_EARLIER; earlier++) {
        if (renameat2(spool_area(spool, area), name, spool_area(spool, SPOOL_QUARANTINE), target,
                      RENAME_NOREPLACE) == 0 ||
            errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            break;
        snprintf(target, sizeof(target), "%s.%d", name, earlier);
    }
    return error_system(error, "cannot move %s into %s/quarantine", name, spool_path(spool));
}

int spool_quarantine(const struct spool *spool, const char *id, const char *reason,
                     struct error *error)
{
    /* The reason first: a file in quarantine without one would be a riddle. */
    int rc = add_reason(spool, id, reason, error);
    for (size_t i = 0; i < sizeof(session_files) / sizeof(*session_files) && !rc; i++) {
        char name[SPOOL_NAME_SIZE];
        spool_name(name, id, session_files[i].suffix);
        rc = move_file(spool, session_files[i].area, name, error);
    }
    /* Where they went first: at worst they are in both places. */
    for (int area = SPOOL_QUARANTINE; area >= SPOOL_JOURNALS && !rc; area--)
        rc = file_sync_directory(spool_area(spool, (enum spool_area)area), error);
    return rc;
}
