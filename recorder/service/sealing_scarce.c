/* Sealing while the disk is full. */
#include "recorder/base/space.h"
#include "recorder/service/sealing_internal.h"

uint64_t sealing_space(const struct sealing *sealing, uint64_t *reserve)
{
    struct space space;
    *reserve = 0;
    if (space_of(spool_area(sealing->spool, SPOOL_SEALED), &space, NULL))
        return UINT64_MAX;
    *reserve = space.reserve;
    return space.available;
}

bool sealing_is_scarce(const struct sealing *sealing)
{
    uint64_t reserve, left = sealing_space(sealing, &reserve);
    return left < reserve;
}

/* Whether it has something due. Notes what is known of it. */
static bool look_at(struct sealing *sealing, struct session *session, int64_t now)
{
    if (!session->sealer && (now < session->retry_at || !sealing_open_session(sealing, session)))
        return false;
    bool due = sealer_due(session->sealer);
    session->ended = session->ended || sealer_ended(session->sealer);
    if (!session->no_space)
        session->left = sealer_left(session->sealer);
    return due;
}

/* The cast of one session is made whole before the next one is begun: only whole ones can be
 * uploaded, and so make space. The one that takes least of it goes first, and if there is too
 * little even for that, the others must not take it. */
static struct session *choose_ended(struct sealing *sealing, int64_t now)
{
    struct session *best = NULL;
    for (size_t i = 0; i < sealing->count && !atomic_load(sealing->options.stop); i++) {
        struct session *session = sealing->sessions[i];
        look_at(sealing, session, now);
        if (session->sealer && session->ended && (session->no_space || now >= session->retry_at) &&
            (!best || session->left < best->left))
            best = session;
    }
    return best;
}

/* A live session's cast grows in the half of the reserve that is not needed to complete others. */
static bool pass_live(struct sealing *sealing, int64_t now, int64_t until)
{
    bool more = false;
    for (size_t i = 0; i < sealing->count && !atomic_load(sealing->options.stop); i++) {
        struct session *session = sealing->sessions[i];
        uint64_t reserve;
        struct error error = ERROR_INIT;
        if (session->done || session->ended || now < session->retry_at ||
            !look_at(sealing, session, now))
            continue;
        if (sealing_space(sealing, &reserve) <= reserve / 2)
            return false;
        more = sealing_run(sealing, session) || more;
        if (session->sealer && sealer_sync(session->sealer, &error))
            sealing_postpone(sealing, session, &error);
        if (clock_monotonic_ns(sealing->clock) >= until)
            return true;
    }
    return more;
}

bool sealing_pass_scarce(struct sealing *sealing, int64_t until)
{
    int64_t now = clock_monotonic_ns(sealing->clock);
    bool more = true;
    struct session *session = choose_ended(sealing, now);
    if (!session)
        return pass_live(sealing, now, until);
    if (now < session->retry_at)
        return false;
    while (more && !atomic_load(sealing->options.stop) &&
           clock_monotonic_ns(sealing->clock) < until)
        more = sealing_run(sealing, session);
    return more || session->done;
}
