#!/usr/bin/python3
"""SESSIONS (default 1000) people at once through castbucket-proxy to an sshd on loopback, each with a
connection and a terminal of their own, each typing a key a second that the far side echoes and prints
once more: recorded, and then not recorded. The time from a key to its echo, and the memory that the
proxy's process of a connection has for itself."""

import heapq
import os
import resource
import select
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import QUICK, figure, median, settled  # noqa: E402
from faults.test_many import memory  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import environment  # noqa: E402
from typist import Typist, percentile  # noqa: E402

SESSIONS = int(os.environ.get("SESSIONS", 50 if QUICK else 1000))
AT_ONCE = 8      # connections being made
KEYS = 12        # that each person types
FIRST_KEYS = 2   # of these, not counted
PAUSE = 1.0      # between two keys of one person, seconds
LIMITS = "\n".join("%s = %d" % (name, 2 * SESSIONS) for name in (
    "max_connections", "max_connections_per_user", "max_unauthenticated",
    "max_unauthenticated_per_source"))


class Crowd:
    def __init__(self, ssh, env):
        self.people, self.took = [], []
        begun = time.monotonic()
        try:
            while len(self.people) < SESSIONS:
                more = min(AT_ONCE, SESSIONS - len(self.people))
                arriving = [Typist(ssh, env) for _ in range(more)]
                self.people += arriving
                for person in arriving:
                    person.wait_until_ready()
        except BaseException:
            self.close()
            raise
        self.connecting = time.monotonic() - begun

    def type(self):
        """Each types at times of their own, spread over the pause. A key is typed when the one before
        it is back, however late that is."""
        begun = time.monotonic() + 1
        due = [(begun + PAUSE * index / SESSIONS, index, 0) for index in range(SESSIONS)]
        poll = select.epoll()
        for person in self.people:
            poll.register(person.fileno(), select.EPOLLIN)
        where = {person.fileno(): index for index, person in enumerate(self.people)}
        left = {}  # number of the key that a person waits for
        while due or left:
            now = time.monotonic()
            while due and due[0][0] <= now:
                at, index, number = due[0]
                if index in left:  # still waiting: looked at again soon
                    heapq.heapreplace(due, (now + 0.01, index, number))
                    continue
                heapq.heappop(due)
                left[index] = number
                self.people[index].type()
                if number + 1 < KEYS:
                    heapq.heappush(due, (at + PAUSE, index, number + 1))
            wait = max(0.0, due[0][0] - time.monotonic()) if due else 30
            for fd, _ in poll.poll(wait):
                index = where[fd]
                person = self.people[index]
                echo = person.take()
                if echo is not None and left.get(index, 0) >= FIRST_KEYS:
                    self.took.append(echo)
                if not person.due:
                    left.pop(index, None)
        poll.close()

    def close(self):
        for person in self.people:
            person.process.terminate()
        for person in self.people:
            person.close()


def connections_of(proxy):
    """The processes of the proxy, but not the first one and not the recorder's."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, encoding="ascii") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read()
        except OSError:
            continue
        if parent == proxy.daemon.process.pid and b"--recorder" not in words:
            found.append(int(name))
    return found


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * SESSIONS + 200
    if most < needed:
        raise SystemExit("bench_many: %d sessions take %d descriptors, and the limit is %d: raise it "
                         "(ulimit -Hn) or say SESSIONS=n" % (SESSIONS, needed, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        lab = Lab(folder, None)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                 os.path.join(folder, "store"))
        lab.socket("on", "acme")
        lab.socket("off", "acme", "off")
        target = lab.target(more="PerSourceMaxStartups none")
        alice = lab.person()
        proxy = lab.proxy({"on": target, "off": target}, [alice], more=LIMITS)
        env = environment(HOME=alice.directory)
        echo, private, connecting = {}, {}, {}
        try:
            for way in ("on", "off"):
                crowd = Crowd(["ssh", "-F", alice.config, way], env)
                try:
                    crowd.type()
                    processes = connections_of(proxy)
                    if len(processes) != SESSIONS:
                        raise SystemExit("bench_many: the proxy has %d connections, not %d" %
                                         (len(processes), SESSIONS))
                    private[way] = median([memory(pid)["Private"] for pid in processes])
                finally:
                    crowd.close()
                echo[way], connecting[way] = crowd.took, crowd.connecting
                settled(lab.spool)
            recorded = sum(name.endswith(".json") for _, _, names in os.walk(
                os.path.join(folder, "store")) for name in names)
        finally:
            lab.close()
        if recorded != SESSIONS:
            raise SystemExit("bench_many: %d sessions are stored, not %d" % (recorded, SESSIONS))
        many = "%d sessions at once, " % SESSIONS
        for part, name in ((0.5, "p50"), (0.99, "p99")):
            us = {way: percentile(took, part) * 1e6 for way, took in echo.items()}
            figure(many + "key to echo, " + name, us["on"], "us", "proxy, recording off", us["off"],
                   us["off"] / us["on"])
        figure(many + "recording adds at p99",
               (percentile(echo["on"], 0.99) - percentile(echo["off"], 0.99)) * 1e6, "us")
        figure(many + "memory of a connection", private["on"] / (1 << 20), "MiB",
               "proxy, recording off", private["off"] / (1 << 20), private["off"] / private["on"],
               target=2, target_of="value", better="less")
        figure(many + "time to connect them all", connecting["on"], "s", "proxy, recording off",
               connecting["off"], connecting["off"] / connecting["on"])


if __name__ == "__main__":
    main()
