"""Recordings reach the organization's own bucket, by the role it granted, or wait in the spool."""

import gzip
import hashlib
import json
import os
import re
import shutil
import time
from urllib.parse import quote, unquote

import pytest

from lab.lab import RECORDING_KEY
from rgw import Gateway

# The gateway knows no sts:ExternalId. A shim in front of it puts the ExternalId of the request
# where the role's trust policy can have a condition on it (aws:Referer), and the gateway decides: in
# these tests that stands for the condition key sts:ExternalId (see tests/rgw/rgw.py).
EXTERNAL_ID = "8f14e45f-ceea=acme,prod.1:/@x"


@pytest.mark.smoke
def test_the_right_external_id_uploads(lab):
    acme = lab.organization("acme", ["web-1"], external_id=EXTERNAL_ID)
    shown = lab.record("web-1", "echo hello; echo problem >&2; exit 7")
    assert (shown.returncode, shown.stdout, shown.stderr) == (7, b"hello\n", b"problem\n")

    done = lab.once()
    assert done.returncode == 0, done.stderr
    objects = lab.objects(acme)
    casts = [key for key in objects if key.endswith(".cast.gz")]
    manifests = [key for key in objects if key.endswith(".json")]
    assert len(casts) == len(manifests) == 1 and len(objects) == 2
    match = RECORDING_KEY.match(casts[0])
    assert match and match["org"] == "acme" and match["socket"] == "web-1"
    assert manifests[0] == casts[0].replace(".cast.gz", ".json")
    assert casts[0] in done.stdout
    assert lab.spooled() == []

    data = lab.s3(acme).get_object(Bucket=acme.bucket, Key=casts[0])["Body"].read()
    manifest = json.loads(lab.s3(acme).get_object(Bucket=acme.bucket,
                                                  Key=manifests[0])["Body"].read())
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["size"] == len(data)
    assert manifest["exit_status"] == 7
    header, *events = [json.loads(line) for line in gzip.decompress(data).splitlines()]
    assert header["version"] == 2
    shown = "".join(event[2] for event in events if event[1] == "o")
    assert "hello" in shown and "problem" in shown


@pytest.mark.parametrize("given", ["wrong-one", ""])
def test_a_wrong_or_missing_external_id_waits_and_others_go_through(lab, given):
    acme = lab.organization("acme", ["web-1"], external_id=EXTERNAL_ID)
    lab.organization("beta", ["db-1"])
    if given:
        lab.storage(acme, external_id=given)
    else:  # there is no option that takes an external ID away but making the organization anew
        acme_without = acme.copy(external_id=None)
        lab.must("settings", "socket", "web-1", "--remove")
        lab.must("settings", "storage", "acme", "--remove")
        lab.storage(acme_without)
        lab.socket("web-1", "acme")
    for socket in ("web-1", "db-1"):
        assert lab.record(socket, "echo recorded").returncode == 0

    done = lab.once()
    assert done.returncode == 1
    assert "acme" in done.stderr and acme.role_arn in done.stderr, done.stderr
    assert "external" in done.stderr.lower(), done.stderr  # says what to look at
    assert lab.objects(acme) == {}
    assert len(lab.ls("beta")) == 1
    waiting = lab.spooled()
    assert waiting and all(name.startswith("sealed/") for name in waiting)

    lab.storage(acme)
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert [entry["socket"] for entry in lab.ls("acme")] == ["web-1"]
    assert lab.spooled() == []


def test_a_role_that_does_not_trust_us_waits(lab):
    acme = lab.organization("acme", ["web-1"], trusts="arn:aws:iam:::user/somebody-else")
    lab.record("web-1", "echo recorded")
    done = lab.once()
    assert done.returncode == 1
    assert acme.role_arn in done.stderr and "trust" in done.stderr.lower(), done.stderr
    assert lab.spooled()


def test_a_bucket_that_is_gone_waits_until_it_is_back(lab):
    acme = lab.organization("acme", ["web-1"])
    lab.organization("beta", ["db-1"])
    lab.record("web-1", "echo recorded")
    lab.record("db-1", "echo recorded")
    assert lab.gateway.request(acme, "DELETE", "/" + acme.bucket)[0] == 204
    done = lab.once()
    assert done.returncode == 1
    assert acme.bucket in done.stderr, done.stderr
    assert "NoSuchBucket" in done.stderr or "does not exist" in done.stderr, done.stderr
    assert len(lab.ls("beta")) == 1
    assert lab.spooled()

    lab.gateway.make_bucket(acme)
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert len(lab.ls("acme")) == 1
    assert lab.spooled() == []


