#include "recorder/settings/settings_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/base/buffer.h"
#include "recorder/base/file.h"
#include "recorder/base/json.h"
#include "recorder/settings/settings_internal.h"

#define NEW_FILE_MODE 0640

/* The file to edit, opened by its directory. */
struct target {
    char directory_path[PATH_MAX];
    char name[NAME_MAX + 1];
    int directory;
    bool exists;
    struct stat info;
};

/* A symbolic link is followed, so that the file it names is replaced and not the link. */
static int resolve(const char *path, struct target *target, struct error *error)
{
    char whole[PATH_MAX], copy[PATH_MAX];
    if (!realpath(path, whole)) {
        if (errno != ENOENT)
            return error_system(error, "cannot find the settings %s", path);
        if (snprintf(whole, sizeof(whole), "%s", path) >= (int)sizeof(whole))
            return error_set(error, ERR_INVALID, "%.64s...: the path is too long", path);
    }
    memcpy(copy, whole, sizeof(copy));
    const char *name = basename(copy);
    if (strlen(name) > NAME_MAX || strcmp(name, "/") == 0 || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return error_set(error, ERR_INVALID, "'%s' is not the name of a settings file", path);
    memcpy(target->name, name, strlen(name) + 1);
    memcpy(copy, whole, sizeof(copy));
    const char *directory = dirname(copy);
    memcpy(target->directory_path, directory, strlen(directory) + 1);
    return 0;
}

static int lock(struct target *target, struct error *error)
{
    const char *path = target->directory_path;
    target->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target->directory < 0)
        return error_system(error, "cannot open the settings' directory %s", path);
    while (flock(target->directory, LOCK_EX))
        if (errno != EINTR)
            return error_system(error, "cannot lock the settings' directory %s", path);
    return 0;
}

static int read_root(struct target *target, const char *path, json_t **root, struct error *error)
{
    struct buffer text = BUFFER_INIT(SETTINGS_MAX_FILE);
    int rc = 0;
    *root = NULL;
    if (fstatat(target->directory, target->name, &target->info, AT_SYMLINK_NOFOLLOW)) {
        if (errno != ENOENT)
            return error_system(error, "cannot look at the settings %s", path);
        *root = json_pack("{s:i}", "version", 1);
        return *root ? 0 : error_set(error, ERR_NO_MEMORY, "%s: no memory", path);
    }
    target->exists = true;
    rc = settings_check_file(path, &target->info, error);
    if (rc)
        return rc;
    rc = file_read(target->directory, target->name, &text, error);
    if (rc) {
        error_prefix(error, "%s", target->directory_path);
        goto out;
    }
    rc = json_read_object(text.data, text.length, root, error);
    if (rc)
        error_prefix(error, "%s", path);
out:
    buffer_free(&text);
    return rc;
}

/* Writes the new file beside the old one, gives it the old one's owner, and only then renames it
 * into place: a service that reads the file by its group never meets one it may not read. */
static int replace(const struct target *target, const char *path, const char *text, size_t length,
                   struct error *error)
{
    char fresh[NAME_MAX + 1];
    mode_t mode = target->exists ? target->info.st_mode & 07777 : NEW_FILE_MODE;
    if (!target->exists)
        return file_write_atomic(target->directory, target->name, text, length, mode, error);
    /* One name is enough: the lock is held. What a crash left there is replaced. */
    snprintf(fresh, sizeof(fresh), ".%.200s.new", target->name);
    int rc = file_write_atomic(target->directory, fresh, text, length, mode, error);
    if (rc)
        return rc;
    struct stat made;
    if (fstatat(target->directory, fresh, &made, AT_SYMLINK_NOFOLLOW)) {
        rc = error_system(error, "%s: cannot look at the new file", path);
        goto out;
    }
    uid_t owner = target->info.st_uid;
    gid_t group = target->info.st_gid;
    if ((made.st_uid != owner || made.st_gid != group) &&
        fchownat(target->directory, fresh, made.st_uid == owner ? (uid_t)-1 : owner,
                 made.st_gid == group ? (gid_t)-1 : group, AT_SYMLINK_NOFOLLOW)) {
        rc = error_system(
            error, "%s: cannot keep the file's owner and group; run as its owner or as root", path);
        goto out;
    }
    if (renameat(target->directory, fresh, target->directory, target->name)) {
        rc = error_system(error, "%s: cannot rename the new file into place", path);
        goto out;
    }
    return file_sync_directory(target->directory, error);
out:
    unlinkat(target->directory, fresh, 0);
    return rc;
}

int settings_edit(const char *path, settings_change_fn *change, void *context, struct error *error)
{
    struct target target = {.directory = -1};
    struct settings *settings = NULL;
    json_t *root = NULL;
    char *text = NULL;
    int rc = resolve(path, &target, error);
    if (!rc)
        rc = lock(&target, error);
    if (!rc)
        rc = read_root(&target, path, &root, error);
    if (!rc)
        rc = change(context, root, error);
    if (rc)
        goto out;
    text = json_dumps(root, JSON_INDENT(2));
    if (!text) {
        rc = error_set(error, ERR_NO_MEMORY, "%s: no memory", path);
        goto out;
    }
    size_t length = strlen(text);
    rc = settings_parse(path, text, length, &settings, error);
    if (rc)
        goto out;
    text[length] = '\n'; /* in the NUL's place: what is written has a length */
    rc = replace(&target, path, text, length + 1, error);
out:
    settings_unref(settings);
    free(text);
    json_decref(root);
    if (target.directory >= 0)
        close(target.directory);
    return rc;
}

int settings_edit_member(json_t *parent, const char *name, json_t **object, struct error *error)
{
    *object = json_object_get(parent, name);
    if (*object && !json_is_object(*object))
        return error_set(error, ERR_INVALID, "%s: must be an object", name);
    if (*object)
        return 0;
    *object = json_object();
    return settings_edit_set(parent, name, *object, error);
}

int settings_edit_set(json_t *object, const char *name, json_t *value, struct error *error)
{
    if (!value)
        return error_set(error, ERR_NO_MEMORY, "%s: no memory", name);
    /* The names and texts come from a command line, so what is not UTF-8 ends here. */
    if (json_object_set_new(object, name, value))
        return error_set(error, ERR_INVALID, "'%s' is not UTF-8, or there is no memory", name);
    return 0;
}
