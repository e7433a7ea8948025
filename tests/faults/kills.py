"""kill -9, at random instants, of hosts and of recorders; then everything that anybody saw must be
in a recording, once."""

import os
import pty
import random
import subprocess
import threading
import time

from faults.recordings import left_in, recordings
from lab.process import die_with_parent, environment, program, wait_until

# What sessions do, for ever: text line by line, bytes that are no text, characters of several
# bytes, both streams, a quick one after another, and nearly nothing.
LOADS = {
    "lines": "i=0; while :; do i=$((i+1)); echo \"line $i of many, as a build prints them\"; done",
    "binary": "while :; do head -c 3000 /dev/urandom || exit; done",
    "utf-8": "while :; do printf '\\303\\244\\342\\202\\254\\360\\237\\220\\210 Gr\\303\\274\\303\\237e'; done",
    "both": "while :; do echo out; echo problem >&2; done",
    "slow": "while :; do echo tick; sleep 0.003; done",
    "short": "echo done",
}
LONGEST = 0.12  # seconds until a host is killed


class Host:
    """A castbucket-shell with somebody who notes every byte that comes out of it."""

    def __init__(self, lab, socket, number, kind, load):
        self.token = "127.0.0.1 %d 127.0.0.1 22" % number  # SSH_CONNECTION: names the session
        self.kind, self.load, self.killed = kind, load, False
        self.seen = {"stdout": bytearray(), "stderr": bytearray()}
        words = [program("castbucket-shell"), "--settings", lab.settings, "--plugin", lab.plugin,
                 "--socket", socket, "--shell", "/bin/sh", "--log-stderr"]
        if kind != "shell":
            words += ["-c", LOADS[load]]
        env = {**lab.environment(), "SSH_CONNECTION": self.token, "TERM": "xterm", "PS1": "$ "}
        with open(os.path.join(lab.directory, "hosts.log"), "ab") as log:
            if kind == "pipes":
                words.remove("--log-stderr")
                self.process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, preexec_fn=die_with_parent, env=env)
                self.ends = {"stdout": self.process.stdout.fileno(),
                             "stderr": self.process.stderr.fileno()}
            else:
                self.master, slave = pty.openpty()
                self.process = subprocess.Popen(
                    words, stdin=slave, stdout=slave, stderr=log, start_new_session=True,
                    preexec_fn=die_with_parent, env=env)
                os.close(slave)
                self.ends = {"stdout": self.master}
        self.readers = [threading.Thread(target=self.listen, args=end) for end in self.ends.items()]
        for reader in self.readers:
            reader.start()

    def listen(self, name, end):
        while True:
            try:
                data = os.read(end, 65536)
            except OSError:  # EIO: the terminal's other side is closed
                return
            if not data:
                return
            # What is typed sooner than at the prompt is echoed by the outer terminal itself.
            if self.kind == "shell" and not self.seen[name]:
                os.write(end, (LOADS[self.load] + "\n").encode())
            self.seen[name] += data

    def kill(self):
        self.killed = self.process.poll() is None
        self.process.kill()

    def finish(self):
        self.process.wait()
        for reader in self.readers:
            reader.join(20)
            assert not reader.is_alive(), "%s %s goes on without its host" % (self.kind, self.load)
        if self.kind == "pipes":
            self.process.stdout.close()
            self.process.stderr.close()
        else:
            os.close(self.master)


