#include "hooks/shell/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks/shell/options.h"
#include "hooks/shell/sftp.h"

#define BLANK " \t\r\n"
#define SEPARATORS ";&|\n"

/* The word at `p`, behind `exec` and quotes: its last part, without a path. */
static const char *program_word(const char *p, size_t *length)
{
    p += strspn(p, BLANK "'\"({");
    if (strncmp(p, "exec", 4) == 0 && p[4] && strchr(BLANK, p[4]))
        p += 4 + strspn(p + 4, BLANK "'\"");
    *length = strcspn(p, BLANK SEPARATORS "'\")}<>");
    for (const char *slash; (slash = memchr(p, '/', *length));) {
        *length -= (size_t)(slash + 1 - p);
        p = slash + 1;
    }
    return p;
}

static bool is_word(const char *p, size_t length, const char *word)
{
    return length == strlen(word) && strncmp(p, word, length) == 0;
}

static bool is_ourselves(const char *command)
{
    size_t length;
    const char *word = program_word(command, &length);
    return is_word(word, length, "castbucket-shell") &&
           word[length + strspn(word + length, BLANK)] == '\0';
}

static bool starts_mosh(const char *command)
{
    for (const char *p = command; *p; p += strspn(p, SEPARATORS)) {
        size_t length;
        const char *word = program_word(p, &length);
        if (is_word(word, length, "mosh-server"))
            return true;
        p += strcspn(p, SEPARATORS);
    }
    return false;
}

bool request_take(struct request *request, const char *command, const char *original, int *status)
{
    *request = (struct request){.kind = RECORDING_SHELL};
    bool forced = !command || is_ourselves(command);
    request->run = forced ? original : command;
    if (!request->run)
        return true;
    request->kind = RECORDING_EXEC;
    request->recorded = request->run;
    size_t length;
    const char *word = program_word(request->run, &length);
    if (is_word(word, length, "sftp-server")) { /* how sshd asks a login shell for SFTP */
        request->recorded = "sftp";
        request->kind = RECORDING_SUBSYSTEM;
    }
    if (starts_mosh(request->run)) {
        fputs("castbucket-shell: refused: mosh-server would show a terminal of its own to the "
              "network, "
              "past the recording; use ssh\n",
              stderr);
        *status = EXIT_REFUSED;
        return false;
    }
    if (forced && sftp_is_internal(request->run)) {
        request->run = request->made = sftp_command(request->run);
        request->recorded = "sftp";
        request->kind = RECORDING_SUBSYSTEM;
        *status = EXIT_NOT_STARTED;
    }
    return request->run != NULL;
}

void request_free(struct request *request)
{
    free(request->made);
    *request = (struct request){0};
}
