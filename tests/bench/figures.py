#!/usr/bin/python3
"""What the Python benchmarks share: measuring commands in turn, and a figure's line.

`tests/bench/figures.py build/bench.json` prints the short table of README.md from what `make bench` wrote,
in Markdown; with --all, every figure."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, TESTS)

# make bench QUICK=1: fewer rounds and smaller crowds. Whether everything runs, and no figures to quote.
QUICK = os.environ.get("QUICK", "0") not in ("", "0")


def rounds(number):
    return 1 if QUICK else number


def figure(name, value, unit, against=None, reference=None, ratio=None, target=None,
           target_of="ratio", better="more"):
    """Prints the line that tests/bench/run reads."""
    line = {"name": name, "value": value, "unit": unit}
    if against:
        line.update(against=against, reference=reference, ratio=ratio)
    if target is not None:
        line.update(target=target, target_of=target_of, better=better)
    print(json.dumps(line), flush=True)


def timed(words, **keywords):
    """Runs a command. Its wall time, and the CPU seconds of it and of all its children that it waited
    for. It has to succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    keywords.setdefault("stdin", subprocess.DEVNULL)
    keywords.setdefault("stderr", subprocess.PIPE)
    done = subprocess.run(words, check=False, timeout=120, **keywords)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit("%s exited %d: %s" % (words, done.returncode,
                                                (done.stderr or b"").decode(errors="replace")))
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def alternate(rounds, **ways):
    """Calls each of the ways in turn, `rounds` times, every second time in the other order, so that no
    way always follows the same one. name: list of what it returned."""
    results = {name: [] for name in ways}
    names = list(ways)
    for _ in range(rounds):
        for name in names:
            results[name].append(ways[name]())
        names.reverse()
    return results


def settled(spool):
    """Waits until the recorder has nothing left to do, so that what is measured next does not pay for
    what was measured before."""
    deadline = time.monotonic() + 60
    while any(not name.startswith(".") for area in ("journals", "sealed")
              if os.path.isdir(os.path.join(spool, area))
              for name in os.listdir(os.path.join(spool, area))):
        if time.monotonic() > deadline:
            raise SystemExit("%s: recordings are not stored within a minute" % spool)
        time.sleep(0.01)


def median(values):
    return statistics.median(values)


def log_text(size):
    """Coloured `git log -p`-like text, `size` bytes, always the same: this repository's own files as
    if each had just been added, over and over."""
    top = os.path.join(TESTS, "..")
    names = sorted(os.path.join(folder, name)
                   for part in ("recorder", "plugin", "hooks")
                   for folder, _, found in os.walk(os.path.join(top, part))
                   for name in found if name.endswith((".c", ".h")))
    parts, length, number = [], 0, 0
    while length < size:
        for name in names:
            with open(name, encoding="utf-8") as file:
                lines = file.read().splitlines()
            shown = os.path.relpath(name, top)
            number += 1
            text = ("\033[33mcommit %040x\033[m\nAuthor: A Person <person@example.com>\n\n"
                    "    Add %s\n\n\033[1mdiff --git a/%s b/%s\033[m\n\033[36m@@ -0,0 +1,%d @@\033[m\n"
                    % (number * 0x9e3779b97f4a7c15f39cc0605cedc834 % (1 << 160), shown, shown,
                       shown, len(lines)))
            text += "".join("\033[32m+\033[m\033[32m%s\033[m\n" % line for line in lines)
            parts.append(text.encode())
            length += len(parts[-1])
            if length >= size:
                break
    return b"".join(parts)[:size]


# The front page: what it says, and the figure's name and what it is against.
SHORT = (
    ("a call of `output()`, 64 bytes", "plugin output(), 64 B", "memcpy"),
    ("the same, 4 KiB", "plugin output(), 4096 B", "memcpy"),
    ("the slowest in a thousand of 1 KiB at 50 MB/s", "output() of 1024 B at 50 MB/s, p99.9", None),
    ("encoding ASCII as a cast", "cast encoding, ASCII lines of 80", "memcpy"),
    ("sealing", "sealing, of cast", "zlib alone"),
    ("`castbucket-shell`, 24 MB over ssh", "shell over ssh, cat 24 MB, wall", "not recorded"),
    ("the same", "shell over ssh, cat 24 MB, wall", "sudo's I/O log, compressed"),
    ("through the proxy, output of a command", "proxy, recording on, exec output",
     "proxy, recording off"),
    ("the same", "proxy, recording on, exec output", "OpenSSH, two hops"),
    ("through the proxy, a terminal's output", "proxy, recording on, terminal output",
     "proxy, recording off"),
    ("through the proxy, connect and run `true`", "proxy, recording on, connect, run true",
     "OpenSSH, two hops"),
    ("through the proxy, key to echo, p50", "proxy, recording on, key to echo, p50",
     "proxy, recording off"),
    ("the same, p99", "proxy, recording on, key to echo, p99", "proxy, recording off"),
    ("1,000 sessions at once, key to echo, p99", "1000 sessions at once, key to echo, p99",
     "proxy, recording off"),
    ("the same, memory of a connection", "1000 sessions at once, memory of a connection", None),
    ("10,000 idle sessions, memory of each", "10000 idle sessions, private memory of each", None),
    ("a recording of 4 GiB, memory of the recorder", "recorder, one recording of 4096 MiB, peak",
     None),
    ("storing 2,000 recordings", "drain 2000 recordings of 20 KiB, wall",
     "curl --parallel 32, presigned"),
)


def shown(value, unit):
    """1434.2 ns: 1.4 us."""
    steps = {"ns": "us", "us": "ms", "ms": "s"}
    while unit in steps and value >= 1000:
        value, unit = value / 1000, steps[unit]
    return ("%.0f" % value if value >= 100 else "%.2g" % value if value < 10 else "%.3g" % value
            ) + " " + unit


def markdown_row(what, found):
    beside = ("%s %s" % (found["against"], shown(found["reference"], found["unit"]))
              if "reference" in found else "")
    target = found.get("target")
    wanted = ""
    if target is not None:
        wanted = "%s %.3g%s" % ("at most" if found["better"] == "less" else "at least", target,
                                "" if found["target_of"] == "ratio" else " " + found["unit"])
        wanted = wanted if found["ok"] else "**missed**: " + wanted
    return "| %s | %s | %s | %s | %s |" % (
        what, shown(found["value"], found["unit"]), beside,
        "%.2f" % found["ratio"] if "ratio" in found else "", wanted)


def markdown(path, everything):
    with open(path, encoding="utf-8") as file:
        bench = json.load(file)
    rows = {}
    for found in bench["figures"]:
        rows.setdefault((found["name"], found.get("against")), found)
        rows.setdefault((found["name"], None), found)
    print("| what | measured | beside it | ratio | target |\n|---|---|---|---|---|")
    if everything:
        for found in bench["figures"]:
            print(markdown_row(found["name"].strip(), found))
        return
    for what, name, against in SHORT:
        if (name, against) in rows:
            print(markdown_row(what, rows[name, against]))
        else:
            print("no figure of '%s' in %s" % (name, path), file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: tests/bench/figures.py FILE.json [--all]")
    markdown(sys.argv[1], "--all" in sys.argv[2:])
