#!/usr/bin/python3
"""Draining a spool of 2,000 finished recordings of 20 KiB into a real gateway (RADOS Gateway on
loopback), each as two objects, against other programs that put the same 4,000 files into the same
gateway. curl is given presigned URLs, so that it hashes and signs nothing: what it needs is the gateway's
own limit. Of two kinds: by the customer's own key, as the other programs use it; and by what we have to use:
a role's credentials, and If-None-Match, which cost the gateway more of each request. DRAIN=n for another
number of recordings, ROUNDS=n for another number of turns."""

import json
import os
import random
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import TESTS, alternate, figure, median, timed  # noqa: E402

sys.path.insert(0, os.path.join(TESTS, "rgw"))

from lab.lab import Lab  # noqa: E402
from lab.made import make_recording  # noqa: E402
from lab.process import environment, program  # noqa: E402
from rgw import Gateway  # noqa: E402

RECORDINGS = int(os.environ.get("DRAIN", 2000))
ROUNDS = int(os.environ.get("ROUNDS", 3))
SIZE = 20 << 10
PARALLEL = 32


class Drain:
    def __init__(self, folder):
        self.folder = folder
        self.gateway = Gateway.start(os.path.join(folder, "rgw"))
        self.door = self.gateway.state["gateway_endpoint"]
        self.lab = Lab(folder, self.gateway)
        self.made = os.path.join(folder, "made")  # a spool to copy from
        chance = random.Random(1)
        for _ in range(RECORDINGS):
            make_recording(self.made, "acme", "web-1", SIZE, chance)
        self.files = sorted(os.listdir(os.path.join(self.made, "sealed")))
        self.turn = 0

    def customer(self):
        self.turn += 1
        return self.gateway.organization("acme", tenant="%012d" % self.turn)

    def check(self, customer):
        found = len(self.lab.objects(customer))
        if found != len(self.files):
            raise SystemExit("%d objects are stored, not %d" % (found, len(self.files)))

    def ours(self):
        customer = self.customer()
        self.lab.storage(customer, endpoint=self.door, sts_endpoint=self.door)
        shutil.rmtree(self.lab.spool, ignore_errors=True)
        shutil.copytree(self.made, self.lab.spool)
        os.sync()
        took = timed([program("castbucket"), "recorder", "--once"], env=self.lab.environment(),
                     stdout=-3)
        self.check(customer)
        return took

    def theirs(self, words, customer):
        source = os.path.join(self.made, "sealed")
        took = timed([word.replace("@FROM", source) for word in words], stdout=-3,
                     env=environment(HOME=self.folder, AWS_ACCESS_KEY_ID=customer.access_key,
                                     AWS_SECRET_ACCESS_KEY=customer.secret_key,
                                     AWS_DEFAULT_REGION="us-east-1"))
        self.check(customer)
        return took

    def curl(self):
        customer = self.customer()
        return self.presigned(customer, (customer.access_key, customer.secret_key, None), [])

    def curl_as_role(self):
        return self.presigned(self.customer(), None, ["-H", "If-None-Match: *"])

    def presigned(self, customer, credentials, more):
        s3 = self.lab.s3(customer, credentials)
        with open(os.path.join(self.folder, "curl.conf"), "w", encoding="ascii") as file:
            for name in self.files:
                url = s3.generate_presigned_url("put_object", {
                    "Bucket": customer.bucket, "Key": name}).replace(self.gateway.endpoint, self.door)
                file.write('url = "%s"\nupload-file = "%s"\n' % (
                    url, os.path.join(self.made, "sealed", name)))
        return self.theirs(["curl", "-sS", "-f", "--parallel", "--parallel-max", str(PARALLEL), *more,
                            "-K", os.path.join(self.folder, "curl.conf")], customer)

    def rclone(self):
        customer = self.customer()
        return self.theirs(["rclone", "copy", "@FROM", ":s3:" + customer.bucket, "--s3-provider",
                            "Ceph", "--s3-env-auth", "--s3-endpoint", self.door,
                            "--s3-no-check-bucket", "--transfers", str(PARALLEL)], customer)

    def aws(self):
        customer = self.customer()
        return self.theirs(["aws", "--endpoint-url", self.door, "s3", "cp", "--recursive",
                            "--only-show-errors", "@FROM", "s3://" + customer.bucket], customer)


# What: (program, way, target).
PEERS = {"curl --parallel 32, presigned": ("curl", "curl", 0.9),
         "the same as role, If-None-Match": ("curl", "curl_as_role", None),
         "rclone copy --transfers 32": ("rclone", "rclone", 1.5),
         "aws s3 cp --recursive": ("aws", "aws", 3)}


def main():
    with tempfile.TemporaryDirectory(prefix="castbucket-bench.") as folder:
        drain = Drain(folder)
        try:
            ways = {way: getattr(drain, way) for tool, way, _ in PEERS.values()
                    if shutil.which(tool)}
            results = alternate(ROUNDS, ours=drain.ours, **ways)
        finally:
            drain.gateway.stop()
    wall = {name: median([one[0] for one in took]) for name, took in results.items()}
    cpu = {name: median([one[1] for one in took]) for name, took in results.items()}
    name = "drain %d recordings of 20 KiB" % RECORDINGS
    for what, (tool, way, target) in PEERS.items():
        if way in wall:
            figure(name + ", wall", wall["ours"], "s", what, wall[way],
                   wall[way] / wall["ours"], target)
        else:
            print(json.dumps({"name": name + ", wall", "value": wall["ours"], "unit": "s",
                              "against": tool + ": not installed"}), flush=True)
    for way in ways:
        figure(name + ", CPU", cpu["ours"], "s", way, cpu[way], cpu[way] / cpu["ours"])


if __name__ == "__main__":
    main()
