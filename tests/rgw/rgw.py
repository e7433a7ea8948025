#!/usr/bin/python3
"""A throw-away S3 + STS + IAM: Ceph RADOS Gateway on loopback, in one directory, as any user.

    rgw.py start DIR [--short-tokens] [--verbose]   prints a JSON object of endpoints and keys
    rgw.py organization DIR NAME [--external-id X] [--bucket B] [--prefix P]
                                                    a customer with a bucket and a role; prints JSON
    rgw.py stop DIR

`start` leaves a supervisor behind that owns every daemon; `stop` ends it, and all of them with it.
From a test, `Gateway.start(directory)` does the same, but the supervisor also ends when the test's
process does, however that happens.

What it stands for, and where it differs from AWS:
- The service account is a user without a tenant; each customer lives in a tenant of its own, named
  by twelve digits as an AWS account is. So assuming a role crosses accounts, as it does at AWS.
- RADOS Gateway 16 has no condition key sts:ExternalId. A haproxy in front (the `endpoint`) removes
  any Referer header and sets it from the ExternalId parameter of the request's body; roles' trust
  policies then have a condition on aws:Referer. The gateway decides; the shim only carries the value.
  And it refuses a plus sign in an external ID (or a session name), which AWS allows.
- With --short-tokens a second gateway on the same cluster believes it is 890 s earlier, so the
  900 s credentials that it hands out (`short_sts_endpoint`) are dead after 10 s at the first.
"""

import argparse
import copy
import datetime
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import string
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from supervisor import (GatewayError, PID_FILE, STATE_FILE, die_with_parent,  # noqa: E402
                        random_word, serve, tail)

FOUR_ACTIONS = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]
PACKAGES = "ceph-mon ceph-osd radosgw haproxy faketime openssl"


def start_supervisor(directory, short_tokens=False, verbose=False, tied=True):
    """Returns the supervisor's process once gateway.json is there."""
    missing = [name for name in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "haproxy",
                                 "openssl", "monmaptool", "ceph") if not shutil.which(name)]
    if missing:
        raise GatewayError("%s not found: apt-get install --no-install-recommends %s"
                           % (", ".join(missing), PACKAGES))
    os.makedirs(directory, exist_ok=True)
    if os.path.exists(os.path.join(directory, STATE_FILE)):
        raise GatewayError("%s has a gateway already: rgw.py stop %s" % (directory, directory))
    words = [sys.executable, os.path.abspath(__file__), "serve", directory]
    words += ["--short-tokens"] if short_tokens else []
    words += ["--verbose"] if verbose else []
    words += ["--until-stdin-closes"] if tied else []
    errors = os.path.join(directory, "supervisor.out")
    with open(errors, "wb") as output:
        process = subprocess.Popen(words, stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                                   stdout=output, stderr=None if verbose else output,
                                   start_new_session=True)
    while not os.path.exists(os.path.join(directory, STATE_FILE)):
        if process.poll() is not None:
            raise GatewayError("the gateway did not start; its logs are in %s\n%s"
                               % (directory, tail(errors)))
        time.sleep(0.02)
    return process


class Organization:
    """A customer: an account of its own, a bucket, and a role that trusts the service account."""

    def __init__(self, name, tenant, bucket, role, external_id, prefix, access_key, secret_key):
        self.name = name
        self.tenant = tenant
        self.bucket = bucket
        self.role = role
        self.role_arn = "arn:aws:iam::%s:role/%s" % (tenant, role)
        self.external_id = external_id
        self.prefix = prefix
        self.access_key = access_key
        self.secret_key = secret_key

    def copy(self, **other):
        made = copy.copy(self)
        vars(made).update(other)
        return made


