#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "recorder/base/buffer.h"
#include "recorder/base/clock.h"
#include "recorder/base/file.h"
#include "recorder/settings/settings_internal.h"

/* File systems stamp files with a clock that ticks every 1 to 10 ms. Two changes in one tick can
 * look the same, so a file that was changed less than this before it was read is read once more. */
#define UNSETTLED_NS (INT64_C(20) * NS_PER_MS)

struct settings_watch {
    pthread_mutex_t lock; /* guards what follows */
    char *path;
    struct settings *settings; /* the newest valid ones */
    struct stat identity;      /* of the file that was looked at last, valid or not */
    bool settled;
    struct error problem; /* why that file is not in force; code 0 when it is */
};

int settings_check_file(const char *path, const struct stat *info, struct error *error)
{
    if (!S_ISREG(info->st_mode))
        return error_set(error, ERR_INVALID, "%s: the settings must be a regular file", path);
    if (info->st_mode & S_IWOTH)
        return error_set(error, ERR_INVALID,
                         "%s: everybody on this machine may change these settings, so they are not "
                         "used; run: chmod o-w '%s'",
                         path, path);
    return 0;
}

int settings_load_file(const char *path, struct settings **settings, struct stat *identity,
                       struct error *error)
{
    struct buffer text = BUFFER_INIT(SETTINGS_MAX_FILE);
    int rc = 0;
    *settings = NULL;
    *identity = (struct stat){0};
    /* O_NONBLOCK, so that a FIFO in the file's place is an error and not a wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_system(error, "cannot open the settings %s", path);
    struct stat info;
    if (fstat(fd, &info)) {
        rc = error_system(error, "cannot look at the settings %s", path);
        goto out;
    }
    *identity = info;
    rc = settings_check_file(path, &info, error);
    if (rc)
        goto out;
    if ((uintmax_t)info.st_size > SETTINGS_MAX_FILE) {
        rc = error_set(error, ERR_LIMIT, "%s: the settings are larger than %zu bytes", path,
                       SETTINGS_MAX_FILE);
        goto out;
    }
    size_t size = (size_t)info.st_size;
    rc = buffer_reserve(&text, size);
    if (rc) {
        error_set(error, rc, "%s: no memory to read the settings", path);
        goto out;
    }
    rc = file_pread_all(fd, text.data, size, 0, error);
    if (rc) {
        error_prefix(error, "%s", path);
        goto out;
    }
    rc = settings_parse(path, text.data, size, settings, error);
out:
    buffer_free(&text);
    close(fd);
    return rc;
}

int settings_load(const char *path, struct settings **settings, struct error *error)
{
    struct stat identity;
    return settings_load_file(path, settings, &identity, error);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The time of change (ctime) too: it moves when only the mode does. */
static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static bool is_settled(const struct stat *identity)
{
    int64_t changed = identity->st_ctim.tv_sec * NS_PER_SECOND + identity->st_ctim.tv_nsec;
    int64_t age = clock_wall_ns(&clock_system) - changed;
    return age < 0 || age > UNSETTLED_NS;
}

/* Loads; what is not valid leaves the old settings in force and becomes the problem. */
static void load(struct settings_watch *watch)
{
    struct settings *fresh;
    struct error problem = ERROR_INIT;
    if (settings_load_file(watch->path, &fresh, &watch->identity, &problem) == 0) {
        settings_unref(watch->settings);
        watch->settings = fresh;
    }
    watch->settled = is_settled(&watch->identity);
    watch->problem = problem;
}

int settings_watch_new(const char *path, struct settings_watch **watch, struct error *error)
{
    *watch = NULL;
    struct settings_watch *made = calloc(1, sizeof(*made));
    char *copy = strdup(path);
    if (!made || !copy) {
        free(made);
        free(copy);
        return error_set(error, ERR_NO_MEMORY, "%s: no memory", path);
    }
    made->path = copy;
    pthread_mutex_init(&made->lock, NULL);
    load(made);
    int rc = made->problem.code;
    if (rc) {
        if (error)
            *error = made->problem;
        settings_watch_free(made);
        return rc;
    }
    *watch = made;
    return 0;
}

struct settings *settings_watch_get(struct settings_watch *watch, struct error *error)
{
    struct stat now;
    pthread_mutex_lock(&watch->lock);
    if (stat(watch->path, &now)) {
        error_system(&watch->problem, "cannot look at the settings %s", watch->path);
        watch->identity = (struct stat){0};
    } else if (!watch->settled || !same_file(&now, &watch->identity)) {
        load(watch);
    }
    struct settings *settings = settings_ref(watch->settings);
    if (error)
        *error = watch->problem;
    pthread_mutex_unlock(&watch->lock);
    return settings;
}

void settings_watch_free(struct settings_watch *watch)
{
    if (!watch)
        return;
    settings_unref(watch->settings);
    pthread_mutex_destroy(&watch->lock);
    free(watch->path);
    free(watch);
}
