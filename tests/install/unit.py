"""Starts a service as its unit file says, without systemd: command, account, environment, umask,
limits, and the socket that a service of Type=notify reports to."""

import os
import resource
import shlex
import socket
import subprocess
import time

from tree import ENVIRONMENT, TreeError

KNOWN = {"LimitNOFILE": resource.RLIMIT_NOFILE}


class Unit:
    def __init__(self, tree, name, log):
        self.tree = tree
        self.name = name
        self.log = log
        self.process = None
        self.lines = {}
        for folder in ("/lib/systemd/system/", "/usr/lib/systemd/system/"):
            if os.path.exists(tree.path(folder + name)):
                for line in tree.read(folder + name).splitlines():
                    key, equals, value = line.partition("=")
                    if equals and not line.startswith("#"):
                        self.lines.setdefault(key, []).append(value)
                break
        else:
            raise TreeError("there is no unit %s" % name)

    def value(self, key, default=None):
        return self.lines[key][-1] if key in self.lines else default

    def environment(self):
        found = dict(ENVIRONMENT)
        for name in self.lines.get("EnvironmentFile", []):
            path = self.tree.path(name.lstrip("-"))
            if not os.path.exists(path) and name.startswith("-"):
                continue
            with open(path, encoding="utf-8") as file:
                for line in file.read().splitlines():
                    if line and not line.startswith("#"):
                        key, _, value = line.partition("=")
                        found[key] = value.strip('"')
        return found

    def start(self, seconds=30):
        """Until it says that it is ready, if it is of the kind that says so."""
        for path in self.lines.get("ConditionPathExists", []):
            if not os.path.exists(self.tree.path(path)):
                raise TreeError("%s would not start: there is no %s" % (self.name, path))
        environment = self.environment()
        listener = None
        if self.value("Type", "simple").startswith("notify"):
            inside = "/run/%s.notify" % self.name
            if os.path.exists(self.tree.path(inside)):
                os.unlink(self.tree.path(inside))
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            listener.bind(self.tree.path(inside))
            os.chmod(self.tree.path(inside), 0o777)
            environment["NOTIFY_SOCKET"] = inside
        umask = int(self.value("UMask", "0022"), 8)

        def limits():
            os.umask(umask)
            for key, number in KNOWN.items():
                if key in self.lines:  # as far as whoever started this lets it
                    hard = resource.getrlimit(number)[1]
                    wanted = int(self.value(key))
                    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                    resource.setrlimit(number, (wanted, wanted))

        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                shlex.split(self.value("ExecStart")), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env=environment,
                preexec_fn=self.tree.enter(self.value("User"), limits))
        if listener:
            self.listener = listener
            self.wait_for("READY=1", seconds)

    def wait_for(self, word, seconds=30):
        deadline = time.monotonic() + seconds
        self.listener.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                if word in self.listener.recv(4096).decode().splitlines():
                    return
            except socket.timeout:
                if self.process.poll() is not None:
                    break
        raise TreeError("%s never said %s: %s" % (self.name, word, self.words()))

    def reload(self):
        words = self.value("ExecReload").replace("$MAINPID", str(self.process.pid))
        self.tree.must(*shlex.split(words))
        if self.value("Type", "simple").startswith("notify"):
            self.wait_for("READY=1")

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """As systemctl stop: asks, waits as long as the unit says, then kills."""
        if not self.process or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(int(self.value("TimeoutStopSec", "90")))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise TreeError("%s did not stop when it was asked to" % self.name) from None
