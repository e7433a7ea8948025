#!/usr/bin/python3
"""Through castbucket-proxy, to an sshd on loopback: recording on, off, without the proxy, and OpenSSH
hopping (ssh -J, without recording). Throughput of a command's output, through pipes and through a
terminal; time to connect, run `true` and leave; time from a key to its echo."""

import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import alternate, figure, log_text, median, rounds, settled, timed  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import environment  # noqa: E402
from typist import Typist, percentile  # noqa: E402

SIZE = 16 << 20
TERMINAL_SIZE = 8 << 20
ROUNDS = rounds(15)
CONNECTS = rounds(11)
KEYS = 100 * rounds(15)


def hop_configuration(folder, target):
    """Ways to the target without the proxy: `direct`, and `hop`: through the same sshd first."""
    common = ["    HostName 127.0.0.1", "    Port %s" % target.address.rsplit(":", 1)[1],
              "    IdentityFile " + target.identity, "    IdentitiesOnly yes",
              "    UserKnownHostsFile " + target.known_hosts, "    GlobalKnownHostsFile none",
              "    StrictHostKeyChecking yes", "    BatchMode yes", "    LogLevel ERROR",
              "    IdentityAgent none"]
    path = os.path.join(folder, "direct_config")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(["Host direct first", *common, "Host hop",
                              "    ProxyCommand ssh -F %s -W 127.0.0.1:%s first" % (
                                  path, target.address.rsplit(":", 1)[1]), *common, ""]))
    return path


class Ways:
    """How to get to the target."""

    def __init__(self, alice, direct, spool):
        self.spool = spool
        self.env = environment(HOME=alice.directory)
        self.ssh = {"on": ["ssh", "-F", alice.config, "on"],
                    "off": ["ssh", "-F", alice.config, "off"],
                    "hop": ["ssh", "-F", direct, "hop"], "direct": ["ssh", "-F", direct, "direct"]}

    def run(self, name, command, terminal=False):
        words = self.ssh[name]
        if terminal:
            words = [*words[:-1], "-tt", words[-1]]
        settled(self.spool)
        return timed([*words, command], stdout=subprocess.DEVNULL, env=self.env)[0]

    def alternate(self, rounds, names, command, terminal=False):
        """Seconds of each round, by name. A round before these is not counted."""
        def go(name):
            return lambda: self.run(name, command, terminal)
        for name in names:
            self.run(name, command, terminal)
        return alternate(rounds, **{name: go(name) for name in names})

    def echoes(self, keys):
        """Seconds to the echo of each key, typed now here and now there. By chance, because who
        follows one that runs the same programs finds them in the processor's caches."""
        people = {name: Typist(words, self.env) for name, words in self.ssh.items()}
        for person in people.values():
            person.wait_until_ready()
        took = {name: [] for name in people}
        names, chance = list(people), random.Random(1)
        for _ in range(keys):
            chance.shuffle(names)
            for name in names:
                took[name].append(people[name].press())
        for person in people.values():
            person.close()
        return took


NAMES = {"off": "proxy, recording off", "hop": "OpenSSH, two hops", "direct": "ssh without proxy"}


def by_round(took, against):
    """How much faster than `against`: the median of what each round says, whose parts are done one
    right after the other."""
    return median([other / one for one, other in zip(took["on"], took[against])])


def throughput(what, size, took, targets):
    for against, target in targets.items():
        figure("proxy, recording on, " + what, size / 1e6 / median(took["on"]), "MB/s",
               NAMES[against], size / 1e6 / median(took[against]), by_round(took, against), target)


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        lab = Lab(folder, None)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                 os.path.join(folder, "store"))
        lab.socket("on", "acme")
        lab.socket("off", "acme", "off")
        text = os.path.join(folder, "text")
        with open(text, "wb") as file:
            file.write(log_text(SIZE))
        target = lab.target()
        alice = lab.person()
        lab.proxy({"on": target, "off": target}, [alice])
        ways = Ways(alice, hop_configuration(folder, target), lab.spool)
        try:
            connect = ways.alternate(CONNECTS, ways.ssh, "true")
            echo = ways.echoes(KEYS)
            exec_rate = ways.alternate(ROUNDS, ways.ssh, "cat " + text)
            terminal_rate = ways.alternate(ROUNDS, ("on", "off"),
                                           "head -c %d %s" % (TERMINAL_SIZE, text), True)
        finally:
            lab.close()
        ids = {name.split(".")[0] for place in (lab.spool, os.path.join(folder, "store"))
               for _, _, names in os.walk(place) for name in names
               if name.endswith((".cast.gz", ".journal"))}
        sessions = 1 + CONNECTS + 1 + 2 * (1 + ROUNDS)
        if len(ids) != sessions:
            raise SystemExit("%d sessions were recorded, not %d" % (len(ids), sessions))
        throughput("exec output", SIZE, exec_rate, {"off": 0.97, "hop": 1.0, "direct": None})
        throughput("terminal output", TERMINAL_SIZE, terminal_rate, {"off": 0.97})
        for against, target_ratio in (("off", None), ("hop", 1.0), ("direct", None)):
            figure("proxy, recording on, connect, run true", median(connect["on"]) * 1e3, "ms",
                   NAMES[against], median(connect[against]) * 1e3, by_round(connect, against),
                   target_ratio)
        for part, name in ((0.5, "p50"), (0.99, "p99")):
            us = {way: percentile(took, part) * 1e6 for way, took in echo.items()}
            figure("proxy, recording on, key to echo, " + name, us["on"], "us", NAMES["off"],
                   us["off"], us["off"] / us["on"])
            figure("proxy, recording on, key to echo, " + name, us["on"], "us", NAMES["hop"],
                   us["hop"], us["hop"] / us["on"])
            figure("recording adds to key to echo, " + name, us["on"] - us["off"], "us", target=50,
                   target_of="value", better="less")


if __name__ == "__main__":
    main()
