"""What the integration tests stand on. BUILD=dir (default: build) says whose programs are tested."""

import os
import signal
import sys

import pytest

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, TESTS)
sys.path.insert(0, os.path.join(TESTS, "rgw"))

from lab.lab import Lab  # noqa: E402
from lab.wire import Wire  # noqa: E402
from rgw import Gateway  # noqa: E402


def pytest_configure(config):
    # Started with nohup or in a script's background, some are ignored; what is ignored is inherited,
    # and no shell can trap it.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "smoke: the few that also run under slow sanitizers")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    """S3, STS and IAM (tests/rgw/rgw.py). One for all tests of a process: buckets are not shared."""
    made = Gateway.start(str(tmp_path_factory.mktemp("rgw")), short_tokens=True)
    yield made
    made.stop()


@pytest.fixture
def lab(tmp_path, gateway):
    """An installation with empty settings and spool, and the gateway.

    Whatever a test does, castbucket never deletes at the store: after each, the gateway's own log
    is read. Customers who delete in a test do so with their own key, in buckets' own words
    (Gateway.request), and are counted."""
    before = len(gateway.access_log())
    deleted_before = gateway.own_deletes
    made = Lab(tmp_path, gateway)
    yield made
    made.close()
    deletes = [entry for entry in gateway.access_log()[before:]
               if entry[0] == "DELETE" or (entry[0] == "POST" and "?delete" in entry[1])]
    assert len(deletes) == gateway.own_deletes - deleted_before, deletes


@pytest.fixture
def home(tmp_path):
    """An installation without a gateway, for what needs no S3."""
    made = Lab(tmp_path, None)
    yield made
    made.close()


@pytest.fixture
def wire():
    """Makes wires to a URL: slow ones, ones that can be cut, all of them with a memory."""
    made = []

    def make(url, **keywords):
        made.append(Wire(url, **keywords))
        return made[-1]

    yield make
    for one in made:
        one.stop()
