#!/usr/bin/python3
"""Through castbucket-proxy, to an sshd on loopback: recording on, off, without the proxy, and OpenSSH
hopping (ssh -J, without recording). Throughput of a command's output, and time to connect, run `true`
and leave."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import alternate, figure, log_text, median, timed  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import environment  # noqa: E402

SIZE = 32 << 20
ROUNDS = 3
CONNECTS = 9


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
        env = environment(HOME=alice.directory)
        direct = hop_configuration(folder, target)

        def go(config, host, command):
            return lambda: timed(["ssh", "-F", config, host, command],
                                 stdout=subprocess.DEVNULL, env=env)[0]

        def all_ways(command):
            return {"on": go(alice.config, "on", command), "off": go(alice.config, "off", command),
                    "hop": go(direct, "hop", command), "direct": go(direct, "direct", command)}

        try:
            for way in all_ways("true").values():
                way()
            took = alternate(CONNECTS, **all_ways("true"))
            connect = {name: median(values) * 1e3 for name, values in took.items()}
            took = alternate(ROUNDS, **all_ways("cat " + text))
            rate = {name: SIZE / 1e6 / median(values) for name, values in took.items()}
        finally:
            lab.close()
        ids = {name.split(".")[0] for place in (lab.spool, os.path.join(folder, "store"))
               for _, _, names in os.walk(place) for name in names
               if name.endswith((".cast.gz", ".journal"))}
        if len(ids) != 1 + CONNECTS + ROUNDS:
            raise SystemExit("%d sessions were recorded, not %d" % (
                len(ids), 1 + CONNECTS + ROUNDS))
        for against, name, target_ratio in (("off", "proxy, recording off", 0.97),
                                            ("hop", "OpenSSH, two hops", 1.0),
                                            ("direct", "ssh without proxy", None)):
            figure("proxy, recording on, exec output", rate["on"], "MB/s", name, rate[against],
                   rate["on"] / rate[against], target_ratio)
        for against, name, target_ratio in (("off", "proxy, recording off", None),
                                            ("hop", "OpenSSH, two hops", 1.0),
                                            ("direct", "ssh without proxy", None)):
            figure("proxy, recording on, connect, run true", connect["on"], "ms", name,
                   connect[against], connect[against] / connect["on"], target_ratio)


if __name__ == "__main__":
    main()
