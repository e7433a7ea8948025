"""Ten thousand sessions open in one process (SESSIONS=n): what they cost is bounded, a busy one delays
no other, and each is stored once, as it was shown. And limits of the process are clear answers."""

import os
import re
import resource
import subprocess
import time

import pytest

from faults.recordings import left_in, recordings
from lab.process import Daemon, die_with_parent, program, wait_until, wait_while_falling

SESSIONS = int(os.environ.get("SESSIONS", 10000))
BUSY = 48 << 20
PRIVATE_AT_MOST = 8 << 10  # bytes a session
RECORDER_AT_MOST = 8 << 10


def memory(pid):
    """smaps_rollup, in bytes."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        found = {name: int(size) << 10
                 for name, size in re.findall(r"^(\w+): +(\d+) kB", file.read(), re.MULTILINE)}
    found["Private"] = found["Private_Clean"] + found["Private_Dirty"]
    return found


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def few_descriptors():
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


class Host:
    """tests/faults/many_sessions.c, which may open 64 descriptors."""

    def __init__(self, home, socket="web-1"):
        self.process = subprocess.Popen(
            [program("tests/faults/many_sessions"), home.plugin, home.settings, socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=few_descriptors, env=home.environment())
        self.pid = self.process.pid

    def tell(self, words):
        """The words of the answer."""
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def must(self, words):
        answer = self.tell(words)
        assert answer[0] == "ok", "%s: %s" % (words, " ".join(answer))
        return answer[1:]

    def finish(self):
        """What it logged."""
        self.process.stdin.close()
        said = self.process.stderr.read()
        assert self.process.wait() == 0
        self.process.stdout.close()
        self.process.stderr.close()
        return said

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def store(home):
    path = os.path.join(home.directory, "store")
    home.must("settings", "storage", "acme", "--type", "directory", "--path", path)
    home.socket("web-1", "acme")
    return path


@pytest.fixture
def host(home, store):
    made = Host(home)
    home.things.append(made)
    return made


def stored(store):
    return sum(name.endswith(".json") for _, _, names in os.walk(store) for name in names)


def is_stored(store, session):
    return any(session + ".json" in names for _, _, names in os.walk(store))


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_very_many_sessions_in_one_process_cost_little_and_are_all_stored(
        home, store, host, where, say):
    host.must("open 1")
    before, files = memory(host.pid), descriptors(host.pid)
    opening = float(host.must("open %d" % (SESSIONS - 1))[0])
    host.must("print the first line")
    private = (memory(host.pid)["Private"] - before["Private"]) / (SESSIONS - 1)
    assert private <= PRIVATE_AT_MOST
    assert descriptors(host.pid) == files, "sessions keep descriptors"
    ids = host.must("list")
    assert len(set(ids)) == SESSIONS

    # The recorder takes them all up.
    if where == "inside":
        host.must("start")
        pid = host.pid
    else:
        recorder = Daemon([program("castbucket"), "recorder"],
                          os.path.join(home.directory, "recorder.log"), env=home.environment())
        home.things.append(recorder)
        pid = recorder.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
    sealed = os.path.join(home.spool, "sealed")
    wait_until(lambda: len(os.listdir(sealed)) >= SESSIONS, 120, "all to be sealed so far")
    time.sleep(3)
    idle = cpu_seconds(pid)
    time.sleep(5)
    idle = (cpu_seconds(pid) - idle) / 5
    heap = memory(pid)["Anonymous"] / SESSIONS
    assert heap <= RECORDER_AT_MOST
    assert descriptors(pid) < 64

    # One that prints as fast as it can, and one that ends meanwhile.
    assert host.tell("one 0 %d" % BUSY)[0] == "ok"
    host.must("open 1")
    short = host.must("list")[-1]
    host.must("close 1")
    begun = time.monotonic()
    wait_until(lambda: is_stored(store, short), 60, "a short session beside a busy one")
    waited = time.monotonic() - begun

    host.must("print and the last")
    closing = float(host.must("close %d" % SESSIONS)[0])
    begun = time.monotonic()
    wait_while_falling(lambda: SESSIONS + 1 - stored(store), what="all to be stored")
    draining = time.monotonic() - begun
    host.finish()
    if where == "beside":
        recorder.stop()
    assert left_in(home.spool) == []

    shown = {}
    for one in recordings(store):
        assert one.manifest["end"] == "exited" and not one.markers
        assert one.facts["id"] not in shown
        shown[one.facts["id"]] = one.shown
    assert shown.pop(short) == b""
    assert sorted(shown) == sorted(ids)
    for i, session in enumerate(ids):
        first, last = [("%s %s\r\n" % (session, text)).encode()
                       for text in ("the first line", "and the last")]
        if i == 0:
            assert len(shown[session]) == len(first) + BUSY + len(last)
            assert shown[session].startswith(first) and shown[session].endswith(last)
        else:
            assert shown[session] == first + last
    say("%d sessions, the recorder %s: %.1f KiB private memory each, %d descriptors; opened in %.1f s, "
        "closed in %.1f s, stored in %.0f s; the recorder has %.1f KiB and %.1f %% of a processor for "
        "them while they are idle; a short session beside a busy one was stored after %.1f s" % (
            SESSIONS, where, private / 1024, files, opening, closing, draining, heap / 1024,
            100 * idle, waited))


def test_a_process_without_descriptors_says_so_and_loses_nothing_it_took(home, store, host):
    host.must("open 20")
    ids = host.must("list")
    host.must("print kept")
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (3, 64))
    refused = " ".join(host.tell("open 1"))
    assert refused.startswith("refused 20 sessions on socket web-1 must be recorded"), refused
    host.must("print still kept")  # what has its space needs no descriptor
    assert host.tell("one 3 1000000")[:2] == ["verdict", "2"]  # must end, by the setting
    resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (64, 64))
    host.must("open 1")
    more = host.must("list")[-1]
    host.must("close 21")
    said = host.finish()
    assert said.count("Too many open files") >= 2, said
    done = home.once()
    assert done.returncode == 0, done.stderr
    assert left_in(home.spool) == []
    found = {one.facts["id"]: one for one in recordings(store)}
    assert sorted(found) == sorted(ids + [more])
    for i, session in enumerate(ids):
        first, last = [("%s %s\r\n" % (session, text)).encode() for text in ("kept", "still kept")]
        assert found[session].shown.startswith(first + last)
        assert i == 3 or found[session].shown == first + last
    assert any(marker.startswith("gap: ") for marker in found[ids[3]].markers)


def test_a_process_without_address_space_says_so(home, store, host):
    host.must("open 5")
    with open("/proc/%d/statm" % host.pid, encoding="ascii") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    # Room for some more: as when vm.max_map_count is reached.
    resource.prlimit(host.pid, resource.RLIMIT_AS, (used + (1 << 20), resource.RLIM_INFINITY))
    answer = host.tell("open 100")
    assert answer[0] == "refused" and 5 <= int(answer[1]) < 100, answer
    host.must("print kept")
    resource.prlimit(host.pid, resource.RLIMIT_AS,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    host.must("close 100")
    assert "vm.max_map_count" in host.finish()
    assert home.once().returncode == 0
    assert all(one.shown.endswith(b" kept\r\n") for one in recordings(store))
