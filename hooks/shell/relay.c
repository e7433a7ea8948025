#include "hooks/shell/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hooks/common/answer.h"
#include "hooks/shell/privileges.h"
#include "hooks/shell/stream.h"
#include "hooks/shell/terminal.h"

/* After the shell of a terminal is gone, what its background processes still write is taken until
 * it pauses for this long. Without background processes the terminal itself says when it is empty.
 */
#define QUIET_MS 100

/* Time between asking a child to end and killing it. */
#define GRACE_MS 2000

enum { INPUT, OUTPUT, ERRORS, STREAMS };

struct relay {
    const struct recording_plugin *plugin;
    struct recording_session *session;
    struct child *child;
    const struct termios *modes; /* NULL: pipes */
    int signals;
    struct stream streams[STREAMS];
    bool exited;        /* the child; result->status is set */
    bool gave_up;       /* what is left was killed, and is not waited for */
    int64_t kill_at_ms; /* 0: never */
    struct relay_result *result;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ask_to_end(struct relay *relay, int signal)
{
    if (relay->exited) {
        relay->gave_up = true;
        return;
    }
    child_signal(relay->child, signal);
    child_signal(relay->child, SIGCONT); /* a stopped one could not act on it */
    if (!relay->kill_at_ms)
        relay->kill_at_ms = now_ms() + GRACE_MS;
}

/* False: nothing more may be shown. */
static bool allowed(struct relay *relay, int verdict)
{
    if (!answer_allows(verdict) && !relay->result->recording_ended) {
        relay->result->recording_ended = true;
        ask_to_end(relay, SIGHUP);
        ask_to_end(relay, SIGTERM);
    }
    return !relay->result->recording_ended;
}

static void person_is_gone(struct relay *relay)
{
    relay->result->lost = true;
    ask_to_end(relay, SIGHUP);
}

static void close_stream(struct relay *relay, int which)
{
    struct stream *stream = &relay->streams[which];
    bool shared = relay->modes != NULL; /* the terminal's master, which OUTPUT closes */
    if (which == INPUT) {
        stream->from = -1;
        if (shared)
            stream->to = -1;
        stream_close_to(stream);
    } else {
        stream_close_from(stream);
        stream_close_to(stream);
        if (shared) {
            relay->streams[INPUT].to = relay->streams[INPUT].from = -1;
            relay->child->output = -1;
        }
    }
}

/* `from` can be read. */
static void receive(struct relay *relay, int which)
{
    struct stream *stream = &relay->streams[which];
    int got = stream_read(stream);
    if (got < 0)
        return;
    if (got == 0) {
        if (which == INPUT && relay->modes)
            person_is_gone(relay);
        close_stream(relay, which);
        return;
    }
    int verdict = which == INPUT
                      ? relay->plugin->input(relay->session, stream->block, (size_t)got)
                      : relay->plugin->output(relay->session,
                                              which == ERRORS ? RECORDING_STDERR : RECORDING_STDOUT,
                                              stream->block, (size_t)got);
    if (!allowed(relay, verdict) || stream->to < 0)
        stream->start = stream->end = 0;
    else if (!stream_write(stream))
        close_stream(relay, which);
}

/* `to` can be written, or nobody reads it any more. */
static void pass_on(struct relay *relay, int which, bool broken)
{
    struct stream *stream = &relay->streams[which];
    if (!broken && (stream_empty(stream) || stream_write(stream)))
        return;
    if (which != INPUT && relay->modes)
        person_is_gone(relay);
    close_stream(relay, which);
}

static void new_size(struct relay *relay)
{
    struct winsize size;
    if (!relay->modes || relay->child->output < 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
        return;
    ioctl(relay->child->output, TIOCSWINSZ, &size);
    allowed(relay, relay->plugin->resize(relay->session, size.ws_col, size.ws_row));
}

/* The child, and orphans of its that came to us. */
static void reap(struct relay *relay)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != relay->child->pid)
            continue;
        relay->result->status = status;
        relay->exited = true;
    }
}

static void take_signal(struct relay *relay)
{
    struct signalfd_siginfo info;
    if (read(relay->signals, &info, sizeof(info)) != sizeof(info))
        return;
    switch (info.ssi_signo) {
    case SIGCHLD:
        reap(relay);
        break;
    case SIGWINCH:
        new_size(relay);
        break;
    case SIGTSTP:
        terminal_restore();
        kill(getpid(), SIGSTOP);
        break;
    case SIGCONT:
        if (relay->modes) {
            terminal_raw(relay->modes);
            new_size(relay);
        }
        break;
    case SIGHUP:
        person_is_gone(relay);
        break;
    case SIGTERM:
        ask_to_end(relay, SIGTERM);
        break;
    default: /* SIGINT, SIGQUIT: from a terminal these come as bytes */
        child_signal(relay->child, (int)info.ssi_signo);
    }
}

