#!/usr/bin/python3
"""castbucket-shell -c 'cat FILE' against the same shell without recording, and against the other
recorders of terminals that are installed. 64 MB of coloured text, through a pipe to a reader that throws
it away; those that need a terminal get one (script does by itself)."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import alternate, figure, log_text, median, timed  # noqa: E402
from lab.lab import Lab  # noqa: E402

SIZE = 64 << 20
ROUNDS = 3


def sink(words, env=None):
    """Runs it with its standard output in a pipe; wall and CPU seconds, the reader's not counted."""
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    took = timed(words, stdout=reader.stdin, env=env)
    reader.stdin.close()
    end = time.monotonic()
    reader.wait()
    # All of it has to have arrived; the reader's CPU is counted when it is waited for, so after.
    return took[0] + time.monotonic() - end, took[1]


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        text = os.path.join(folder, "text")
        with open(text, "wb") as file:
            file.write(log_text(SIZE))
        command = "cat " + text
        lab = Lab(folder, None)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                 os.path.join(folder, "store"))
        lab.socket("web-1", "acme")
        recorded = os.path.join(folder, "others")
        env = lab.environment()
        shell = [os.path.join(os.path.dirname(lab.plugin), "castbucket-shell"), "--settings",
                 lab.settings, "--plugin", lab.plugin, "--socket", "web-1", "--shell", "/bin/sh",
                 "-c", command]
        recorder = []

        def plain():
            return sink(["sh", "-c", command], env)

        def ours():
            took = sink(shell, env)
            # The recorder's part, on its own: it comes after the session here.
            recorder.append(timed([os.path.join(os.path.dirname(lab.plugin), "castbucket"),
                                   "recorder", "--once"], stdout=subprocess.DEVNULL, env=env))
            return took

        def script():
            return sink(["script", "-q", "-f", "-c", command, recorded], env)

        def tiny():
            return sink(["sh", "-c", "true"], env)

        def tiny_ours():
            return sink(shell[:-1] + ["true"], env)

        def asciinema():
            return sink(["asciinema", "rec", "-q", "--overwrite", "-c", command, recorded],
                        {**env, "TERM": "xterm-256color"})

        ways = {"plain": plain, "ours": ours}
        if shutil.which("script"):
            ways["script"] = script
        results = alternate(ROUNDS, **ways)
        wall = {name: median([one[0] for one in took]) for name, took in results.items()}
        cpu = {name: median([one[1] for one in took]) for name, took in results.items()}
        figure("castbucket-shell, cat 64 MB, wall", wall["ours"], "s", "sh -c", wall["plain"],
               wall["plain"] / wall["ours"], 1 / 1.1)
        figure("castbucket-shell, cat 64 MB, CPU", cpu["ours"], "s", "sh -c", cpu["plain"],
               cpu["plain"] / cpu["ours"])
        if "script" in wall:
            figure("castbucket-shell, cat 64 MB, wall", wall["ours"], "s", "script -c (terminal)",
                   wall["script"], wall["script"] / wall["ours"])
        figure("recorder: seal and store the 64 MB, CPU", median([one[1] for one in recorder]), "s",
               "sh -c", cpu["plain"], cpu["plain"] / median([one[1] for one in recorder]))
        sizes = [os.path.getsize(os.path.join(place, name))
                 for place, _, names in os.walk(os.path.join(folder, "store"))
                 for name in names if name.endswith(".cast.gz")]
        if len(sizes) != ROUNDS:
            raise SystemExit("%d recordings are stored, not %d" % (len(sizes), ROUNDS))
        figure("recording's size, of 64 MB", median(sizes) / 1e6, "MB", "the text", SIZE / 1e6,
               SIZE / median(sizes))
        if shutil.which("asciinema"):
            other = asciinema()
            figure("castbucket-shell, cat 64 MB, wall", wall["ours"], "s", "asciinema rec (once)",
                   other[0], other[0] / wall["ours"])
        small = alternate(15, plain=tiny, ours=tiny_ours)
        one, other = (median([took[0] for took in small[name]]) for name in ("ours", "plain"))
        figure("castbucket-shell -c true, wall", one * 1e3, "ms", "sh -c true", other * 1e3,
               other / one)


if __name__ == "__main__":
    main()
