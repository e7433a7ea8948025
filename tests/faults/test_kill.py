"""Whatever is killed, and whenever: nothing that anybody saw is lost."""

import os

from faults.kills import kill_hosts_and_recorders

KILLS = int(os.environ.get("KILLS", 1000))


def test_killed_hosts_and_recorders_lose_nothing(home, seed, say):
    assert kill_hosts_and_recorders(home, KILLS, seed, say=say) >= KILLS // 2