/* Whether the session is over. `quiet` says that nothing came for QUIET_MS. */
static bool over(const struct relay *relay, bool quiet)
{
    const struct stream *out = &relay->streams[OUTPUT], *errors = &relay->streams[ERRORS];
    if (!relay->exited)
        return false;
    if (relay->result->recording_ended)
        return true;
    if (relay->modes && quiet && stream_empty(out))
        return true;
    /* As with ssh, pipes are over when nobody can write to them any more; not if we were told to
     * end and somebody in the background does not care. */
    return (out->from < 0 && errors->from < 0 && stream_empty(out) && stream_empty(errors)) ||
           relay->gave_up;
}

static int timeout(const struct relay *relay)
{
    int64_t left = relay->kill_at_ms ? relay->kill_at_ms - now_ms() : -1;
    if (relay->kill_at_ms && !relay->gave_up)
        return left > 0 ? (int)left : 0;
    return relay->exited && relay->modes ? QUIET_MS : -1;
}

/* Waits for something to do and does it. False when poll() waited QUIET_MS for nothing. */
static bool turn(struct relay *relay)
{
    struct pollfd polls[1 + 2 * STREAMS];
    polls[0] = (struct pollfd){.fd = relay->signals, .events = POLLIN};
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *stream = &relay->streams[i];
        bool empty = stream_empty(stream), ended = relay->result->recording_ended;
        polls[1 + 2 * i] = (struct pollfd){.fd = empty && !ended ? stream->from : -1,
                                           .events = POLLIN};
        polls[2 + 2 * i] = (struct pollfd){.fd = stream->to, .events = empty ? 0 : POLLOUT};
    }
    int ready = poll(polls, sizeof(polls) / sizeof(*polls), timeout(relay));
    if (ready < 0)
        return true; /* EINTR; the loop looks again */
    if (relay->kill_at_ms && !relay->gave_up && now_ms() >= relay->kill_at_ms) {
        if (!relay->exited)
            child_signal(relay->child, SIGKILL);
        relay->gave_up = true;
    }
    if (polls[0].revents)
        take_signal(relay);
    for (int i = STREAMS - 1; i >= 0; i--) {
        short in = polls[1 + 2 * i].revents, out = polls[2 + 2 * i].revents;
        if (in && relay->streams[i].from >= 0)
            receive(relay, i);
        else if (out && relay->streams[i].to >= 0)
            pass_on(relay, i,
                    (out & (POLLERR | POLLNVAL)) || (out & (POLLHUP | POLLOUT)) == POLLHUP);
    }
    return ready > 0;
}

int relay_run(const struct recording_plugin *plugin, struct recording_session *session,
              struct child *child, int signals, const struct termios *modes,
              struct relay_result *result)
{
    struct relay relay = {.plugin = plugin,
                          .session = session,
                          .child = child,
                          .modes = modes,
                          .signals = signals,
                          .result = result};
    *result = (struct relay_result){0};
    privileges_files_of_person(); /* what sshd gave us is theirs */
    for (int i = 0; i < STREAMS; i++)
        relay.streams[i] = (struct stream){.from = -1, .to = -1};
    int rc = stream_open(&relay.streams[INPUT], STDIN_FILENO, child->input, true);
    if (!rc)
        rc = stream_open(&relay.streams[OUTPUT], child->output, STDOUT_FILENO, false);
    if (!rc && !modes)
        rc = stream_open(&relay.streams[ERRORS], child->errors, STDERR_FILENO, false);
    if (privileges_separate())
        terminal_claim();
    privileges_files_of_recorder();
    if (!rc)
        rc = child_let_go(child);
    if (rc) {
        int number = errno;
        child_signal(child, SIGKILL);
        waitpid(child->pid, &result->status, 0);
        errno = number;
    }
    for (bool quiet = false; !rc && !over(&relay, quiet);)
        quiet = !turn(&relay);
    /* Nothing of it may go on unrecorded. The child is gone, its process group may be not. */
    if (!rc && result->recording_ended)
        kill(-child->pid, SIGKILL);
    close_stream(&relay, INPUT);
    for (int i = 0; i < STREAMS; i++)
        stream_free(&relay.streams[i]);
    return rc;
}
