"""Large objects, objects that are there already, and credentials that die on the way."""

import glob
import hashlib
import os
import shutil

import pytest

from lab.process import Daemon, program, run, wait_until
from lab.short_sessions import ShortSessions

MIB = 1 << 20

# Bytes that do not compress, the same at every run.
NOISE = ("import hashlib, sys\n"
         "for i in range({mib} * 16):\n"
         "    sys.stdout.buffer.write(hashlib.shake_256(b'%d' % i).digest(65536))\n")


def noise(lab, mib):
    path = os.path.join(lab.directory, "noise.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NOISE.format(mib=mib))
    return "/usr/bin/python3 " + path


def requests(lab, organization, since):
    return [(method, path) for method, path, _ in lab.gateway.access_log()[since:]
            if path.startswith("/" + organization.bucket + "/")]


def raw(lab, organization, identifier):
    done = lab.castbucket("get", identifier, "--org", organization, "--raw", seconds=300)
    assert done.returncode == 0, done.stderr
    return done.raw


def test_a_64_mib_session_uploads_as_multipart_and_comes_back_identical(lab):
    acme = lab.organization("acme", ["web-1"])
    alice = lab.person()
    lab.proxy({"web-1": lab.target()}, [alice])
    before = len(lab.gateway.access_log())
    shown = alice.ssh("web-1", noise(lab, 64), seconds=300)
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout) == 64 * MIB
    for thing in reversed(lab.things):  # the proxy's recorder has the spool until it ends
        thing.stop()
    done = lab.once()
    assert done.returncode == 0, done.stderr

    seen = requests(lab, acme, before)
    assert any(method == "POST" and "uploads" in path for method, path in seen)
    parts = [path for method, path in seen if method == "PUT" and "partNumber=" in path]
    assert len(parts) > 1
    recorded = lab.ls("acme")
    assert len(recorded) == 1
    wanted = hashlib.sha256(shown.stdout).hexdigest()
    assert hashlib.sha256(raw(lab, "acme", recorded[0]["id"])).hexdigest() == wanted
    assert lab.spooled() == []


def test_a_token_that_expires_in_the_middle_of_an_upload_is_survived(lab, wire):
    """Credentials that are dead after 10 seconds, and an upload that takes longer."""
    short = ShortSessions(lab.gateway)
    lab.things.append(short)
    slow = wire(lab.gateway.endpoint, bytes_per_second=2 * MIB)
    slow.remember = False
    acme = lab.organization("acme", ["web-1"], endpoint=slow.url, sts_endpoint=short.url)
    shown = lab.record("web-1", noise(lab, 16))
    assert len(shown.stdout) == 16 * MIB
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert short.given >= 2
    lab.storage(acme)  # to read without the slow wire
    assert lab.ls("acme")[0]["size"] > 20 * MIB  # 10 s of that wire
    assert raw(lab, "acme", lab.ls("acme")[0]["id"]) == shown.stdout


def test_a_token_that_the_store_calls_expired_too_soon_is_survived(lab, wire):
    """A program that believes its credentials good learns otherwise from the store. RADOS Gateway
    refuses them with AccessDenied; the wire puts AWS's word there, ExpiredToken."""
    short = ShortSessions(lab.gateway, claims_long=True)
    lab.things.append(short)
    slow = wire(lab.gateway.endpoint, bytes_per_second=2 * MIB,
                instead=(b"<Code>AccessDenied<", b"<Code>ExpiredToken<"))
    slow.remember = False
    acme = lab.organization("acme", ["web-1"], endpoint=slow.url, sts_endpoint=short.url)
    before = len(lab.gateway.access_log())
    shown = lab.record("web-1", noise(lab, 16))
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert short.given >= 2
    assert 403 in [status for _, path, status in lab.gateway.access_log()[before:]
                   if acme.bucket in path]
    lab.storage(acme)
    assert raw(lab, "acme", lab.ls("acme")[0]["id"]) == shown.stdout


