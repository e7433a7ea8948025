"""castbucket verify: whether a recording is as it was recorded, and if not, what is missing or changed;
and signatures, which openssl checks as well as we do."""

import base64
import glob
import json
import os
import subprocess

import pytest

from lab.lab import Lab

DAMAGED, UNTRUSTED = 3, 4


@pytest.fixture
def home(tmp_path):
    made = Lab(tmp_path, None)
    made.store = os.path.join(made.directory, "store")
    made.must("settings", "storage", "acme", "--type", "directory", "--path", made.store)
    made.socket("web-1", "acme")
    yield made
    made.close()


class Stored:
    def __init__(self, home, command="seq 1 600000"):
        before = set(glob.glob(home.store + "/**/*.json", recursive=True))
        done = home.record("web-1", command)
        assert done.returncode == 0, done.stderr
        done = home.once()
        assert done.returncode == 0, done.stderr
        (self.manifest_path,) = set(glob.glob(home.store + "/**/*.json",
                                              recursive=True)) - before
        self.id = os.path.basename(self.manifest_path)[:-len(".json")]
        self.path = self.manifest_path[:-len(".json")] + ".cast.gz"
        self.home = home
        with open(self.path, "rb") as file:
            self.bytes = file.read()
        with open(self.manifest_path, "rb") as file:
            self.text = file.read()
        self.manifest = json.loads(self.text)

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def write_manifest(self, text):
        with open(self.manifest_path, "wb") as file:
            file.write(text)

    def verify(self, *more):
        """Exit status and the JSON."""
        done = self.home.castbucket("verify", self.id, "--org", "acme", "--json", *more)
        return done.returncode, json.loads(done.stdout), done

    def faults(self):
        status, found, _ = self.verify()
        assert status == DAMAGED and found["outcome"] == "damaged"
        return found["faults"], found


def chunks_of(fault):
    return list(range(fault["chunk"], fault["chunk"] + fault["chunks"]))


def test_a_recording_as_it_was_recorded_is_whole(home):
    one = Stored(home)
    status, found, _ = one.verify()
    assert status == 0
    assert found == {"id": one.id, "outcome": "whole", "size": len(one.bytes),
                     "recorded_size": len(one.bytes), "chunks": len(one.manifest["chunks"]),
                     "whole_chunks": len(one.manifest["chunks"]), "chain": True, "header": True,
                     "signature": "none", "signing_key": None, "faults": []}
    said = home.must("verify", one.id[:20], "--org", "acme")
    assert said.startswith(one.id + ": whole\n") and "not signed" in said
    # The same of a copy, wherever it lies.
    copy = os.path.join(home.directory, "copy.cast.gz")
    with open(copy, "wb") as file:
        file.write(one.bytes)
    assert ": whole" in home.must("verify", copy, "--manifest", one.manifest_path)
    with open(os.path.join(home.directory, "copy.json"), "wb") as file:
        file.write(one.text)
    assert ": whole" in home.must("verify", copy)


def test_changed_bytes_are_named_by_their_chunk_and_its_time(home):
    one = Stored(home)
    chunks = one.manifest["chunks"]
    damaged = bytearray(one.bytes)
    for number in (1, 2, 5):
        damaged[chunks[number]["offset"] + 7] ^= 1
    one.write(damaged)
    faults, found = one.faults()
    assert [(fault["kind"], chunks_of(fault)) for fault in faults] == [
        ("changed", [1, 2]), ("changed", [5])]
    assert faults[0]["offset"] == chunks[1]["offset"]
    assert faults[0]["size"] == chunks[1]["size"] + chunks[2]["size"]
    assert faults[0]["from"] == chunks[1]["time"] and faults[0]["to"] == chunks[3]["time"]
    assert found["whole_chunks"] == len(chunks) - 3
    done = home.castbucket("verify", one.id, "--org", "acme")
    assert done.returncode == DAMAGED
    assert "chunks 2 to 3 of %d" % len(chunks) in done.stdout


@pytest.mark.parametrize("taken", [1, 70000])
def test_a_hole_is_found_and_what_follows_it_is_not_blamed(home, taken):
    one = Stored(home)
    chunks = one.manifest["chunks"]
    at = chunks[2]["offset"] + 100
    one.write(one.bytes[:at] + one.bytes[at + taken:])
    (fault,), found = one.faults()
    last = max(i for i, chunk in enumerate(chunks) if chunk["offset"] < at + taken)
    assert fault["kind"] == "missing" and chunks_of(fault) == list(range(2, last + 1))
    assert found["whole_chunks"] == len(chunks) - (last - 1)


