#include "hooks/proxy/service.h"

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hooks/proxy/child.h"
#include "hooks/proxy/keys.h"
#include "hooks/proxy/log.h"
#include "hooks/proxy/options.h"

/* Less than the parent waits before it kills. */
#define QUIESCE_MS 25000

static void plugin_line(void *context, int level, const char *line)
{
    (void)context;
    log_line(level, "%s", line);
}

int service_load_plugin(const struct proxy_config *config, struct plugin_host *host)
{
    struct recording_error error = {.size = sizeof(error)};
    host->host.log = plugin_line;
    if (plugin_host_load(host, config->plugin, config->settings, PROGRAM, &error) == 0)
        return 0;
    log_error("%s: recording_plugin: %s", config->path, error.text);
    return -1;
}

int service_check(const struct proxy_config *config)
{
    int result = 0;
    struct plugin_host host = {0};
    ssh_bind bind = ssh_bind_new();
    if (!bind)
        return EXIT_RUNTIME;
    if (keys_load_host(config, bind) < 0)
        result = EXIT_USAGE;
    ssh_bind_free(bind);
    if (privileges_drop(config) < 0)
        return EXIT_USAGE;
    if (keys_check(config) < 0)
        result = EXIT_USAGE;
    if (service_load_plugin(config, &host) < 0)
        return EXIT_USAGE;
    plugin_host_unload(&host);
    return result;
}

int service_run(const struct proxy_config *config)
{
    struct plugin_host host = {0};
    struct recording_error error = {.size = sizeof(error)};
    sigset_t stop;
    int number, result = 0;
    pid_t parent = getppid();

    /* Blocked before the plugin has threads, which inherit it. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stop, NULL) < 0 || privileges_drop(config) < 0)
        return EXIT_RUNTIME;
    /* When the parent is killed, the next one starts a recorder of its own: make room for it. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent)
        return EXIT_RUNTIME;
    if (service_load_plugin(config, &host) < 0)
        return EXIT_RUNTIME;
    if (host.plugin->start && host.plugin->start(host.instance, &error) != 0) {
        log_error("the recorder does not start: %s", error.text);
        plugin_host_unload(&host);
        return EXIT_RUNTIME;
    }
    log_info("the recorder runs");
    while (sigwait(&stop, &number) != 0)
        ;
    if (host.plugin->quiesce && host.plugin->quiesce(host.instance, QUIESCE_MS, &error) != 0) {
        log_error("the recorder does not come to rest: %s", error.text);
        result = EXIT_RUNTIME;
    }
    plugin_host_unload(&host);
    return result;
}