class Kills:
    """A home with a directory as store."""

    def __init__(self, lab, seed, version=2):
        self.lab = lab
        self.random = random.Random(seed)
        self.store = os.path.join(lab.directory, "store")
        self.hosts = []
        self.hosts_killed = self.hosts_that_showed = self.recorders_killed = 0
        self.bytes_seen = 0
        lab.must("settings", "storage", "acme", "--type", "directory", "--path", self.store)
        lab.must("settings", "cast-version", str(version))
        lab.socket("web-1", "acme")

    def token(self, one):
        """Which session a recording is of."""
        return one.facts["connection_id"]

    def recorder(self):
        """One recorder's life: it is killed somewhere in it."""
        words = [program("castbucket"), "recorder"] + self.random.choice([[], ["--once"]])
        with open(os.path.join(self.lab.directory, "recorder.log"), "ab") as log:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       preexec_fn=die_with_parent, env=self.lab.environment())
        time.sleep(self.random.uniform(0, LONGEST))
        alive = process.poll() is None
        process.kill()
        process.wait()
        self.recorders_killed += alive

    def round(self, hosts, recorders):
        """Several sessions at once, and recorders, one after another, that follow them."""
        begun = time.monotonic()
        batch = []
        for _ in range(hosts):
            kind = self.random.choice(["pipes", "pipes", "terminal", "shell"])
            load = self.random.choice(sorted(LOADS))
            host = Host(self.lab, "web-1", len(self.hosts) + len(batch) + 1, kind, load)
            batch.append((self.random.uniform(0, LONGEST) + time.monotonic() - begun, host))

        def recorders_die():
            for _ in range(recorders):
                self.recorder()

        aside = threading.Thread(target=recorders_die)
        aside.start()
        for when, host in sorted(batch, key=lambda pair: pair[0]):
            time.sleep(max(0, begun + when - time.monotonic()))
            host.kill()
        for _, host in batch:
            host.finish()
            self.hosts_killed += host.killed
            self.hosts_that_showed += host.killed and any(host.seen.values())
            self.hosts.append(host)
        aside.join()

    def recover(self):
        """What `recorder --once` is for."""
        def once():
            done = self.lab.once()
            self.said = done.stderr
            return done.returncode == 0

        try:
            wait_until(once, seconds=60, what="recovery")
        except AssertionError as error:
            raise AssertionError("%s: %s" % (error, self.said[-2000:])) from error

    def verify(self):
        """Looks at everything and then forgets it, so that the next rounds begin with nothing."""
        assert left_in(self.lab.spool) == [], left_in(self.lab.spool)
        found = {}
        cut = 0
        for one in recordings(self.store):
            token = self.token(one)
            assert token not in found, "two recordings of one session: %s, %s" % (
                one.name, found[token].name)
            found[token] = one
        for host in self.hosts:
            one = found.pop(host.token, None)
            if one is None:
                assert not any(host.seen.values()), "%s %s: no recording of what was seen: %r" % (
                    host.kind, host.load, host.seen)
                continue
            for stream, seen in host.seen.items():
                recorded = one.streams[stream]
                assert recorded.startswith(bytes(seen)), \
                    "%s: %s %s, %s: %d bytes were seen, %d recorded, the same up to %d" % (
                        one.name, host.kind, host.load, stream, len(seen), len(recorded),
                        len(os.path.commonprefix([bytes(seen), recorded])))
                self.bytes_seen += len(seen)
            end = one.manifest["end"]
            if end == "cut":
                assert host.killed and one.markers, one.name
                assert one.events[-1][1] == "m", one.name
                cut += 1
            else:
                assert end == "exited" and not one.markers, (one.name, end)
                assert host.killed or host.process.returncode == one.manifest["exit_status"]
            assert "damaged" not in one.manifest, one.manifest
        assert not found, "recordings of no session: %s" % sorted(found)
        self.hosts = []
        subprocess.run(["rm", "-rf", self.store], check=True)
        return cut


def kill_hosts_and_recorders(lab, kills, seed, batch=8, say=print):
    """Until so many of each were killed while they ran. Returns how many recordings were cut."""
    trial = Kills(lab, seed)
    cut = rounds = 0
    while trial.hosts_killed < kills or trial.recorders_killed < kills:
        hosts = batch if trial.hosts_killed < kills else 2
        recorders = batch if trial.recorders_killed < kills else 1
        trial.round(hosts, recorders)
        rounds += 1
        if rounds % 5 == 0:
            trial.recover()
            cut += trial.verify()
    trial.recover()
    cut += trial.verify()
    say("seed %d: killed %d hosts, %d of them after they had shown something, and %d recorders in %d "
        "rounds; %d recordings were cut; every one of the %d bytes that were seen is recorded, once" % (
            seed, trial.hosts_killed, trial.hosts_that_showed, trial.recorders_killed, rounds, cut,
            trial.bytes_seen))
    assert trial.hosts_that_showed >= 0.5 * trial.hosts_killed, "too few to be evidence"
    return cut
