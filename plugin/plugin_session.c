/* Sessions: what is asked is decided by the settings, and what comes is put into the journal. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/input_mask.h"
#include "plugin/plugin_internal.h"
#include "recorder/base/clock.h"
#include "recorder/base/id.h"
#include "recorder/base/log.h"
#include "recorder/base/text.h"
#include "recorder/journal/journal.h"
#include "recorder/transfer/transfer_protocol.h"

/* Longer calls are put into the journal in parts. Where a session goes on when there is no space
 * for one, no more is lost than that does not fit. Where it ends, the host does not show what it
 * had asked to be recorded, so that should be recorded wholly or not at all. */
#define PART ((size_t)64 << 10)
#define PART_TO_END ((size_t)1 << 20)

/* The recorder measures the spool more often than this. Where none is at work, one host does. */
#define USAGE_AGE (60 * NS_PER_SECOND)

struct recording_session {
    struct journal *journal;
    struct settings *settings; /* as they were when it opened */
    const struct socket_settings *socket;
    struct input_mask *mask;         /* NULL: input is not recorded, or as it is */
    enum transfer_protocol transfer; /* not NONE: all that the person's side sends is journaled */
    size_t part;                     /* longest event */
    bool failed;                     /* an event is missing that no GAP frame tells of yet */
    bool over;                       /* RECORDING_END was said, and stays said */
    uint64_t lost;                   /* bytes that are missing since `failed` */
    uint64_t lost_in_all, output_bytes, input_bytes;
    int64_t opened_ns;
    int mask_verdict; /* the worst that input_mask's sink met since the call began */
    char id[ID_SIZE];
    char user[128];
};

/* A member that the caller's struct may be too small to have. */
#define GIVEN(info, member) (RECORDING_HAS(info, member) ? (info)->member : 0)

/* ---- appending ------------------------------------------------------------------------------- */

static int worse(int one, int other)
{
    return one > other ? one : other;
}

/* An event of `length` bytes could not be appended. */
__attribute__((noinline, cold)) static int lose(struct recording_session *session, size_t length,
                                                const struct error *cause)
{
    bool end = session->socket->on_failure == ON_FAILURE_END;
    if (!session->failed)
        log_error("session %s cannot be recorded%s: %s", session->id,
                  end ? " and ends, by the setting on_failure" : " for now", cause->text);
    session->failed = true;
    session->lost += length;
    session->lost_in_all += length;
    session->over = session->over || end;
    return session->over ? RECORDING_END : RECORDING_DEGRADED;
}

/* There is space again, if there is: says first what is missing. */
__attribute__((noinline, cold)) static int recover(struct recording_session *session, size_t length,
                                                   struct error *error)
{
    uint64_t lost = htole64(session->lost);
    int rc = journal_reserve(session->journal, length, error);
    if (!rc)
        rc = journal_append(session->journal, JOURNAL_GAP, &lost, sizeof(lost), error);
    if (rc)
        return rc;
    log_warning("session %s is recorded again; %llu bytes are missing", session->id,
                (unsigned long long)session->lost);
    session->failed = false;
    session->lost = 0;
    return 0;
}

static int put_part(struct recording_session *session, enum journal_type type, const void *data,
                    size_t length)
{
    struct error error;
    error.text[0] = '\0'; /* the rest only when it fails: this is on the way of every byte */
    if (session->over || (session->failed && recover(session, length, &error)) ||
        journal_append(session->journal, type, data, length, &error))
        return lose(session, length, &error);
    return RECORDING_CONTINUE;
}

static int put(struct recording_session *session, enum journal_type type, const void *data,
               size_t length)
{
    const char *p = data;
    int verdict = RECORDING_CONTINUE;
    for (size_t part = session->part; length > part; p += part, length -= part)
        verdict = worse(verdict, put_part(session, type, p, part));
    return worse(verdict, put_part(session, type, p, length));
}

static void put_masked(void *context, const void *data, size_t length)
{
    struct recording_session *session = context;
    session->mask_verdict = worse(session->mask_verdict, put(session, JOURNAL_INPUT, data, length));
}

