"""The main job, from end to end: a person through the proxy to a server, into the bucket, back."""

import os
import signal

import pytest

from lab.process import Terminal, environment, program, wait_until


@pytest.mark.smoke
def test_a_terminal_session_is_in_the_bucket_by_itself_and_plays_back(lab):
    acme = lab.organization("acme", ["web-1"], external_id="right-one")
    alice = lab.person()
    proxy = lab.proxy({"web-1": lab.target()}, [alice])
    screen = Terminal(alice.words("-tt", "web-1"), columns=100, rows=30,
                      env=environment(HOME=alice.directory))
    screen.expect_prompt()
    screen.send("PS1='$ '; stty -echo\n")
    screen.send("echo size $(stty size) sum $((40 + 2))\n")
    screen.expect("size 30 100 sum 42")
    screen.resize(120, 40)
    wait_until(lambda: "40 120" in ask(screen), what="the new size")
    screen.send("exit 5\n")
    assert screen.finish() == 5

    entries = wait_until(lambda: complete(lab), what="the upload")
    assert len(entries) == 1
    entry = entries[0]
    assert (entry["socket"], entry["user"]) == ("web-1", "alice")
    assert entry["key"].endswith(entry["id"] + ".cast.gz")
    assert entry["size"] == lab.objects(acme)[entry["key"]]
    assert entry["exit_status"] == 5 and entry["duration"] > 0 and entry["started"].endswith("Z")
    assert lab.castbucket("get", entry["id"], "--org", "acme", "--raw").raw == screen.seen

    player = Terminal([program("castbucket"), "play", entry["id"], "--org", "acme", "--speed",
                       "100", "--idle-limit", "0.1"], columns=120, rows=40, env=lab.environment())
    assert player.finish() == 0
    assert b"size 30 100 sum 42" in player.seen
    assert proxy.stop() == 0
    assert lab.spooled() == []


def ask(screen):
    start = len(screen.seen)
    screen.send("echo size $(stty size) sum $((50 + 2))\n")
    screen.expect("sum 52", after=start)
    return screen.seen[start:].decode()


def complete(lab):
    """What is listed without a manifest is still on its way."""
    return [entry for entry in lab.ls("acme") if entry["complete"]]


def test_exit_status_and_stderr_come_through_and_are_recorded(lab):
    lab.organization("acme", ["web-1"])
    alice = lab.person()
    lab.proxy({"web-1": lab.target()}, [alice])
    done = alice.ssh("web-1", "cat; echo problem >&2; exit 3", input=b"typed\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"typed\n", b"problem\n")
    entry = wait_until(lambda: complete(lab), what="the upload")[0]
    assert entry["exit_status"] == 3
    shown = lab.castbucket("get", entry["id"], "--org", "acme", "--raw").raw
    assert sorted(shown.splitlines()) == [b"problem", b"typed"]


def test_a_session_the_proxy_was_killed_in_is_not_lost(lab):
    lab.organization("acme", ["web-1"])
    alice = lab.person()
    proxy = lab.proxy({"web-1": lab.target()}, [alice])
    screen = Terminal(alice.words("-tt", "web-1"), env=environment(HOME=alice.directory))
    screen.expect_prompt()
    screen.send("echo seen $((40 + 2))\n")
    screen.expect("seen 42")
    seen = screen.seen
    kill_tree(proxy.daemon.process.pid)
    proxy.daemon.process.wait()
    screen.finish()
    wait_until(lambda: lab.once().returncode == 0, what="nothing left")
    entry = lab.ls("acme")[0]
    assert lab.castbucket("get", entry["id"], "--org", "acme", "--raw").raw.startswith(seen)


def kill_tree(pid):
    """kill -9 of a process and all below it, by their numbers."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        below = [int(word) for word in file.read().split()]
    os.kill(pid, signal.SIGKILL)
    for child in below:
        try:
            kill_tree(child)
        except (OSError, FileNotFoundError):
            pass