def test_a_store_that_does_not_answer_waits_and_loses_nothing(lab, wire):
    line = wire(lab.gateway.endpoint)
    lab.organization("acme", ["web-1"], endpoint=line.url, sts_endpoint=line.url)
    lab.record("web-1", "echo recorded")
    line.cut()
    done = lab.once()
    assert done.returncode == 1 and "acme" in done.stderr
    assert lab.spooled()
    line.mend()
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert len(lab.ls("acme")) == 1


def test_a_socket_with_recording_off_leaves_nothing(lab):
    acme = lab.organization("acme")
    lab.socket("quiet", "acme", "off")
    shown = lab.record("quiet", "echo not recorded")
    assert (shown.returncode, shown.stdout) == (0, b"not recorded\n")
    assert lab.spooled() == []
    assert lab.once().returncode == 0
    assert lab.objects(acme) == {}


def test_two_organizations_on_two_buckets_stay_apart(lab):
    acme = lab.organization("acme", ["web-1"], external_id="one")
    beta = lab.organization("beta", ["db-1"], external_id="two")
    lab.record("web-1", "echo of acme")
    lab.record("db-1", "echo of beta")
    lab.record("db-1", "echo of beta again")
    done = lab.once()
    assert done.returncode == 0, done.stderr
    of_acme, of_beta = lab.objects(acme), lab.objects(beta)
    assert len(of_acme) == 2 and all(key.startswith("org=acme/") for key in of_acme)
    assert len(of_beta) == 4 and all(key.startswith("org=beta/") for key in of_beta)
    assert [entry["socket"] for entry in lab.ls("acme")] == ["web-1"]
    for entry in lab.ls("beta"):
        assert lab.must("get", entry["id"], "--org", "beta", "--raw").startswith("of beta")
        assert lab.castbucket("get", entry["id"], "--org", "acme").returncode == 1


def test_credentials_cannot_touch_another_organizations_prefix(lab, wire):
    """Two organizations in one bucket, each by a role that may use all of it. What the program got
    from STS is heard on the wire: with that, boto3 tries to reach over."""
    heard = wire(lab.gateway.endpoint)
    acme = lab.organization("acme", ["web-1"], prefix="logs/", sts_endpoint=heard.url)
    beta = lab.organization("beta", ["db-1"], prefix="logs/", same_bucket_as=acme)
    lab.record("db-1", "echo of beta")
    lab.record("web-1", "echo of acme")
    done = lab.once()
    assert done.returncode == 0, done.stderr
    of_beta = [key for key in lab.objects(beta) if key.startswith("logs/org=beta/")]
    assert len(of_beta) == 2

    assert len(heard.credentials()) == 1
    s3 = lab.s3(acme, heard.credentials()[0])
    own = "logs/org=acme/probe-of-the-test"
    s3.put_object(Bucket=acme.bucket, Key=own, Body=b"mine")
    assert s3.get_object(Bucket=acme.bucket, Key=own)["Body"].read() == b"mine"
    assert s3.list_objects_v2(Bucket=acme.bucket, Prefix="logs/org=acme/")["KeyCount"] == 3

    def refused(action, **words):
        # On a connection of its own: the gateway leaves the body of what it refuses unread.
        s3 = lab.s3(acme, heard.credentials()[0])
        with pytest.raises(s3.exceptions.ClientError) as error:
            getattr(s3, action)(Bucket=acme.bucket, **words)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    refused("get_object", Key=of_beta[0])
    refused("put_object", Key="logs/org=beta/socket=db-1/forged.cast.gz", Body=b"forged")
    refused("put_object", Key="logs/org=acme-2/forged.cast.gz", Body=b"forged")
    refused("put_object", Key="forged.cast.gz", Body=b"forged")
    refused("list_objects_v2", Prefix="logs/org=beta/")
    refused("list_objects_v2")
    refused("delete_object", Key=own)
    lab.gateway.own_deletes += 1  # that last one was ours


