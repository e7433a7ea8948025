#include "hooks/shell/facts.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hooks/shell/environment.h"
#include "hooks/shell/origin.h"
#include "hooks/shell/privileges.h"

void facts_user(char user[FACTS_USER_SIZE])
{
    const struct passwd *account = getpwuid(getuid());
    if (account)
        snprintf(user, FACTS_USER_SIZE, "%s", account->pw_name);
    else
        snprintf(user, FACTS_USER_SIZE, "%lu", (unsigned long)getuid());
}

/* sshd(8): SSH_CONNECTION is "client-address client-port server-address server-port". */
static void connection_of_sshd(struct facts *facts)
{
    char address[64], port[8];
    const char *connection = environment_get("SSH_CONNECTION");
    const char *proof = environment_get("SSH_USER_AUTH");
    if (connection && sscanf(connection, "%63s %7s", address, port) == 2) {
        bool v6 = strchr(address, ':') != NULL;
        snprintf(facts->client, sizeof(facts->client), v6 ? "[%s]:%s" : "%s:%s", address, port);
        snprintf(facts->connection, sizeof(facts->connection), "%s", connection);
    }
    if (proof) {
        privileges_files_of_person();
        authentication_read(&facts->authentication, proof);
        privileges_files_of_recorder();
    }
}

int facts_gather(struct facts *facts, const char *socket, const struct request *request,
                 const struct winsize *size)
{
    struct origin origin = {.sshd = true}; /* without separation there is nobody to mistrust */
    *facts = (struct facts){0};
    facts_user(facts->user);
    if (privileges_separate())
        origin_find(&origin, privileges_recorder());
    if (origin.nested >= ORIGIN_MOST_NESTED) {
        fprintf(
            stderr,
            "castbucket-shell: refused: it runs within itself %d times; is it, or does it start, "
            "the shell of shell.conf(5)?\n",
            origin.nested);
        return -1;
    }
    if (origin.sshd)
        connection_of_sshd(facts);
    if (!facts->connection[0] && origin.within)
        snprintf(facts->connection, sizeof(facts->connection), "process %ld, within process %ld",
                 (long)getpid(), (long)origin.within);
    else if (!facts->connection[0])
        snprintf(facts->connection, sizeof(facts->connection), "process %ld", (long)getpid());
    facts->info = (struct recording_session_info){
        .size = sizeof(facts->info),
        .socket = socket,
        .user = facts->user,
        .key_fingerprint = facts->authentication.fingerprint[0] ? facts->authentication.fingerprint
                                                                : NULL,
        .target_user = facts->user,
        .client_address = facts->client[0] ? facts->client : NULL,
        .command = request->recorded,
        .term = size ? environment_get("TERM") : NULL,
        .connection_id = facts->connection,
        .kind = request->kind,
        .has_terminal = size != NULL,
        .columns = size ? size->ws_col : 0,
        .rows = size ? size->ws_row : 0,
    };
    return 0;
}
