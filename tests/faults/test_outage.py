"""The real store, away for a while, and stopped and started again while recordings go to it, under
tokens that die after ten seconds. Afterwards: every recording exactly once, identical, and the spool
empty. OUTAGE=seconds that it is away while 5,000 recordings wait (an hour is OUTAGE=3600; what changes
between a minute and an hour is the back-off, which has grown to its longest after one)."""

import collections
import hashlib
import os
import random
import time
from urllib.parse import unquote

from faults.recordings import Recording, left_in
from faults.test_many import descriptors
from lab.made import make_recording
from lab.process import Daemon, program, wait_until, wait_while_falling
from lab.short_sessions import ShortSessions
from lab.wire import Wire

MIB = 1 << 20
SMALL, LARGE, ROUNDS = 6, 24 * MIB, 6
OUTAGE = float(os.environ.get("OUTAGE", 20))
WAITING, OTHERS, OF_EACH = 5000, 15, 20


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


def stored_sums(lab, customer):
    """key: MD5 of everything in the bucket, as the gateway says."""
    pages = lab.s3(customer).get_paginator("list_objects_v2").paginate(Bucket=customer.bucket)
    return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page["Contents"]}


def cpu_seconds(pid):
    """What a process has used so far."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def put_in_order(gateway):
    """(key, organization) of each object that was put with success, in the order of the answers."""
    found = []
    for method, path, answered in gateway.access_log():
        if method == "PUT" and answered == 200 and "/org%3D" in path.replace("=", "%3D"):
            key = unquote(path.split("?")[0])
            found.append((key, key.split("org=")[1].split("/")[0]))
    return found


def test_an_outage_with_thousands_waiting_ends_in_a_fair_drain(lab, seed, say):
    """One organization has nearly all of them. The others, with few each, do not wait behind it."""
    chance = random.Random(seed)
    door = lab.gateway.state["gateway_endpoint"]
    large = lab.organization("large", endpoint=door, sts_endpoint=door)
    others = ["other%02d" % number for number in range(OTHERS)]
    for name in others:
        lab.organization(name, same_bucket_as=large, endpoint=door, sts_endpoint=door)
    owners = others * OF_EACH + ["large"] * (WAITING - OTHERS * OF_EACH)
    chance.shuffle(owners)
    for owner in owners:
        make_recording(lab.spool, owner, "web-1", 2000, chance)
    waiting = {}
    sealed = os.path.join(lab.spool, "sealed")
    for name in os.listdir(sealed):
        with open(os.path.join(sealed, name), "rb") as file:
            waiting[name] = hashlib.md5(file.read()).hexdigest()
    lab.gateway.crash()
    service = Daemon([program("castbucket"), "recorder"], os.path.join(lab.directory, "log"),
                     env=lab.environment())
    most = 0

    def left():
        nonlocal most
        most = max(most, descriptors(service.process.pid))
        return len(os.listdir(sealed))
    try:
        # It reads them all once; from then on it waits.
        time.sleep(min(OUTAGE / 2, 15))
        at_first = cpu_seconds(service.process.pid)
        began = time.monotonic()
        time.sleep(OUTAGE - min(OUTAGE / 2, 15))
        used = cpu_seconds(service.process.pid) - at_first
        idle = time.monotonic() - began
        before = descriptors(service.process.pid)
        assert sorted(os.listdir(sealed)) == sorted(waiting), "not all wait"
        lab.gateway.restart()
        back = time.monotonic()
        wait_while_falling(left, stalled=360, what="an empty spool")
        took = time.monotonic() - back
    finally:
        status = service.stop()
    assert status == 0 and left_in(lab.spool) == [], service.words()
    stored = {key.split("/")[-1]: md5 for key, md5 in stored_sums(lab, large).items()}
    assert stored == waiting
    order = put_in_order(lab.gateway)
    assert max(collections.Counter(key for key, _ in order).values()) == 1, "something was put twice"
    places = collections.defaultdict(list)
    for place, (_, owner) in enumerate(order):
        places[owner].append(place)
    beside = [name for name in others if places[name][0] < places["large"][-1]]
    spans = [places[name][-1] - places[name][0] for name in beside]
    # In its turns each organization has one, too; and some of what was begun ends out of turn.
    fair = 2 * OF_EACH * (OTHERS + 1) * 2
    assert beside and max(spans) < fair, "seed %d: %s" % (seed, spans)
    assert most - before <= 64 * 4, "%d descriptors" % most
    assert used <= 0.1 * idle + 1, "%.2f s of CPU in %.0f s of waiting" % (used, idle)
    say("seed %d: %d recordings of %d organizations waited %.0f s (OUTAGE=3600 for an hour); "
        "%.2f s of CPU in the last %.0f s of that; stored %.0f s after the gateway came back, its answers' back-off included, at most %d "
        "descriptors more than before; of %d organizations with %d each beside the large one with "
        "%d, the slowest had its %d objects stored while %d of others were" % (
            seed, WAITING, OTHERS + 1, OUTAGE, used, idle, took, most - before, len(beside), OF_EACH,
            WAITING - OTHERS * OF_EACH, 2 * OF_EACH, max(spans) + 1 - 2 * OF_EACH))
