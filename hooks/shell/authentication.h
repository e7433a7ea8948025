/* How somebody proved to sshd who they are: the file that `ExposeAuthInfo yes` makes, and that
 * SSH_USER_AUTH names. sshd(8) writes a line for each method that succeeded: its name, and for a
 * public key its type and base64. */
#ifndef CASTBUCKET_HOOKS_SHELL_AUTHENTICATION_H
#define CASTBUCKET_HOOKS_SHELL_AUTHENTICATION_H

struct authentication {
    char fingerprint[64]; /* "SHA256:..." of the last key, a certificate's own; "": none */
    char marker[512];     /* "authenticated by ..."; "": unknown */
};

/* Reads it with the person's rights (privileges.h), to whom it belongs. What is not as sshd writes
 * it counts as not there. */
void authentication_read(struct authentication *authentication, const char *path);

#endif
