"""What make check and make check-faults do alike with OpenSSH's tests."""

import os
import re

from lab.openssh_stage import OpenSSHStage
from lab.openssh_tests import TESTS


def run_through_the_proxy(lab, name, seconds=600):
    """The script does what the table says, and each session of it was recorded whole."""
    wanted = TESTS[name]
    stage = OpenSSHStage(lab)
    status, lines = stage.run(name, seconds)
    failures = stage.failures()
    said = "\n".join(lines[-40:]) + "\n" + stage.logs()
    assert status is not None, "not done after %d s: %s" % (seconds, said)
    unknown = [one for one in failures
               if not any(re.search(pattern, one) for pattern in wanted.fails)]
    assert not unknown and (status == 0) == (not wanted.fails), said
    for pattern in wanted.fails:
        assert any(re.search(pattern, one) for one in failures), pattern + " did not fail: " + said
    assert not any(line.startswith("SKIPPED") for line in lines), said
    entries = stage.recordings()
    assert len(entries) >= wanted.recorded, said


def echo_through_the_proxy(lab, megabytes, *options):
    """So much goes to a program and comes back. Everything is what it was, and in the recording."""
    store = os.path.join(lab.directory, "store")
    lab.must("settings", "storage", "acme", "--type", "directory", "--path", store)
    lab.socket("web-1", "acme")
    alice = lab.person()
    proxy = lab.proxy({"web-1": lab.target()}, [alice])
    block = os.urandom(1 << 20)
    # Of text for the most part, as what people see is.
    sent = (block.hex().encode() * (megabytes // 2))[:(megabytes << 20) - len(block)] + block
    done = alice.ssh(*options, "web-1", "cat", input=sent, seconds=600)
    assert done.returncode == 0 and done.stdout == sent, done.stderr
    assert proxy.stop() == 0
    assert lab.once().returncode == 0
    (entry,) = lab.ls("acme")
    assert lab.castbucket("get", entry["id"], "--org", "acme", "--raw", seconds=600).raw == sent
    return done
