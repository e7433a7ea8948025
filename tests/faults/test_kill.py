"""Whatever is killed, and whenever: nothing that anybody saw is lost."""

import os
import random

from faults.kills import kill_hosts_and_recorders
from faults.proxy_kills import kill_proxys, orphans

KILLS = int(os.environ.get("KILLS", 1000))


def test_killed_hosts_and_recorders_lose_nothing(home, seed, say):
    assert kill_hosts_and_recorders(home, KILLS, seed, say=say) >= KILLS // 2


def test_a_killed_proxy_loses_nothing(home, seed, say):
    assert kill_proxys(home, KILLS, seed, say=say) > 0


def test_no_recorder_outlives_its_proxy(home, seed):
    assert orphans(home, 40, random.Random(seed)) == 0
