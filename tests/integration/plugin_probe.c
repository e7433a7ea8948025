/* A recording plugin for tests of hosts: independent of castbucket, it includes the public header
 * and nothing else, and writes what it is given into plain files.
 *
 * Its settings are a file of lines:
 *
 *     directory DIR          where the files go
 *     ignore SOCKET          sessions of this socket are not recorded
 *     refuse SOCKET REASON   sessions of this socket are refused
 *     end SOCKET BYTES       output() says END once it has had this many bytes
 *     abort SOCKET           session_open() aborts the process
 *
 * A session N leaves, in DIR: N.info (one "name=value" a line, values with \n and \\ escaped),
 * N.shown (all output in its order), N.stdout, N.stderr, N.input, N.events (resize, marker, and
 * at last the end). DIR/service has what the recorder did. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/recording_plugin.h"

#define MAX_RULES 16

struct rule {
    char verb[16], socket[100], rest[200];
};

struct recording_instance {
    const struct recording_host *host;
    char directory[512];
    struct rule rules[MAX_RULES];
    int rule_count;
};

struct recording_session {
    FILE *shown, *streams[3], *input, *events;
    long long left; /* bytes until END; -1: no end */
};

static atomic_uint counter;

static int fail(struct recording_error *error, const char *what, const char *name)
{
    if (error)
        snprintf(error->text, sizeof(error->text), "probe: %s: %s", name, what);
    return -1;
}

static int create(const struct recording_host *host, const char *settings,
                  struct recording_instance **made, struct recording_error *error)
{
    char line[600];
    FILE *file = settings ? fopen(settings, "re") : NULL;
    if (!file)
        return fail(error, strerror(errno), settings ? settings : "no settings");
    struct recording_instance *instance = calloc(1, sizeof(*instance));
    if (!instance) {
        fclose(file);
        return fail(error, "out of memory", settings);
    }
    instance->host = host;
    while (fgets(line, sizeof(line), file)) {
        struct rule rule = {"", "", ""};
        if (sscanf(line, "directory %511[^\n]", instance->directory) == 1)
            continue;
        if (instance->rule_count < MAX_RULES &&
            sscanf(line, "%15s %99s %199[^\n]", rule.verb, rule.socket, rule.rest) >= 2) {
            instance->rules[instance->rule_count++] = rule;
            continue;
        }
        fclose(file);
        free(instance);
        line[strcspn(line, "\n")] = '\0';
        return fail(error, line, settings);
    }
    fclose(file);
    *made = instance;
    return 0;
}

static const struct rule *find(const struct recording_instance *instance, const char *verb,
                               const char *socket)
{
    for (int i = 0; i < instance->rule_count; i++)
        if (strcmp(instance->rules[i].verb, verb) == 0 && socket &&
            strcmp(instance->rules[i].socket, socket) == 0)
            return &instance->rules[i];
    return NULL;
}

static FILE *open_file(const struct recording_instance *instance, const char *id, const char *kind)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s%s%s", instance->directory, id, *kind ? "." : "", kind);
    FILE *file = fopen(path, "ae");
    if (!file)
        abort();
    setvbuf(file, NULL, _IONBF, 0);
    return file;
}

static void note(const struct recording_instance *instance, const char *what)
{
    FILE *file = open_file(instance, "service", "");
    fprintf(file, "%s %d\n", what, (int)getpid());
    fclose(file);
}

static int start(struct recording_instance *instance, struct recording_error *error)
{
    (void)error;
    note(instance, "start");
    return 0;
}

static int quiesce(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error)
{
    (void)milliseconds;
    (void)error;
    note(instance, "quiesce");
    return 0;
}

static void destroy(struct recording_instance *instance)
{
    free(instance);
}

static void put(FILE *file, const char *name, const char *value)
{
    if (!value)
        return;
    fprintf(file, "%s=", name);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", file);
        else if (*value == '\\')
            fputs("\\\\", file);
        else
            fputc(*value, file);
    }
    fputc('\n', file);
}

