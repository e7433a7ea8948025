"""castbucket-shell: what the person sees is what was run and what is recorded."""

import hashlib
import json
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from lab import journal
from lab.journal import GAP, INPUT, META, RESIZE, STDERR, STDOUT, read_frames

BUILD = Path(os.environ.get("BUILD", "build")).resolve()
PROMPTS = (b"$ ", b"# ")  # of a login shell, whatever /etc/profile makes of PS1


@pytest.fixture
def home(tmp_path):
    settings = {
        "version": 1,
        "spool": str(tmp_path / "spool"),
        "organizations": {"acme": {"storage": {"type": "directory", "path": str(tmp_path / "s")}}},
        "sockets": {
            "web-1": {"organization": "acme", "recording": True},
            "keys": {"organization": "acme", "recording": True, "input": True},
            "off": {"organization": "acme", "recording": False},
        },
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return tmp_path


def arguments(home, *more, socket="web-1"):
    return [
        str(BUILD / "castbucket-shell"),
        "--settings", str(home / "settings.json"),
        "--plugin", str(BUILD / "castbucket.so"),
        "--socket", socket,
        "--shell", "/bin/sh",
        *more,
    ]  # fmt: skip


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SSH_")}
    return {**kept, **more}


def run(home, command, socket="web-1", **options):
    more = ["-c", command] if command is not None else []
    options.setdefault("env", environment())
    return subprocess.run(
        arguments(home, *more, socket=socket), capture_output=True, timeout=60, **options
    )


def frames(home):
    """(type, payload) of every frame of the one journal in the spool."""
    (path,) = (home / "spool" / "journals").iterdir()
    return read_frames(path)


def recorded(home, kind):
    return b"".join(payload for type, payload in frames(home) if type == kind)


def end_of(home):
    return journal.end_of(frames(home))


def test_streams_are_apart_and_the_exit_status_is_the_commands(home):
    done = run(home, "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)
    assert recorded(home, STDOUT) == b"out\n"
    assert recorded(home, STDERR) == b"err\n"
    assert end_of(home) == (1, 7, "")


def test_a_signal_is_reported_as_a_shell_does(home):
    assert run(home, "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert end_of(home) == (2, 0, "TERM")


def test_bytes_pass_unchanged_both_ways_with_the_end_of_input(home):
    data = os.urandom(5_000_000)
    done = run(home, "cat", input=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert recorded(home, STDOUT) == data
    assert recorded(home, INPUT) == b""


def test_neither_side_waits_for_the_other_to_read(home):
    """The command writes much before it reads: a relay that blocks in one direction hangs."""
    data = os.urandom(1_000_000)
    with subprocess.Popen(
        arguments(home, "-c", "head -c 1000000 /dev/zero; cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as shell:
        os.set_blocking(shell.stdin.fileno(), False)
        sent = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:  # nobody reads yet: fills every buffer
            try:
                sent += os.write(shell.stdin.fileno(), data[sent : sent + 4096])
            except BlockingIOError:
                time.sleep(0.05)
            if sent > 60_000:
                break
        os.set_blocking(shell.stdin.fileno(), True)
        assert shell.stdout.read(1_000_000) == bytes(1_000_000)
        shell.stdin.close()
        assert shell.stdout.read() == data[:sent]
        assert shell.wait(20) == 0


def test_input_is_recorded_where_settings_say_so(home):
    run(home, "cat >/dev/null", socket="keys", input=b"typed")
    assert recorded(home, INPUT) == b"typed"


def test_a_reader_that_goes_away_ends_the_command(home):
    with subprocess.Popen(
        arguments(home, "-c", "yes"), stdout=subprocess.PIPE, env=environment()
    ) as shell:
        assert shell.stdout.read(2) == b"y\n"
        shell.stdout.close()
        assert shell.wait(20) == 128 + signal.SIGPIPE


def test_all_output_arrives_though_the_command_is_gone(home):
    done = run(home, "(sleep 0.5; echo late) & echo early")
    assert done.stdout == b"early\nlate\n"
    assert recorded(home, STDOUT) == b"early\nlate\n"


def test_what_sshd_was_asked_to_run_is_run(home):
    env = environment(SSH_ORIGINAL_COMMAND="echo asked", SSH_CONNECTION="10.0.0.9 5555 10.0.0.1 22")
    assert run(home, None, env=env).stdout == b"asked\n"
    type, meta = frames(home)[0]
    assert type == META
    assert b"10.0.0.9:5555\0" in meta and b"echo asked\0" in meta


def test_recording_off_runs_and_leaves_nothing(home):
    done = run(home, "echo free; exit 3", socket="off")
    assert (done.stdout, done.stderr, done.returncode) == (b"free\n", b"", 3)
    assert not (home / "spool").exists()


def test_an_unknown_socket_is_refused(home):
    done = run(home, "echo never", socket="../../x\n")
    assert (done.stdout, done.returncode) == (b"", 126)
    assert b"../../x\\n" in done.stderr


@pytest.mark.parametrize(
    "change, words",
    [
        (["--plugin", "/nonexistent.so"], b"/nonexistent.so"),
        (["--plugin", "/bin/true"], b"/bin/true"),
        (["--settings", "/nonexistent.json"], b"/nonexistent.json"),
        (["--what"], b"--what"),
        (["stray"], b"stray"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(home, change, words):
    done = subprocess.run(
        arguments(home, "-c", "echo never", *change), capture_output=True, env=environment()
    )
    assert (done.stdout, done.returncode) == (b"", 125)
    assert words in done.stderr


def test_a_missing_shell_is_said(home):
    done = subprocess.run(
        arguments(home, "--shell", "/nonexistent/sh", "-c", "x"),
        capture_output=True,
        env=environment(),
    )
    assert done.returncode == 127
    assert b"/nonexistent/sh" in done.stderr


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))


def test_what_cannot_be_recorded_is_not_shown_and_ends_the_session(home):
    done = run(
        home,
        "echo $$ > pid; exec yes 0123456789",
        preexec_fn=limit_files,
        cwd=home,
    )
    assert done.returncode == 124
    assert b"cannot be recorded" in done.stderr
    shown, kept = done.stdout, recorded(home, STDOUT)
    assert 1_000_000 < len(shown) <= len(kept) and kept.startswith(shown)
    assert GAP in [type for type, _ in frames(home)]
    assert end_of(home)[0] == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)


def test_killed_at_any_moment_all_that_was_shown_is_recorded(home):
    with subprocess.Popen(
        arguments(home, "-c", "seq 1 10000000"), stdout=subprocess.PIPE, env=environment()
    ) as shell:
        seen = shell.stdout.read(3_000_000)
        shell.kill()
        seen += shell.stdout.read()
    assert recorded(home, STDOUT).startswith(seen)
    assert frames(home)[-1][0] == STDOUT


# ---- under a terminal ----------------------------------------------------------------------------


class Terminal:
    """A person at a terminal of 80 by 24."""

    def __init__(self, argv, **more):
        self.seen = b""
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(self.master, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.shell = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**more),
            preexec_fn=os.setsid,
        )

    def until(self, *texts, seconds=20):
        deadline = time.monotonic() + seconds
        while not any(text in self.seen for text in texts):
            assert time.monotonic() < deadline, self.seen
            self.take()

    def take(self):
        if select.select([self.master], [], [], 0.1)[0]:
            self.seen += os.read(self.master, 65536)

    def type(self, text):
        os.write(self.master, text)

    def end(self):
        deadline = time.monotonic() + 20
        while self.shell.poll() is None:
            assert time.monotonic() < deadline, self.seen
            self.take()
        while select.select([self.master], [], [], 0.1)[0]:
            self.seen += os.read(self.master, 65536)
        return self.shell.returncode

    def close(self):
        if self.shell.poll() is None:
            self.shell.kill()
            self.shell.wait()
        os.close(self.master)
        os.close(self.slave)


def test_a_command_does_not_outlive_its_recording(home):
    # Nothing else would end it: it reads nothing, and does not mind that nobody reads.
    command = "trap '' PIPE HUP; echo $$; while :; do sleep 0.1; done"
    host = subprocess.Popen(arguments(home, "-c", command), env=environment(),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    pid = int(host.stdout.readline())
    host.kill()
    host.wait()
    host.stdout.close()
    deadline = time.monotonic() + 20
    while os.path.exists("/proc/%d/exe" % pid):
        assert time.monotonic() < deadline, "the command goes on"
        time.sleep(0.02)


@pytest.fixture
def terminal():
    made = []

    def make(*arguments, **more):
        made.append(Terminal(*arguments, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_shell_at_a_terminal_shows_and_records_the_same(home, terminal):
    person = terminal(arguments(home))
    person.until(*PROMPTS)
    person.type(b"tty; stty size\r")
    person.until(b"24 80")
    termios.tcsetwinsize(person.slave, (50, 132))
    person.shell.send_signal(signal.SIGWINCH)
    time.sleep(0.3)
    person.type(b"stty size; exit 5\r")
    assert person.end() == 5
    assert b"50 132" in person.seen
    assert person.seen == recorded(home, STDOUT)
    assert recorded(home, RESIZE) == struct.pack("<II", 132, 50)
    assert end_of(home) == (1, 5, "")
    assert termios.tcgetattr(person.slave) == person.before


def test_control_c_reaches_the_job_in_front(home, terminal):
    # A loop, because a shell may miss a signal that comes just before it waits.
    command = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    person = terminal(arguments(home, "-c", command))
    person.until(b"ready")
    person.type(b"\x03")
    assert person.end() == 9
    assert b"caught" in person.seen


def test_a_password_typed_at_a_terminal_is_masked(home, terminal):
    command = "printf 'Password: '; stty -echo; read p; stty echo; echo; echo got ${#p}; read q"
    person = terminal(arguments(home, "-c", command, socket="keys"))
    person.until(b"Password: ")
    time.sleep(0.3)
    for key in (b"h", b"u", b"n", b"ter2\r"):
        person.type(key)
        time.sleep(0.05)
    person.until(b"got 7")
    person.type(b"visible\r")
    assert person.end() == 0
    assert recorded(home, INPUT) == b"*******\rvisible\r"


def test_a_job_left_in_the_background_does_not_hold_the_terminal(home, terminal):
    person = terminal(arguments(home, "-c", "trap '' HUP; sleep 30 & echo done $!"))
    began = time.monotonic()
    assert person.end() == 0
    assert time.monotonic() - began < 10
    os.kill(int(person.seen.split()[1]), signal.SIGKILL)
    assert recorded(home, STDOUT) == person.seen


def test_all_output_of_a_command_that_ends_at_once_is_shown(home, terminal):
    person = terminal(arguments(home, "-c", "seq 1 20000"))
    assert person.end() == 0
    assert person.seen == b"".join(b"%d\r\n" % i for i in range(1, 20001))
    assert recorded(home, STDOUT) == person.seen


def test_hanging_up_ends_the_shell_and_says_lost(home, terminal):
    person = terminal(arguments(home))
    person.until(*PROMPTS)
    person.shell.send_signal(signal.SIGHUP)
    person.end()
    assert end_of(home)[0] == 3
    assert termios.tcgetattr(person.slave) == person.before
