"""The spool on a file system of 2 MiB, of our own mount namespace: what each policy does when it is
full or read-only, and that uploads alone bring the system back.

The part that needs the mount runs as a child of `unshare`: this file, with the name of a case."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

from faults.recordings import left_in, recordings  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import Daemon, program, run, wait_until  # noqa: E402

SIZE = 2 << 20
MUCH = "head -c 3000000 /dev/urandom | base64 -w0 | head -c 4000000; "
REFUSED, RECORDING_ENDED = 126, 124  # castbucket-shell --help
UNSHARE = (["unshare", "-m"], ["unshare", "-rm"])


class Disk(Lab):
    """A home whose spool is a disk; its store is elsewhere."""

    def __init__(self, directory):
        super().__init__(directory, None)
        self.store = os.path.join(self.directory, "store")
        self.keep_in(self.store)
        for policy in ("end", "refuse", "continue"):
            self.socket(policy, "acme", "on", "--on-failure", policy)
        os.makedirs(self.spool)
        self.mount("-t", "tmpfs", "-o", "size=%d,mode=700" % SIZE, "spool")

    def keep_in(self, store):
        self.must("settings", "storage", "acme", "--type", "directory", "--path", store)

    def mount(self, *words):
        subprocess.run(["mount", *words, self.spool], check=True)

    @property
    def free(self):
        facts = os.statvfs(self.spool)
        return facts.f_bavail * facts.f_frsize

    def fill(self, leave=0):
        """All but so many bytes are somebody else's."""
        with open(os.path.join(self.spool, "ballast"), "ab") as file:
            while self.free > leave:
                try:
                    os.write(file.fileno(), bytes(min(65536, self.free - leave)))
                except OSError:
                    break

    def empty(self):
        os.unlink(os.path.join(self.spool, "ballast"))

    def recover(self):
        done = self.once()
        assert done.returncode == 0, done.stderr
        assert left_in(self.spool) in ([], ["ballast"])
        return recordings(self.store)


def full_when_it_opens(disk):
    disk.fill()
    for policy in ("end", "refuse"):
        done = disk.record(policy, "echo ran")
        assert (done.returncode, done.stdout) == (REFUSED, b""), done
        assert b"must be recorded" in done.stderr, done.stderr
    # An operator can still log in.
    done = disk.record("continue", "echo ran; exit 3")
    assert (done.returncode, done.stdout) == (3, b"ran\n"), done
    assert disk.recover() == []
    disk.empty()
    assert disk.record("end", "echo ran").stdout == b"ran\n"
    assert [one.shown for one in disk.recover()] == [b"ran\n"]


def full_in_the_middle_ends(disk):
    done = disk.record("end", MUCH + "echo; echo still here >&2; sleep 60")
    assert done.returncode == RECORDING_ENDED, done.returncode
    assert len(done.stdout) < SIZE
    (one,) = disk.recover()
    assert one.shown == done.stdout, "%d shown, %d recorded" % (len(done.stdout), len(one.shown))
    assert one.manifest["end"] == "lost" and "could not be recorded" in one.manifest["message"]
    assert one.manifest["lost_bytes"] > 0


def full_in_the_middle_goes_on(disk, policy):
    done = disk.record(policy, MUCH + "exit 5")
    assert (done.returncode, len(done.stdout)) == (5, 4000000)
    (one,) = disk.recover()
    # Smaller events may still fit after the first that did not: there can be several gaps.
    assert one.lacks(done.stdout) > 0
    assert len(os.path.commonprefix([done.stdout, one.shown])) > SIZE // 4
    assert (one.manifest["end"], one.manifest["exit_status"]) == ("exited", 5)


def full_in_the_middle_refuses(disk):
    full_in_the_middle_goes_on(disk, "refuse")


def full_in_the_middle_continues(disk):
    full_in_the_middle_goes_on(disk, "continue")


def a_gap_is_marked_where_it_is(disk):
    """Full for a while, in the middle of a session; the recorder is not needed for the space."""
    flag = os.path.join(disk.directory, "flag")
    command = ("head -c 30000 /dev/urandom; touch %(flag)s.full; "
               "while ! test -e %(flag)s.go; do sleep 0.02; done; head -c 300000 /dev/urandom; "
               "touch %(flag)s.lost; while ! test -e %(flag)s.end; do sleep 0.02; done; "
               "echo after the gap") % {"flag": flag}
    shown = []
    session = threading.Thread(target=lambda: shown.append(disk.record("continue", command)))
    session.start()
    wait_until(lambda: os.path.exists(flag + ".full"))
    disk.fill()
    open(flag + ".go", "w", encoding="ascii").close()
    wait_until(lambda: os.path.exists(flag + ".lost"))
    time.sleep(0.3)
    disk.empty()
    open(flag + ".end", "w", encoding="ascii").close()
    session.join()
    (done,) = shown
    assert done.returncode == 0 and len(done.stdout) == 330000 + len("after the gap\n")
    (one,) = disk.recover()
    assert 0 < one.lacks(done.stdout) <= 300000
    assert isinstance(one.pieces[0], bytes) and one.shown.endswith(b"after the gap\n")
    assert len(os.path.commonprefix([one.shown, done.stdout])) >= 30000


def uploads_alone_bring_it_back(disk):
    """Finished sessions fill it until new ones are refused. Nobody makes space but the recorder."""
    shown = []
    while True:
        done = disk.record("end", "head -c 150000 /dev/urandom")
        if done.returncode:
            break
        shown.append(done.stdout)
    while disk.record("end", "echo ran").returncode != REFUSED:
        pass
    found = disk.recover()
    whole = [one.shown for one in found if one.manifest["end"] == "exited"]
    assert [one for one in whole if one != b"ran\n"] == shown and len(shown) >= 3
    assert disk.record("end", "echo ran").returncode == 0


