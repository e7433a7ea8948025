#include "hooks/shell/sftp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERNAL "internal-sftp"
#define INTERNAL_LENGTH (sizeof(INTERNAL) - 1)

bool sftp_is_internal(const char *original)
{
    return original && strncmp(original, INTERNAL, INTERNAL_LENGTH) == 0 &&
           strchr(" \t", original[INTERNAL_LENGTH]) != NULL;
}

char *sftp_command(const char *original)
{
    /* Debian; Fedora and its kin; SUSE and Arch; others. */
    static const char *const places[] = {
        "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
        "/usr/lib/ssh/sftp-server",     "/usr/libexec/ssh/sftp-server",
        "/usr/lib64/ssh/sftp-server",   "/usr/libexec/sftp-server",
        "/usr/lib/sftp-server",
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        char *command;
        if (access(places[i], X_OK))
            continue;
        if (asprintf(&command, "exec %s%s", places[i], original + INTERNAL_LENGTH) >= 0)
            return command;
        fputs("castbucket-shell: no memory\n", stderr);
        return NULL;
    }
    fprintf(stderr,
            "castbucket-shell: sshd asks for its internal SFTP server, and in its place there is "
            "no sftp-server in %s or the like: install OpenSSH's (openssh-sftp-server), or let "
            "sshd_config's `Subsystem sftp` name it\n",
            places[0]);
    return NULL;
}
