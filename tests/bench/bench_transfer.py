#!/usr/bin/python3
"""A file of 1 GiB put by sftp through castbucket-proxy, to an sshd on loopback: recorded as what
happened to which file, and not recorded. And the space that the spool takes meanwhile."""

import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import alternate, figure, median, rounds, settled, timed  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import environment, wait_until  # noqa: E402

SIZE = 1 << 30
ROUNDS = rounds(3)


class Space:
    """The most that a directory takes on disk, looked at ten times a second."""

    def __init__(self, directory):
        self.directory, self.most, self.over = directory, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.over.wait(0.1):
            total = 0
            for folder, _, names in os.walk(self.directory):
                for name in names:
                    try:
                        total += os.stat(os.path.join(folder, name)).st_blocks * 512
                    except FileNotFoundError:
                        pass
            self.most = max(self.most, total)

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.most


def all_complete(lab):
    entries = [entry for entry in lab.ls("acme") if entry["complete"]]
    return entries if len(entries) == ROUNDS else None


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        lab = Lab(folder, None)
        store = os.path.join(folder, "store")
        os.mkdir(store)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path", store)
        lab.socket("on", "acme")
        lab.socket("off", "acme", "off")
        source = os.path.join(folder, "source")
        with open(source, "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        target = lab.target()
        alice = lab.person()
        lab.proxy({"on": target, "off": target}, [alice])

        def put(host):
            def go():
                settled(lab.spool)
                there = os.path.join(folder, "there")
                if os.path.exists(there):
                    os.unlink(there)
                batch = os.path.join(folder, "batch")
                with open(batch, "w", encoding="utf-8") as file:
                    file.write("put %s %s\n" % (source, there))
                return timed(["sftp", "-q", "-F", alice.config, "-b", batch, host],
                             stdout=subprocess.DEVNULL, env=environment(HOME=alice.directory))[0]
            return go

        try:
            space = Space(lab.spool)
            took = alternate(ROUNDS, on=put("on"), off=put("off"))
            most = space.stop()
            entries = wait_until(lambda: all_complete(lab), seconds=60, what="the recordings")
        finally:
            space.stop()
            lab.close()
        if any(entry["transfer"]["put_bytes"] != SIZE for entry in entries):
            raise SystemExit("not all was recorded: %r" % entries)
        on, off = (SIZE / 1e6 / median(took[name]) for name in ("on", "off"))
        figure("proxy, sftp put of 1 GiB", on, "MB/s", "proxy, recording off", off, on / off)
        figure("spool at most, sftp put of 1 GiB", most / (1 << 20), "MiB", "file", SIZE >> 20,
               SIZE / most)
        figure("recording, sftp put of 1 GiB", entries[0]["size"], "B")


if __name__ == "__main__":
    main()
