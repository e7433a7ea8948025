"""Whatever the store does, afterwards each recording is stored once, identical, and the spool is
empty; or it waits there, unharmed, with the reason."""

import collections
import os
import shutil
import threading
import time

import pytest

from faults.recordings import Recording, left_in
from faults.scripted_s3 import (Answer, Authority, ScriptedS3, close_when_connected,
                                cut_in_handshake, cut_in_headers, damage, damage_whole, endless,
                                failure, hang_before_answer, hang_in_answer, hang_when_connected,
                                instead, lost, lost_before_effect, no_tls, other_answer,
                                other_headers, reset_at_once, reset_in_answer, reset_in_body,
                                reset_when_connected, truncated)
from lab.lab import Lab

MIB = 1 << 20
AWS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


class CustomerLab(Lab):
    """A home whose organization's bucket is at a scripted S3."""

    def __init__(self, directory, store, *more):
        self.store = store
        self.authority = None
        super().__init__(directory, None)
        self.must("settings", "storage", "acme", "--type", "aws-s3", "--bucket", "acme-recordings",
                  "--role-arn", "arn:aws:iam::111122223333:role/castbucket", "--endpoint",
                  store.url, "--sts-endpoint", store.url, *more)
        self.socket("web-1", "acme")

    def environment(self):
        trusted = {"AWS_CA_BUNDLE": self.authority} if self.authority else {}
        return {**super().environment(), **AWS, **trusted}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Spools with finished recordings, and what their sessions showed: `small` is put in one
    request, `large` in parts."""
    made = {}
    store = ScriptedS3()
    store.fault("AssumeRole", instead(failure(403, "AccessDenied")), times=1000)
    for name, command in (("small", "echo small; head -c 5000 /dev/urandom"),
                          ("large", "head -c %d /dev/urandom" % (14 * MIB))):
        home = CustomerLab(tmp_path_factory.mktemp(name), store, "--region", "us-east-1")
        shown = home.record("web-1", command).stdout
        assert home.once().returncode == 1
        assert [entry for entry in left_in(home.spool) if entry.endswith(".cast.gz")]
        made[name] = (home.spool, shown)
    store.stop()
    return made


@pytest.fixture
def store():
    made = ScriptedS3()
    yield made
    made.stop()


class Trial:
    def __init__(self, directory, store, sealed, size, *more):
        self.store = store
        self.runs = 0
        spool, self.shown = sealed[size]
        self.home = CustomerLab(directory, store, *more)
        shutil.rmtree(self.home.spool, ignore_errors=True)
        shutil.copytree(spool, self.home.spool)

    def run(self, attempts=3):
        """As a service manager or a timer would: again while something is left."""
        for _ in range(attempts):
            self.runs += 1
            done = self.home.once()
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
        self.verify()
        return done

    def verify(self):
        assert not self.store.unused, "never asked for: %s" % self.store.unused
        assert left_in(self.home.spool) == []
        casts = [key for key in self.store.objects if key.endswith(".cast.gz")]
        assert len(casts) == 1 and len(self.store.objects) == 2, list(self.store.objects)
        stem = casts[0][:-len(".cast.gz")]
        one = Recording(self.store.objects[casts[0]].data, self.store.objects[stem + ".json"].data,
                        stem)
        assert one.shown == self.shown


@pytest.fixture
def trial(tmp_path, store, sealed, say):
    trials = []

    def make(size, *more):
        trials.append(Trial(tmp_path, store, sealed, size, *(more or ("--region", "us-east-1"))))
        return trials[-1]
    yield make
    for one in trials:
        asked = collections.Counter(store.log)
        say("%d run%s of the recorder; asked for %s; %d objects stored, %d files left" % (
            one.runs, "" if one.runs == 1 else "s",
            ", ".join("%s %d times" % entry if entry[1] > 1 else entry[0]
                      for entry in asked.items()) or "nothing",
            len(store.objects), len(left_in(one.home.spool))))


ERRORS = {
    "500": failure(500, "InternalError"),
    "500 without a word": Answer(500),
    "503": failure(503, "SlowDown"),
    "409": failure(409, "ConditionalRequestConflict"),
    "400 RequestTimeout": failure(400, "RequestTimeout"),
    "200 that is no answer": Answer(200, b"<html>please log in</html>"),
}
WAYS = {
    "reset at once": reset_at_once, "reset in the body": reset_in_body,
    "reset after the body": lost_before_effect, "lost answer": lost,
    "cut in headers": cut_in_headers, "reset in the answer": reset_in_answer,
    "truncated": truncated, "endless": endless,
}
SINGLE = ("AssumeRole", "PutObject")
MULTI = ("HeadObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", SINGLE + MULTI)
def test_an_error_is_survived(trial, store, operation, error):
    if operation == "AssumeRole" and error.startswith("4"):
        pytest.skip("not of STS")
    store.fault(operation, instead(ERRORS[error]), after=operation == "UploadPart")
    trial("small" if operation in SINGLE else "large").run()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", SINGLE + MULTI)
def test_a_broken_connection_is_survived(trial, store, operation, way):
    if operation == "HeadObject" and way in ("truncated", "endless", "reset in the answer"):
        pytest.skip("has no body")
    store.fault(operation, WAYS[way], after=operation == "UploadPart")
    trial("small" if operation in SINGLE else "large").run()


READING = {**{name: instead(answer) for name, answer in ERRORS.items() if name[0] != "4"},
           **{name: way for name, way in WAYS.items() if name != "reset in the body"}}


@pytest.mark.parametrize("way", READING)
def test_what_has_to_be_read_back_is_read_back_whole(trial, store, way):
    """This store gives no sums of its own, so that the object itself has to come back."""
    store.checksums, store.encrypted = False, True
    store.fault("GetObject", READING[way])
    trial("small").run()


@pytest.mark.parametrize("way", READING)
def test_what_may_not_be_looked_at_is_listed(trial, store, way):
    """S3 answers 403 for what is missing to who may not list all of the bucket."""
    store.fault("HeadObject", instead(Answer(403)))
    store.fault("ListObjectsV2", READING[way])
    trial("small").run()


@pytest.mark.parametrize("way", [reset_when_connected, close_when_connected])
@pytest.mark.parametrize("size", ["small", "large"])
def test_connections_that_end_at_once_are_made_again(trial, store, size, way):
    store.connection_faults = [way] * 3
    trial(size).run()
    assert not store.connection_faults


def test_a_store_that_refuses_connections_is_waited_for(trial, store):
    from lab.process import Daemon, program, wait_until
    one = trial("small")
    store.stop()
    assert one.home.once().returncode == 1
    service = Daemon([program("castbucket"), "recorder"],
                     os.path.join(one.home.directory, "service.log"), env=one.home.environment())
    try:
        time.sleep(3)
        store.start()
        wait_until(lambda: left_in(one.home.spool) == [], seconds=30, what="an empty spool")
    finally:
        assert service.stop() == 0
    one.verify()


def test_a_hang_ends_in_another_attempt(tmp_path, sealed, say):
    """In whatever phase: half a minute in which nothing moves. All at the same time."""
    ways = {
        "after connecting": lambda store: store.connection_faults.append(hang_when_connected),
        "before the answer": lambda store: store.fault("PutObject", hang_before_answer(store)),
        "in the answer": lambda store: store.fault("AssumeRole", hang_in_answer(store)),
        "before an answer without body": lambda store: store.fault(
            "HeadObject", hang_before_answer(store)),
        "between parts": lambda store: store.fault("UploadPart", hang_before_answer(store)),
    }
    stores, failed, took = [], [], {}

    def attempt(name, one):
        begun = time.monotonic()
        try:
            one.run()
        except AssertionError as error:
            failed.append("%s: %s" % (name, error))
        took[name] = time.monotonic() - begun
    threads = []
    for number, name in enumerate(ways):
        stores.append(ScriptedS3())
        ways[name](stores[-1])
        os.mkdir(tmp_path / str(number))
        one = Trial(tmp_path / str(number), stores[-1], sealed,
                    "large" if name == "between parts" else "small", "--region", "us-east-1")
        threads.append(threading.Thread(target=attempt, args=(name, one)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for one in stores:
        one.stop()
    assert not failed, failed
    assert all(seconds < 60 for seconds in took.values()), took
    say("hung once each: " + ", ".join("%s (%.0f s)" % entry for entry in sorted(took.items())))


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "somebody-elses")


TLS = {
    "an authority that nobody knows": lambda ours, theirs: theirs.issue(),
    "a certificate that has expired": lambda ours, theirs: ours.issue(days=-1),
    "another host's certificate": lambda ours, theirs: ours.issue("DNS:elsewhere.example"),
}


@pytest.mark.parametrize("wrong", TLS)
def test_nothing_is_said_to_who_cannot_prove_to_be_the_store(trial, store, authorities, wrong):
    store.tls = TLS[wrong](*authorities)
    one = trial("small")
    one.home.authority = authorities[0].path("pem")
    done = one.home.once()
    assert done.returncode == 1 and "certificate" in done.stderr, done.stderr
    assert store.handshakes and store.log == []
    store.tls = authorities[0].issue()
    one.run()


@pytest.mark.parametrize("way", [cut_in_handshake, close_when_connected, no_tls])
def test_a_handshake_that_is_cut_is_made_again(trial, store, authorities, way):
    store.tls = authorities[0].issue()
    store.connection_faults = [way] * 2
    one = trial("small")
    one.home.authority = authorities[0].path("pem")
    one.run()
    assert not store.connection_faults


def test_200_with_an_error_inside_is_no_success(trial, store):
    store.fault("CompleteMultipartUpload", instead(Answer(200, failure(500, "InternalError").body)),
                times=2)
    trial("large").run()
    assert store.log.count("CompleteMultipartUpload") == 3


def test_every_request_failing_once_is_survived(trial, store):
    for operation in SINGLE + MULTI:
        store.fault(operation, instead(failure(503, "SlowDown")))
        store.fault(operation, lost)
    trial("large").run(attempts=6)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("redirect", [301, 307, 400])
@pytest.mark.parametrize("told", ["another region", "no region"])
def test_the_right_region_is_found(trial, store, size, redirect, told):
    store.region, store.redirect = "eu-west-1", redirect
    trial(size, *(["--region", "us-west-2"] if told == "another region" else [])
          or ["--external-id", "x1"]).run()


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_token_that_expires_is_replaced(trial, store, size):
    store.expired = {"token1"}
    trial(size).run()
    assert store.tokens == 2


def test_a_token_that_expires_between_parts_is_replaced(trial, store):
    def expire(handler, request, good):
        store.expired = {request.headers["x-amz-security-token"]}
        ScriptedS3.send(handler, good())
    store.fault("UploadPart", expire)
    trial("large").run()
    assert store.tokens == 2 and store.log.count("CreateMultipartUpload") == 1


def test_a_clock_beyond_belief_is_not_followed(trial, store):
    store.fault("PutObject", other_answer(failure(403, "RequestTimeTooSkewed"),
                                          Date="Fri, 31 Dec 9999 23:59:59 GMT"))
    store.fault("AssumeRole", other_answer(failure(403, "RequestTimeTooSkewed"),
                                           Date="Tue, 01 Jan 2292 00:00:00 GMT"))
    trial("small").run()


@pytest.mark.parametrize("ahead", [3600, -3600])
@pytest.mark.parametrize("size", ["small", "large"])
def test_a_clock_that_is_wrong_is_corrected(trial, store, size, ahead):
    store.clock_ahead = ahead
    trial(size).run()


WRONG = {"ETag": {"ETag": '"%s"' % ("0" * 32)},
         "checksum": {"x_amz_checksum_sha256": "A" * 43 + "="},
         "no ETag": {"ETag": ""}}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
def test_an_answer_that_does_not_fit_is_not_believed(trial, store, operation, wrong):
    store.fault(operation, other_headers(**WRONG[wrong]))
    trial("small" if operation == "PutObject" else "large").run()


def test_a_part_that_arrives_damaged_is_sent_again(trial, store):
    store.fault("UploadPart", damage)
    trial("large").run()


def test_a_lost_upload_is_begun_again(trial, store):
    def forget(handler, _request, _good):
        store.uploads.clear()
        ScriptedS3.send(handler, failure(404, "NoSuchUpload"))
    store.fault("UploadPart", forget, after=1)
    trial("large").run()


@pytest.mark.parametrize("size", ["small", "large"])
def test_another_object_under_the_key_stays_and_ours_waits(trial, store, size):
    """412, and it is not the same."""
    one = trial(size)
    before = left_in(one.home.spool)
    taken = []

    def take(handler, request, good):
        if not taken:
            taken.append(request.key)
            from faults.scripted_s3 import Object, md5, sha256
            data = b"somebody else's"
            store.objects[request.key] = Object(data, "0" * 64, md5(data), sha256(data))
        ScriptedS3.send(handler, good())
    store.fault("PutObject" if size == "small" else "HeadObject", take)
    for _ in range(2):
        done = one.home.once()
        assert done.returncode == 1
    assert store.objects[taken[0]].data == b"somebody else's"
    casts = [name for name in before if name.endswith(".cast.gz")]
    assert set(casts) <= set(left_in(one.home.spool))
    assert taken[0].split("/")[-1].split(".")[0] in done.stderr or "acme" in done.stderr


# What a store says of what it has: with neither, it has to be read back.
SAYS = {"checksum and ETag": (True, False), "ETag": (False, False), "checksum": (True, True),
        "nothing": (False, True)}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("says", SAYS)
def test_what_is_stored_is_proven_by_what_the_store_has(trial, store, says, size):
    store.checksums, store.encrypted = SAYS[says]
    store.fault("PutObject", lost, times=2)
    trial(size).run()
    assert ("GetObject" in store.log) == (says == "nothing")


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("says", SAYS)
def test_what_the_store_damaged_waits_and_is_reported(trial, store, says, size):
    """The key is taken by it, and nobody may delete, so a person has to know."""
    one = trial(size)
    store.checksums, store.encrypted = SAYS[says]
    store.fault(*(("PutObject", damage) if size == "small" else
                  ("CompleteMultipartUpload", damage_whole(store))))
    for _ in range(2):
        done = one.home.once()
        assert done.returncode == 1, "a damaged object was taken for ours"
        assert "damaged" in done.stderr, done.stderr
    assert any(name.endswith(".cast.gz") for name in left_in(one.home.spool))
    assert len(store.objects) == 1, "a manifest says that it is complete"
    store.objects.clear()  # the person moved it away
    one.run()


def test_the_service_gets_through_too(trial, store):
    """Not --once: its own patience."""
    from lab.process import Daemon, program, wait_until
    one = trial("small")
    store.fault("PutObject", instead(failure(503, "SlowDown")))
    store.fault("PutObject", lost)
    service = Daemon([program("castbucket"), "recorder"],
                     os.path.join(one.home.directory, "service.log"), env=one.home.environment())
    try:
        wait_until(lambda: left_in(one.home.spool) == [], seconds=30, what="an empty spool")
    finally:
        assert service.stop() == 0
    one.verify()
