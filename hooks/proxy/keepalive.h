/* Whether a peer is still there. One from which nothing came for a while is asked, by a global
 * request that every SSH program answers, and is given up when it stays silent. */
#ifndef CASTBUCKET_PROXY_KEEPALIVE_H
#define CASTBUCKET_PROXY_KEEPALIVE_H

#include <libssh/libssh.h>
#include <stdbool.h>
#include <stdint.h>

#include "hooks/proxy/config.h"

struct keepalive {
    int64_t heard_ms; /* when something came, or when waiting began */
    bool asked;       /* no answer yet */
};

/* Something came, or could not have. */
void keepalive_heard(struct keepalive *keepalive, int64_t now_ms);

/* Asks if it is time, and `may_ask` (no other global request is under way). Returns false when the
 * peer has been silent for too long. */
bool keepalive_step(struct keepalive *keepalive, const struct proxy_config *config,
                    ssh_session session, int64_t now_ms, bool may_ask);

/* Whether the session has no question of ours open. Others of its global requests have to wait for
 * that: libssh has room for one. */
bool keepalive_is_quiet(struct keepalive *keepalive, ssh_session session, int64_t now_ms);

/* When to call keepalive_step() at the latest; INT64_MAX: never. */
int64_t keepalive_due_ms(const struct keepalive *keepalive, const struct proxy_config *config);

#endif
