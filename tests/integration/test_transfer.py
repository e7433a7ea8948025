"""File transfers by OpenSSH's own programs and others', through both hosts: what happened to which
file is recorded, with the hash that the file has."""

import hashlib
import json
import os
import random
import signal
import subprocess
import time

import pytest

from lab.process import die_with_parent, environment, program, run, wait_until
from lab.ssh import account, write


class Way:
    """A way to a far side, `web-1`, where every session is recorded into a directory."""

    def __init__(self, lab, host):
        self.lab = lab
        self.proxy = None
        self.here, self.there, self.store = (os.path.join(lab.directory, name)
                                             for name in ("here", "there", "store"))
        for folder in (self.here, self.there, self.store):
            os.makedirs(folder)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path", self.store)
        lab.socket("web-1", "acme")
        if host == "proxy":
            alice = lab.person()
            self.proxy = lab.proxy({"web-1": lab.target()}, [alice])
            self.config = alice.config
        else:
            target = lab.target("bastion", "ForceCommand %s --plugin %s --settings %s --socket web-1"
                                % (program("castbucket-shell"), lab.plugin, lab.settings))
            self.config = write(os.path.join(lab.directory, "config"), "\n".join([
                "Host web-1", "    HostName 127.0.0.1", "    User " + account(),
                "    Port %d" % target.port, "    IdentityFile " + target.identity,
                "    IdentitiesOnly yes", "    UserKnownHostsFile " + target.known_hosts,
                "    BatchMode yes", "    LogLevel ERROR", "    IdentityAgent none", ""]))

    def run(self, *words, status=0, **keywords):
        env = environment(HOME=self.lab.directory, GIT_SSH_COMMAND="ssh -F " + self.config,
                          RSYNC_RSH="ssh -F " + self.config)
        done = run(list(words), seconds=100, cwd=self.here, env=env, **keywords)
        assert status is None or done.returncode == status, (words, done.stdout, done.stderr)
        return done

    def sftp(self, *batch, status=0):
        return self.run("sftp", "-F", self.config, "-b", "-", "web-1", status=status,
                        input="\n".join(batch).encode() + b"\n")

    def recordings(self, count):
        """The manifests' facts, oldest first, once there are so many."""
        def complete():
            if not self.proxy:
                done = self.lab.once()
                assert done.returncode == 0, done.stderr
            found = [entry for entry in self.lab.ls("acme") if entry["complete"]]
            return len(found) >= count and found
        found = wait_until(complete, seconds=40, what="%d recordings" % count)
        assert len(found) == count, found
        return found

    def told(self, entry):
        """What `castbucket transfers` says; the manifest must say the same."""
        text = self.lab.must("transfers", entry["id"], "--org", "acme", "--json")
        operations = [json.loads(line) for line in text.splitlines()]
        path = os.path.join(self.store, entry["key"][:-len(".cast.gz")] + ".json")
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)["transfer"]
        assert manifest["list"] == operations
        assert manifest["operations"] == manifest["listed"] == len(operations)
        return operations


@pytest.fixture(params=["shell", "proxy"])
def way(request, home):
    return Way(home, request.param)


# Where the host makes no difference, one is enough.
@pytest.fixture
def shell(home):
    return Way(home, "shell")


@pytest.fixture
def proxy(home):
    return Way(home, "proxy")


def make(folder, name, size):
    data = random.Random(name).randbytes(size)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()


