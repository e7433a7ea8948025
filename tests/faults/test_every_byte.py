"""A journal cut at each byte, with each of its bits flipped, and with much that is wrong at once: what
can be read of it is recorded, and the rest is told of (tests/unit/test_seal_damage.c, with all bits
and not some)."""

import os

import pytest

from lab.process import build_directory, environment, run

SANITIZED = "build-address"


@pytest.mark.parametrize("sanitized", [False, True], ids=["plain", "sanitized"])
def test_each_byte_and_each_bit_of_a_journal_may_be_lost(sanitized, seed, say):
    build = build_directory()
    if sanitized:
        build = os.path.join(os.path.dirname(build), SANITIZED)
    program = os.path.join(build, "tests", "unit", "test_seal_damage")
    done = run([program], seconds=600, env=environment(EVERY_BIT="1", SEED=str(seed)))
    text = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, text
    say("; ".join(line for line in text.splitlines()
                  if "cut at each" in line or "flipped of" in line or "SEED=" in line))
