"""The Terraform module makes what the CloudFormation template makes, and grants what castbucket
prints. It is read by HashiCorp's own parser (as hcl2json); nothing is created."""

import glob
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from lab.node import install
from test_cli_iam import PRINCIPAL, TOP, Template, iam

MODULE = os.path.join(TOP, "pkg", "aws", "terraform")
READ = """const {parse} = require("@cdktf/hcl2json");
parse("stdin", require("fs").readFileSync(0, "utf8")).then(
  found => console.log(JSON.stringify(found)), error => { console.error(error); process.exit(1); });
"""
BUCKET_ID = "${aws_s3_bucket.recordings.id}"


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """{block type: …} of all its files."""
    folder = str(tmp_path_factory.mktemp("terraform"))
    install(folder)
    script = os.path.join(folder, "read.js")
    with open(script, "w", encoding="ascii") as file:
        file.write(READ)
    text = b""
    for path in sorted(glob.glob(os.path.join(MODULE, "*.tf"))):
        with open(path, "rb") as file:
            text += file.read()
    done = subprocess.run(["node", script], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def template():
    with open(os.path.join(TOP, "pkg", "aws", "castbucket.yaml"), encoding="utf-8") as file:
        return yaml.load(file, Template)


def filled(node, values):
    """With the values of its references; any that has none is an error."""
    if isinstance(node, list):
        return [filled(each, values) for each in node]
    if isinstance(node, dict):
        return {key: filled(value, values) for key, value in node.items()}
    return re.sub(r"\$\{([^}]*)\}", lambda found: values[found[1]], node) \
        if isinstance(node, str) else node


def single(values):
    """A list of one, as castbucket prints it."""
    return values[0] if len(values) == 1 else values


def policy(module, name, prefix=""):
    """What aws_iam_policy_document makes of its blocks."""
    (document,) = module["data"]["aws_iam_policy_document"][name]
    statements = []
    for one in document["statement"]:
        conditions = list(one.get("condition", []))
        for dynamic in one.get("dynamic", {}).get("condition", []):
            assert dynamic["for_each"] == '${var.prefix == "" ? [] : [var.prefix]}'
            conditions += dynamic["content"] if prefix else []
        made = {"Sid": one["sid"], "Effect": one["effect"], "Action": single(one["actions"])}
        for principal in one.get("principals", []):
            made["Principal"] = "*" if principal["type"] == "*" else {
                principal["type"]: single(principal["identifiers"])}
        if "resources" in one:
            made["Resource"] = single(one["resources"])
        for condition in conditions:
            made["Condition"] = {condition["test"]: {
                condition["variable"]: single(condition["values"])}}
        statements.append(made)
    return filled({"Version": "2012-10-17", "Statement": statements}, {
        "aws_s3_bucket.recordings.id": "acme-rec", "var.prefix": prefix, "condition.value": prefix,
        "data.aws_partition.current.partition": "aws", "var.principal_arn": PRINCIPAL,
        "var.external_id": "id-1"})


@pytest.mark.parametrize("prefix", ["", "ssh/"])
def test_the_module_grants_what_the_commands_print(module, prefix):
    printed = json.loads(iam("policy", "--bucket", "acme-rec", "--prefix", prefix))
    assert policy(module, "recordings", prefix) == printed
    trust = json.loads(iam("trust", "--principal", PRINCIPAL, "--external-id", "id-1"))
    assert policy(module, "trust") == trust
    resources = module["resource"]
    (role,), (inline,) = (resources["aws_iam_role"]["recorder"],
                          resources["aws_iam_role_policy"]["recordings"])
    assert role["assume_role_policy"] == "${data.aws_iam_policy_document.trust.json}"
    assert inline["policy"] == "${data.aws_iam_policy_document.recordings.json}"
    assert inline["role"] == "${aws_iam_role.recorder.id}"


def test_the_modules_bucket_is_the_templates(module, template):
    made, properties = module["resource"], template["Resources"]["RecordingsBucket"]["Properties"]
    (bucket,) = made["aws_s3_bucket"]["recordings"]
    assert bucket["force_destroy"] is False and bucket["lifecycle"] == [{"prevent_destroy": True}]
    beside = {kind: found["recordings"][0] for kind, found in made.items()
              if kind.startswith("aws_s3_bucket_")}
    assert all(one.pop("bucket") == BUCKET_ID for one in beside.values())
    access = beside["aws_s3_bucket_public_access_block"]
    assert {name.title().replace("_", ""): value for name, value in access.items()} == \
        properties["PublicAccessBlockConfiguration"]
    assert beside["aws_s3_bucket_ownership_controls"]["rule"] == [
        {"object_ownership": properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"]}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert beside["aws_s3_bucket_server_side_encryption_configuration"]["rule"] == [
        {"apply_server_side_encryption_by_default": [
            {"sse_algorithm": encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"]}]}]
    (stale,) = properties["LifecycleConfiguration"]["Rules"]
    assert beside["aws_s3_bucket_lifecycle_configuration"]["rule"] == [
        {"id": stale["Id"], "status": stale["Status"], "filter": [{}],
         "abort_incomplete_multipart_upload": [{"days_after_initiation": 7}]}]
    assert stale["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert beside["aws_s3_bucket_versioning"] == {
        "count": "${var.versioning ? 1 : 0}", "versioning_configuration": [{"status": "Enabled"}]}


def test_the_modules_bucket_takes_tls_only(module):
    (deny,) = policy(module, "bucket")["Statement"]
    assert deny == {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                    "Resource": ["arn:aws:s3:::acme-rec", "arn:aws:s3:::acme-rec/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


@pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform on this machine")
def test_the_module_is_written_as_terraform_writes(tmp_path):
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", "-recursive", MODULE],
                          env=dict(os.environ, HOME=str(tmp_path)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode()


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_parameters_limits_and_outputs_are_the_templates(module, template):
    variables = {name: found[0] for name, found in module["variable"].items()}
    assert set(variables) == {snake(name) for name in template["Parameters"]}
    for name, parameter in template["Parameters"].items():
        variable = variables[snake(name)]
        assert ("default" in variable) == ("Default" in parameter), name
        if "AllowedPattern" in parameter:
            (check,) = variable["validation"]
            pattern = re.search(r'regex\("\^\(?(.*?)\)?\$", var', check["condition"])[1]
            wanted = parameter["AllowedPattern"]
            assert pattern.rstrip(")") == wanted.rstrip(")"), name
        for limit in ("MinLength", "MaxLength"):
            if limit in parameter:
                assert re.search(r"length\(var\.\w+\) [<>]= %d\b" % parameter[limit],
                                 variable["validation"][0]["condition"]), name
    assert set(module["output"]) == {snake(name) for name in template["Outputs"]}
