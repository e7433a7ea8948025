"""What the Python benchmarks share: measuring commands in turn, and a figure's line."""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, TESTS)


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