def test_a_missing_end_is_named(home):
    one = Stored(home)
    chunks = one.manifest["chunks"]
    for length, first in ((len(one.bytes) - 1, None), (chunks[4]["offset"] + 1, 4), (3, 0), (0, 0)):
        one.write(one.bytes[:length])
        (fault,), found = one.faults()
        assert fault["kind"] == "missing"
        assert fault["offset"] + fault["size"] >= len(one.bytes) - 10
        assert chunks_of(fault) == ([] if first is None else list(range(first, len(chunks))))
        assert found["size"] == length
    os.unlink(one.path)
    (fault,), found = one.faults()
    assert (fault["kind"], fault["size"]) == ("missing", len(one.bytes))
    assert "only its manifest is there" in home.castbucket("verify", one.id, "--org",
                                                           "acme").stdout


def test_bytes_too_many_and_bytes_around_the_chunks_are_told(home):
    one = Stored(home)
    one.write(one.bytes + b"more")
    (fault,), _ = one.faults()
    assert (fault["kind"], fault["offset"], fault["size"]) == ("extra", len(one.bytes), 4)
    one.write(one.bytes[:5] + b"?" + one.bytes[6:])
    (fault,), found = one.faults()
    assert fault["kind"] == "frame" and found["whole_chunks"] == found["chunks"]


def test_a_manifest_that_was_changed_is_found(home):
    one = Stored(home)
    # A chunk's hash that fits other bytes needs another chain.
    other = one.manifest["chunks"][1]["sha256"]
    one.write_manifest(one.text.replace(other.encode(), b"0" * 64))
    status, found, _ = one.verify()
    assert status == DAMAGED and not found["chain"]
    assert [chunks_of(fault) for fault in found["faults"]] == [[1]]
    # Another recording's, made to look like this one's.
    two = Stored(home, "echo two")
    two.write(one.bytes)
    two.write_manifest(one.text.replace(one.id.encode(), two.id.encode()))
    status, found, _ = two.verify()
    assert status == DAMAGED and not found["header"]
    two.write_manifest(one.text)
    done = home.castbucket("verify", two.id, "--org", "acme")
    assert done.returncode == DAMAGED and "another recording's" in done.stdout
    two.write_manifest(b"{")
    status, found, _ = two.verify()
    assert status == DAMAGED and "unreadable" in found["manifest"]


def test_what_cannot_be_found_out_is_not_called_damaged(home):
    one = Stored(home, "echo one")
    os.unlink(one.manifest_path)
    done = home.castbucket("verify", one.id, "--org", "acme")
    assert done.returncode == 1 and "has no manifest" in done.stderr
    assert home.castbucket("verify", "01a20afa-dcd3-7072-b699-f5245b3b9cdc", "--org",
                           "acme").returncode == 1
    assert home.castbucket("verify", os.path.join(home.directory, "none.cast.gz")).returncode == 1
    assert home.castbucket("verify", one.id).returncode == 2


@pytest.fixture
def key(home):
    path = os.path.join(home.directory, "signing.pem")
    home.must("settings", "signing-key", path, "--generate")
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_that_root_makes_belongs_to_who_runs_the_recorder(home):
    os.makedirs(home.spool)
    os.chown(home.spool, 65534, 65534)
    path = os.path.join(home.directory, "signing.pem")
    done = home.castbucket("settings", "signing-key", path, "--generate")
    assert (done.returncode, done.stderr) == (0, "")
    made = os.stat(path)
    assert (made.st_uid, made.st_mode & 0o777) == (65534, 0o600)
    assert os.stat(path + ".pub").st_mode & 0o777 == 0o644
    # One that was made elsewhere is left as it is, and that is said.
    os.chown(path, 0, 0)
    done = home.castbucket("settings", "signing-key", path)
    assert done.returncode == 0 and "(user 65534), cannot read %s: chown it" % path in done.stderr


