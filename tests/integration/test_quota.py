"""The spool's quota: what each policy does when it is reached, that people are told, and that uploads
alone bring recording back."""

import json
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

from faults.recordings import left_in, recordings  # noqa: E402
from lab.lab import Lab  # noqa: E402
from lab.process import Daemon, program, wait_until  # noqa: E402

QUOTA = 2 << 20
METADATA = 64 << 10  # what the file system itself takes for files of this size, and more
MUCH = "head -c 3000000 /dev/urandom"
REFUSED, RECORDING_ENDED = 126, 124  # castbucket-shell --help


class Home(Lab):
    def __init__(self, directory):
        super().__init__(directory, None)
        self.store = os.path.join(self.directory, "store")
        self.must("settings", "spool-quota", "2M")
        self.keep_in(self.store)
        for policy in ("end", "refuse", "continue"):
            self.socket(policy, "acme", "on", "--on-failure", policy)

    def keep_in(self, store):
        self.must("settings", "storage", "acme", "--type", "directory", "--path", store)

    def recover(self):
        done = self.once()
        assert done.returncode == 0, done.stderr
        assert left_in(self.spool) == []
        return recordings(self.store)

    @property
    def taken(self):
        sizes = [os.stat(os.path.join(self.spool, name)).st_blocks * 512
                 for name in left_in(self.spool)]
        return sum(sizes)

    def status(self):
        with open(os.path.join(self.spool, "status.json"), encoding="utf-8") as file:
            return json.load(file).get("spool", {})


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def reach(home):
    """Sessions that nobody uploads, until there is no room for another. What they showed."""
    shown = []
    while True:
        done = home.record("end", "head -c 100000 /dev/urandom")
        if done.returncode:
            break
        shown.append(done.stdout)
        assert len(shown) < 100
    while home.record("end", "echo ran").returncode != REFUSED:
        pass
    return shown


def whole(found):
    return [one.shown for one in found if one.manifest["end"] == "exited"
            and one.shown != b"ran\n"]


def test_new_sessions_are_refused_or_go_on_as_their_socket_says(home):
    shown = reach(home)
    assert home.taken <= QUOTA + METADATA
    for policy in ("end", "refuse"):
        done = home.record(policy, "echo ran")
        assert (done.returncode, done.stdout) == (REFUSED, b"")
        assert b"must be recorded" in done.stderr, done.stderr
    done = home.record("continue", "echo ran; exit 3")
    assert (done.returncode, done.stdout) == (3, b"ran\n")
    # Uploads alone bring it back.
    assert whole(home.recover()) == shown and len(shown) >= 3
    assert home.record("end", "echo ran").returncode == 0


def test_a_running_session_ends_where_its_socket_says_so(home):
    done = home.record("end", MUCH + "; sleep 60")
    assert done.returncode == RECORDING_ENDED
    assert QUOTA // 4 < len(done.stdout) < QUOTA and home.taken <= QUOTA + METADATA
    (one,) = home.recover()
    assert one.shown == done.stdout
    assert one.manifest["end"] == "lost" and one.manifest["lost_bytes"] > 0


@pytest.mark.parametrize("policy", ["refuse", "continue"])
def test_a_running_session_goes_on_with_its_gap_marked(home, policy):
    done = home.record(policy, MUCH + "; exit 5")
    assert (done.returncode, len(done.stdout)) == (5, 3000000)
    (one,) = home.recover()
    assert one.lacks(done.stdout) > 0
    assert len(os.path.commonprefix([done.stdout, one.shown])) > QUOTA // 4


def test_an_outage_fills_the_quota_and_no_more_and_its_end_brings_recording_back(home):
    home.keep_in("/dev/null/store")
    recorder = Daemon([program("castbucket"), "recorder"],
                      os.path.join(home.directory, "recorder.log"), env=home.environment())
    home.things.append(recorder)
    shown = []
    while True:
        done = home.record("end", "head -c 150000 /dev/urandom")
        if done.returncode == REFUSED:
            break
        if done.returncode == 0:
            shown.append(done.stdout)
    wait_until(lambda: home.status().get("used_percent", 0) >= 80)
    assert home.status()["quota_bytes"] == QUOTA
    wait_until(lambda: "of its quota" in recorder.words() or "reached its quota" in
               recorder.words())
    home.keep_in(home.store)
    wait_until(lambda: home.record("end", "echo ran").returncode == 0, seconds=30)
    wait_until(lambda: left_in(home.spool) == [], seconds=30)
    wait_until(lambda: home.status()["used_percent"] <= 5 and "again" in recorder.words())
    assert recorder.stop() == 0
    assert sorted(whole(recordings(home.store))) == sorted(shown) and len(shown) > 3


def test_another_quota_holds_for_new_sessions_at_once(home):
    reach(home)
    home.must("settings", "spool-quota", "4M")
    assert home.record("end", "echo ran").stdout == b"ran\n"
    home.must("settings", "spool-quota", "1M")
    assert home.record("end", "echo ran").returncode == REFUSED
    assert len(home.recover()) > 3
