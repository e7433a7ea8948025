#include "hooks/common/plugin_host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/common/answer.h"

__attribute__((format(printf, 2, 3))) static int refuse(struct recording_error *error,
                                                        const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
    }
    return -1;
}

/* A plugin's own words, kept to one line whatever it wrote. */
static const char *words(struct recording_error *error)
{
    answer_one_line(error->text, sizeof(error->text));
    return error->text[0] ? error->text : "it gave no reason";
}

/* Up to quiesce and destroy, the table of 1.0 is needed whole. */
static int check_table(const char *path, const struct recording_plugin *plugin,
                       struct recording_error *error)
{
    if (!RECORDING_HAS(plugin, minor))
        return refuse(error, "plugin %s: its table of %zu bytes says no version", path,
                      plugin->size);
    if (plugin->major != RECORDING_PLUGIN_MAJOR)
        return refuse(error,
                      "plugin %s: it speaks version %u.%u of the plugin interface, this program "
                      "%d.%d; install the plugin that belongs to this program",
                      path, plugin->major, plugin->minor, RECORDING_PLUGIN_MAJOR,
                      RECORDING_PLUGIN_MINOR);
    if (!RECORDING_HAS(plugin, destroy))
        return refuse(error,
                      "plugin %s: its table has %zu bytes, version %u.%u of the plugin interface "
                      "needs %zu",
                      path, plugin->size, plugin->major, plugin->minor,
                      offsetof(struct recording_plugin, destroy) + sizeof(plugin->destroy));
    if (!plugin->create || !plugin->start || !plugin->session_open || !plugin->output ||
        !plugin->input || !plugin->resize || !plugin->marker || !plugin->session_close ||
        !plugin->quiesce || !plugin->destroy)
        return refuse(error, "plugin %s: a function is missing from its table", path);
    return 0;
}

int plugin_host_load(struct plugin_host *host, const char *path, const char *settings,
                     const char *name, struct recording_error *error)
{
    union {
        void *address;
        recording_plugin_entry_fn *function;
    } entry;
    struct recording_error reason = {.size = sizeof(reason)};
    int rc = -1;
    *host = (struct plugin_host){.host = {.size = sizeof(host->host),
                                          .major = RECORDING_PLUGIN_MAJOR,
                                          .minor = RECORDING_PLUGIN_MINOR,
                                          .name = name,
                                          .version = CASTBUCKET_VERSION,
                                          .log = host->host.log,
                                          .log_context = host->host.log_context}};

    /* dlopen() searches the library path for a name without a slash; a plugin is a file. */
    char *file = NULL;
    if (asprintf(&file, "%s%s", strchr(path, '/') ? "" : "./", path) < 0) {
        file = NULL;
        refuse(error, "plugin %s: no memory", path);
        goto out;
    }
    /* By the effective user: the host may be sudo. */
    if (faccessat(AT_FDCWD, file, R_OK, AT_EACCESS)) {
        refuse(error, "plugin %s: %m", path);
        goto out;
    }
    host->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!host->library) {
        refuse(error, "plugin %s: cannot load it: %s", path, dlerror());
        goto out;
    }
    entry.address = dlsym(host->library, RECORDING_PLUGIN_SYMBOL);
    if (!entry.address) {
        refuse(error, "plugin %s: it is not a recording plugin: it has no symbol %s", path,
               RECORDING_PLUGIN_SYMBOL);
        goto out;
    }
    host->plugin = entry.function(&host->host, &reason);
    if (!host->plugin) {
        refuse(error, "plugin %s: it refuses this program: %s", path, words(&reason));
        goto out;
    }
    if (check_table(path, host->plugin, error))
        goto out;
    if (host->plugin->create(&host->host, settings, &host->instance, &reason)) {
        host->instance = NULL;
        refuse(error, "plugin %s: %s", path, words(&reason));
        goto out;
    }
    rc = 0;
out:
    free(file);
    if (rc) {
        if (host->library)
            dlclose(host->library);
        *host = (struct plugin_host){0};
    }
    return rc;
}

void plugin_host_unload(struct plugin_host *host)
{
    if (host->plugin)
        host->plugin->destroy(host->instance);
    if (host->library)
        dlclose(host->library);
    *host = (struct plugin_host){0};
}
