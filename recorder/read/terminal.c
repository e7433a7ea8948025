#include "recorder/read/terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Ends what may be unfinished (ST), and leaves the alternate screen if it is on: on the normal one
 * that would move the cursor. */
static const char leave_alternate[] = "\x1b\\\x1b[?1049l";
/* Origin and margins (setting them moves the cursor, so it is saved around them; an origin mode
 * that comes back with it does nothing without margins), insert mode, colours, character set, wrap,
 * cursor, its shape, mouse, focus, bracketed paste, application keys. */
static const char reset[] = "\x1b\\\x1b"
                            "7\x1b[?6l\x1b[?69l\x1b[r\x1b"
                            "8\x1b[4l\x1b[20l\x1b[m\x0f\x1b(B\x1b[?7h\x1b[?25h\x1b[?12l\x1b[0 q"
                            "\x1b[?5l\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005"
                            "l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?2026l\x1b[?1l\x1b>\r\n";

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

/* Read by the handler, hence static; changed only while the signals are blocked or not handled. */
static int entered_fd;
static volatile sig_atomic_t entered, alternate;
static struct termios normal_modes, replay_modes;
static struct sigaction former[SIGNAL_COUNT];

static void write_text(const char *text, size_t length)
{
    while (length) {
        ssize_t wrote = write(entered_fd, text, length);
        if (wrote < 0 && errno != EINTR)
            return; /* a terminal that is gone needs no reset */
        if (wrote > 0) {
            text += wrote;
            length -= (size_t)wrote;
        }
    }
}

/* Only what is safe in a signal handler. */
static void give_back(void)
{
    if (alternate)
        write_text(leave_alternate, sizeof(leave_alternate) - 1);
    write_text(reset, sizeof(reset) - 1);
    tcsetattr(entered_fd, TCSADRAIN, &normal_modes);
}

static void handle(int number)
{
    int saved = errno;
    struct sigaction action, mine;
    sigset_t only;
    give_back();
    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, &mine);
    sigemptyset(&only);
    sigaddset(&only, number);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    /* Only a stop comes back, when it is continued. */
    sigaction(number, &mine, NULL);
    tcsetattr(entered_fd, TCSADRAIN, &replay_modes);
    errno = saved;
}

int terminal_enter(int fd, struct error *error)
{
    if (tcgetattr(fd, &normal_modes))
        return error_system(error, "cannot read the terminal's modes");
    replay_modes = normal_modes;
    /* The recorded bytes have been through a terminal's output processing already. Signals stay on,
     * so that ^C works even while the store does not answer. */
    replay_modes.c_oflag &= ~(tcflag_t)OPOST;
    replay_modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    replay_modes.c_cc[VMIN] = 1;
    replay_modes.c_cc[VTIME] = 0;
    entered_fd = fd;
    alternate = 0;
    entered = 1;

    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        sigaddset(&action.sa_mask, signals[i]);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        sigaction(signals[i], NULL, &former[i]);
        /* nohup and the like: what is ignored stays ignored. */
        if (former[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    if (tcsetattr(fd, TCSADRAIN, &replay_modes)) {
        int rc = error_system(error, "cannot set the terminal's modes");
        terminal_leave();
        return rc;
    }
    return 0;
}

void terminal_note_alternate(bool active)
{
    alternate = active;
}

void terminal_leave(void)
{
    if (!entered)
        return;
    give_back();
    entered = 0;
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        sigaction(signals[i], &former[i], NULL);
}

void terminal_size(int fd, unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    *columns = *rows = 0;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
}
