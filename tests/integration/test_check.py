"""`castbucket check`: what works, per permission, and what to do about what does not."""

import pytest

FOUR = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]


@pytest.mark.smoke
def test_check_says_that_all_is_well(lab):
    acme = lab.organization("acme", ["web-1"], external_id="right")
    for _ in range(2):  # the probe of the first is there at the second
        done = lab.castbucket("check", "--org", "acme")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "FAILED" not in done.stdout
        for action in ("s3:PutObject", "s3:GetObject", "s3:ListBucket"):
            assert action in done.stdout
    # The probe stays (nobody may delete), is one, and is no recording.
    assert len(lab.objects(acme)) == 1
    assert lab.ls("acme") == []


@pytest.mark.parametrize("lacking", ["s3:PutObject", "s3:GetObject", "s3:ListBucket"])
def test_check_names_the_permission_that_is_missing(lab, lacking):
    lab.organization("acme", ["web-1"], actions=[action for action in FOUR if action != lacking])
    done = lab.castbucket("check", "--org", "acme")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert any(lacking in line for line in failed), done.stdout


def test_check_says_what_is_wrong_with_the_role(lab):
    acme = lab.organization("acme", ["web-1"], external_id="right")
    lab.storage(acme, external_id="wrong")
    done = lab.castbucket("check", "--org", "acme")
    assert done.returncode == 1
    assert acme.role_arn in done.stdout and "external" in done.stdout.lower(), done.stdout
    assert lab.objects(acme) == {}


def test_check_says_that_the_bucket_is_gone(lab):
    acme = lab.organization("acme", ["web-1"])
    lab.gateway.request(acme, "DELETE", "/" + acme.bucket)
    done = lab.castbucket("check", "--org", "acme")
    assert done.returncode == 1
    assert acme.bucket in done.stdout, done.stdout


def test_check_says_that_nobody_answers(lab):
    acme = lab.organization("acme", ["web-1"])
    lab.storage(acme, endpoint="http://127.0.0.1:1", sts_endpoint="http://127.0.0.1:1")
    done = lab.castbucket("check", "--org", "acme")
    assert done.returncode == 1 and "127.0.0.1:1" in done.stdout, done.stdout


def test_check_of_an_organization_that_is_not_there(lab):
    done = lab.castbucket("check", "--org", "nobody")
    assert done.returncode == 1 and "nobody" in done.stderr
