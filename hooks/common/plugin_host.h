/* Loading a recording plugin, the same for every host: dlopen, negotiate, create. */
#ifndef CASTBUCKET_HOOKS_PLUGIN_HOST_H
#define CASTBUCKET_HOOKS_PLUGIN_HOST_H

#include "plugin/recording_plugin.h"

struct plugin_host {
    struct recording_host host;
    const struct recording_plugin *plugin;
    struct recording_instance *instance;
    void *library;
};

/* Loads `path`, checks that its major and its table fit, and calls create with `settings`.
 * `name` is the host's own. Returns 0, or -1 with one line in `error` that names the file and what
 * is wrong with it (missing, not a plugin, another ABI: both versions are said, or create's own
 * words). On failure nothing stays loaded or allocated.
 * `host` is zero but for host.log and host.log_context, which are kept (NULL: standard error).
 * The struct must not move while it is loaded: the plugin holds a pointer into it. */
int plugin_host_load(struct plugin_host *host, const char *path, const char *settings,
                     const char *name, struct recording_error *error);

/* destroy. The library itself stays mapped (it is linked -z nodelete). */
void plugin_host_unload(struct plugin_host *host);

#endif
