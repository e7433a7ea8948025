"""kill -9 of castbucket-proxy: of its connections' processes, of its recorder, and of itself, while
people use it with OpenSSH's client. What they have seen must be in recordings, once."""

import os
import re
import signal
import subprocess
import threading
import time

from faults.kills import Kills, LOADS
from lab.process import die_with_parent, environment

LONGEST = 0.2  # seconds in which all are killed, once nearly all have shown something of their load
# A load begins when all sessions of its round are up, so that the first ones do not keep the others
# from coming; and it waits for that no longer than anybody would.
GATE = "n=0; echo up; while ! [ -e %s ] && [ $n -lt 6000 ]; do n=$((n+1)); sleep 0.02; done; %s"


def children(pid):
    """{pid: its arguments}, of a process that may be gone."""
    found = {}
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            for child in file.read().split():
                with open("/proc/%s/cmdline" % child, "rb") as words:
                    found[int(child)] = words.read().split(b"\0")
    except OSError:
        pass
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


class Session:
    """An ssh client, with somebody who notes every byte that comes out of it."""

    def __init__(self, person, socket, number, kind, load, control, gate):
        self.token = "kill-%d" % number  # in the command, or the terminal's type of a shell
        self.kind, self.load = "ssh " + kind, load
        self.does = GATE % (gate, LOADS[load])
        self.seen = {"stdout": bytearray(), "stderr": bytearray()}
        words = person.words("-o", "ControlPath=" + control if kind == "shared" else "ControlPath=no")
        words += ["-tt"] if kind in ("terminal", "shell") else []
        words += [socket]
        if kind != "shell":
            words.append(": %s; %s" % (self.token, self.does))
        env = environment(HOME=person.directory, TERM=self.token if kind == "shell" else "xterm")
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent, env=env)
        self.readers = [threading.Thread(target=self.listen, args=(name, end.fileno())) for
                        name, end in (("stdout", self.process.stdout),
                                      ("stderr", self.process.stderr))]
        for reader in self.readers:
            reader.start()

    @property
    def up(self):
        return re.search(rb"(^|\n)up\r?\n", bytes(self.seen["stdout"])) is not None

    @property
    def shown(self):
        """Has anything of the load been seen?"""
        return bool(self.seen["stderr"]) or \
            re.search(rb"(^|\n)up\r?\n[^\r\n]", bytes(self.seen["stdout"])) is not None

    @property
    def killed(self):
        """The client says 255 when its connection broke; a command may have ended before that."""
        return self.process.returncode == 255 or self.load == "short"

    def listen(self, name, end):
        while data := os.read(end, 65536):
            if self.kind == "ssh shell" and not self.seen[name]:
                try:
                    os.write(self.process.stdin.fileno(), (self.does + "\n").encode())
                except BrokenPipeError:
                    pass
            self.seen[name] += data

    def finish(self):
        self.process.wait(60)
        for reader in self.readers:
            reader.join(20)
            assert not reader.is_alive(), "%s %s goes on without its proxy" % (self.kind, self.load)
        for end in (self.process.stdin, self.process.stdout, self.process.stderr):
            end.close()
        # What the client itself says about its broken connection, or the one that it shares.
        own = re.compile(rb"(^|(?<=\n))(Connection to|Connection closed|Read from remote|client_|"
                         rb"mux_?client|kex_exchange|Shared connection|Timeout,|ssh: )[^\n]*\n$")
        while own.search(self.seen["stderr"]):
            self.seen["stderr"] = bytearray(own.sub(b"", bytes(self.seen["stderr"])))


