/* The two children that carry no person: the recorder, and the check before the start. */
#ifndef CASTBUCKET_PROXY_SERVICE_H
#define CASTBUCKET_PROXY_SERVICE_H

#include "hooks/common/plugin_host.h"
#include "hooks/proxy/config.h"

/* Runs the plugin's background work until SIGTERM. Returns an exit code. */
int service_run(const struct proxy_config *config);

/* Tries all that a connection needs, with its privileges: keys, files, the plugin and its settings.
 * Returns an exit code. */
int service_check(const struct proxy_config *config);

/* Loads the configured plugin; its log goes to ours. `host` must not move while it is loaded.
 * Returns 0, or -1 after it was logged. */
int service_load_plugin(const struct proxy_config *config, struct plugin_host *host);

#endif
