/* A host with very many sessions at once, for tests: it loads the plugin as every host does and
 * does what the lines on its standard input say, each answered by one line.
 *
 *     many_sessions PLUGIN SETTINGS SOCKET
 *
 *     open N          opens N sessions more       "ok SECONDS", or "refused COUNT REASON"
 *     start           plugin start                "ok SECONDS"
 *     print TEXT      each session outputs "ID TEXT\r\n", and is told that "TEXT\n" was typed
 *     one I BYTES     session I outputs so many bytes, in blocks of 64 KiB
 *     list            "ok ID ID ..." in the order of opening
 *     close N         closes N sessions, the newest first, each with exit status 0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hooks/common/plugin_host.h"

#define MOST 100000

struct one {
    struct recording_session *session;
    char id[64];
};

static struct one *sessions;
static size_t count;
static struct plugin_host host;

/* Ten thousand lines that say that a session opened are no use to a test. */
static void log_line(void *context, int level, const char *line)
{
    (void)context;
    if (level <= RECORDING_LOG_WARNING)
        fprintf(stderr, "%s\n", line);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void say(double begun)
{
    printf("ok %.6f\n", seconds() - begun);
}

static void open_many(const char *socket, size_t more)
{
    char connection[32];
    struct recording_answer answer = {.size = sizeof(answer)};
    struct recording_session_info info = {.size = sizeof(info),
                                          .socket = socket,
                                          .user = "alice",
                                          .target_user = "deploy",
                                          .target_address = "web-1.internal:22",
                                          .client_address = "192.0.2.7:50122",
                                          .term = "xterm-256color",
                                          .connection_id = connection,
                                          .kind = RECORDING_SHELL,
                                          .has_terminal = 1,
                                          .columns = 80,
                                          .rows = 24};
    double begun = seconds();
    for (size_t i = 0; i < more && count < MOST; i++) {
        snprintf(connection, sizeof(connection), "c%zu", count);
        struct one *one = &sessions[count];
        host.plugin->session_open(host.instance, &info, &one->session, &answer);
        if (answer.decision != RECORDING_RECORD) {
            printf("refused %zu %s\n", count, answer.reason);
            return;
        }
        memcpy(one->id, answer.session_id, sizeof(one->id));
        count++;
    }
    say(begun);
}

static int print_all(const char *text)
{
    char line[512], typed[512];
    int worst = RECORDING_CONTINUE;
    snprintf(typed, sizeof(typed), "%s\n", text);
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(line, sizeof(line), "%s %s\r\n", sessions[i].id, text);
        int verdict = host.plugin->input(sessions[i].session, typed, strlen(typed));
        worst = verdict > worst ? verdict : worst;
        verdict = host.plugin->output(sessions[i].session, RECORDING_STDOUT, line, (size_t)length);
        worst = verdict > worst ? verdict : worst;
    }
    return worst;
}

static int print_one(size_t index, size_t bytes)
{
    static char block[64 << 10];
    int worst = RECORDING_CONTINUE;
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i % 64 == 63 ? '\n' : 'a' + (i / 64 + i) % 26);
    while (index < count && bytes) {
        size_t length = bytes < sizeof(block) ? bytes : sizeof(block);
        int verdict = host.plugin->output(sessions[index].session, RECORDING_STDOUT, block, length);
        worst = verdict > worst ? verdict : worst;
        bytes -= length;
    }
    return worst;
}

static int close_many(size_t fewer)
{
    const struct recording_exit how = {.size = sizeof(how), .end = RECORDING_EXITED};
    int worst = RECORDING_CONTINUE;
    while (fewer-- && count) {
        int verdict = host.plugin->session_close(sessions[--count].session, &how);
        worst = verdict > worst ? verdict : worst;
    }
    return worst;
}

static void answer(int verdict, double begun)
{
    if (verdict == RECORDING_CONTINUE)
        say(begun);
    else
        printf("verdict %d\n", verdict);
}

static void obey(const char *socket, char *line)
{
    struct recording_error error = {.size = sizeof(error)};
    size_t number = 0, bytes = 0;
    double begun = seconds();
    if (sscanf(line, "open %zu", &number) == 1) {
        open_many(socket, number);
    } else if (strcmp(line, "start") == 0) {
        if (host.plugin->start(host.instance, &error))
            printf("failed %s\n", error.text);
        else
            say(begun);
    } else if (strncmp(line, "print ", 6) == 0) {
        answer(print_all(line + 6), begun);
    } else if (sscanf(line, "one %zu %zu", &number, &bytes) == 2) {
        answer(print_one(number, bytes), begun);
    } else if (strcmp(line, "list") == 0) {
        printf("ok");
        for (size_t i = 0; i < count; i++)
            printf(" %s", sessions[i].id);
        printf("\n");
    } else if (sscanf(line, "close %zu", &number) == 1) {
        answer(close_many(number), begun);
    } else {
        printf("failed '%s' is no command\n", line);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct recording_error error = {.size = sizeof(error)};
    char line[512];
    if (argc != 4) {
        fprintf(stderr, "usage: many_sessions PLUGIN SETTINGS SOCKET\n");
        return 2;
    }
    sessions = calloc(MOST, sizeof(*sessions));
    if (!sessions || plugin_host_load(&host, argv[1], argv[2], "many_sessions", &error)) {
        fprintf(stderr, "many_sessions: %s\n", sessions ? error.text : "no memory");
        return 1;
    }
    host.host.log = log_line;
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        obey(argv[3], line);
    }
    host.plugin->quiesce(host.instance, 60000, NULL);
    plugin_host_unload(&host);
    free(sessions);
    return 0;
}