def one_session_may_fill_alone(disk):
    """Nobody else's space comes back first: what it may take leaves enough to complete it."""
    for command in (MUCH, "head -c 4000000 /dev/urandom", "head -c 3000000 /dev/urandom | tr -dc "
                    "'[:print:]\\n'", "yes"):
        done = disk.record("end", command)
        assert done.returncode == RECORDING_ENDED, command
        (one,) = disk.recover()
        assert one.shown == done.stdout, command
        shutil.rmtree(disk.store)


def an_outage_fills_and_its_end_empties(disk):
    """The recorder is at work all the time, the store is not there, sessions of all sizes come and
    go. Then the store is back: new sessions get in again, and nothing is missing."""
    dice = random.Random(2)
    disk.keep_in("/dev/null/store")
    recorder = Daemon([program("castbucket"), "recorder"],
                      os.path.join(disk.directory, "recorder.log"), env=disk.environment())
    shown, refused = [], 0
    while refused < 5:
        done = disk.record("end", "head -c %d /dev/urandom" % dice.randrange(1, 200000))
        assert done.returncode in (0, REFUSED, RECORDING_ENDED), done
        if done.returncode != REFUSED:
            shown.append(done.stdout)
        refused += done.returncode == REFUSED
    disk.keep_in(disk.store)
    wait_until(lambda: disk.record("end", "echo ran").returncode == 0, seconds=30)
    try:
        wait_until(lambda: left_in(disk.spool) == [], seconds=30)
    except AssertionError:
        raise AssertionError("left: %s\n%s" % (left_in(disk.spool), recorder.words())) from None
    assert recorder.stop() == 0
    found = [one.shown for one in recordings(disk.store)]
    # A session may end for want of space before it has shown anything.
    assert sorted(one for one in found if one not in (b"", b"ran\n")) == sorted(
        one for one in shown if one)
    print("%d sessions until it was full" % len(shown))


def every_step_may_find_it_full(disk):
    """The recorder with so much space left and no more, for many so-much: it may fail, and say
    so, but loses nothing, and when there is space again it completes."""
    dice = random.Random(1)
    steps = [0, 1, 4096, 8192] + [dice.randrange(120) * 4096 for _ in range(12)]
    for leave in steps:
        shown = disk.record("end", "head -c 200000 /dev/urandom").stdout
        assert len(shown) == 200000
        disk.fill(leave)
        done = disk.once()
        assert done.returncode == 0 or "space" in done.stderr, done.stderr
        disk.empty()
        (one,) = disk.recover()
        assert one.shown == shown, leave
        shutil.rmtree(disk.store)
    print("full with %s bytes left" % steps)


def read_only(disk):
    shown = disk.record("end", "echo before").stdout
    disk.mount("-o", "remount,ro")
    for policy in ("end", "refuse"):
        assert disk.record(policy, "echo ran").returncode == REFUSED
    done = disk.record("continue", "echo ran")
    assert (done.returncode, done.stdout) == (0, b"ran\n")
    done = disk.once()
    assert done.returncode != 0 and "ead-only" in done.stderr, done.stderr
    disk.mount("-o", "remount,rw")
    assert [one.shown for one in disk.recover()] == [shown]


CASES = [full_when_it_opens, full_in_the_middle_ends, full_in_the_middle_refuses,
         full_in_the_middle_continues, a_gap_is_marked_where_it_is, uploads_alone_bring_it_back,
         one_session_may_fill_alone, an_outage_fills_and_its_end_empties,
         every_step_may_find_it_full, read_only]


def how_to_mount():
    for words in UNSHARE:
        if subprocess.run([*words, "sh", "-c", "mount -t tmpfs none /mnt"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return words
    return None


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_a_spool_that(case, tmp_path, say):
    words = how_to_mount()
    if words is None:
        say("skipped: this machine lets nobody but its root mount a tmpfs (%s)" %
            " or ".join(" ".join(words) for words in UNSHARE))
        pytest.skip("no mount")
    begun = time.monotonic()
    done = run([*words, sys.executable, os.path.abspath(__file__), case, str(tmp_path)],
               seconds=120, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    say("a spool of %d KiB that %s: %.1f s %s" % (
        SIZE >> 10, case, time.monotonic() - begun, done.stdout.decode().strip()))


if __name__ == "__main__":
    one = {case.__name__: case for case in CASES}[sys.argv[1]]
    one(Disk(sys.argv[2]))


@pytest.mark.parametrize("below", ["", "/below"])
def test_a_file_where_the_store_should_be_is_named_with_what_to_do(home, below):
    path = os.path.join(home.directory, "store")
    with open(path, "wb"):
        pass
    home.must("settings", "storage", "acme", "--type", "directory", "--path", path + below)
    home.socket("web-1", "acme")
    assert home.record("web-1", "echo kept").stdout == b"kept\n"
    wanted = "%s, or a part of that path, is not a directory: move the file away, or set another" % (
        path + below)
    for words in (["recorder", "--once"], ["ls", "--org", "acme"], ["check", "--org", "acme"]):
        done = home.castbucket(*words)
        assert done.returncode == 1 and wanted in done.stdout + done.stderr
    os.unlink(path)
    assert home.once().returncode == 0 and left_in(home.spool) == []
    assert [one.shown for one in recordings(path + below)] == [b"kept\n"]
