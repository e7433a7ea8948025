"""castbucket-proxy between OpenSSH's client and server, with the probe plugin (plugin_probe.c)."""

import glob
import os
import subprocess
import time

from lab.process import Terminal, TOP, environment, run, wait_until
from lab.ssh import Person, Proxy, Target

HERE = os.path.dirname(os.path.abspath(__file__))


def build_probe(directory, *defines):
    """Compiles the probe; returns the shared object's path."""
    path = os.path.join(str(directory), "probe%s.so" % len(defines))
    if not os.path.exists(path):
        sanitize = ["-fsanitize=" + os.environ["SANITIZE"]] if os.environ.get("SANITIZE") else []
        subprocess.run([os.environ.get("CC", "gcc"), "-I" + TOP, "-D_GNU_SOURCE", "-shared", "-fPIC",
                        "-Wall", "-Wextra", "-Werror", *sanitize, *defines, "-o", path,
                        os.path.join(HERE, "plugin_probe.c")], check=True)
    return path


class Recorded:
    """What the probe wrote down about one session."""

    def __init__(self, stem):
        self.stem = stem

    def bytes(self, kind):
        with open("%s.%s" % (self.stem, kind), "rb") as file:
            return file.read()

    @property
    def info(self):
        lines = self.bytes("info").decode(errors="surrogateescape").splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def events(self):
        return self.bytes("events").decode(errors="surrogateescape").splitlines()

    @property
    def end(self):
        """The last event, once there is one that is an end."""
        def ended():
            last = self.events[-1:]
            return last and last[0].split()[0] in ("exited", "signaled", "lost") and last[0]
        return wait_until(ended, seconds=20, what="the end of the session")


class Stage:
    """One target, and proxies to it; `rules` are lines of the probe's settings."""

    def __init__(self, directory, probe):
        self.directory = str(directory)
        self.probe = probe
        self.recordings = os.path.join(self.directory, "recordings")
        os.makedirs(self.recordings)
        self.things = []
        self.alice = Person(os.path.join(self.directory, "alice"), "alice")
        self.target = self.add(Target(os.path.join(self.directory, "target")))
        self.proxy = None

    def add(self, thing):
        self.things.append(thing)
        return thing

    def close(self):
        for thing in reversed(self.things):
            thing.stop()

    def settings(self, *rules):
        path = os.path.join(self.directory, "probe.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(["directory " + self.recordings, *rules]) + "\n")
        return path

    def start(self, *rules, sockets=None, people=None, more="", plugin=None,
              socket_more=""):
        sockets = sockets or {"web-1": self.target}
        people = people if people is not None else {"alice": self.alice.public}
        self.proxy = self.add(Proxy(os.path.join(self.directory, "proxy"), self.settings(*rules),
                                    sockets, people, plugin=plugin or self.probe, more=more,
                                    socket_more=socket_more))
        self.alice.meet(self.proxy, sockets)
        return self

    def ssh(self, *words, **keywords):
        return self.alice.ssh(*words, **keywords)

    def run(self, *words, **keywords):
        """Another program that uses ssh, as alice."""
        keywords.setdefault("env", environment(
            HOME=self.alice.directory, GIT_SSH_COMMAND="ssh -F " + self.alice.config))
        return run(list(words), **keywords)

    def popen(self, *words, **keywords):
        return subprocess.Popen(self.alice.words(*words), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.PIPE,
                                env=environment(HOME=self.alice.directory), **keywords)

    def terminal(self, *words, **keywords):
        return Terminal(self.alice.words(*words),
                        env=environment(HOME=self.alice.directory), **keywords)

    def sessions(self):
        """Everything that was recorded, oldest first."""
        return [Recorded(path[:-5])
                for path in sorted(glob.glob(os.path.join(self.recordings, "*.info")))]

    def session(self):
        """The only one."""
        found = self.sessions()
        assert len(found) == 1, [one.info for one in found]
        return found[0]

    def log(self):
        return self.proxy.daemon.words()


def memory_kib(pid):
    """Resident memory."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def stay(seconds, condition):
    """The condition holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition()
        time.sleep(0.05)
