#include "hooks/sudo/invocation.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of `name` in a list of "name=value"; NULL when it is not there. */
static const char *value(char *const list[], const char *name)
{
    size_t length = strlen(name);
    for (; list && *list; list++)
        if (strncmp(*list, name, length) == 0 && (*list)[length] == '=')
            return *list + length + 1;
    return NULL;
}

static bool is_true(char *const list[], const char *name)
{
    const char *found = value(list, name);
    return found && strcmp(found, "true") == 0;
}

static uint32_t number(char *const list[], const char *name)
{
    const char *found = value(list, name);
    unsigned long read = found ? strtoul(found, NULL, 10) : 0;
    return read > UINT16_MAX ? UINT16_MAX : (uint32_t)read;
}

int sudo_options_parse(struct sudo_options *options, char *const words[],
                       struct recording_error *error)
{
    const struct {
        const char *name;
        const char **to;
    } known[] = {
        {"plugin", &options->plugin},
        {"settings", &options->settings},
        {"socket", &options->socket},
    };
    *options = (struct sudo_options){.plugin = CASTBUCKET_LIBDIR "/castbucket.so"};
    for (; words && *words; words++) {
        size_t i = 0;
        while (i < 3 && !value((char *const[]){*words, NULL}, known[i].name))
            i++;
        if (i == 3) {
            snprintf(error->text, sizeof(error->text),
                     "sudo.conf: castbucket_io has no option '%s'; it has plugin=FILE, "
                     "settings=FILE and socket=NAME",
                     *words);
            return -1;
        }
        *known[i].to = strchr(*words, '=') + 1;
    }
    if (!options->socket || !*options->socket) {
        snprintf(error->text, sizeof(error->text),
                 "sudo.conf: castbucket_io needs socket=NAME, a socket of castbucket's settings");
        return -1;
    }
    return 0;
}

/* A word as a person would have typed it into a shell. */
static void put_word(FILE *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, to);
        return;
    }
    fputc('\'', to);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", to);
        else
            fputc(*word, to);
    }
    fputc('\'', to);
}

static char *command_line(const struct sudo_lists *lists)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    if (!to)
        return NULL;
    /* The resolved path, because argv[0] is what the command is told of itself. */
    const char *path = value(lists->command_info, "command");
    put_word(to, path ? path : lists->argv[0]);
    for (int i = 1; i < lists->argc; i++) {
        fputc(' ', to);
        put_word(to, lists->argv[i]);
    }
    bool failed = ferror(to);
    if (fclose(to) || failed) {
        free(text);
        return NULL;
    }
    return text;
}

static void find_target_user(struct invocation *invocation, const struct sudo_lists *lists)
{
    const char *uid = value(lists->command_info, "runas_uid");
    const struct passwd *user = uid ? getpwuid((uid_t)strtoul(uid, NULL, 10)) : NULL;
    snprintf(invocation->target_user, sizeof(invocation->target_user), "%s",
             user  ? user->pw_name
             : uid ? uid
                   : "");
}

int invocation_describe(struct invocation *invocation, const struct sudo_lists *lists,
                        const char *socket)
{
    *invocation = (struct invocation){0};
    const char *tty = value(lists->user_info, "tty"), *process = value(lists->user_info, "pid");
    const char *session = value(lists->user_info, "sid");
    bool shell = lists->argc == 1 &&
                 (is_true(lists->settings, "run_shell") || is_true(lists->settings, "login_shell"));
    if (!shell && !(invocation->command = command_line(lists)))
        return -1;
    find_target_user(invocation, lists);
    snprintf(invocation->connection, sizeof(invocation->connection),
             "sudo process %s session %s terminal %s", process ? process : "unknown",
             session ? session : "unknown", tty ? tty : "none");
    invocation->info = (struct recording_session_info){
        .size = sizeof(invocation->info),
        .socket = socket,
        .user = value(lists->user_info, "user"),
        .target_user = invocation->target_user[0] ? invocation->target_user : NULL,
        .target_address = value(lists->user_info, "host"),
        .command = invocation->command,
        .connection_id = invocation->connection,
        .kind = shell ? RECORDING_SHELL : RECORDING_EXEC,
        .has_terminal = tty != NULL,
        .columns = tty ? number(lists->user_info, "cols") : 0,
        .rows = tty ? number(lists->user_info, "lines") : 0,
    };
    return 0;
}

void invocation_free(struct invocation *invocation)
{
    free(invocation->command);
    *invocation = (struct invocation){0};
}
