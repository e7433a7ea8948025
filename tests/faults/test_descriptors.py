"""No descriptor is left, in the host and in the recorder: each policy does what it says, and all goes
on when there are some again."""

import glob
import os
import resource
import time

import pytest

from faults.recordings import left_in, recordings
from faults.test_many import Host, cpu_seconds
from lab.process import Daemon, program, wait_until

BYTES = 1000000


def limit(pid, descriptors):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, 64))


@pytest.fixture
def store(home):
    path = os.path.join(home.directory, "store")
    home.must("settings", "storage", "acme", "--type", "directory", "--path", path)
    for policy in ("end", "refuse", "continue"):
        home.socket(policy, "acme", "on", "--on-failure", policy)
    return path


def of(ids, text):
    return [("%s %s\r\n" % (session, text)).encode() for session in ids]


@pytest.mark.parametrize("policy", ["refuse", "continue"])
def test_a_host_without_descriptors_goes_on_as_the_socket_says(home, store, policy, say):
    host = Host(home, policy)
    host.must("open 5")
    ids = host.must("list")
    host.must("print before")
    limit(host.pid, 3)
    answer = " ".join(host.tell("open 1"))
    assert ("must be recorded" if policy == "refuse" else "not recorded: ") in answer, answer
    assert host.tell("one 3 %d" % BYTES) == ["verdict", "1"]  # degraded, and goes on
    limit(host.pid, 64)
    host.must("one 3 %d" % BYTES)
    host.must("print after")
    host.must("open 1")
    more = host.must("list")[-1]
    host.must("close 6")
    said = host.finish()
    assert "Too many open files" in said and "is recorded again" in said, said
    assert home.once().returncode == 0
    assert left_in(home.spool) == []
    found = {one.facts["id"]: one for one in recordings(store)}
    assert sorted(found) == sorted(ids + [more])
    lost = found[ids[3]].manifest["lost_bytes"]
    assert 0 < lost <= BYTES
    assert any(marker.startswith("gap: %d bytes" % lost) for marker in found[ids[3]].markers)
    before, after = of(ids, "before"), of(ids, "after")
    for i, session in enumerate(ids):
        shown = found[session].shown
        assert shown.startswith(before[i]) and shown.endswith(after[i])
        assert len(shown) == len(before[i]) + len(after[i]) + (2 * BYTES - lost if i == 3 else 0)
    say("%s: %d of %d bytes were lost and marked" % (policy, lost, 2 * BYTES))


def test_a_recorder_without_descriptors_says_so_and_goes_on_when_there_are_some(home, store, say):
    recorder = Daemon([program("castbucket"), "recorder"],
                      os.path.join(home.directory, "recorder.log"), env=home.environment())
    home.things.append(recorder)
    pid = recorder.process.pid
    host = Host(home, "end")
    host.must("open 10")
    ids = host.must("list")
    host.must("print before")
    wait_until(lambda: len(glob.glob(home.spool + "/sealed/*.seal")) == 10, 60, "all to be begun")
    limit(pid, 3)
    # Sessions do not notice.
    host.must("print after")
    host.must("one 3 %d" % BYTES)
    host.must("open 5")
    ids = host.must("list")
    host.must("print last")
    host.must("close 15")
    host.finish()
    wait_until(lambda: "Too many open files" in recorder.words(), 30, "the recorder to say so")
    spent = cpu_seconds(pid)
    time.sleep(4)
    spent = (cpu_seconds(pid) - spent) / 4
    assert spent < 0.5, "it tries without end"
    assert recorder.words().count("Too many open files") < 20, recorder.words()
    assert recordings(store) == []
    limit(pid, 64)
    begun = time.monotonic()
    wait_until(lambda: left_in(home.spool) == [], 90, "all to be stored")
    waited = time.monotonic() - begun
    assert recorder.stop() == 0
    found = {one.facts["id"]: one.shown for one in recordings(store)}
    assert sorted(found) == sorted(ids)
    for i, session in enumerate(ids):
        before, after, last = [of([session], text)[0] for text in ("before", "after", "last")]
        busy = BYTES if i == 3 else 0
        assert found[session].startswith(before + after if i < 10 else last)
        assert found[session].endswith(last)
        assert len(found[session]) == len(last) + (len(before + after) + busy if i < 10 else 0)
    say("without descriptors it took %.0f %% of a processor; with some, all was stored after %.0f s" % (
        100 * spent, waited))
