/* The one exported symbol, and the instance behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/plugin_internal.h"
#include "recorder/base/log.h"

void plugin_log(void *context, int level, const char *line)
{
    const struct recording_host *host = context;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (RECORDING_HAS(host, log_context) && host->log)
        host->log(host->log_context, level, line);
    else
        fprintf(stderr, "castbucket: %s: %s\n", names[level & 3], line);
}

static void log_to_host(void *context, enum log_level level, const char *line)
{
    plugin_log(context, (int)level, line);
}

int plugin_fail(struct recording_error *to, const struct error *error)
{
    if (to && RECORDING_HAS(to, text))
        snprintf(to->text, sizeof(to->text), "%s", error->text);
    return -1;
}

static char *absolute(const char *path)
{
    char *folder = NULL, *whole = NULL;
    if (path[0] == '/')
        return strdup(path);
    folder = getcwd(NULL, 0);
    if (folder && asprintf(&whole, "%s/%s", folder, path) < 0)
        whole = NULL;
    free(folder);
    return whole;
}

static void destroy(struct recording_instance *instance)
{
    if (!instance)
        return;
    plugin_quiesce(instance, 0, NULL);
    plugin_spools_free(instance);
    settings_watch_free(instance->watch);
    pthread_mutex_destroy(&instance->lock);
    free(instance->settings_path);
    log_output_remove(&instance->log);
    free(instance);
}

static int create(const struct recording_host *host, const char *settings,
                  struct recording_instance **instance, struct recording_error *error)
{
    struct error cause = ERROR_INIT;
    union {
        const struct recording_host *host;
        void *context;
    } sink = {.host = host};
    *instance = NULL;
    if (!settings)
        settings = secure_getenv(SETTINGS_ENVIRONMENT);
    if (!settings || !*settings)
        settings = SETTINGS_DEFAULT_PATH;

    struct recording_instance *made = calloc(1, sizeof(*made));
    if (!made) {
        error_set(&cause, ERR_NO_MEMORY, "no memory");
        return plugin_fail(error, &cause);
    }
    pthread_mutex_init(&made->lock, NULL);
    made->host = host;
    made->settings_path = absolute(settings);
    if (!made->settings_path) {
        error_set(&cause, ERR_NO_MEMORY, "%s: cannot make the path absolute", settings);
        goto failed;
    }
    made->log = (struct log_output){.sink = log_to_host, .context = sink.context};
    log_output_add(&made->log);
    if (settings_watch_new(made->settings_path, &made->watch, &cause))
        goto failed;
    *instance = made;
    return 0;
failed:
    destroy(made);
    return plugin_fail(error, &cause);
}

static const struct recording_plugin plugin = {
    .size = sizeof(plugin),
    .major = RECORDING_PLUGIN_MAJOR,
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "castbucket",
    .version = CASTBUCKET_VERSION,
    .create = create,
    .start = plugin_start,
    .session_open = plugin_session_open,
    .output = plugin_output,
    .input = plugin_input,
    .resize = plugin_resize,
    .marker = plugin_marker,
    .session_close = plugin_session_close,
    .quiesce = plugin_quiesce,
    .destroy = destroy,
};

__attribute__((visibility("default"))) recording_plugin_entry_fn recording_plugin_entry;

const struct recording_plugin *recording_plugin_entry(const struct recording_host *host,
                                                      struct recording_error *error)
{
    struct error cause = ERROR_INIT;
    if (!host || !RECORDING_HAS(host, minor)) {
        error_set(&cause, ERR_INVALID, "the host does not say its version of the interface");
    } else if (host->major != RECORDING_PLUGIN_MAJOR) {
        error_set(&cause, ERR_INVALID,
                  "castbucket %s speaks version %d.%d of the plugin interface, the host %u.%u",
                  CASTBUCKET_VERSION, RECORDING_PLUGIN_MAJOR, RECORDING_PLUGIN_MINOR, host->major,
                  host->minor);
    }
    if (cause.code) {
        plugin_fail(error, &cause);
        return NULL;
    }
    return &plugin;
}
