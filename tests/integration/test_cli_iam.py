"""What an organization sets up on its side: the policies that castbucket prints, and the template."""

import json
import os
import subprocess

import pytest
import yaml

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
CASTBUCKET = os.path.join(TOP, os.environ.get("BUILD", "build"), "castbucket")
PRINCIPAL = "arn:aws:iam::111122223333:role/recorder"
FOUR = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]


def iam(*words, status=0):
    """Runs castbucket iam; returns its standard output, or with a failure its standard error."""
    done = subprocess.run([CASTBUCKET, "iam", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == status, (words, done)
    return (done.stderr if status else done.stdout).decode()


def as_list(value):
    return value if isinstance(value, list) else [value]


def actions(policy):
    return sorted(a for s in policy["Statement"] for a in as_list(s["Action"]))


def test_the_policy_has_four_actions_and_no_more():
    policy = json.loads(iam("policy", "--bucket", "acme-rec"))
    assert actions(policy) == FOUR
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and "Condition" not in statement
        on_objects = "s3:PutObject" in as_list(statement["Action"])
        assert statement["Resource"] == "arn:aws:s3:::acme-rec" + ("/*" if on_objects else "")


def test_a_prefix_narrows_objects_and_listing():
    policy = json.loads(iam("policy", "--bucket", "acme-rec", "--prefix", "ssh", "--partition",
                            "aws-cn"))
    assert actions(policy) == FOUR
    by_action = {action: s for s in policy["Statement"] for action in as_list(s["Action"])}
    for action in "s3:PutObject", "s3:GetObject":
        assert by_action[action]["Resource"] == "arn:aws-cn:s3:::acme-rec/ssh/*"
    assert by_action["s3:ListBucket"]["Condition"] == {"StringLike": {"s3:prefix": "ssh/*"}}


def test_the_trust_policy_asks_for_the_external_id():
    trust = json.loads(iam("trust", "--principal", PRINCIPAL))
    statement, = trust["Statement"]
    assert statement["Principal"] == {"AWS": PRINCIPAL}
    assert statement["Action"] == "sts:AssumeRole"
    assert "Condition" not in statement
    trust = json.loads(iam("trust", "--principal", PRINCIPAL, "--external-id", "a/b"))
    assert trust["Statement"][0]["Condition"] == {"StringEquals": {"sts:ExternalId": "a/b"}}


@pytest.mark.parametrize("words,says", [
    (["policy"], "--bucket BUCKET is missing"),
    (["policy", "--bucket", "No"], "--bucket: "),
    (["policy", "--bucket", "abc", "--prefix", "/x"], "--prefix: "),
    (["policy", "--bucket", "abc", "--partition", "gcp"], "--partition: "),
    (["trust"], "--principal ARN is missing"),
    (["trust", "--principal", "*"], "--principal: '*'"),
    (["trust", "--principal", "arn:aws:iam::123456789012:rootx"], "--principal: "),
    (["trust", "--principal", "arn:aws:iam::123456789012:role/"], "--principal: "),
    (["trust", "--principal", "arn:aws:s3:::bucket"], "--principal: "),
    (["trust", "--principal", PRINCIPAL, "--external-id", "é"], "--external-id: "),
    (["polciy"], "did you mean 'iam policy'?"),
])
def test_bad_input_is_named(words, says):
    assert says in iam(*words, status=2)


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short functions: !Ref X is {"Ref": X}, !Sub X {"Fn::Sub": X}."""


def construct(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else "Fn::" + suffix: value}


Template.add_multi_constructor("!", construct)


def resolve(node, values):
    """What CloudFormation makes of a template's node, for the functions that ours uses."""
    if isinstance(node, list):
        return [resolve(each, values) for each in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Ref"}:
        return values[node["Ref"]]
    if set(node) == {"Fn::Sub"}:
        text = node["Fn::Sub"]
        for name, value in values.items():
            text = text.replace("${%s}" % name, str(value))
        assert "${" not in text
        return text
    if set(node) == {"Fn::If"}:
        condition, yes, no = node["Fn::If"]
        return resolve(yes if values[condition] else no, values)
    made = {key: resolve(value, values) for key, value in node.items()}
    return {key: value for key, value in made.items() if value is not None}


@pytest.fixture
def template():
    with open(os.path.join(TOP, "pkg", "aws", "castbucket.yaml"), encoding="utf-8") as file:
        text = file.read()
    assert iam("cloudformation") == text
    return yaml.load(text, Template)


@pytest.mark.parametrize("prefix", ["", "ssh/"])
def test_the_template_grants_what_the_commands_print(template, prefix):
    values = {"RecordingsBucket": "acme-rec", "AWS::Partition": "aws", "AWS::NoValue": None,
              "Prefix": prefix, "PrincipalArn": PRINCIPAL, "ExternalId": "id-1", "RoleName": "",
              "HasPrefix": prefix != "", "HasRoleName": False}
    role = resolve(template["Resources"]["RecorderRole"]["Properties"], values)
    policy = json.loads(iam("policy", "--bucket", "acme-rec", "--prefix", prefix))
    trust = json.loads(iam("trust", "--principal", PRINCIPAL, "--external-id", "id-1"))
    assert [p["PolicyDocument"] for p in role["Policies"]] == [policy]
    assert role["AssumeRolePolicyDocument"] == trust


def test_the_templates_bucket_is_private_encrypted_and_kept(template):
    bucket = template["Resources"]["RecordingsBucket"]
    assert bucket["DeletionPolicy"] == "Retain" and bucket["UpdateReplacePolicy"] == "Retain"
    properties = bucket["Properties"]
    assert properties["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    encryption, = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    rule, = properties["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert set(rule) == {"Id", "Status", "AbortIncompleteMultipartUpload"}


def test_the_templates_bucket_takes_tls_only(template):
    policy = template["Resources"]["RecordingsBucketPolicy"]["Properties"]["PolicyDocument"]
    deny, = resolve(policy, {"AWS::Partition": "aws", "RecordingsBucket": "acme-rec"})["Statement"]
    assert deny["Effect"] == "Deny" and deny["Principal"] == "*" and deny["Action"] == "s3:*"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Resource"] == ["arn:aws:s3:::acme-rec", "arn:aws:s3:::acme-rec/*"]


def test_the_template_takes_an_external_id_and_puts_out_the_role(template):
    external_id = template["Parameters"]["ExternalId"]
    assert external_id["MinLength"] == 2 and external_id["MaxLength"] == 1224
    assert "Default" not in external_id and not external_id.get("NoEcho")
    outputs = {name: output["Value"] for name, output in template["Outputs"].items()}
    assert outputs["RoleArn"] == {"Fn::GetAtt": "RecorderRole.Arn"}
    assert outputs["BucketName"] == {"Ref": "RecordingsBucket"}
    assert outputs["ExternalId"] == {"Ref": "ExternalId"}
