#!/usr/bin/python3
"""castbucket-shell -c 'cat FILE' against the same shell without recording, and against the other
recorders of terminals that are installed. Coloured text, in three settings:

pipe      to a reader that throws it away: the fastest there is, so recording shows most
ssh       to an OpenSSH client on loopback, which is how people's output travels; the recorder seals
          and compresses beside the session
CPU       of all processes together, and bytes kept, sealing and compressing included"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import alternate, figure, log_text, median, rounds, settled, timed  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import Daemon, environment, program  # noqa: E402
from sudo_log import SudoLog  # noqa: E402

SIZE = 64 << 20
SSH_SIZE = 24 << 20
ROUNDS = rounds(3)
SSH_ROUNDS = rounds(9)
TINY_ROUNDS = rounds(25)


def sink(words, env=None):
    """Runs it with its standard output in a pipe; wall and CPU seconds, the reader's not counted."""
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    took = timed(words, stdout=reader.stdin, env=env)
    reader.stdin.close()
    end = time.monotonic()
    reader.wait()
    # All of it has to have arrived; the reader's CPU is counted when it is waited for, so after.
    return took[0] + time.monotonic() - end, took[1]


def ratio(took, against, which=0):
    """How much less `ours` took, by the median of the rounds, whose parts are next to each other."""
    return median([other[which] / one[which] for one, other in zip(took["ours"], took[against])])


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.lab = Lab(folder, None)
        self.lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                      os.path.join(folder, "store"))
        self.lab.socket("web-1", "acme")
        self.env = self.lab.environment()
        self.text = os.path.join(folder, "text")
        with open(self.text, "wb") as file:
            file.write(log_text(SIZE))
        self.short = os.path.join(folder, "short")
        with open(self.short, "wb") as file:
            file.write(log_text(SSH_SIZE))
        self.other = os.path.join(folder, "others")
        self.sudo = {"sudo": SudoLog(folder, False), "sudo, compressed": SudoLog(folder, True)}
        why = self.sudo["sudo"].why_not() if shutil.which("sudo") else "it is not installed"
        if why:
            print("bench_shell: no figures of sudo: %s" % why, file=sys.stderr)
            self.sudo = {}

    def shell(self, command):
        return [program("castbucket-shell"), "--settings", self.lab.settings, "--plugin",
                self.lab.plugin, "--socket", "web-1", "--shell", "/bin/sh", "-c", command]

    def recorders(self, command):
        """name: words. Those that are installed."""
        words = {"plain": ["sh", "-c", command], "ours": self.shell(command)}
        if shutil.which("script"):
            words["script"] = ["script", "-q", "-f", "-c", command, self.other]
        for name, log in self.sudo.items():
            words[name] = log.words("sh", "-c", command)
        return words

    def once(self):
        """Seals and stores what is there; wall and CPU seconds."""
        return timed([program("castbucket"), "recorder", "--once"], stdout=subprocess.DEVNULL,
                     env=self.env)

    def stored(self):
        """Sizes of the recordings in the store."""
        return [os.path.getsize(os.path.join(place, name))
                for place, _, names in os.walk(os.path.join(self.folder, "store"))
                for name in names if name.endswith(".cast.gz")]

    def forget(self):
        for log in self.sudo.values():
            log.forget()

    # The settings.

    def pipe(self):
        words = self.recorders("cat " + self.text)
        sealed = []

        def run(name):
            def once():
                took = sink(words[name], self.env)
                if name == "ours":
                    sealed.append(self.once())
                return took
            return once

        self.forget()
        took = alternate(ROUNDS, **{name: run(name) for name in words})
        wall = {name: median([one[0] for one in all_of]) for name, all_of in took.items()}
        cpu = {name: median([one[1] for one in all_of]) for name, all_of in took.items()}
        names = {"plain": "sh -c", "script": "script -c", "sudo": "sudo's I/O log",
                 "sudo, compressed": "sudo's I/O log, compressed"}
        for name, shown in names.items():
            if name in wall:
                figure("shell, cat 64 MB to a pipe, wall", wall["ours"] * 1e3, "ms", shown,
                       wall[name] * 1e3, ratio(took, name))
        sealing = median([one[1] for one in sealed])
        figure("shell, cat 64 MB, CPU", cpu["ours"], "s", "sh -c", cpu["plain"],
               ratio(took, "plain", 1))
        figure("recorder, seal and store 64 MB, CPU", sealing, "s")
        sizes = self.stored()
        if len(sizes) != ROUNDS:
            raise SystemExit("%d recordings are stored, not %d" % (len(sizes), ROUNDS))
        ours = cpu["ours"] + sealing
        compressed = self.sudo.get("sudo, compressed")
        if compressed:
            size = compressed.size() / ROUNDS
            figure("shell and recorder, 64 MB, CPU", ours, "s", "sudo's I/O log, compressed",
                   cpu["sudo, compressed"], cpu["sudo, compressed"] / ours, 1 / 0.8)
            figure("recording's size, of 64 MB", median(sizes) / 1e6, "MB",
                   "sudo's I/O log, compressed", size / 1e6, size / median(sizes), 1.0)
        figure("recording's size, of 64 MB", median(sizes) / 1e6, "MB", "the text", SIZE / 1e6,
               SIZE / median(sizes))
        if shutil.which("asciinema"):
            other = sink(["asciinema", "rec", "-q", "--overwrite", "-c", "cat " + self.text,
                          self.other], {**self.env, "TERM": "xterm-256color"})
            figure("shell, cat 64 MB to a pipe, wall", wall["ours"] * 1e3, "ms",
                   "asciinema rec (once)", other[0] * 1e3, other[0] / wall["ours"])

    def ssh(self):
        """With the recorder beside it. What is sealed and stored when the session ends is timed."""
        target = self.lab.target()
        client = ["ssh", "-F", "none", "-p", target.address.rsplit(":", 1)[1], "-i",
                  target.identity, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o",
                  "UserKnownHostsFile=" + target.known_hosts, "-o", "BatchMode=yes", "-o",
                  "LogLevel=ERROR", "127.0.0.1"]
        env = environment(HOME=self.folder)
        words = {name: [*client, " ".join("'%s'" % word for word in all_words)]
                 for name, all_words in self.recorders("cat " + self.short).items()}
        log = os.path.join(self.folder, "recorder.log")
        waits = []

        def run(name):
            def once():
                before = len(self.stored())
                took = timed(words[name], stdout=subprocess.DEVNULL, env=env)
                ended = time.monotonic()
                while name == "ours" and len(self.stored()) == before:
                    if time.monotonic() - ended > 60:
                        raise SystemExit("a recording is not stored within a minute")
                    time.sleep(0.01)
                if name == "ours":
                    waits.append(time.monotonic() - ended)
                return took
            return once

        self.forget()
        recorder = Daemon([program("castbucket"), "recorder"], log, env=self.env)
        try:
            took = alternate(SSH_ROUNDS, **{name: run(name) for name in words})
        finally:
            recorder.stop()
        wall = {name: median([one[0] for one in all_of]) for name, all_of in took.items()}
        figure("shell over ssh, cat 24 MB, wall", wall["ours"] * 1e3, "ms", "not recorded",
               wall["plain"] * 1e3, ratio(took, "plain"), 1 / 1.1)
        for name, shown in {"script": "script -c", "sudo": "sudo's I/O log",
                            "sudo, compressed": "sudo's I/O log, compressed"}.items():
            if name in wall:
                figure("shell over ssh, cat 24 MB, wall", wall["ours"] * 1e3, "ms", shown,
                       wall[name] * 1e3, ratio(took, name))
                figure("  for comparison: " + shown, wall[name] * 1e3, "ms", "not recorded",
                       wall["plain"] * 1e3,
                       median([plain[0] / other[0]
                               for plain, other in zip(took["plain"], took[name])]))
        figure("from the end of 24 MB until it is stored", median(waits) * 1e3, "ms")

    def tiny(self):
        words = {"ours": self.shell("true"), "plain": ["sh", "-c", "true"]}
        took = alternate(TINY_ROUNDS, **{name: lambda one=one: timed(one, env=self.env)
                                         for name, one in words.items()})
        one, other = (median([took_one[0] for took_one in took[name]]) for name in words)
        figure("castbucket-shell -c true, wall", one * 1e3, "ms", "sh -c true", other * 1e3,
               ratio(took, "plain"))


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        bench = Bench(folder)
        try:
            bench.pipe()
            bench.tiny()
            bench.ssh()
        finally:
            bench.lab.close()


if __name__ == "__main__":
    main()
