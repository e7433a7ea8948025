/* Which sessions are file transfers. Also for the host's side: loads nothing. */
#ifndef CASTBUCKET_TRANSFER_TRANSFER_PROTOCOL_H
#define CASTBUCKET_TRANSFER_TRANSFER_PROTOCOL_H

#include <stdbool.h>

enum transfer_protocol {
    TRANSFER_NONE = 0,
    TRANSFER_SFTP = 1,
    TRANSFER_SCP_TO = 2,   /* scp's old protocol, `scp -t`: the far side receives */
    TRANSFER_SCP_FROM = 3, /* `scp -f`: the far side sends */
    TRANSFER_RSYNC = 4,
    TRANSFER_GIT = 5,
};

/* By what was asked to run. Only what names the program itself and holds nothing that a shell would
 * take as a second command is a transfer: all else is recorded as it is. */
enum transfer_protocol transfer_protocol_of_subsystem(const char *name);
enum transfer_protocol transfer_protocol_of_command(const char *command);

/* "sftp", "scp", "rsync", "git"; "" for TRANSFER_NONE. */
const char *transfer_protocol_name(enum transfer_protocol protocol);

/* What a journal remembers it by: tells scp's directions apart. "" for TRANSFER_NONE; the opposite
 * gives TRANSFER_NONE for what is not known. */
const char *transfer_protocol_key(enum transfer_protocol protocol);
enum transfer_protocol transfer_protocol_find(const char *key);

#endif
