"""A whole installation in one directory: settings, spool, and the programs under test, beside a
throw-away gateway that stands for the customers' accounts."""

import json
import os
import re

from lab.process import build_directory, environment, program, run
from lab.ssh import Person, Proxy, Target, account

SPOOL_AREAS = ("journals", "sealed", "quarantine")
RECORDING_KEY = re.compile(
    r"^(?P<prefix>.*)org=(?P<org>[^/]+)/socket=(?P<socket>[^/]+)/date=\d{4}-\d\d-\d\d/"
    r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.cast\.gz$")


class Lab:
    def __init__(self, directory, gateway):
        self.directory = str(directory)
        self.gateway = gateway
        self.settings = os.path.join(self.directory, "settings.json")
        self.spool = os.path.join(self.directory, "spool")
        self.plugin = os.path.join(build_directory(), "castbucket.so")
        self.things = []  # what must be stopped
        self.must("settings", "spool", self.spool)

    def close(self):
        for thing in reversed(self.things):
            thing.stop()

    # The programs.

    def environment(self):
        """The operator's: the service account's keys, and where the settings are."""
        more = self.gateway.service_environment() if self.gateway else {}
        return environment(HOME=self.directory, CASTBUCKET_SETTINGS=self.settings, **more)

    def castbucket(self, *words, seconds=120, **keywords):
        """One castbucket command; its result, with text in stdout and stderr."""
        keywords.setdefault("env", self.environment())
        done = run([program("castbucket"), *words], seconds=seconds, **keywords)
        done.raw = done.stdout
        done.stdout = done.stdout.decode(errors="surrogateescape")
        done.stderr = done.stderr.decode(errors="surrogateescape")
        return done

    def must(self, *words, **keywords):
        """The same, and it has to succeed. Returns what it printed."""
        done = self.castbucket(*words, **keywords)
        assert done.returncode == 0, "castbucket %s exited %d: %s%s" % (
            " ".join(words), done.returncode, done.stdout, done.stderr)
        return done.stdout

    def once(self, seconds=300):
        """`castbucket recorder --once`."""
        return self.castbucket("recorder", "--once", seconds=seconds)

    def record(self, socket, command, seconds=120, **keywords):
        """One command's session through castbucket-shell. Returns its result."""
        keywords.setdefault("env", self.environment())
        return run([program("castbucket-shell"), "--settings", self.settings, "--plugin",
                    self.plugin, "--socket", socket, "-c", command], seconds=seconds, **keywords)

    # Settings.

    def storage(self, organization, external_id=None, endpoint=None, sts_endpoint=None,
                region="us-east-1"):
        """Writes where an organization's recordings go. RADOS Gateway calls its region `default`
        and verifies signatures of any: so the setting names one."""
        words = ["settings", "storage", organization.name, "--type", "aws-s3", "--bucket",
                 organization.bucket, "--role-arn", organization.role_arn, "--endpoint",
                 endpoint or self.gateway.endpoint, "--sts-endpoint",
                 sts_endpoint or self.gateway.endpoint, "--region", region]
        external_id = organization.external_id if external_id is None else external_id
        if external_id:
            words += ["--external-id", external_id]
        if organization.prefix:
            words += ["--prefix", organization.prefix]
        return self.must(*words)

    def socket(self, name, organization, recording="on", *more):
        return self.must("settings", "socket", name, "--organization", organization, "--recording",
                         recording, *more)

    def organization(self, name, sockets=(), external_id=None, **customer):
        """A customer at the gateway, and the operator's settings for it."""
        storage = {word: customer.pop(word) for word in ("endpoint", "sts_endpoint", "region")
                   if word in customer}
        made = self.gateway.organization(name, external_id=external_id, **customer)
        self.storage(made, **storage)
        for socket in sockets:
            self.socket(socket, name)
        return made

    # What is where.

    def spooled(self):
        """Names of the recordings' files in the spool."""
        found = []
        for area in SPOOL_AREAS:
            folder = os.path.join(self.spool, area)
            if os.path.isdir(folder):
                found += [os.path.join(area, name) for name in sorted(os.listdir(folder))]
        return found

    def ls(self, organization, *more):
        text = self.must("ls", "--org", organization, "--json", *more)
        return [json.loads(line) for line in text.splitlines()]

    def s3(self, organization, credentials=None):
        """boto3's client: with the role's credentials, as an auditor would get them, or with given
        ones."""
        import boto3  # not needed by the demo
        from botocore.config import Config
        if credentials is None:
            service = self.gateway.service
            sts = boto3.client("sts", endpoint_url=self.gateway.endpoint, region_name="us-east-1",
                               aws_access_key_id=service["access_key"],
                               aws_secret_access_key=service["secret_key"])
            words = {"RoleArn": organization.role_arn, "RoleSessionName": "auditor"}
            if organization.external_id:
                words["ExternalId"] = organization.external_id
            given = sts.assume_role(**words)["Credentials"]
            credentials = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return boto3.client("s3", endpoint_url=self.gateway.endpoint, region_name="us-east-1",
                            aws_access_key_id=credentials[0],
                            aws_secret_access_key=credentials[1],
                            aws_session_token=credentials[2],
                            config=Config(s3={"addressing_style": "path"},
                                          retries={"max_attempts": 1}))

    def objects(self, organization, prefix=""):
        """key: size of everything in the bucket."""
        found = {}
        pages = self.s3(organization).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=organization.bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                found[item["Key"]] = item["Size"]
        return found

    # Hosts and people.

    def target(self, name="target", more=""):
        made = Target(os.path.join(self.directory, name), more)
        self.things.append(made)
        return made

    def person(self, name="alice"):
        return Person(os.path.join(self.directory, "person-" + name), name)

    def proxy(self, sockets, people, **keywords):
        """A proxy for {socket: Target}, whose people are ready to connect."""
        keywords.setdefault("env", {key: value for key, value in self.environment().items()
                                    if key.startswith("AWS_")})
        made = Proxy(os.path.join(self.directory, "proxy"), self.settings, sockets,
                     {person.name: person.public for person in people}, **keywords)
        self.things.append(made)
        for person in people:
            person.meet(made, sockets)
        return made

    account = staticmethod(account)