def test_tls_with_the_gateways_own_authority(lab):
    acme = lab.organization("acme", ["web-1"])
    tls = lab.gateway.state["tls_endpoint"]
    lab.storage(acme, endpoint=tls, sts_endpoint=tls)
    lab.record("web-1", "echo recorded")
    done = lab.once()  # an authority that nobody trusts
    assert done.returncode == 1 and "certificate" in done.stderr.lower(), done.stderr
    trusting = {**lab.environment(), "AWS_CA_BUNDLE": lab.gateway.state["ca_file"]}
    done = lab.castbucket("recorder", "--once", env=trusting)
    assert done.returncode == 0, done.stderr
    assert len(lab.objects(acme)) == 2


def test_everything_works_without_one_delete(lab):
    """The four actions do; the fixture `lab` reads the gateway's log after every test. Here: that
    the log is one that would tell."""
    assert isinstance(lab.gateway, Gateway)
    acme = lab.organization("acme", ["web-1"])
    lab.record("web-1", "echo recorded")
    assert lab.once().returncode == 0
    key = next(iter(lab.objects(acme)))
    before = lab.gateway.access_log()
    assert any(method == "PUT" and path.startswith("/%s/" % acme.bucket)
               for method, path, _ in before)
    lab.gateway.request(acme, "DELETE", "/%s/%s" % (acme.bucket, key))
    after = lab.gateway.access_log()[len(before):]
    assert [method for method, _, _ in after] == ["DELETE"]


def test_a_versioned_bucket_is_never_overwritten_either(lab):
    """There the gateway takes If-None-Match and does not heed it, and a second put of a key would
    become its newest version."""
    acme = lab.organization("acme", ["web-1"])
    bucket = "/" + acme.bucket
    assert lab.gateway.request(
        acme, "PUT", bucket, "versioning=", b"<VersioningConfiguration>"
        b"<Status>Enabled</Status></VersioningConfiguration>")[0] == 200
    s3 = lab.s3(acme)

    def versions(key):
        body = lab.gateway.request(acme, "GET", bucket, "prefix=%s&versions=" % quote(key, safe=""))[1]
        return body.count(b"<Version>")

    done = lab.castbucket("check", "--org", "acme")
    assert done.returncode == 0 and "looks before each put" in done.stdout, done.stdout

    for word in ("first", "second", "third"):  # the second knows what the first found out
        lab.record("web-1", "echo " + word)
    done = lab.once()
    assert done.returncode == 0, done.stderr
    entries = lab.ls("acme")
    assert len(entries) == 3
    log = lab.gateway.access_log()
    keys = [key for key in lab.objects(acme) if "/socket=" in key]
    assert len(keys) == 6
    for key in keys:
        methods = [method for method, path, _ in log if path.startswith(bucket + "/")
                   and unquote(path.split("?")[0]) == bucket + "/" + key]
        assert methods[:2] == ["HEAD", "PUT"] and methods.count("PUT") <= 2, methods
    assert sum(versions(key) for key in keys) == 7  # one was put twice, to find out

    lab.record("web-1", "echo fourth")
    name = next(name for name in lab.spooled() if name.startswith("journals/"))
    identity = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name).group()
    day = time.strftime("%Y-%m-%d", time.gmtime(int(identity.replace("-", "")[:12], 16) / 1000))
    key = "org=acme/socket=web-1/date=%s/%s.cast.gz" % (day, identity)
    s3.put_object(Bucket=acme.bucket, Key=key, Body=b"somebody else's")
    done = lab.once()
    assert done.returncode == 1 and key in done.stderr and "another object" in done.stderr
    assert s3.get_object(Bucket=acme.bucket, Key=key)["Body"].read() == b"somebody else's"
    assert versions(key) == 1 and lab.spooled()

    kept = os.path.join(lab.directory, "kept")
    shutil.copytree(lab.spool, kept)
    assert lab.gateway.request(acme, "DELETE", bucket + "/" + key)[0] == 204
    done = lab.once()
    assert done.returncode == 0, done.stderr
    # Theirs and ours, which this process's first put had to send twice.
    assert versions(key) == 3 and lab.spooled() == []
    shutil.rmtree(lab.spool)
    shutil.copytree(kept, lab.spool)  # as if the answers had been lost
    done = lab.once()
    assert done.returncode == 0, done.stderr
    assert versions(key) == 3 and lab.spooled() == []