def hash_of(*path):
    with open(os.path.join(*path), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def files(operations):
    """(op, last part of the path, bytes, hash, result) of what was put and got."""
    return [(one["op"], os.path.basename(one["path"]), one["bytes"], one["sha256"], one["result"])
            for one in operations if one["op"] in ("put", "get") and "bytes" in one]


def test_each_thing_that_sftp_does_is_told(way):
    large, small = make(way.here, "large", 3000000), make(way.here, "a b", 1)
    far = way.there
    way.sftp("put large %s/large" % far, "put \"a b\" \"%s/a b\"" % far, "get %s/large back" % far,
             "rename %s/large %s/renamed" % (far, far), "mkdir %s/folder" % far,
             "rmdir %s/folder" % far, "ln %s/renamed %s/hard" % (far, far),
             "ln -s renamed %s/soft" % far, "chmod 600 %s/renamed" % far, "rm %s/hard" % far,
             "ls %s" % far, "-get %s/nothing" % far, "-rmdir %s/nothing" % far,
             "-put large /proc/nothing")
    assert hash_of(way.here, "back") == hash_of(far, "renamed") == large
    (entry,) = way.recordings(1)
    assert (entry["kind"], entry["command"], entry["exit_status"]) == ("subsystem", "sftp", 0)
    assert entry["transfer"]["protocol"] == "sftp" and entry["transfer"]["understood"]
    assert (entry["transfer"]["put_bytes"], entry["transfer"]["got_bytes"]) == (3000001, 3000000)
    told = way.told(entry)
    assert files(told) == [("put", "large", 3000000, large, "ok"), ("put", "a b", 1, small, "ok"),
                           ("get", "large", 3000000, large, "ok")]
    rest = [(one["op"], one["path"].replace(far, ""), one.get("to", "").replace(far, ""),
             one.get("detail", ""), one["result"]) for one in told if "bytes" not in one]
    assert [one for one in rest if one[0] != "list" and one[1] != "/proc/nothing"] == [
        ("rename", "/large", "/renamed", "", "ok"), ("mkdir", "/folder", "", "", "ok"),
        ("rmdir", "/folder", "", "", "ok"), ("link", "/renamed", "/hard", "", "ok"),
        ("symlink", "/soft", "renamed", "", "ok"),
        ("setstat", "/renamed", "", "mode=0600", "ok"), ("remove", "/hard", "", "", "ok"),
        ("rmdir", "/nothing", "", "", "no-such-file")]
    assert [one[4] for one in rest if one[0] == "put"] != ["ok"]
    assert entry["size"] < 20000  # not megabytes of protocol


@pytest.mark.parametrize("old", [False, True], ids=["sftp", "scp-O"])
def test_scp_is_told_in_both_directions(way, old):
    one, two = make(way.here, "one", 700000), make(way.here, "two words", 5)
    os.makedirs(os.path.join(way.here, "tree", "deep"))
    three = make(os.path.join(way.here, "tree", "deep"), "three", 40000)
    scp = ["scp", "-F", way.config, "-p"] + ["-O"] * old
    way.run(*scp, "-r", "one", "two words", "tree", "web-1:" + way.there)
    os.makedirs(os.path.join(way.here, "back"))
    way.run(*scp, "-r", "web-1:%s/tree" % way.there, "web-1:%s/one" % way.there, "back")
    assert hash_of(way.there, "tree", "deep", "three") == three
    assert hash_of(way.here, "back", "tree", "deep", "three") == three
    assert hash_of(way.there, "two words") == two
    # scp's old protocol opens a session for each name that it fetches.
    entries = way.recordings(3)
    assert {entry["transfer"]["protocol"] for entry in entries} == {"scp" if old else "sftp"}
    told = [files(way.told(entry)) for entry in entries]
    assert told[0] == [("put", "one", 700000, one, "ok"), ("put", "two words", 5, two, "ok"),
                       ("put", "three", 40000, three, "ok")]
    assert told[1:] == [[("get", "three", 40000, three, "ok")], [("get", "one", 700000, one, "ok")]]
    if old:
        paths = [(one["op"], one["path"]) for one in way.told(entries[0])]
        assert paths[-3:] == [("mkdir", "tree"), ("mkdir", "tree/deep"), ("put", "tree/deep/three")]


@pytest.mark.parametrize("old", [False, True], ids=["sftp", "scp-O"])
def test_scp_between_two_far_sides_is_told_of_both(proxy, old):
    hash_there = make(proxy.there, "from", 400000)
    proxy.run("scp", "-F", proxy.config, "-3", *["-O"] * old, "web-1:%s/from" % proxy.there,
            "web-1:%s/to" % proxy.there)
    assert hash_of(proxy.there, "to") == hash_there
    told = sum((files(proxy.told(entry)) for entry in proxy.recordings(2)), [])
    assert sorted((one[0], one[2:]) for one in told) == [
        ("get", (400000, hash_there, "ok")), ("put", (400000, hash_there, "ok"))]


def test_what_scp_is_refused_is_told(shell):
    make(shell.here, "one", 10)
    shell.run("scp", "-O", "-F", shell.config, "one", "web-1:/proc/one", status=1)
    shell.run("scp", "-O", "-F", shell.config, "web-1:/nowhere/at/all", ".", status=1)
    told = [shell.told(entry) for entry in shell.recordings(2)]
    assert [one["result"] for one in told[0] if one["op"] == "put"] == ["failure"]
    assert [one["op"] for one in told[1]] == ["other"]
    assert "No such file" in told[1][0]["detail"]


def test_rsync_and_git_are_told_by_bytes_and_hash(way):
    make(way.here, "one", 700000)
    way.run("rsync", "-a", "one", "web-1:%s/" % way.there)
    assert hash_of(way.there, "one") == hash_of(way.here, "one")
    way.run("git", "init", "-q", "--bare", way.there + "/repository.git")
    way.run("git", "clone", "-q", "web-1:%s/repository.git" % way.there, "clone")
    entries = way.recordings(2)
    assert [entry["transfer"]["protocol"] for entry in entries] == ["rsync", "git"]
    for entry in entries:
        told = way.told(entry)
        assert [one["op"] for one in told] == ["input", "output"]
        assert all(len(one["sha256"]) == 64 and one["bytes"] > 0 for one in told)
        assert entry["transfer"]["put_bytes"] == told[0]["bytes"]
        assert entry["size"] < 3000
    assert entries[0]["command"].startswith("rsync --server")
    assert entries[0]["transfer"]["put_bytes"] > 700000


def slow_sftp(way, kilobits, *batch):
    client = subprocess.Popen(
        ["sftp", "-F", way.config, "-l", str(kilobits), "-b", "-", "web-1"], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=way.here,
        env=environment(HOME=way.lab.directory), preexec_fn=die_with_parent)
    client.stdin.write("\n".join(batch).encode() + b"\n")
    client.stdin.close()
    return client


def interrupted(way, *words, until):
    """A client at 8 Mbit/s that is killed when `until` holds."""
    client = slow_sftp(way, 8000, " ".join(words))
    wait_until(until, what="a part of the file")
    client.send_signal(signal.SIGKILL)
    client.wait()


@pytest.mark.parametrize("direction", ["put", "get"])
def test_an_interrupted_transfer_and_its_resumption_are_two_parts(way, direction):
    near = direction == "get"
    source, target = (way.there, way.here) if near else (way.here, way.there)
    make(source, "large", 2000000)
    to = os.path.join(target, "part")
    interrupted(way, direction, os.path.join(source, "large"), to,
                until=lambda: os.path.exists(to) and os.path.getsize(to) > 200000)
    (first,) = way.recordings(1)
    way.sftp("re%s %s/large %s" % (direction, source, to))
    assert hash_of(to) == hash_of(source, "large")
    entries = way.recordings(2)
    with open(to, "rb") as file:
        data = file.read()
    for entry, result in ((first, "unfinished"), (entries[1], "ok")):
        (one,) = [one for one in way.told(entry) if one["op"] == direction]
        assert one["result"] == result and one["bytes"] > 0
        start = one.get("offset", 0)
        assert one["sha256"] == hashlib.sha256(data[start:start + one["bytes"]]).hexdigest()
        assert (start > 0) == (result == "ok")
    assert start + one["bytes"] == len(data)


def test_contents_are_kept_where_the_socket_says_so(shell):
    shell.lab.socket("web-1", "acme", "on", "--transfer-contents", "on")
    make(shell.here, "large", 300000)
    shell.sftp("put large %s/large" % shell.there, "get %s/large back" % shell.there)
    (entry,) = shell.recordings(1)
    with open(os.path.join(shell.here, "large"), "rb") as file:
        data = file.read()
    words = ["get", entry["id"], "--org", "acme", "--raw", "--stream"]
    for stream in "input", "stdout":
        raw = shell.lab.castbucket(*words, stream).raw
        assert all(data[at:at + 16384] in raw for at in range(0, 294912, 32768))
    assert entry["transfer"]["contents"] and len(files(shell.told(entry))) == 2
    shown = shell.lab.must("play", entry["id"], "--org", "acme", "--speed", "max")
    assert shown.startswith("put ") and len(shown.splitlines()) == 2
    folder = os.path.join(shell.lab.directory, "extracted")
    words = ["transfers", entry["id"], "--org", "acme", "--extract", folder]
    shell.lab.must(*words)
    assert sorted(os.listdir(folder)) == ["000001-put-large", "000002-get-large"]
    for name in os.listdir(folder):
        assert hash_of(folder, name) == hash_of(shell.here, "large")
    again = shell.lab.castbucket(*words)
    assert again.returncode == 1 and "000001-put-large: File exists" in again.stderr


def test_a_name_that_ends_within_a_character_is_told_and_extracted(shell):
    shell.lab.socket("web-1", "acme", "on", "--transfer-contents", "on")
    hash_here = make(shell.here, "one", 3000)
    shell.run("sftp", "-F", shell.config, "-b", "-", "web-1",
              input=b'put one "%s/half-\xc3"\n' % shell.there.encode())
    assert os.listdir(os.fsencode(shell.there)) == [b"half-\xc3"]
    (entry,) = shell.recordings(1)
    assert files(shell.told(entry)) == [("put", "half-\ufffd", 3000, hash_here, "ok")]
    folder = os.path.join(shell.lab.directory, "extracted")
    shell.lab.must("transfers", entry["id"], "--org", "acme", "--extract", folder)
    assert os.listdir(folder) == ["000001-put-half-_"]
    assert hash_of(folder, "000001-put-half-_") == hash_here


def test_a_stream_that_is_not_what_it_says_is_recorded_whole(way):
    sent = b"\0\0\0\5\1\0\0\0\3" + b"uname -a # \xff\xfe\n" * 3
    way.run("ssh", "-F", way.config, "-s", "web-1", "sftp", input=sent, status=None)
    (entry,) = way.recordings(1)
    raw = way.lab.castbucket("get", entry["id"], "--org", "acme", "--raw", "--stream", "input").raw
    assert sent.endswith(raw) and len(raw) == len(sent) - 9
    assert not entry["transfer"]["understood"]
    done = way.lab.castbucket("transfers", entry["id"], "--org", "acme")
    assert "did not follow the protocol" in done.stderr


@pytest.mark.parametrize("command", ["scp -t /nowhere; echo shown", "echo scp -t /nowhere shown",
                                     "rsync --server . | echo shown"])
def test_a_command_that_does_more_than_a_transfer_is_recorded_as_it_is(shell, command):
    done = shell.run("ssh", "-F", shell.config, "web-1", command, input=b"", status=None)
    assert b"shown\n" in done.stdout
    (entry,) = shell.recordings(1)
    assert entry["transfer"] is None
    assert shell.lab.castbucket("get", entry["id"], "--org", "acme", "--raw", "--stream",
                              "stdout").raw == done.stdout
    done = shell.lab.castbucket("transfers", entry["id"], "--org", "acme")
    assert done.returncode == 1 and "not the recording of a file transfer" in done.stderr


def test_people_see_what_happened_in_any_player(shell):
    hash_here = make(shell.here, "one", 10)
    shell.sftp("put one %s/one" % shell.there)
    (entry,) = shell.recordings(1)
    line = "put %s/one 10 bytes sha256:%s ok" % (shell.there, hash_here)
    assert line in shell.lab.must("play", entry["id"], "--org", "acme", "--speed", "max")
    done = shell.lab.castbucket("get", entry["id"], "--org", "acme", "--raw")
    assert (done.stdout, done.returncode) == ("", 0)
    assert "whose bytes were not kept" in done.stderr
    done = shell.lab.castbucket("transfers", entry["id"], "--org", "acme", "--extract",
                                os.path.join(shell.lab.directory, "extracted"))
    assert done.returncode == 1 and "transfer_contents was off" in done.stderr
    table = shell.lab.must("transfers", entry["id"], "--org", "acme")
    assert hash_here in table and "%s/one" % shell.there in table
    assert "[sftp: 10 B in, 0 B out] sftp" in shell.lab.must("ls", "--org", "acme")


def test_recorders_killed_in_the_middle_of_a_file_change_nothing(shell):
    hash_here = make(shell.here, "large", 6000000)
    client = slow_sftp(shell, 30000, "put large %s/large" % shell.there,
                       "get %s/large back" % shell.there)
    killed = 0
    while client.poll() is None:
        recorder = subprocess.Popen([program("castbucket"), "recorder"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    env=shell.lab.environment(), preexec_fn=die_with_parent)
        time.sleep(random.uniform(0.02, 0.4))
        recorder.send_signal(signal.SIGKILL)
        killed += recorder.wait() == -signal.SIGKILL
    assert client.wait() == 0 and killed >= 5
    (entry,) = shell.recordings(1)
    assert files(shell.told(entry)) == [("put", "large", 6000000, hash_here, "ok"),
                                        ("get", "large", 6000000, hash_here, "ok")]
    assert shell.lab.spooled() == []


def hosts_of(lab):
    """The castbucket-shells of this installation."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if words[0] == program("castbucket-shell").encode() and lab.settings.encode() in words:
            found.append(int(name))
    return found


def test_a_host_killed_in_the_middle_of_a_file_leaves_all_that_the_far_side_got(shell):
    make(shell.here, "large", 4000000)
    there = os.path.join(shell.there, "large")
    client = slow_sftp(shell, 8000, "put large " + there)
    wait_until(lambda: os.path.exists(there) and os.path.getsize(there) > 300000,
               what="a part of the file")
    (host,) = hosts_of(shell.lab)
    os.kill(host, signal.SIGKILL)
    assert client.wait(60) != 0
    (entry,) = shell.recordings(1)
    assert entry["end"] == "cut"
    (one,) = [one for one in shell.told(entry) if one["op"] == "put"]
    with open(there, "rb") as file:
        got = file.read()
    with open(os.path.join(shell.here, "large"), "rb") as file:
        sent = file.read()[:one["bytes"]]
    assert one["result"] == "unfinished" and sent.startswith(got)
    assert one["sha256"] == hashlib.sha256(sent).hexdigest()
