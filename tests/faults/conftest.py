"""What the fault tests stand on. BUILD=dir (default: build) says whose programs are tested;
KILLS=N how many of each are killed; SEED=N repeats a run."""

import os
import random
import sys

import pytest

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [TESTS, os.path.join(TESTS, "rgw")]

from lab.lab import Lab  # noqa: E402
from rgw import Gateway  # noqa: E402


@pytest.fixture
def home(tmp_path):
    """An installation without a gateway."""
    made = Lab(tmp_path, None)
    yield made
    made.close()


@pytest.fixture
def lab(tmp_path, tmp_path_factory):
    """An installation beside a gateway of its own, which may be killed, and has short tokens."""
    gateway = Gateway.start(str(tmp_path_factory.mktemp("rgw")), short_tokens=True)
    made = Lab(tmp_path, gateway)
    yield made
    made.close()
    gateway.stop()


@pytest.fixture
def seed():
    return int(os.environ.get("SEED", random.randrange(1 << 32)))


@pytest.fixture
def say(capsys):
    """Prints what was done, past pytest's own capture."""
    def tell(text):
        with capsys.disabled():
            print("\n    " + text, flush=True)
    return tell
