"""A session that lasts a day and prints LONG_BYTES (default: 1 GiB; a run with 10 GiB takes some
minutes and as much disk as its recording), by an injected clock: what it takes is the same in the evening
as in the morning, and so are its times."""

import hashlib
import json
import os
import re
import subprocess
import zlib

import pytest

from faults.recordings import left_in
from lab.process import die_with_parent, program

LONG_BYTES = int(os.environ.get("LONG_BYTES", 1 << 30))
DAY_NS = 86400 * 10**9
JOURNAL_AT_MOST = 40 << 20  # long_session.c writes faster than is sealed, and waits at 32 MiB
EVENT_TIME = re.compile(rb'^\[([0-9.]+), ?"o"')


def lines(path):
    """Of a recording, one after another."""
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    rest = b""
    with open(path, "rb") as file:
        while True:
            block = file.read(1 << 20)
            whole = (rest + (unzip.decompress(block) if block else unzip.flush())).split(b"\n")
            rest = whole.pop()
            yield from whole
            if not block:
                assert not rest and unzip.eof
                return


def shown_times_us(path, version):
    """When each event was shown, in whole microseconds since the start: as an exact player would
    reckon."""
    times, now = [], 0
    rows = lines(path)
    next(rows)
    for row in rows:
        found = EVENT_TIME.match(row)
        seconds, _, fraction = (found or re.match(rb"^\[([0-9.]+)", row)).group(1).partition(b".")
        us = int(seconds) * 10**6 + int(fraction.ljust(6, b"0"))
        assert len(fraction) <= 6
        now = now + us if version == 3 else us
        if found:
            times.append(now)
    return times


@pytest.mark.parametrize("version", [2, 3])
def test_a_day_long_session_takes_no_more_in_the_evening(home, version, say):
    size = LONG_BYTES if version == 3 else LONG_BYTES // 4
    store = os.path.join(home.directory, "store")
    home.must("settings", "storage", "acme", "--type", "directory", "--path", store)
    home.socket("web-1", "acme")
    done = subprocess.run(
        [program("tests/faults/long_session"), home.settings, home.spool, str(size), str(version),
         "acme", "web-1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        preexec_fn=die_with_parent, env=home.environment())
    assert done.returncode == 0, done.stderr.decode()
    *reports, last = [json.loads(row) for row in done.stdout.splitlines()]
    assert left_in(home.spool) == [], done.stderr.decode()[-2000:]

    # The first reports are of a session that is becoming busy.
    morning, evening = reports[4:12], reports[-10:-1]
    assert len(morning) == 8 and evening[-1]["written"] == size
    for what, slack in (("anonymous", 4 << 20), ("rss", 8 << 20), ("descriptors", 8)):
        most = max(report[what] for report in morning)
        assert max(report[what] for report in evening) <= most + slack, (what, reports)
    assert max(report["rss"] for report in reports) <= 64 << 20
    assert max(report["journal"] for report in reports) <= JOURNAL_AT_MOST

    (manifest_path,) = [os.path.join(folder, name) for folder, _, names in os.walk(store)
                        for name in names if name.endswith(".json")]
    with open(manifest_path, encoding="utf-8") as file:
        manifest = json.load(file)
    assert manifest["id"] == last["id"] and manifest["end"] == "exited"
    assert manifest["output_bytes"] == size
    path = manifest_path[:-len(".json")] + ".cast.gz"
    raw = subprocess.Popen([program("castbucket"), "get", path, "--raw", "-o", "-"],
                           stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    sum_of_raw = hashlib.sha256()
    for block in iter(lambda: raw.stdout.read(1 << 20), b""):
        sum_of_raw.update(block)
    raw.stdout.close()
    assert raw.wait() == 0
    assert sum_of_raw.hexdigest() == last["sha256"]

    step = DAY_NS // last["events"]
    times = shown_times_us(path, version)
    assert len(times) == last["events"]
    # Each time is off by its own rounding, and never by the sum of all before it.
    worst = max(abs(time * 1000 - (k + 1) * step) for k, time in enumerate(times))
    assert worst <= 1000, "%d ns" % worst
    assert abs(manifest["duration"] - 86400) < 60
    say("a day of %d MB as version %d: %.1f MB of memory at most (%.1f MB in the morning), %d "
        "descriptors, a journal of %.1f MB at most, a recording of %.1f MB in %d chunks; no time is "
        "off by more than %d ns" % (
            size >> 20, version, max(report["rss"] for report in reports) / 1e6,
            max(report["rss"] for report in morning) / 1e6,
            max(report["descriptors"] for report in reports),
            max(report["journal"] for report in reports) / 1e6, manifest["size"] / 1e6,
            len(manifest["chunks"]), worst))
