"""Processes and terminals of tests and of the demo."""

import ctypes
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PR_SET_PDEATHSIG = 1


def build_directory():
    return os.path.join(TOP, os.environ.get("BUILD", "build"))


def program(name):
    return os.path.join(build_directory(), name)


def environment(**more):
    """A small environment of our own: nothing of the caller's AWS or SSH settings leaks in."""
    kept = {name: value for name, value in os.environ.items()
            if name in ("PATH", "LANG", "TMPDIR") or name.endswith("SAN_OPTIONS")}
    kept.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    kept["LC_ALL"] = "C.UTF-8"
    # libcurl must not send loopback requests to somebody's proxy.
    kept["no_proxy"] = "*"
    kept.update(more)
    return kept


def die_with_parent():
    """In a child before exec: no test leaves a process behind, even if it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(words, seconds=60, **keywords):
    """A command's exit status, standard output and standard error (bytes)."""
    keywords.setdefault("stdin", subprocess.DEVNULL)
    if "input" in keywords:
        del keywords["stdin"]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                          check=False, preexec_fn=die_with_parent, **keywords)


class Daemon:
    """A process that runs until stop(); its words go to a file."""

    def __init__(self, words, log, stdout=None, **keywords):
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                            stdout=stdout or output, stderr=output,
                                            preexec_fn=die_with_parent, **keywords)

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, seconds=15):
        """Asks, then kills. Returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()


def wait_until(condition, seconds=30, what="it", every=0.05):
    """The first true value that condition() gives."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited %d s for %s" % (seconds, what))
        time.sleep(every)


def wait_while_falling(left, stalled=120, what="it", every=0.5):
    """Until left() is 0: as long as that takes on a machine as slow as this one, if only it falls
    within each `stalled` seconds."""
    least, since = left(), time.monotonic()
    while least:
        time.sleep(every)
        now = left()
        if now < least:
            least, since = now, time.monotonic()
        elif time.monotonic() - since > stalled:
            raise AssertionError("waited %d s for %s: %d left" % (stalled, what, least))


class Terminal:
    """A program under a terminal of ours: `seen` is every byte that it showed."""

    def __init__(self, words, columns=80, rows=24, echo_to=None, **keywords):
        self.seen = b""
        self.echo_to = echo_to
        keywords["env"] = {**keywords.get("env", environment()), "TERM": "xterm-256color"}
        self.master, slave = pty.openpty()
        self.resize(columns, rows)

        def own_terminal():
            die_with_parent()
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave,
                                        preexec_fn=own_terminal, **keywords)
        os.close(slave)

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        data = text.encode() if isinstance(text, str) else text
        while data:
            _, writable, _ = select.select([], [self.master], [], 1)
            if writable:
                data = data[os.write(self.master, data[:512]):]
            self.read(0)

    def read(self, seconds):
        """What comes within this time, at most one read. b"": nothing, or the end."""
        readable, _, _ = select.select([self.master], [], [], seconds)
        if not readable:
            return b""
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the other side is closed
            return b""
        self.seen += data
        if self.echo_to:
            self.echo_to(data)
        return data

    def expect(self, text, seconds=30, after=0):
        """Until `text` has been shown, from position `after` on. Returns the position behind it."""
        wanted = text.encode() if isinstance(text, str) else text
        deadline = time.monotonic() + seconds
        while True:
            found = self.seen.find(wanted, after)
            if found >= 0:
                return found + len(wanted)
            if time.monotonic() > deadline or (not self.read(0.1) and
                                               self.process.poll() is not None and
                                               not self.read(0.1)):
                raise AssertionError("never showed %r; all it showed: %r" % (
                    wanted, self.seen[-3000:]))

    def expect_prompt(self, seconds=30):
        """Until it shows something. What is sent sooner would be echoed by the terminal itself,
        before the program has it."""
        wait_until(lambda: self.read(0.1), seconds, "a prompt", every=0)
        while self.read(0.3):
            pass

    def finish(self, seconds=60):
        """Reads to the end. Returns the exit status."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.05)
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise AssertionError("did not end within %d s; showed %r" % (
                    seconds, self.seen[-3000:]))
        while self.read(0.1):
            pass
        os.close(self.master)
        return self.process.returncode
