"""castbucket-shell as OpenSSH's ForceCommand: what people ask sshd for is done and recorded."""

import os
import subprocess

import pytest

from lab.lab import Lab
from lab.process import program, run
from lab.ssh import account


@pytest.fixture
def bastion(home):
    """An sshd whose sessions are all recorded, into a directory."""
    home.must("settings", "storage", "acme", "--type", "directory", "--path",
              os.path.join(home.directory, "store"))
    home.socket("jump", "acme")
    force = "ForceCommand %s --plugin %s --settings %s --socket jump" % (
        program("castbucket-shell"), home.plugin, home.settings)
    return home, home.target("bastion", force)


def client(name, target, *words, **keywords):
    return run([name, "-q", "-o", "Port=%d" % target.port, "-o", "BatchMode=yes", "-o",
                "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + target.known_hosts, "-i",
                target.identity, *words], seconds=60, **keywords)


def only_recording(lab: Lab):
    done = lab.once()
    assert done.returncode == 0, done.stderr
    (entry,) = lab.ls("acme")
    return entry


def test_sftp_by_the_internal_server_works_and_is_a_subsystem(bastion):
    lab, target = bastion
    there, back = (os.path.join(lab.directory, name) for name in ("there", "back"))
    data = os.urandom(300000)
    with open(there, "wb") as file:
        file.write(data)
    done = client("sftp", target, "-b", "-", account() + "@127.0.0.1",
                  input=("get %s %s\nput %s %s.copy\n" % (there, back, there, there)).encode())
    assert done.returncode == 0, done.stderr
    for name in (back, there + ".copy"):
        with open(name, "rb") as file:
            assert file.read() == data
    entry = only_recording(lab)
    assert (entry["kind"], entry["command"], entry["exit_status"]) == ("subsystem", "sftp", 0)


def test_a_command_over_sshd_is_run_and_is_an_exec(bastion):
    lab, target = bastion
    done = client("ssh", target, account() + "@127.0.0.1", "echo internal-sftpish; exit 5")
    assert (done.stdout, done.returncode) == (b"internal-sftpish\n", 5)
    entry = only_recording(lab)
    assert (entry["kind"], entry["exit_status"]) == ("exec", 5)


@pytest.mark.parametrize("original, kind", [("internal-sftp -R", "subsystem"),
                                            ("internal-sftpd", "exec")])
def test_arguments_of_the_internal_server_are_passed_on(home, original, kind):
    home.must("settings", "storage", "acme", "--type", "directory", "--path",
              os.path.join(home.directory, "store"))
    home.socket("jump", "acme")
    words = [program("castbucket-shell"), "--settings", home.settings, "--plugin", home.plugin,
             "--socket", "jump", "--shell", "/bin/sh"]
    # SSH_FXP_INIT of version 3, then SSH_FXP_MKDIR, which a read-only server refuses.
    path = os.path.join(home.directory, "made").encode()
    make = bytes([14]) + (7).to_bytes(4, "big") + len(path).to_bytes(4, "big") + path + bytes(4)
    asked = bytes([0, 0, 0, 5, 1, 0, 0, 0, 3]) + len(make).to_bytes(4, "big") + make
    shell = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={
        **home.environment(), "SSH_ORIGINAL_COMMAND": original})
    with shell:
        kinds = []
        if kind == "subsystem":
            shell.stdin.write(asked)  # and not its end yet: at that the server stops at once
            shell.stdin.flush()
            for _ in range(2):
                length = int.from_bytes(shell.stdout.read(4), "big")
                kinds.append(shell.stdout.read(length)[0])
        shell.stdin.close()
        assert (kinds, shell.wait(60)) == (([2, 101], 0) if kind == "subsystem" else ([], 127))
    assert not os.path.exists(path)  # answered with SSH_FXP_VERSION, and a refusal
    assert only_recording(home)["kind"] == kind
