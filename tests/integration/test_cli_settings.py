"""castbucket settings, check and the recorder, as an operator runs them."""

import concurrent.futures
import json
import os
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
CASTBUCKET = os.path.join(TOP, os.environ.get("BUILD", "build"), "castbucket")
ROLE = "arn:aws:iam::123456789012:role/recordings"
S3 = ["--type", "aws-s3", "--bucket", "acme-recordings", "--role-arn", ROLE]


def run(*words, settings=None, status=0):
    """Runs castbucket. Returns what it wrote to standard output and standard error."""
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    if settings:
        variables["CASTBUCKET_SETTINGS"] = str(settings)
    done = subprocess.run([CASTBUCKET, *words], env=variables, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == status, (words, done.returncode, out, err)
    return out, err


@pytest.fixture
def settings(tmp_path):
    return tmp_path / "settings.json"


def content(settings):
    return json.loads(settings.read_text())


def test_a_whole_file_is_made_by_commands(settings):
    run("settings", "spool", "/var/spool/cb", settings=settings)
    run("settings", "spool-quota", "20G", settings=settings)
    run("settings", "cast-version", "3", settings=settings)
    run("settings", "storage", "acme", *S3, "--external-id", "x=1:2/3", "--region", "eu-west-1",
        "--endpoint", "https://s3.example.com", "--sts-endpoint", "https://sts.example.com",
        "--prefix", "ssh", settings=settings)
    run("settings", "storage", "home", "--type", "directory", "--path", "/srv/rec",
        settings=settings)
    run("settings", "socket", "web-1", "--organization", "acme", "--recording", "on", "--input",
        "on", "--on-failure", "continue", settings=settings)
    assert content(settings) == {
        "version": 1, "spool": "/var/spool/cb", "spool_quota": "20G", "cast_version": 3,
        "organizations": {
            "acme": {"storage": {
                "type": "aws-s3", "bucket": "acme-recordings", "role_arn": ROLE,
                "external_id": "x=1:2/3", "region": "eu-west-1",
                "endpoint": "https://s3.example.com", "sts_endpoint": "https://sts.example.com",
                "prefix": "ssh"}},
            "home": {"storage": {"type": "directory", "path": "/srv/rec"}}},
        "sockets": {"web-1": {"organization": "acme", "recording": True, "input": True,
                              "on_failure": "continue"}}}
    assert settings.stat().st_mode & 0o777 == 0o640
    out, _ = run("settings", "validate", settings=settings)
    assert out == "%s is valid: 2 organizations, 1 socket\n" % settings


def test_only_what_is_given_changes(settings):
    run("settings", "storage", "acme", *S3, "--external-id", "first", settings=settings)
    run("settings", "socket", "web-1", "--organization", "acme", settings=settings)
    run("settings", "storage", "acme", "--bucket", "another-bucket", settings=settings)
    run("settings", "socket", "web-1", "--recording", "off", settings=settings)
    now = content(settings)
    assert now["organizations"]["acme"]["storage"] == {
        "type": "aws-s3", "bucket": "another-bucket", "role_arn": ROLE, "external_id": "first"}
    assert now["sockets"]["web-1"] == {"organization": "acme", "recording": False}
    run("settings", "storage", "acme", "--external-id", "", settings=settings)
    run("settings", "socket", "web-1", "--recording", "", settings=settings)
    now = content(settings)
    assert "external_id" not in now["organizations"]["acme"]["storage"]
    assert now["sockets"]["web-1"] == {"organization": "acme"}


def test_another_type_of_storage_takes_the_place_of_the_old(settings):
    run("settings", "storage", "acme", *S3, "--prefix", "p/", settings=settings)
    run("settings", "storage", "acme", "--type", "directory", "--path", "/srv/rec",
        settings=settings)
    assert content(settings)["organizations"]["acme"]["storage"] == {
        "type": "directory", "prefix": "p/", "path": "/srv/rec"}


def test_a_generated_external_id_is_strong_printed_and_kept(settings):
    made = set()
    for _ in range(3):
        out, _ = run("settings", "storage", "acme", *S3, "--generate-external-id",
                     settings=settings)
        external_id = out.strip()
        assert len(external_id) == 64 and int(external_id, 16) >= 0
        assert content(settings)["organizations"]["acme"]["storage"]["external_id"] == external_id
        made.add(external_id)
    assert len(made) == 3
    _, err = run("settings", "storage", "acme", "--generate-external-id", "--external-id", "x",
                 settings=settings, status=2)
    assert "exclude each other" in err


def test_an_organization_is_removed_only_when_no_socket_needs_it(settings):
    run("settings", "storage", "acme", *S3, settings=settings)
    run("settings", "socket", "web-1", "--organization", "acme", settings=settings)
    _, err = run("settings", "storage", "acme", "--remove", settings=settings, status=1)
    assert "sockets.web-1.organization: there is no organization 'acme'" in err
    run("settings", "socket", "web-1", "--remove", settings=settings)
    run("settings", "storage", "acme", "--remove", settings=settings)
    now = content(settings)
    assert now["organizations"] == {} and now["sockets"] == {}
    _, err = run("settings", "socket", "web-1", "--remove", settings=settings, status=1)
    assert "there is no socket 'web-1'" in err


@pytest.mark.parametrize("words,says", [
    (["storage", "acme", "--bucket", "No_Bucket"], "organizations.acme.storage.bucket: "),
    (["storage", "acme", "--bucket", "ab"], "organizations.acme.storage.bucket: "),
    (["storage", "acme", "--role-arn", "arn:aws:iam::1:user/x"],
     "organizations.acme.storage.role_arn: "),
    (["storage", "acme", "--external-id", "has a space"],
     "organizations.acme.storage.external_id: "),
    (["storage", "acme", "--external-id", "x" * 1225], "organizations.acme.storage.external_id: "),
    (["storage", "acme", "--endpoint", "http://s3.example.com"],
     "organizations.acme.storage.endpoint: "),
    (["storage", "acme", "--prefix", "../x"], "organizations.acme.storage.prefix: "),
    (["storage", "acme", "--path", "/x"], "organizations.acme.storage.path: "),
    (["storage", "", *S3], "organizations.: the name is empty"),
    (["storage", "x" * 300, *S3], "at most 80"),
    (["storage", "a\nb", *S3], "organizations.a\\nb: the name has a control character"),
    (["socket", "web-2", "--recording", "on"], "sockets.web-2.organization: is missing"),
    (["socket", "web-2", "--organization", "none"],
     "sockets.web-2.organization: there is no organization 'none'"),
    (["spool", "relative"], "spool: "),
    (["spool", "/a/../b"], "spool: "),
    (["spool-quota", "lots"], "spool_quota: 'lots' is neither"),
    (["spool-quota", "101%"], "spool_quota: "),
])
def test_bad_input_names_file_key_and_reason_and_changes_nothing(settings, words, says):
    run("settings", "storage", "acme", *S3, settings=settings)
    before = settings.read_bytes()
    _, err = run("settings", *words, settings=settings, status=1)
    assert str(settings) in err and says in err
    assert err.count("\n") == 1
    assert settings.read_bytes() == before


@pytest.mark.parametrize("words", [
    ["settings", "storage"], ["settings", "storage", "acme"], ["settings", "socket", "web-1"],
    ["settings", "storage", "acme", "--type", "s3"],
    ["settings", "socket", "web-1", "--recording", "maybe"],
    ["settings", "socket", "web-1", "--on-failure", "stop"],
    ["settings", "storage", "acme", "--remove", "--bucket", "abc"],
    ["settings", "cast-version", "4"], ["settings", "spool"], ["settings"], ["setings"], [],
    ["settings", "show", "--jsn"], ["check"], ["completion", "fish"], ["help", "nothing"],
], ids=" ".join)
def test_a_wrong_command_line_exits_2(settings, words):
    out, err = run(*words, settings=settings, status=2)
    assert out == "" and err
    assert not settings.exists()


def test_words_that_are_not_utf8_are_refused(settings):
    _, err = run("settings", "storage", b"\xff", *S3, settings=settings, status=2)
    assert "'\\xff' is not UTF-8" in err


def test_commands_at_the_same_time_all_count(settings):
    run("settings", "storage", "acme", *S3, settings=settings)
    names = ["s%d" % i for i in range(24)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(run, "settings", "socket", name, "--organization", "acme",
                                 settings=settings) for name in names]:
            done.result()
    assert sorted(content(settings)["sockets"]) == sorted(names)
    assert os.listdir(settings.parent) == ["settings.json"]


def test_show_tells_what_is_in_force(settings):
    run("settings", "storage", "acme", *S3, "--prefix", "ssh", settings=settings)
    run("settings", "socket", "wéb", "--organization", "acme", settings=settings)
    out, _ = run("settings", "show", "--json", settings=settings)
    assert json.loads(out) == {
        "version": 1, "spool": "/var/spool/castbucket", "spool_quota": "80%",
        "cast_version": 2,
        "organizations": {"acme": {"storage": {"type": "aws-s3", "bucket": "acme-recordings",
                                               "role_arn": ROLE, "prefix": "ssh/"}}},
        "sockets": {"wéb": {"organization": "acme", "recording": True, "input": False,
                                "transfer_contents": False,
                            "on_failure": "end"}}}
    copy = settings.parent / "copy.json"
    copy.write_text(out)
    run("settings", "validate", "--settings", str(copy))
    out, _ = run("settings", "show", settings=settings)
    assert "  wéb:\n    organization: acme\n    recording: on\n    input: off\n" in out


def test_a_broken_file_stops_every_command_that_reads_it(settings):
    settings.write_text('{"organizations": {"acme": {"storage": '
                        '{"type": "directory", "path": "/x", "bukket": "b"}}}}')
    for words in (["settings", "show"], ["settings", "validate"], ["check", "--org", "acme"],
                  ["recorder", "--once"], ["settings", "spool", "/x"]):
        _, err = run(*words, settings=settings, status=1)
        assert "%s: organizations.acme.storage.bukket: unknown key" % settings in err
    settings.write_text('{"spool": "/a",\n "spool": "/b"}')
    _, err = run("settings", "validate", settings=settings, status=1)
    assert "%s: line 2, " % settings in err and "duplicate" in err and "spool" in err


def test_a_missing_file_is_named(tmp_path):
    _, err = run("settings", "show", "--settings", str(tmp_path / "none.json"), status=1)
    assert str(tmp_path / "none.json") in err


def test_check_tries_a_directory(settings, tmp_path):
    store = tmp_path / "recordings"
    store.mkdir()
    run("settings", "storage", "home", "--type", "directory", "--path", str(store),
        settings=settings)
    out, _ = run("check", "--org", "home", settings=settings)
    assert out and all(line.startswith("ok ") for line in out.splitlines())
    out, _ = run("check", "--org", "home", "--json", settings=settings)
    steps = [json.loads(line) for line in out.splitlines()]
    assert steps and all(step["ok"] for step in steps)
    _, err = run("check", "--org", "none", settings=settings, status=1)
    assert "there is no organization 'none'" in err


def test_check_names_what_fails(settings, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    run("settings", "storage", "home", "--type", "directory", "--path", str(in_the_way / "below"),
        settings=settings)
    out, err = run("check", "--org", "home", settings=settings, status=1)
    assert str(in_the_way) in out + err


def test_recorder_once_with_an_empty_spool_is_done(settings, tmp_path):
    run("settings", "spool", str(tmp_path / "spool"), settings=settings)
    out, _ = run("recorder", "--once", settings=settings)
    assert out == ""


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([CASTBUCKET, "iam", "cloudformation"], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1 and b"cannot write to standard output" in done.stderr