def openssl(*words):
    return subprocess.run(["openssl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)


def test_a_signature_is_checked_by_us_and_by_openssl(home, key):
    one = Stored(home)
    status, found, _ = one.verify()
    assert status == 0 and found["signature"] == "unchecked"
    status, found, _ = one.verify("--key", key + ".pub")
    assert status == 0 and found["signature"] == "trusted"
    # As castbucket-cast(5) says, without our tools.
    der = openssl("pkey", "-pubin", "-in", key + ".pub", "-outform", "DER").stdout
    digest = subprocess.run(["sha256sum"], input=der, stdout=subprocess.PIPE, check=True).stdout
    assert digest.split()[0].decode() == found["signing_key"] == one.manifest["signing_key"]
    signed, signature = [os.path.join(home.directory, name) for name in ("signed", "signature")]
    with open(signed, "wb") as file:
        subprocess.run(["head", "-c", "-105", one.manifest_path], stdout=file, check=True)
    with open(signature, "wb") as file:
        file.write(base64.b64decode(one.manifest["signature"]))
    words = ("pkeyutl", "-verify", "-pubin", "-inkey", key + ".pub", "-rawin", "-in", signed,
             "-sigfile", signature)
    assert openssl(*words).returncode == 0
    with open(signed, "ab") as file:
        file.write(b" ")
    assert openssl(*words).returncode != 0


def test_unsigned_and_unknown_and_wrong_are_different(home):
    one = Stored(home)
    mine, other = [os.path.join(home.directory, name) for name in ("mine.pem", "other.pem")]
    assert openssl("genpkey", "-algorithm", "ed25519", "-out", mine).returncode == 0
    home.must("settings", "signing-key", mine)
    assert openssl("pkey", "-in", mine, "-pubout", "-out", mine + ".pub").returncode == 0
    home.must("settings", "signing-key", other, "--generate")
    status, found, _ = one.verify("--key", mine + ".pub")
    assert (status, found["outcome"], found["signature"]) == (UNTRUSTED, "untrusted", "none")
    two = Stored(home)  # by the other key
    status, found, _ = two.verify("--key", mine + ".pub")
    assert (status, found["signature"]) == (UNTRUSTED, "unknown")
    two.write_manifest(two.text.replace(b'"columns":', b'"columns":1'))
    status, found, _ = two.verify("--key", other + ".pub")
    assert (status, found["signature"]) == (UNTRUSTED, "bad")
    # Written anew, as jq would: nobody can tell what was signed.
    two.write_manifest(json.dumps(two.manifest).encode() + b"\n")
    status, found, _ = two.verify("--key", other + ".pub")
    assert (status, found["signature"]) == (UNTRUSTED, "bad")
    # Damage is damage, whoever signed.
    two.write_manifest(two.text)
    two.write(two.bytes[:-50000])
    assert two.verify("--key", other + ".pub")[0] == DAMAGED
    home.must("settings", "signing-key", "--remove")
    assert "signing_key" not in home.must("settings", "show")
    assert "signature" not in Stored(home).manifest


def test_without_its_key_a_recording_waits_and_is_not_lost(home, key):
    os.rename(key, key + ".away")
    assert home.record("web-1", "echo hello").stdout == b"hello\n"
    done = home.once()
    assert done.returncode == 1 and "cannot be signed" in done.stderr and key in done.stderr
    assert not glob.glob(home.store + "/**/*.json", recursive=True)
    os.rename(key + ".away", key)
    os.chmod(key, 0o644)
    done = home.once()
    assert done.returncode == 1 and "chmod 600" in done.stderr
    os.chmod(key, 0o600)
    assert home.once().returncode == 0
    (path,) = glob.glob(home.store + "/**/*.json", recursive=True)
    assert ": whole" in home.must("verify", path.replace(".json", ".cast.gz"), "--key",
                                  key + ".pub")


def test_a_key_that_cannot_be_used_is_not_set(home, key):
    before = home.must("settings", "show")
    for words, why in ((["/nonexistent/key.pem"], "cannot open"),
                       ([key + ".pub"], "others may read"),
                       ([key, "--generate"], "cannot make the key")):
        done = home.castbucket("settings", "signing-key", *words)
        assert done.returncode == 1 and why in done.stderr, done.stderr
    for words in (["key.pem"], [], [key, "--remove"]):
        assert home.castbucket("settings", "signing-key", *words).returncode == 2
    assert home.must("settings", "show") == before