class Gateway:
    def __init__(self, directory, process=None):
        with open(os.path.join(directory, STATE_FILE), encoding="utf-8") as file:
            self.state = json.load(file)
        self.directory = directory
        self.endpoint = self.state["endpoint"]
        self.service = self.state["service"]
        self.process = process
        self.own_deletes = 0  # how often request() was told to delete
        self.restarted = None  # the gateway itself, once crash() and restart() were called

    @classmethod
    def start(cls, directory, short_tokens=False):
        return cls(directory, start_supervisor(directory, short_tokens))

    def crash(self):
        """kill -9 of the gateway itself; what it has stored is the OSD's, which lives on."""
        if self.restarted:
            self.restarted.kill()
            self.restarted.wait()
        else:
            os.kill(self.state["pids"]["radosgw"], signal.SIGKILL)

    def restart(self):
        """Starts it again where it was, and waits until it answers."""
        with open(os.path.join(self.directory, "radosgw.out"), "ab") as output:
            self.restarted = subprocess.Popen(
                ["radosgw", "-c", os.path.join(self.directory, "ceph.conf"), "-n",
                 "client.rgw.main", "-f"], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=self.directory, preexec_fn=die_with_parent)
        host = urllib.parse.urlsplit(self.state["gateway_endpoint"]).netloc
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = http.client.HTTPConnection(host, timeout=5)
                connection.request("GET", "/")
                connection.getresponse().read()
                connection.close()
                return
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline or self.restarted.poll() is not None:
                    raise GatewayError("the gateway did not start again: %s" % tail(
                        os.path.join(self.directory, "radosgw.out"))) from None
                time.sleep(0.02)

    def stop(self):
        if self.restarted:
            self.restarted.kill()
            self.restarted.wait()
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its children die with it
                self.process.wait()
            self.process = None

    def service_environment(self):
        """What the operator of the proxy sets: the account that assumes the roles."""
        return {"AWS_ACCESS_KEY_ID": self.service["access_key"],
                "AWS_SECRET_ACCESS_KEY": self.service["secret_key"]}

    def admin(self, *words):
        done = subprocess.run(
            ["radosgw-admin", "-c", os.path.join(self.directory, "ceph.conf"), "-n",
             "client.rgw.main", "--log-file", "/dev/null", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=60, check=False)
        if done.returncode != 0:
            raise GatewayError("radosgw-admin %s: %s" % (
                " ".join(words), done.stderr.decode(errors="replace")[-2000:]))
        return done.stdout.decode()

    def organization(self, name, external_id=None, bucket=None, prefix="", tenant=None,
                     role=None, same_bucket_as=None, trusts=None, actions=None):
        """Makes the customer's side. With `same_bucket_as` another organization's bucket is
        shared, under a role of its own in the same account. The external ID, if any, is a
        condition of the trust policy (through the shim, see the top)."""
        if same_bucket_as:
            tenant, bucket = same_bucket_as.tenant, same_bucket_as.bucket
            access_key, secret_key = same_bucket_as.access_key, same_bucket_as.secret_key
        else:
            tenant = tenant or random_word(12, string.digits)
            bucket = bucket or "recordings-" + random_word(10, string.ascii_lowercase)
            access_key, secret_key = random_word(20).upper(), random_word(40)
            self.admin("user", "create", "--tenant", tenant, "--uid", "customer",
                       "--display-name", "customer", "--access-key", access_key, "--secret-key",
                       secret_key)
        role = role or "role-" + random_word(8, string.ascii_lowercase)
        made = Organization(name, tenant, bucket, role, external_id, prefix, access_key, secret_key)
        if not same_bucket_as:
            self.make_bucket(made)
        statement = {"Effect": "Allow", "Principal": {"AWS": [trusts or self.service["arn"]]},
                     "Action": ["sts:AssumeRole"]}
        if external_id:
            statement["Condition"] = {"StringEquals": {"aws:Referer": external_id}}
        self.admin("role", "create", "--tenant", tenant, "--role-name", role,
                   "--assume-role-policy-doc", policy(statement))
        self.admin("role-policy", "put", "--tenant", tenant, "--role-name", role, "--policy-name",
                   "recordings", "--policy-doc", policy({
                       "Effect": "Allow", "Action": actions or FOUR_ACTIONS,
                       "Resource": ["arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"]}))
        return made

    def make_bucket(self, organization):
        status, body = self.request(organization, "PUT", "/" + organization.bucket)
        if status != 200:
            raise GatewayError("making bucket %s: %d %s" % (organization.bucket, status, body))

    def request(self, organization, method, path, query="", body=b""):
        """One S3 request with the customer's own key, straight to the gateway. Returns (status,
        body)."""
        self.own_deletes += method == "DELETE"
        return signed_request(self.state["gateway_endpoint"], "s3", organization.access_key,
                              organization.secret_key, method, path, query, body)

    def assume_role_request(self, form):
        """Forwards an AssumeRole's form, signed anew with the service account's key, to the gateway
        in the past."""
        return signed_request(self.state["short_sts_endpoint"], "sts", self.service["access_key"],
                              self.service["secret_key"], "POST", "/", "", form,
                              {"Content-Type": "application/x-www-form-urlencoded"})

    def access_log(self):
        """(method, path, status) of every request so far, by the gateway's own log. It is written by
        a thread of the gateway's: so a request of ours goes last, and is waited for."""
        last = "/end-of-log-" + random_word(16)
        signed_request(self.state["gateway_endpoint"], "s3", "nobody", "none", "GET", last)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.read_access_log()
            if any(path == last for _, path, _ in found):
                return [entry for entry in found if not entry[1].startswith("/end-of-log-")]
            time.sleep(0.05)
        raise GatewayError("the gateway does not write its log %s" % self.state["access_log"])

    def read_access_log(self):
        found = []
        with open(self.state["access_log"], encoding="utf-8", errors="replace") as file:
            for line in file:
                if " beast: " not in line or not line.endswith("\n"):
                    continue
                request, rest = line.split('"', 2)[1:3]
                words = request.split(" ")
                if len(words) == 3:
                    found.append((words[0], words[1], int(rest.split()[0])))
        return found


def signed_request(endpoint, service, access_key, secret_key, method, path, query="", body=b"",
                   headers=()):
    """Enough of SigV4 for plain paths, so that the demo needs no AWS library."""
    host = urllib.parse.urlsplit(endpoint).netloc
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = now[:8] + "/us-east-1/" + service + "/aws4_request"
    digest = hashlib.sha256(body).hexdigest()
    path = urllib.parse.quote(path)
    canonical = "\n".join([method, path, query, "host:" + host, "x-amz-content-sha256:" + digest,
                           "x-amz-date:" + now, "", "host;x-amz-content-sha256;x-amz-date", digest])
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path + ("?" + query if query else ""), body=body, headers={
            "x-amz-content-sha256": digest, "x-amz-date": now,
            "Authorization": "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders="
                             "host;x-amz-content-sha256;x-amz-date, Signature=%s"
                             % (access_key, scope, signature), **dict(headers)})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def is_supervisor(pid, directory):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except OSError:
        return False
    return "serve" in words and os.path.abspath(directory) in [os.path.abspath(w) for w in words]