def test_an_upload_that_is_cut_goes_on_where_it_was(lab, wire):
    line = wire(lab.gateway.endpoint)
    line.remember = False
    acme = lab.organization("acme", ["web-1"], endpoint=line.url, sts_endpoint=line.url)
    shown = lab.record("web-1", noise(lab, 24))
    before = len(lab.gateway.access_log())

    # Killed in the middle: once the store has some parts.
    def parts():
        return [path for method, path in requests(lab, acme, before)
                if method == "PUT" and "partNumber=" in path]

    line.bytes_per_second = 8 * MIB
    recorder = Daemon([program("castbucket"), "recorder", "--once"],
                      os.path.join(lab.directory, "recorder.log"), env=lab.environment())
    wait_until(lambda: len(parts()) >= 2, seconds=60, what="two parts")
    recorder.kill()
    sent_first = len(parts())
    line.bytes_per_second = None
    done = lab.once()
    assert done.returncode == 0, done.stderr
    creates = [path for method, path in requests(lab, acme, before)
               if method == "POST" and "uploads" in path]
    assert len(creates) == 1, "the second began a new upload"
    numbers = [path.split("partNumber=")[1].split("&")[0] for path in parts()]
    assert len(numbers) - len(set(numbers)) <= 2, "parts were sent again: %s" % numbers
    assert sent_first >= 2
    assert raw(lab, "acme", lab.ls("acme")[0]["id"]) == shown.stdout


@pytest.mark.parametrize("mib", [0, 16], ids=["single put", "multipart"])
def test_an_object_that_exists_is_never_overwritten(lab, mib):
    acme = lab.organization("acme", ["web-1"])
    lab.organization("beta", ["db-1"])
    lab.record("web-1", noise(lab, mib) if mib else "echo recorded")
    lab.record("db-1", "echo recorded")
    # Where will it go? Let another spool's recorder find out, of the same journals.
    twin = lab.spool + "-twin"
    shutil.copytree(lab.spool, twin)
    twin_store = os.path.join(lab.directory, "twin-store")
    os.makedirs(twin_store)
    twin_settings = os.path.join(lab.directory, "twin.json")
    other = {**lab.environment(), "CASTBUCKET_SETTINGS": twin_settings}
    for words in (["spool", twin],
                  ["storage", "acme", "--type", "directory", "--path", twin_store],
                  ["storage", "beta", "--type", "directory", "--path", twin_store]):
        lab.must("settings", *words, env=other)
    lab.must("recorder", "--once", env=other, seconds=300)
    keys = [os.path.relpath(path, twin_store)
            for path in glob.glob(twin_store + "/org=acme/**/*.cast.gz", recursive=True)]
    assert len(keys) == 1

    s3 = lab.s3(acme)
    s3.put_object(Bucket=acme.bucket, Key=keys[0], Body=b"somebody else's")
    done = lab.once()
    assert done.returncode == 1
    assert "conflict" in done.stderr.lower() or "exists" in done.stderr.lower(), done.stderr
    assert s3.get_object(Bucket=acme.bucket, Key=keys[0])["Body"].read() == b"somebody else's"
    assert any(name.endswith(".cast.gz") for name in lab.spooled()), lab.spooled()
    assert len(lab.ls("beta")) == 1
    # And stays so.
    assert lab.once().returncode == 1
    assert s3.get_object(Bucket=acme.bucket, Key=keys[0])["Body"].read() == b"somebody else's"


@pytest.mark.parametrize("mib", [0, 16], ids=["single put", "multipart"])
def test_the_same_recording_again_is_success(lab, mib):
    """As after a kill between the store's answer and the note of it."""
    acme = lab.organization("acme", ["web-1"])
    lab.record("web-1", noise(lab, mib) if mib else "echo recorded")
    again = lab.spool + "-again"
    shutil.copytree(lab.spool, again)
    assert lab.once().returncode == 0
    first = lab.objects(acme)
    assert run(["rm", "-rf", lab.spool]).returncode == 0
    os.rename(again, lab.spool)
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert lab.objects(acme) == first and len(first) == 2
    assert lab.spooled() == []
