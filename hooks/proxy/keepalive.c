#include "hooks/proxy/keepalive.h"

#include <libssh/server.h>

void keepalive_heard(struct keepalive *keepalive, int64_t now_ms)
{
    keepalive->heard_ms = now_ms;
}

/* libssh does not say whether the answer came, and goes on to count it as outstanding. But any
 * global request that is made while one is outstanding asks only about that one, and sends
 * nothing. */
bool keepalive_is_quiet(struct keepalive *keepalive, ssh_session session, int64_t now_ms)
{
    if (keepalive->asked && ssh_channel_cancel_forward(session, "", 0) != SSH_AGAIN) {
        keepalive->asked = false;
        keepalive->heard_ms = now_ms;
    }
    return !keepalive->asked;
}

bool keepalive_step(struct keepalive *keepalive, const struct proxy_config *config,
                    ssh_session session, int64_t now_ms, bool may_ask)
{
    int64_t interval = (int64_t)config->keepalive_interval * 1000;
    bool quiet = keepalive_is_quiet(keepalive, session, now_ms);
    if (interval == 0 || now_ms - keepalive->heard_ms < interval)
        return true;
    if (quiet && may_ask) {
        keepalive->asked = true;
        ssh_send_keepalive(session);
    }
    return now_ms - keepalive->heard_ms < interval * config->keepalive_count;
}

int64_t keepalive_due_ms(const struct keepalive *keepalive, const struct proxy_config *config)
{
    int64_t interval = (int64_t)config->keepalive_interval * 1000;
    if (interval == 0)
        return INT64_MAX;
    return keepalive->heard_ms + interval * (keepalive->asked ? config->keepalive_count : 1);
}
