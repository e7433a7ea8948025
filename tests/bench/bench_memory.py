#!/usr/bin/python3
"""Memory: of 10,000 idle sessions in one process, and of the recorder that takes up one large recording
(BYTES=n, default 4 GiB)."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import QUICK, figure, log_text  # noqa: E402
from faults.test_many import Host, memory  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import die_with_parent, program  # noqa: E402

SESSIONS = 10000
BYTES = int(os.environ.get("BYTES", 1 << 27 if QUICK else 1 << 32))
PIECE = 16 << 20


def recorder_once(lab):
    """Runs it to its end; the most memory that it had at once, and how long it took."""
    process = subprocess.Popen([program("castbucket"), "recorder", "--once"], env=lab.environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, preexec_fn=die_with_parent)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit("recorder --once: " + said.decode(errors="replace"))
    return used.ru_maxrss << 10


def idle_sessions(lab):
    host = Host(lab)
    try:
        host.must("open 1")
        before = memory(host.pid)["Private"]
        host.must("open %d" % (SESSIONS - 1))
        host.must("print a line")
        each = (memory(host.pid)["Private"] - before) / (SESSIONS - 1)
        figure("%d idle sessions, private memory of each" % SESSIONS, each / 1024, "KiB",
               target=8, target_of="value", better="less")
    finally:
        host.stop()
    # Not of the next figure: sealing what was cut off here.
    subprocess.run(["rm", "-rf", lab.spool], check=True)


def one_large_recording(lab, folder):
    text = os.path.join(folder, "text")
    with open(text, "wb") as file:
        file.write(log_text(PIECE))
    command = "i=0; while [ $i -lt %d ]; do cat %s; i=$((i + 1)); done" % (BYTES // PIECE, text)
    subprocess.run([program("castbucket-shell"), "--settings", lab.settings, "--plugin", lab.plugin,
                    "--socket", "web-1", "--shell", "/bin/sh", "-c", command],
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True,
                   env=lab.environment(), preexec_fn=die_with_parent)
    figure("recorder, one recording of %d MiB, peak" % (BYTES >> 20), recorder_once(lab) / (1 << 20),
           "MiB", target=64, target_of="value", better="less")


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        lab = Lab(folder, None)
        lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                 os.path.join(folder, "store"))
        lab.socket("web-1", "acme")
        idle_sessions(lab)
        one_large_recording(lab, folder)


if __name__ == "__main__":
    main()
