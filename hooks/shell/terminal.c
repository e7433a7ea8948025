#include "hooks/shell/terminal.h"

#include <unistd.h>

static struct termios original;
static bool is_raw, is_claimed;

bool terminal_get(struct termios *modes, struct winsize *size)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, modes))
        return false;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, size))
        *size = (struct winsize){0};
    return true;
}

static void exclusive(bool on)
{
    for (int fd = STDIN_FILENO; is_claimed && fd <= STDERR_FILENO; fd++)
        if (isatty(fd))
            ioctl(fd, on ? TIOCEXCL : TIOCNXCL);
}

void terminal_raw(const struct termios *modes)
{
    struct termios raw = *modes;
    cfmakeraw(&raw);
    original = *modes;
    is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    exclusive(true);
}

void terminal_claim(void)
{
    is_claimed = true;
    exclusive(true);
}

void terminal_restore(void)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &original);
    is_raw = false;
    exclusive(false);
}
