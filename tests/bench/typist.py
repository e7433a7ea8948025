"""People who type: ssh with a terminal at the far side, which echoes each key, and a program there that
prints each key once more."""

import os
import select
import subprocess
import time

COMMAND = "stty -icanon echo; echo ready; exec cat"
KEY = b"k"
PRINTED = 2  # bytes that come back for each key: the terminal's echo, and what cat prints


class Typist:
    """One session. `ssh` is the beginning of the command, up to the host."""

    def __init__(self, ssh, env):
        # OpenSSH 9.5 and later send keys at intervals, to hide when each was typed.
        hide = ["-o", "IgnoreUnknown=ObscureKeystrokeTiming", "-o", "ObscureKeystrokeTiming=no"]
        self.process = subprocess.Popen([*ssh[:-1], *hide, "-tt", ssh[-1], COMMAND], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0)
        self.typed_at = None
        self.due = 0  # bytes that have not come back

    def fileno(self):
        return self.process.stdout.fileno()

    def wait_until_ready(self, seconds=60):
        got, end = b"", time.monotonic() + seconds
        poll = select.poll()  # select() knows no descriptor beyond 1023
        poll.register(self.fileno(), select.POLLIN)
        while b"ready\r\n" not in got:
            if not poll.poll(max(0, end - time.monotonic()) * 1e3):
                raise SystemExit("a session does not begin within %d s" % seconds)
            part = os.read(self.fileno(), 4096)
            if not part:
                raise SystemExit("a session ended: %s" % self.process.stderr.read().decode())
            got += part

    def type(self):
        self.due = PRINTED
        self.typed_at = time.perf_counter()
        os.write(self.process.stdin.fileno(), KEY)

    def take(self):
        """Something has come. Seconds from the key to its echo, or None when this was not the echo."""
        got = len(os.read(self.fileno(), 4096))
        now = time.perf_counter()
        if not got:
            raise SystemExit("a session ended while it was typed to")
        echo = now - self.typed_at if self.due == PRINTED else None
        self.due = max(0, self.due - got)
        return echo

    def press(self):
        """Types a key and waits for all it makes. Seconds to its echo."""
        self.type()
        echo = None
        while self.due:
            took = self.take()
            echo = took if echo is None else echo
        return echo

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def percentile(values, part):
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * part)]
