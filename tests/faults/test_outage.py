"""The real store, stopped and started again while recordings go to it, under tokens that die after
ten seconds. Afterwards: every recording exactly once, identical, and the spool empty."""

import collections
import os
import random
import sys
import time
from urllib.parse import unquote

import pytest

from faults.conftest import TESTS
from faults.recordings import Recording, left_in
from lab.lab import Lab
from lab.process import Daemon, program, wait_until
from lab.short_sessions import ShortSessions
from lab.wire import Wire

sys.path.insert(0, os.path.join(TESTS, "rgw"))

from rgw import Gateway  # noqa: E402

MIB = 1 << 20
SMALL, LARGE, ROUNDS = 6, 24 * MIB, 6


@pytest.fixture
def lab(tmp_path, tmp_path_factory):
    gateway = Gateway.start(str(tmp_path_factory.mktemp("rgw")), short_tokens=True)
    made = Lab(tmp_path, gateway)
    yield made
    made.close()
    gateway.stop()


def test_a_store_that_comes_and_goes_gets_each_recording_once(lab, seed, say):
    chance = random.Random(seed)
    short, slow = ShortSessions(lab.gateway), Wire(lab.gateway.endpoint, bytes_per_second=3 * MIB)
    lab.things += [short, slow]
    slow.remember = False
    # One behind a haproxy and a slow wire, which answers 503 while the gateway is away, one at the
    # gateway's own door, which then is closed.
    doors = {"acme": slow.url, "beta": lab.gateway.state["gateway_endpoint"]}
    customers = {name: lab.organization(name, [name + "-1"], endpoint=door, sts_endpoint=short.url)
                 for name, door in doors.items()}
    shown = collections.defaultdict(list)

    def session(name, size):
        done = lab.record(name + "-1", "head -c %d /dev/urandom" % size)
        assert done.returncode == 0 and len(done.stdout) == size
        shown[name].append(done.stdout)
    for name in doors:
        session(name, LARGE)
    service = Daemon([program("castbucket"), "recorder"], os.path.join(lab.directory, "log"),
                     env=lab.environment())
    began, stops = time.monotonic(), 0
    try:
        for _ in range(ROUNDS):
            for name in doors:
                for _ in range(SMALL):
                    session(name, chance.randrange(1, 40000))
            time.sleep(chance.uniform(0.1, 3))
            lab.gateway.crash()
            stops += 1
            session(chance.choice(list(doors)), 2000)
            time.sleep(chance.uniform(0, 2))
            lab.gateway.restart()
        wait_until(lambda: left_in(lab.spool) == [], seconds=180, what="an empty spool")
    finally:
        status = service.stop()
    assert status == 0, service.words()
    took = time.monotonic() - began
    puts = collections.Counter()
    for method, path, answered in lab.gateway.access_log():
        if method == "PUT" and answered == 200 and "partNumber" not in path:
            puts[unquote(path.split("?")[0])] += 1
    for name, customer in customers.items():
        lab.storage(customer)  # without wires and short tokens, to read
        s3, found = lab.s3(customer), lab.objects(customer)
        casts = [key for key in found if key.endswith(".cast.gz")]
        assert len(casts) == len(shown[name]) and len(found) == 2 * len(casts)
        stored = []
        for key in casts:
            stem = key[:-len(".cast.gz")]
            cast, manifest = (s3.get_object(Bucket=customer.bucket, Key=one)["Body"].read()
                              for one in (key, stem + ".json"))
            stored.append(Recording(cast, manifest, stem).shown)
        assert sorted(stored) == sorted(shown[name])
    again = [path for path, count in puts.items() if count > 1]
    assert not again, "put more than once: %s" % again
    assert short.given >= 3, "no token died: only %d were needed" % short.given
    say("seed %d: the gateway was killed and started again %d times in %.0f s, under %d tokens of "
        "10 s; %d recordings of %d organizations, each stored once" % (
            seed, stops, took, short.given, sum(len(one) for one in shown.values()), len(doors)))
