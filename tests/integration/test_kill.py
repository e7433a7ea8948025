"""A few of the kills of tests/faults, so that every run of the tests has some."""

import random

from faults.kills import kill_hosts_and_recorders


def test_killed_hosts_and_recorders_lose_nothing(home):
    kill_hosts_and_recorders(home, 20, random.randrange(1 << 32))