def stop(directory):
    try:
        with open(os.path.join(directory, PID_FILE), encoding="utf-8") as file:
            pid = int(file.read())
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + 10
    number = signal.SIGTERM
    while is_supervisor(pid, directory):
        os.kill(pid, number)
        time.sleep(0.05)
        if time.monotonic() > deadline:
            number = signal.SIGKILL


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "serve"):
        command = commands.add_parser(name)
        command.add_argument("directory")
        command.add_argument("--short-tokens", action="store_true")
        command.add_argument("--verbose", action="store_true")
        if name == "serve":
            command.add_argument("--until-stdin-closes", action="store_true")
    command = commands.add_parser("organization")
    command.add_argument("directory")
    command.add_argument("name")
    command.add_argument("--external-id")
    command.add_argument("--bucket")
    command.add_argument("--prefix", default="")
    command = commands.add_parser("stop")
    command.add_argument("directory")
    words = parser.parse_args()
    directory = os.path.abspath(words.directory)
    try:
        if words.command == "start":
            start_supervisor(directory, words.short_tokens, words.verbose, tied=False)
            print(json.dumps(Gateway(directory).state, indent=2))
        elif words.command == "serve":
            serve(directory, words.short_tokens, words.verbose, words.until_stdin_closes)
        elif words.command == "organization":
            print(json.dumps(vars(Gateway(directory).organization(
                words.name, words.external_id, words.bucket, words.prefix)), indent=2))
        else:
            stop(directory)
    except GatewayError as error:
        sys.exit("rgw.py: %s" % error)


if __name__ == "__main__":
    main()