class ProxyKills(Kills):
    """The same with a proxy between people and an sshd."""

    def __init__(self, lab, seed):
        super().__init__(lab, seed)
        lab.socket("web-2", "acme")
        self.person = lab.person()
        self.proxy = lab.proxy({"web-2": lab.target()}, [self.person])
        self.proxies_killed = self.rounds = self.shown = self.number = 0

    def token(self, one):
        facts = one.facts.get("command", "") + str(one.header)
        found = re.search(r"kill-\d+", facts)
        assert found, "a recording of no session: %s" % facts
        return found.group()

    def connections(self):
        return [pid for pid, words in children(self.proxy.daemon.process.pid).items()
                if b"connection" in b" ".join(words)]

    def kill_proxys_recorder(self):
        for pid, words in children(self.proxy.daemon.process.pid).items():
            if b"recorder" in b" ".join(words):
                self.recorders_killed += kill(pid)
                return True
        return False

    def recorder(self):
        """Either the proxy's own is killed, or another one that took over when it was."""
        time.sleep(self.random.uniform(0, 0.1))
        if not self.kill_proxys_recorder():
            super().recorder()

    def wait_for_words(self, batch, gate):
        """Until all are up, and then until most of them have shown something of their load."""
        for question, share in (("up", 1), ("shown", 0.8)):
            # As long as the start-up files of whose account this is may take.
            deadline = time.monotonic() + 100
            while sum(getattr(one, question) for one in batch) < len(batch) * share:
                assert time.monotonic() < deadline, "not %s in 100 s: %s" % (
                    question, [(one.kind, one.load, one.seen) for one in batch
                               if not getattr(one, question)])
                time.sleep(0.005)
            open(gate, "w", encoding="ascii").close()

    def round(self, hosts, recorders):
        control = os.path.join(self.lab.directory, "control")
        gate = os.path.join(self.lab.directory, "gate-%d" % self.rounds)
        master = subprocess.Popen(
            self.person.words("-N", "-M", "-S", control, "web-2"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
            env=environment(HOME=self.person.directory))
        batch = []
        for _ in range(hosts):
            kind = self.random.choice(["exec", "terminal", "shell", "shared", "shared"])
            self.number += 1
            batch.append(Session(self.person, "web-2", self.number, kind,
                                 self.random.choice(sorted(LOADS)), control, gate))
        over = threading.Event()

        def recorders_die():
            for _ in range(recorders):
                if not over.is_set():
                    self.recorder()

        aside = threading.Thread(target=recorders_die)
        aside.start()
        self.rounds += 1
        if self.rounds % 10:  # else they are killed while they log in
            self.wait_for_words(batch, gate)
        open(gate, "w", encoding="ascii").close()
        while any(process.poll() is None for process in [master, *[one.process for one in batch]]):
            time.sleep(self.random.uniform(0, LONGEST / hosts))
            alive = self.connections()
            if alive:
                self.hosts_killed += kill(self.random.choice(alive))
        over.set()
        aside.join()
        master.kill()
        master.wait()
        if os.path.exists(control):
            os.unlink(control)
        for host in batch:
            host.finish()
            self.shown += host.shown
            self.hosts.append(host)

    def recover(self):
        """The proxy is killed, too, and a recorder that it would have started."""
        self.proxies_killed += 1
        kill(self.proxy.daemon.process.pid)
        self.proxy.daemon.process.wait()
        super().recover()

    def verify(self):
        cut = super().verify()
        self.proxy.start()
        self.person.meet(self.proxy, ["web-2"])
        return cut


def kill_proxys(lab, kills, seed, batch=10, say=print):
    """Until so many connections' processes and recorders were killed while they ran."""
    trial = ProxyKills(lab, seed)
    cut = 0
    while trial.hosts_killed < kills or trial.recorders_killed < kills:
        trial.round(batch, batch if trial.recorders_killed < kills else 1)
        if trial.rounds % 5 == 0:
            trial.recover()
            cut += trial.verify()
    trial.recover()
    cut += trial.verify()
    say("seed %d: killed %d connections' processes, %d recorders and %d proxies in %d rounds of %d "
        "sessions with OpenSSH, of which %d had shown something of their load; %d recordings were cut; every one "
        "of the %d bytes that were seen is recorded, once" % (
            seed, trial.hosts_killed, trial.recorders_killed, trial.proxies_killed, trial.rounds,
            batch, trial.shown, cut, trial.bytes_seen))
    assert trial.shown >= 0.7 * trial.rounds * batch, "too few had shown anything to be evidence"
    return cut


def orphans(lab, times, random):
    """Kills the recorder, and the proxy at an instant in which it starts another. Returns how many
    recorders were left: they would keep the spool from the next proxy's."""
    person = lab.person()
    proxy = lab.proxy({"web-2": lab.target()}, [person])
    left = []
    for _ in range(times):
        parent = proxy.daemon.process.pid
        for pid, words in children(parent).items():
            if b"recorder" in b" ".join(words):
                kill(pid)
        time.sleep(random.uniform(0, 0.03))
        last = list(children(parent))
        kill(parent)
        proxy.daemon.process.wait()
        deadline = time.monotonic() + 5
        while any(map(alive, last)) and time.monotonic() < deadline:
            time.sleep(0.01)
        left += [pid for pid in last if alive(pid)]
        proxy.start()
    for pid in left:
        kill(pid)
    return len(left)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
