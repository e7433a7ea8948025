/* start and quiesce: the recorder's half, which only the process that uploads maps. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "plugin/plugin_internal.h"

/* The recorder's library lies beside this one, whatever directory that is. */
static int find_beside(char path[PATH_MAX], struct error *error)
{
    static const char here = 0;
    Dl_info info;
    if (!dladdr(&here, &info) || !info.dli_fname)
        return error_set(error, ERR_NOT_FOUND, "cannot find out where this plugin was loaded from");
    const char *slash = strrchr(info.dli_fname, '/');
    int folder = slash ? (int)(slash - info.dli_fname) : 1;
    if (snprintf(path, PATH_MAX, "%.*s/%s", folder, slash ? info.dli_fname : ".",
                 RECORDER_LIBRARY_FILE) >= PATH_MAX)
        return error_set(error, ERR_LIMIT, "the path of %s is too long", RECORDER_LIBRARY_FILE);
    return 0;
}

static int load(struct recording_instance *instance, struct error *error)
{
    char path[PATH_MAX];
    int rc = find_beside(path, error);
    if (rc)
        return rc;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return error_set(error, ERR_NOT_FOUND, "cannot load the recorder: %s", dlerror());
    const struct recorder_library *table = dlsym(library, RECORDER_LIBRARY_SYMBOL);
    if (!table) {
        rc = error_set(error, ERR_INVALID, "%s is not castbucket's recorder", path);
    } else if (strcmp(table->version, CASTBUCKET_VERSION) != 0) {
        rc = error_set(error, ERR_INVALID,
                       "%s is version %s, the plugin %s: install both from one package", path,
                       table->version, CASTBUCKET_VERSION);
    }
    if (rc) {
        dlclose(library);
        return rc;
    }
    instance->library = library;
    instance->recorder_library = table;
    return 0;
}

int plugin_start(struct recording_instance *instance, struct recording_error *error)
{
    struct error cause = ERROR_INIT;
    union {
        const struct recording_host *host;
        void *context;
    } log = {.host = instance->host};
    if (instance->recorder)
        return 0;
    if (!instance->library && load(instance, &cause))
        return plugin_fail(error, &cause);
    if (instance->recorder_library->start(instance->settings_path, plugin_log, log.context,
                                          &instance->recorder, &cause)) {
        instance->recorder = NULL;
        return plugin_fail(error, &cause);
    }
    return 0;
}

int plugin_quiesce(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error)
{
    (void)error; /* what is not done in time waits in the spool, which is no failure */
    if (instance->recorder)
        instance->recorder_library->stop(instance->recorder, milliseconds);
    instance->recorder = NULL;
    return 0;
}
