/* What the benchmarks of the plugin share: the plugin, loaded as a host does, with settings and a
 * spool in bench_folder. */
#ifndef CASTBUCKET_BENCH_PLUGIN_H
#define CASTBUCKET_BENCH_PLUGIN_H

#include <dlfcn.h>

#include "plugin/recording_plugin.h"
#include "tests/bench/bench.h"

static const struct recording_plugin *plugin;
static struct recording_instance *instance;

static void quiet(void *context, int level, const char *line)
{
    (void)context;
    if (level == RECORDING_LOG_ERROR)
        fprintf(stderr, "%s\n", line);
}

static struct recording_host host = {
    .size = sizeof(host),
    .major = RECORDING_PLUGIN_MAJOR,
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "bench",
    .version = "1",
    .log = quiet,
};

static void load_plugin(void)
{
    union {
        void *address;
        recording_plugin_entry_fn *function;
    } entry;
    char path[600], settings[300];
    struct recording_error error = {.size = sizeof(error)};
    const char *build = getenv("BUILD");
    snprintf(path, sizeof(path), "./%s/castbucket.so", build ? build : "build");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    entry.address = library ? dlsym(library, RECORDING_PLUGIN_SYMBOL) : NULL;
    if (!entry.address)
        give_up(path, dlerror());
    snprintf(settings, sizeof(settings), "%s/settings.json", bench_folder);
    FILE *file = fopen(settings, "w");
    if (!file)
        give_up(settings, "cannot be written");
    fprintf(file,
            "{\"version\": 1, \"spool\": \"%s/spool\", \"organizations\": {\"acme\": {\"storage\":"
            "{\"type\": \"directory\", \"path\": \"%s/store\"}}}, \"sockets\": {\"web-1\":"
            "{\"organization\": \"acme\", \"recording\": true}}}",
            bench_folder, bench_folder);
    fclose(file);
    plugin = entry.function(&host, &error);
    if (!plugin || plugin->create(&host, settings, &instance, &error))
        give_up("the plugin", error.text);
}

static struct recording_session *open_recording(struct recording_answer *answer)
{
    struct recording_session_info info = {
        .size = sizeof(info), .socket = "web-1", .user = "alice", .kind = RECORDING_EXEC};
    struct recording_session *session;
    plugin->session_open(instance, &info, &session, answer);
    if (!session)
        give_up("session_open", answer->reason);
    return session;
}

#endif
