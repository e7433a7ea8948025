/* Security Token Service: AssumeRole. */
#ifndef CASTBUCKET_AWS_STS_H
#define CASTBUCKET_AWS_STS_H

#include "recorder/aws/credentials.h"
#include "recorder/aws/http.h"
#include "recorder/base/clock.h"
#include "recorder/base/error.h"

struct sts_role {
    const char *role_arn;      /* 20 to 2048 characters */
    const char *external_id;   /* "" : left out; else 2 to 1224 of [\w+=,.@:\/-] */
    const char *session_name;  /* any text; what STS does not allow becomes '-', cut at 64 */
    const char *policy;        /* "" : none; at most 2048 characters of JSON */
    unsigned duration_seconds; /* 900 to 43200 */
    const char *endpoint; /* "" : https://sts.REGION.amazonaws.com; else http(s)://host[:port] */
    const char *region;   /* to sign for; "" : us-east-1 */
};

/* One request. Errors: ERR_DENIED names the role and what to look at (trust policy, external ID,
 * sts:AssumeRole for our principal); ERR_RETRY for throttling, 5xx and network. A
 * RequestTimeTooSkewed answer is tried once more with the server's Date. */
__attribute__((warn_unused_result)) int
sts_assume_role(struct http_client *client, const struct aws_credentials *base,
                const struct sts_role *role, const struct clock *clock,
                struct aws_credentials *credentials, struct error *error);

/* Credentials of one role, kept and refreshed: early (when a quarter of their life is left, at
 * least 5 s and at most 5 minutes before the end), by one request at a time while others wait
 * outside the lock or, as long as they are valid, go on with the old ones. A refusal is remembered
 * for a short time, so that a failing role is not asked at each upload. Any thread. */
struct sts_session;

/* Copies `role` and its strings. `client` and `clock` must outlive it. */
__attribute__((warn_unused_result)) int
sts_session_new(struct http_client *client, const struct sts_role *role, const struct clock *clock,
                struct sts_session **session, struct error *error);

/* Copies out credentials that are valid now. */
__attribute__((warn_unused_result)) int sts_session_get(struct sts_session *session,
                                                        struct aws_credentials *credentials,
                                                        struct error *error);

/* Says that the store refused these credentials as expired: if they are still the current ones, the
 * next get asks anew. */
void sts_session_expired(struct sts_session *session, const struct aws_credentials *credentials);

void sts_session_free(struct sts_session *session);

#endif
