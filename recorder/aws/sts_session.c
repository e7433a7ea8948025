#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/aws/sts.h"

/* How long a failure is given again without asking. */
#define REMEMBER_NS (5 * NS_PER_SECOND)

#define EARLIEST_NS (300 * NS_PER_SECOND)
#define LATEST_NS (5 * NS_PER_SECOND)

struct sts_session {
    struct http_client *client;
    const struct clock *clock;
    struct sts_role role; /* its strings are this struct's own */

    pthread_mutex_t lock;
    pthread_cond_t refreshed;
    bool refreshing;                    /* one caller is asking STS, without the lock */
    unsigned long asks;                 /* finished so far: tells waiters that theirs is over */
    struct aws_credentials credentials; /* access_key_id "": none */
    int64_t refresh_ns;                 /* wall clock: from then on, ask for new ones */

    struct error failure; /* of the last ask; code 0: it went well */
    int64_t quiet_until;  /* monotonic: until then the failure is given without asking */
};

static void free_role(struct sts_role *role)
{
    /* The const is the interface's; the strings were made here. */
    const char *strings[] = {role->role_arn, role->external_id, role->session_name,
                             role->policy,   role->endpoint,    role->region};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        free((void *)(uintptr_t)strings[i]);
}

int sts_session_new(struct http_client *client, const struct sts_role *role,
                    const struct clock *clock, struct sts_session **out, struct error *error)
{
    struct sts_session *session = calloc(1, sizeof(*session));
    if (!session)
        return error_set(error, ERR_NO_MEMORY, "no memory for a role's session");
    session->client = client;
    session->clock = clock;
    session->role = (struct sts_role){.role_arn = strdup(role->role_arn),
                                      .external_id = strdup(role->external_id),
                                      .session_name = strdup(role->session_name),
                                      .policy = strdup(role->policy),
                                      .duration_seconds = role->duration_seconds,
                                      .endpoint = strdup(role->endpoint),
                                      .region = strdup(role->region)};
    const struct sts_role *copy = &session->role;
    pthread_mutex_init(&session->lock, NULL);
    pthread_cond_init(&session->refreshed, NULL);
    if (!copy->role_arn || !copy->external_id || !copy->session_name || !copy->policy ||
        !copy->endpoint || !copy->region) {
        sts_session_free(session);
        return error_set(error, ERR_NO_MEMORY, "no memory for a role's session");
    }
    *out = session;
    return 0;
}

void sts_session_free(struct sts_session *session)
{
    if (!session)
        return;
    free_role(&session->role);
    aws_credentials_cleanse(&session->credentials);
    pthread_cond_destroy(&session->refreshed);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

/* With the lock held. */
static bool is_valid(const struct sts_session *session)
{
    return session->credentials.access_key_id[0] &&
           clock_wall_ns(session->clock) < session->credentials.expires_ns;
}

/* With the lock held. */
static bool is_fresh(const struct sts_session *session)
{
    return is_valid(session) && clock_wall_ns(session->clock) < session->refresh_ns;
}

/* With the lock held; lets go of it while STS is asked. */
static void refresh(struct sts_session *session)
{
    struct aws_credentials base, fresh;
    struct error error = ERROR_INIT;
    session->refreshing = true;
    pthread_mutex_unlock(&session->lock);

    int rc = aws_credentials_base(session->client, &base, &error);
    if (rc == 0)
        rc = sts_assume_role(session->client, &base, &session->role, session->clock, &fresh,
                             &error);
    aws_credentials_cleanse(&base);

    pthread_mutex_lock(&session->lock);
    session->refreshing = false;
    session->asks++;
    session->failure = error;
    session->failure.code = rc;
    if (rc == 0) {
        int64_t left = fresh.expires_ns - clock_wall_ns(session->clock), early = left / 4;
        if (early > EARLIEST_NS)
            early = EARLIEST_NS;
        if (early < LATEST_NS)
            early = LATEST_NS;
        session->credentials = fresh;
        session->refresh_ns = fresh.expires_ns - early;
        aws_credentials_cleanse(&fresh);
    } else {
        /* A passing failure may be asked about again at once, unless the old ones still do. */
        bool passing = rc == ERR_RETRY || rc == ERR_CANCELLED || rc == ERR_NO_MEMORY;
        int64_t quiet = passing && !is_valid(session) ? 0 : REMEMBER_NS;
        session->quiet_until = clock_monotonic_ns(session->clock) + quiet;
    }
    pthread_cond_broadcast(&session->refreshed);
}

int sts_session_get(struct sts_session *session, struct aws_credentials *credentials,
                    struct error *error)
{
    int rc = 0;
    pthread_mutex_lock(&session->lock);
    bool quiet = session->failure.code && clock_monotonic_ns(session->clock) < session->quiet_until;
    if (!is_fresh(session) && !quiet) {
        if (!session->refreshing) {
            refresh(session);
        } else if (!is_valid(session)) {
            unsigned long before = session->asks;
            while (session->asks == before)
                pthread_cond_wait(&session->refreshed, &session->lock);
        }
    }
    if (is_valid(session)) {
        *credentials = session->credentials;
    } else if (session->failure.code) {
        rc = session->failure.code;
        if (error)
            *error = session->failure;
    } else {
        rc = error_set(error, ERR_RETRY,
                       "the credentials for %.300s ended as soon as they came; check this "
                       "machine's clock",
                       session->role.role_arn);
    }
    pthread_mutex_unlock(&session->lock);
    return rc;
}

void sts_session_expired(struct sts_session *session, const struct aws_credentials *credentials)
{
    pthread_mutex_lock(&session->lock);
    if (strcmp(session->credentials.access_key_id, credentials->access_key_id) == 0 &&
        strcmp(session->credentials.session_token, credentials->session_token) == 0)
        aws_credentials_cleanse(&session->credentials);
    pthread_mutex_unlock(&session->lock);
}