int plugin_output(struct recording_session *session, int stream, const void *data, size_t length)
{
    if (length == 0)
        return RECORDING_CONTINUE;
    session->mask_verdict = RECORDING_CONTINUE;
    if (session->mask)
        input_mask_shown(session->mask, clock_monotonic_ns(&clock_system), data, length);
    session->output_bytes += length;
    enum journal_type type = stream == RECORDING_STDERR ? JOURNAL_STDERR : JOURNAL_STDOUT;
    return worse(session->mask_verdict, put(session, type, data, length));
}

int plugin_input(struct recording_session *session, const void *data, size_t length)
{
    if (length == 0)
        return RECORDING_CONTINUE;
    session->input_bytes += length;
    if (session->transfer != TRANSFER_NONE)
        return put(session, JOURNAL_INPUT, data, length);
    if (!session->socket->input)
        return session->over ? RECORDING_END : RECORDING_CONTINUE;
    if (!session->mask)
        return put(session, JOURNAL_INPUT, data, length);
    session->mask_verdict = session->over ? RECORDING_END : RECORDING_CONTINUE;
    input_mask_typed(session->mask, clock_monotonic_ns(&clock_system), data, length);
    return session->mask_verdict;
}

int plugin_resize(struct recording_session *session, uint32_t columns, uint32_t rows)
{
    uint32_t size[2] = {htole32(columns), htole32(rows)};
    return put(session, JOURNAL_RESIZE, size, sizeof(size));
}

