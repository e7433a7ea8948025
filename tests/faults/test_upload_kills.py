"""The recorder, or the store's gateway, is killed -9 in the middle of uploads, again and again. Then
every recording is in the bucket once, identical, and the spool is empty. UPLOAD_KILLS=n recorders and
GATEWAY_KILLS=n gateways are killed."""

import collections
import hashlib
import json
import os
import random
import subprocess
import time
from urllib.parse import unquote

from faults.recordings import Recording, left_in
from lab.made import make_recording
from lab.process import Daemon, die_with_parent, program, wait_until
from lab.short_sessions import ShortSessions
from lab.wire import Wire

MIB = 1 << 20
UPLOAD_KILLS = int(os.environ.get("UPLOAD_KILLS", 30))
GATEWAY_KILLS = int(os.environ.get("GATEWAY_KILLS", 20))
DRAINED = 600   # recordings that go to a gateway that is killed
LARGE = 18 * MIB  # put in parts
LONGEST = 1.2   # seconds until a recorder is killed


class Bucket:
    """A customer's bucket, seen by its owner, and what has to be in it in the end."""

    def __init__(self, lab, wire, sts_endpoint):
        self.lab = lab
        self.customer = lab.organization("acme", ["web-1"], endpoint=wire.url,
                                         sts_endpoint=sts_endpoint)
        self.owner = lab.s3(self.customer, (self.customer.access_key, self.customer.secret_key,
                                            None))
        self.sealed = os.path.join(lab.spool, "sealed")
        self.expected = {}  # name of an object: SHA-256 of the file that was sealed
        self.shown = []     # by sessions, whose recordings only the recorder has seen

    def add(self, chance, size):
        name, _ = make_recording(self.lab.spool, "acme", "web-1", size, chance)
        for end in (".cast.gz", ".json"):
            with open(os.path.join(self.sealed, name + end), "rb") as file:
                self.expected[name + end] = hashlib.sha256(file.read()).hexdigest()

    def session(self, chance):
        done = self.lab.record("web-1", "head -c %d /dev/urandom" % chance.randrange(1, 40000))
        assert done.returncode == 0
        self.shown.append(done.stdout)

    def keys(self):
        """Last part of the key: key, of all that is there."""
        pages = self.owner.get_paginator("list_objects_v2").paginate(Bucket=self.customer.bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        found = {key.split("/")[-1]: key for key in keys}
        assert len(found) == len(keys), "twice: %s" % sorted(keys)
        return found

    def begun(self):
        """(key, upload id) of multipart uploads that were not completed."""
        answer = self.owner.list_multipart_uploads(Bucket=self.customer.bucket)
        return [(one["Key"], one["UploadId"]) for one in answer.get("Uploads", [])]

    def verify(self):
        """Each once, with the very bytes; put once. Returns how many recordings there are."""
        assert left_in(self.lab.spool) == [], left_in(self.lab.spool)
        self.lab.storage(self.customer)  # not by the wire
        reader, keys = self.lab.s3(self.customer), self.keys()
        shown = []
        for name in [name for name in keys if name.endswith(".cast.gz")]:
            stem = name[:-len(".cast.gz")]
            cast, manifest = (reader.get_object(Bucket=self.customer.bucket,
                                                Key=keys.pop(stem + end))["Body"].read()
                              for end in (".cast.gz", ".json"))
            one = Recording(cast, manifest, stem)
            if name in self.expected:
                assert hashlib.sha256(cast).hexdigest() == self.expected.pop(name), name
                assert hashlib.sha256(manifest).hexdigest() == self.expected.pop(stem + ".json")
            else:
                shown.append(one.shown)
        assert not self.expected, "not stored: %s" % sorted(self.expected)
        assert not keys, "manifests of nothing: %s" % sorted(keys)
        assert sorted(shown) == sorted(self.shown)
        puts = collections.Counter(
            unquote(path.split("?")[0]) for method, path, answered in self.lab.gateway.access_log()
            if method == "PUT" and answered == 200 and "partNumber" not in path)
        again = [path for path, count in puts.items() if count > 1]
        assert not again, "put more than once: %s" % again


def where_it_was_killed(bucket):
    """What a recorder that was just killed had under way."""
    found = collections.Counter()
    stored, spooled = bucket.keys(), set(os.listdir(bucket.sealed))
    for name in spooled:
        stem = name.split(".")[0]
        if name.endswith(".upload"):
            with open(os.path.join(bucket.sealed, name), encoding="utf-8") as file:
                state = json.load(file)
            if state.get("upload_id"):
                found["within parts"] += 1
        if name.endswith(".json"):
            cast, manifest = stem + ".cast.gz" in stored, name in stored
            found["between cast and manifest"] += cast and not manifest
            found["between manifest and removal"] += manifest
    found["other moments"] += not found
    return found


def kill_a_recorder(lab, chance):
    """Returns whether it was alive."""
    with open(os.path.join(lab.directory, "recorder.log"), "ab") as log:
        process = subprocess.Popen(
            [program("castbucket"), "recorder"] + chance.choice([[], ["--once"]]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            env=lab.environment())
    time.sleep(chance.uniform(0, LONGEST))
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


def test_a_recorder_killed_while_it_uploads_stores_each_recording_once(lab, seed, say):
    chance = random.Random(seed)
    wire = Wire(lab.gateway.state["gateway_endpoint"], bytes_per_second=24 * MIB)
    wire.remember = False
    lab.things.append(wire)
    bucket = Bucket(lab, wire, lab.gateway.endpoint)
    killed, large, moments = 0, 0, collections.Counter()
    os.makedirs(bucket.sealed, exist_ok=True)
    while killed < UPLOAD_KILLS:
        waiting = [name for name in os.listdir(bucket.sealed) if name.endswith(".json")]
        if len(waiting) < 2:
            bucket.add(chance, LARGE + chance.randrange(8 * MIB))
            large += 1
        for _ in range(6 - len(waiting)):
            bucket.add(chance, chance.randrange(1000, 60000))
        if chance.random() < 0.3:
            bucket.session(chance)
        if kill_a_recorder(lab, chance):
            killed += 1
            moments += where_it_was_killed(bucket)
    said = ""

    def is_over():
        nonlocal said
        done = lab.once()
        said = done.stderr
        return done.returncode == 0
    wait_until(is_over, seconds=60, what="recovery")
    count = len(bucket.expected) // 2 + len(bucket.shown)
    bucket.verify()
    # Killed between the store's answer to "create" and the note of it, nobody knows the upload's
    # name, and nobody is granted to list or abort any: but it has no part yet, so it costs nothing.
    orphans = bucket.begun()
    for key, upload in orphans:
        parts = bucket.owner.list_parts(Bucket=bucket.customer.bucket, Key=key, UploadId=upload)
        assert not parts.get("Parts"), "%s: parts of it were forgotten" % key
    assert moments["within parts"] and len(orphans) <= large + killed // 10, (moments, orphans)
    say("seed %d: killed %d recorders while they uploaded (recordings that were then %s); all %d "
        "recordings, %d of them in parts, are stored once, identical; %d uploads were begun and not "
        "noted, without any part" % (
            seed, killed, ", ".join("%s: %d" % one for one in sorted(moments.items())), count,
            large, len(orphans)))


def test_a_gateway_killed_many_times_gets_each_recording_once(lab, seed, say):
    chance = random.Random(seed)
    short = ShortSessions(lab.gateway)
    wire = Wire(lab.gateway.state["gateway_endpoint"], bytes_per_second=2 * MIB)
    wire.remember = False
    lab.things += [short, wire]
    bucket = Bucket(lab, wire, short.url)
    for _ in range(DRAINED - 2):
        bucket.add(chance, chance.randrange(1000, 40000))
    for _ in range(2):
        bucket.add(chance, LARGE)

    def waiting():
        return sum(name.endswith(".json") for name in os.listdir(bucket.sealed))
    began, within = time.monotonic(), 0
    service = Daemon([program("castbucket"), "recorder"], os.path.join(lab.directory, "log"),
                     env=lab.environment())
    try:
        for _ in range(GATEWAY_KILLS):
            before = waiting()
            wait_until(lambda: waiting() < before or not before, seconds=90, what="progress")
            time.sleep(chance.uniform(0, 0.3))
            within += waiting() > 0
            lab.gateway.crash()
            time.sleep(chance.uniform(0, 0.5))
            lab.gateway.restart()
        wire.bytes_per_second = None
        # One that was under way at several of the kills is taken to be at fault itself, and asked
        # again a little later (SCHEDULE_ASIDE_FIRST).
        wait_until(lambda: left_in(lab.spool) == [], seconds=180, what="an empty spool")
    finally:
        status = service.stop()
    assert status == 0, service.words()
    took = time.monotonic() - began
    bucket.verify()
    assert within == GATEWAY_KILLS, "the drain was over after %d kills" % within
    assert short.given >= 3, "no token died: only %d were needed" % short.given
    say("seed %d: the gateway was killed and started again %d times while %d recordings, 2 of them in "
        "parts, drained in %.0f s, under %d tokens of 10 s; each is stored once, identical; %d uploads "
        "were begun and not completed" % (
            seed, within, DRAINED, took, short.given, len(bucket.begun())))
