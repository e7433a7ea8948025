"""The power is cut before each call that syncs or changes a name while a recording goes to S3 in parts:
with what the disk then has by chance, and the store as it was at that moment, the upload is gone on
with or begun again, and no file of the spool is gone whose object is not stored."""

import collections
import contextlib
import hashlib
import json
import os
import random
import shutil

from faults.recordings import left_in
from faults.scripted_s3 import ScriptedS3, Upload
from faults.test_bad_store import CustomerLab
from faults.test_power import Loss
from lab.made import make_recording

SIZE = 17 << 20  # above what is put in one request


@contextlib.contextmanager
def as_it_is(store):
    """It may be changed within: afterwards it is again as it was. (At another address it would be
    another place, where nothing that was begun here is gone on with.)"""
    kept = store.objects, store.uploads, store.log
    store.objects, store.log, store.uploads = dict(store.objects), [], {}
    for name, upload in kept[1].items():
        store.uploads[name] = Upload(upload.key, upload.sha256)
        store.uploads[name].parts = dict(upload.parts)
    yield
    store.objects, store.uploads, store.log = kept


class UploadLoss(Loss):
    def __init__(self, folder, store, expected, seed):
        super().__init__(folder, "upload", seed)
        self.store, self.expected = store, expected
        self.went = collections.Counter()

    def judge(self, path, floor, call, luck):
        where = "SEED=%d: before %s, number %d, with %s" % (self.seed, call, self.count, luck)
        noted = 0
        for name in os.listdir(os.path.join(path, "spool", "sealed")):
            if name.endswith(".upload"):
                noted = self.parts_of(os.path.join(path, "spool", "sealed", name))
        with as_it_is(self.store):
            done = CustomerLab(path, self.store, "--region", "us-east-1").once()
            asked = self.store.log
            stored = {key.split("/")[-1]: hashlib.sha256(one.data).hexdigest()
                      for key, one in self.store.objects.items()}
        assert stored == self.expected, (where, stored, done.stderr)
        assert done.returncode == 0 and left_in(os.path.join(path, "spool")) == [], (
            where, done.stderr)
        if "UploadPart" not in asked:
            way = "nothing more was sent"
        elif "CreateMultipartUpload" in asked:
            way = "begun again"
        else:
            way = "gone on with after %d parts" % noted
        self.went[way] += 1
        shutil.rmtree(path)
        self.count += 1
        self.calls[call] = self.calls.get(call, 0) + 1

    @staticmethod
    def parts_of(path):
        """How many a note tells of; a note that is cut tells of none."""
        try:
            with open(path, encoding="utf-8") as file:
                return len(json.load(file).get("parts", []))
        except ValueError:
            return 0


def test_an_upload_in_parts_survives_a_loss_of_power(tmp_path, seed, say):
    store = ScriptedS3()
    root = tmp_path / "root"
    root.mkdir()
    home = CustomerLab(str(root), store, "--region", "us-east-1")
    make_recording(home.spool, "acme", "web-1", SIZE, random.Random(seed))
    expected = {}
    for name in left_in(home.spool):
        with open(os.path.join(home.spool, name), "rb") as file:
            expected[os.path.basename(name)] = hashlib.sha256(file.read()).hexdigest()
    loss = UploadLoss(tmp_path, store, expected, seed)
    loss.run(str(root), "recover", "0", env=home.environment())
    store.stop()
    assert len(store.objects) == 2
    assert loss.went["begun again"] and any(way.startswith("gone on") for way in loss.went)
    say("%s; %s" % (loss, ", ".join("%s: %d" % one for one in sorted(loss.went.items()))))