static void session_open(struct recording_instance *instance,
                         const struct recording_session_info *info, struct recording_session **made,
                         struct recording_answer *answer)
{
    const struct rule *refused = find(instance, "refuse", info->socket);
    const struct rule *end = find(instance, "end", info->socket);
    *made = NULL;
    answer->session_id[0] = answer->reason[0] = '\0';
    if (find(instance, "abort", info->socket))
        abort();
    if (find(instance, "ignore", info->socket)) {
        answer->decision = RECORDING_IGNORE;
        snprintf(answer->reason, sizeof(answer->reason), "recording is off");
        return;
    }
    if (refused) {
        answer->decision = RECORDING_REFUSE;
        snprintf(answer->reason, sizeof(answer->reason), "%s", refused->rest);
        return;
    }
    struct timespec now;
    struct recording_session *session = calloc(1, sizeof(*session));
    if (!session)
        abort();
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(answer->session_id, sizeof(answer->session_id), "%010lld%09ld-%d-%u",
             (long long)now.tv_sec, now.tv_nsec, (int)getpid(), atomic_fetch_add(&counter, 1));
    session->shown = open_file(instance, answer->session_id, "shown");
    session->streams[RECORDING_STDOUT] = open_file(instance, answer->session_id, "stdout");
    session->streams[RECORDING_STDERR] = open_file(instance, answer->session_id, "stderr");
    session->input = open_file(instance, answer->session_id, "input");
    session->events = open_file(instance, answer->session_id, "events");
    session->left = end ? atoll(end->rest) : -1;
    FILE *file = open_file(instance, answer->session_id, "info");
    put(file, "socket", info->socket);
    put(file, "user", info->user);
    put(file, "key_fingerprint", info->key_fingerprint);
    put(file, "target_user", info->target_user);
    put(file, "target_address", info->target_address);
    put(file, "client_address", info->client_address);
    put(file, "command", info->command);
    put(file, "term", info->term);
    put(file, "connection_id", info->connection_id);
    fprintf(file, "kind=%u\nhas_terminal=%u\ncolumns=%u\nrows=%u\npid=%d\n", info->kind,
            info->has_terminal, info->columns, info->rows, (int)getpid());
    fclose(file);
    answer->decision = RECORDING_RECORD;
    *made = session;
}

static int output(struct recording_session *session, int stream, const void *data, size_t length)
{
    if (session->left >= 0 && (long long)length > session->left)
        return RECORDING_END;
    if (session->left >= 0)
        session->left -= (long long)length;
    if (fwrite(data, 1, length, session->shown) != length ||
        fwrite(data, 1, length, session->streams[stream]) != length)
        return RECORDING_END;
    return RECORDING_CONTINUE;
}

static int input(struct recording_session *session, const void *data, size_t length)
{
    return fwrite(data, 1, length, session->input) == length ? RECORDING_CONTINUE : RECORDING_END;
}

static int resize(struct recording_session *session, uint32_t columns, uint32_t rows)
{
    fprintf(session->events, "resize %u %u\n", columns, rows);
    return RECORDING_CONTINUE;
}

static int marker(struct recording_session *session, const char *label)
{
    fprintf(session->events, "marker %s\n", label);
    return RECORDING_CONTINUE;
}

static int session_close(struct recording_session *session, const struct recording_exit *how)
{
    if (!session)
        return RECORDING_CONTINUE;
    if (how->end == RECORDING_EXITED)
        fprintf(session->events, "exited %u\n", how->status);
    else if (how->end == RECORDING_SIGNALED)
        fprintf(session->events, "signaled %s\n", how->signal);
    else
        fprintf(session->events, "lost %s\n", how->message ? how->message : "");
    fclose(session->shown);
    fclose(session->streams[RECORDING_STDOUT]);
    fclose(session->streams[RECORDING_STDERR]);
    fclose(session->input);
    fclose(session->events);
    free(session);
    return RECORDING_CONTINUE;
}

static const struct recording_plugin plugin = {
    .size = sizeof(plugin),
#ifdef PROBE_MAJOR
    .major = PROBE_MAJOR,
#else
    .major = RECORDING_PLUGIN_MAJOR,
#endif
    .minor = RECORDING_PLUGIN_MINOR,
    .name = "probe",
    .version = "1",
    .create = create,
    .start = start,
    .session_open = session_open,
    .output = output,
    .input = input,
    .resize = resize,
    .marker = marker,
    .session_close = session_close,
    .quiesce = quiesce,
    .destroy = destroy,
};

__attribute__((visibility("default"))) recording_plugin_entry_fn recording_plugin_entry;

const struct recording_plugin *recording_plugin_entry(const struct recording_host *host,
                                                      struct recording_error *error)
{
    (void)host;
    (void)error;
    return &plugin;
}