int plugin_marker(struct recording_session *session, const char *label)
{
    return label ? put(session, JOURNAL_MARKER, label, strnlen(label, JOURNAL_META_TEXT))
                 : RECORDING_CONTINUE;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void answer_with(struct recording_answer *answer, uint32_t decision, const char *session_id,
                        const char *reason)
{
    if (RECORDING_HAS(answer, decision))
        answer->decision = decision;
    if (RECORDING_HAS(answer, session_id))
        text_escape(answer->session_id, sizeof(answer->session_id), session_id);
    if (RECORDING_HAS(answer, reason))
        text_escape(answer->reason, sizeof(answer->reason), reason);
}

/* The settings in force, and a warning, once, when the file holds newer ones that are not valid. */
static struct settings *current_settings(struct recording_instance *instance)
{
    struct error problem = ERROR_INIT;
    struct settings *settings = settings_watch_get(instance->watch, &problem);
    const char *text = problem.code ? problem.text : "";
    pthread_mutex_lock(&instance->lock);
    size_t size = sizeof(instance->settings_problem);
    bool known = strncmp(instance->settings_problem, text, size - 1) == 0;
    text_escape(instance->settings_problem, size, text);
    pthread_mutex_unlock(&instance->lock);
    if (!known && *text)
        log_warning("the changed settings are not valid, the old ones stay in force: %s", text);
    return settings;
}

static void fill_meta(struct journal_meta *meta, const struct recording_session_info *info,
                      const struct recording_session *session, const char *machine)
{
    uint32_t kind = GIVEN(info, kind);
    *meta = (struct journal_meta){
        .id = session->id,
        .organization = session->socket->organization->name,
        .socket = session->socket->name,
        .user = GIVEN(info, user),
        .key_fingerprint = GIVEN(info, key_fingerprint),
        .target_user = GIVEN(info, target_user),
        .target_address = GIVEN(info, target_address),
        .client_address = GIVEN(info, client_address),
        .command = GIVEN(info, command),
        .term = GIVEN(info, term),
        .connection_id = GIVEN(info, connection_id),
        .host = machine,
        .kind = kind == RECORDING_EXEC         ? JOURNAL_EXEC
                : kind == RECORDING_SUBSYSTEM  ? JOURNAL_SUBSYSTEM
                : kind == RECORDING_FORWARDING ? JOURNAL_FORWARDING
                                               : JOURNAL_SHELL,
        .has_terminal = GIVEN(info, has_terminal) != 0,
        .columns = GIVEN(info, columns),
        .rows = GIVEN(info, rows),
        .cast_version = (uint32_t)settings_cast_version(session->settings),
        .input_recorded = session->socket->input,
        .transfer = transfer_protocol_key(session->transfer),
        .contents = session->transfer && session->socket->transfer_contents ? "kept" : "",
        .started_ns = clock_wall_ns(&clock_system),
    };
}

/* A protocol of machines never runs under a terminal; what does is recorded as what it shows. */
static enum transfer_protocol transfer_of(const struct recording_session_info *info)
{
    uint32_t kind = GIVEN(info, kind);
    if (GIVEN(info, has_terminal))
        return TRANSFER_NONE;
    return kind == RECORDING_SUBSYSTEM ? transfer_protocol_of_subsystem(GIVEN(info, command))
           : kind == RECORDING_EXEC    ? transfer_protocol_of_command(GIVEN(info, command))
                                       : TRANSFER_NONE;
}

static int open_journal(struct recording_instance *instance, struct recording_session *session,
                        const struct recording_session_info *info, struct error *error)
{
    char name[SPOOL_NAME_SIZE], machine[256];
    struct journal_meta meta;
    struct spool *spool;
    if (gethostname(machine, sizeof(machine)))
        machine[0] = '\0';
    machine[sizeof(machine) - 1] = '\0';
    fill_meta(&meta, info, session, machine);
    int rc = id_new(session->id, meta.started_ns, error);
    spool_name(name, session->id, SPOOL_JOURNAL_SUFFIX);
    for (int again = 0; !rc && again < 2; again++) {
        rc = plugin_spool(instance, settings_spool(session->settings), &spool, error);
        if (rc)
            break;
        spool_measure(spool, USAGE_AGE);
        const struct space_limit limit = {settings_quota(session->settings), spool_used(spool)};
        rc = journal_create_within(&limit, spool_area(spool, SPOOL_JOURNALS), name, &meta,
                                   &clock_system, &session->journal, error);
        if (rc != ERR_NOT_FOUND)
            break;
        plugin_spool_removed(instance, spool);
        rc = again ? rc : 0;
    }
    return rc;
}

static void session_free(struct recording_session *session)
{
    if (!session)
        return;
    input_mask_free(session->mask);
    journal_free(session->journal);
    settings_unref(session->settings);
    free(session);
}

static const char *given_text(const char *text)
{
    return text && *text ? text : "unknown";
}

/* A session that is to be recorded. */
static void open_recorded(struct recording_instance *instance, struct settings *settings,
                          const struct socket_settings *socket,
                          const struct recording_session_info *info,
                          struct recording_session **session, struct recording_answer *answer)
{
    static const char *const kinds[] = {"", "shell", "exec", "subsystem", "forwarding"};
    struct error cause = ERROR_INIT, reason = ERROR_INIT;
    struct recording_session *made = calloc(1, sizeof(*made));
    const char *user = given_text(GIVEN(info, user));
    int rc = 0;
    if (!made) {
        rc = error_set(&cause, ERR_NO_MEMORY, "no memory");
        goto out;
    }
    made->settings = settings_ref(settings);
    made->socket = socket;
    made->part = socket->on_failure == ON_FAILURE_END ? PART_TO_END : PART;
    made->transfer = transfer_of(info);
    made->opened_ns = clock_monotonic_ns(&clock_system);
    text_escape(made->user, sizeof(made->user), user);
    if (socket->input && GIVEN(info, has_terminal)) {
        made->mask = input_mask_new(put_masked, made);
        if (!made->mask) {
            rc = error_set(&cause, ERR_NO_MEMORY, "no memory");
            goto out;
        }
    }
    rc = open_journal(instance, made, info, &cause);
out:
    if (rc) {
        bool refuse = socket->on_failure != ON_FAILURE_CONTINUE;
        log_error("a session of user %s on socket %s of organization %s %s: %s", user, socket->name,
                  socket->organization->name,
                  refuse ? "is refused, it cannot be recorded" : "goes on unrecorded", cause.text);
        /* The person is not told paths. */
        error_set(&reason, rc,
                  refuse ? "sessions on socket %s must be recorded, and that is not possible now "
                           "(%s); ask the operator of this host"
                         : "not recorded: that is not possible now on socket %s (%s)",
                  socket->name, error_name(rc));
        answer_with(answer, refuse ? RECORDING_REFUSE : RECORDING_IGNORE, "", reason.text);
        session_free(made);
        return;
    }
    uint32_t kind = GIVEN(info, kind);
    log_info("session %s opened: organization %s, socket %s, user %s, kind %s, client %s", made->id,
             socket->organization->name, socket->name, user,
             kind >= 1 && kind < sizeof(kinds) / sizeof(*kinds) ? kinds[kind] : "unknown",
             given_text(GIVEN(info, client_address)));
    answer_with(answer, RECORDING_RECORD, made->id, "");
    *session = made;
}

void plugin_session_open(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer)
{
    struct error reason = ERROR_INIT;
    const char *name = GIVEN(info, socket);
    *session = NULL;
    struct settings *settings = current_settings(instance);
    const struct socket_settings *socket = name ? settings_socket(settings, name) : NULL;
    if (!RECORDING_HAS(answer, decision)) {
        /* The host could not know that there is a session to close. */
        log_error("a session of user %s is refused: the host left no room for an answer",
                  given_text(GIVEN(info, user)));
    } else if (!name || !*name) {
        answer_with(answer, RECORDING_REFUSE, "", "no socket was named");
    } else if (!socket) {
        error_set(&reason, ERR_NOT_FOUND, "the recording settings know no socket '%.300s'", name);
        log_warning("a session of user %s is refused: %s", given_text(GIVEN(info, user)),
                    reason.text);
        answer_with(answer, RECORDING_REFUSE, "", reason.text);
    } else if (!socket->recording) {
        error_set(&reason, 0, "recording is off for socket %s", socket->name);
        answer_with(answer, RECORDING_IGNORE, "", reason.text);
    } else {
        open_recorded(instance, settings, socket, info, session, answer);
    }
    settings_unref(settings);
}

/* ---- closing --------------------------------------------------------------------------------- */

static void describe(char text[96], const struct journal_end *end)
{
    if (end->kind == JOURNAL_EXITED)
        snprintf(text, 96, "exit status %u", end->status);
    else if (end->kind == JOURNAL_SIGNALED)
        snprintf(text, 96, "signal %.40s", end->signal);
    else
        snprintf(text, 96, "lost");
}

int plugin_session_close(struct recording_session *session, const struct recording_exit *how)
{
    if (!session)
        return RECORDING_CONTINUE;
    struct error error = ERROR_INIT;
    struct journal_end end = {.kind = JOURNAL_LOST, .signal = "", .message = ""};
    char text[96];
    if (how) {
        const char *signal = GIVEN(how, signal), *message = GIVEN(how, message);
        uint32_t kind = GIVEN(how, end);
        end.kind = kind == RECORDING_EXITED     ? JOURNAL_EXITED
                   : kind == RECORDING_SIGNALED ? JOURNAL_SIGNALED
                                                : JOURNAL_LOST;
        end.status = GIVEN(how, status);
        end.signal = signal ? signal : "";
        end.message = message ? message : "";
    }
    session->mask_verdict = RECORDING_CONTINUE;
    if (session->mask)
        input_mask_finish(session->mask);
    int verdict = session->mask_verdict ? RECORDING_DEGRADED : RECORDING_CONTINUE;
    /* Both fit into what the journal keeps for its end, on a full disk too. */
    uint64_t lost = htole64(session->lost);
    int rc = session->failed
                 ? journal_append(session->journal, JOURNAL_GAP, &lost, sizeof(lost), &error)
                 : 0;
    if (!rc)
        rc = journal_end(session->journal, &end, &error);
    if (rc) {
        log_error("session %s: its end cannot be recorded: %s", session->id, error.text);
        verdict = RECORDING_DEGRADED;
    }
    describe(text, &end);
    log_info("session %s closed: organization %s, socket %s, user %s, %s, %.3f s, %llu bytes out, "
             "%llu bytes in, %llu bytes not recorded",
             session->id, session->socket->organization->name, session->socket->name, session->user,
             text, (double)(clock_monotonic_ns(&clock_system) - session->opened_ns) / NS_PER_SECOND,
             (unsigned long long)session->output_bytes, (unsigned long long)session->input_bytes,
             (unsigned long long)session->lost_in_all);
    session_free(session);
    return verdict;
}
