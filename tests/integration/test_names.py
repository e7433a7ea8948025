"""Hostile names: never a key outside the organization's prefix, never a broken log line."""

import os
import re
import socket

import pytest

from lab.lab import RECORDING_KEY
from lab.process import wait_until

HOSTILE = ["../../x", "a/b", "%2e%2e", "..", "org=acme", "a b", "naïve \u202egnp", "'; rm -rf /",
           "x" * 80]
REFUSED = ["", "y" * 300, "two\nlines", "a\x1b[2Jb"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_organization_stays_under_its_own_prefix(lab, name):
    """Beside it in the same bucket, an organization whose recordings it must not reach."""
    customer = lab.organization("acme", ["web-1"])
    lab.organization(name, ["evil"], same_bucket_as=customer)
    lab.record("evil", "echo recorded")
    done = lab.once()
    assert done.returncode == 0, done.stderr
    keys = list(lab.objects(customer))
    assert len(keys) == 2
    for key in keys:
        assert key.startswith("org=") and not key.startswith("org=acme/")
        assert not re.search(r"(^|/)\.\.?(/|$)", key)
        assert key.count("/") == 3
    assert [entry["socket"] for entry in lab.ls(name)] == ["evil"]
    assert lab.ls("acme") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_socket_stays_under_its_organization(lab, name):
    customer = lab.organization("acme", [name])
    assert lab.record(name, "echo recorded").returncode == 0
    done = lab.once()
    assert done.returncode == 0, done.stderr
    cast = [key for key in lab.objects(customer) if key.endswith(".cast.gz")]
    assert len(cast) == 1
    match = RECORDING_KEY.match(cast[0])
    assert match and match["prefix"] == "" and match["org"] == "acme"
    entries = lab.ls("acme", "--socket", name)
    assert [entry["socket"] for entry in entries] == [name]
    assert lab.must("get", entries[0]["id"], "--org", "acme", "--raw") == "recorded\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_a_directory_store(home, name):
    store = os.path.join(home.directory, "store")
    os.makedirs(store)
    home.must("settings", "storage", name, "--type", "directory", "--path", store)
    home.socket("evil", name)
    home.socket(name, name)
    home.record("evil", "echo recorded")
    home.record(name, "echo recorded")
    done = home.once()
    assert done.returncode == 0, done.stderr
    tops = {os.path.relpath(folder, store).split("/")[0]
            for folder, _, files in os.walk(store) if files}
    assert len(tops) == 1 and tops.pop().startswith("org=")
    found = sorted(os.listdir(home.directory))
    assert set(found) <= {"store", "spool", "settings.json", "settings.json.lock"}, found


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_cannot_be_are_refused_and_change_nothing(home, name):
    with open(home.settings, encoding="utf-8") as file:
        before = file.read()
    for words in (["storage", name, "--type", "directory", "--path", "/srv/x"],
                  ["socket", name, "--organization", "acme", "--recording", "on"]):
        done = home.castbucket("settings", *words)
        assert done.returncode != 0
        # One line, whatever the name holds.
        assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr, done.stderr
    with open(home.settings, encoding="utf-8") as file:
        assert file.read() == before


@pytest.mark.parametrize("login", ["../../x:web-1", "alice/../alice:web-1", ":web-1", "alice:",
                                   "alice:../../x", "alice:nowhere", "%2e%2e:web-1",
                                   "alice\x1b[2J:web-1", "a" * 300 + ":web-1",
                                   "alice:" + "w" * 300])
def test_a_hostile_login_is_refused(lab, login):
    lab.organization("acme", ["web-1"])
    alice = lab.person()
    proxy = lab.proxy({"web-1": lab.target()}, [alice])
    done = alice.ssh("-o", 'User="%s"' % login, "web-1", "echo never")
    assert done.returncode == 255 and b"never" not in done.stdout
    assert lab.spooled() == []
    assert alice.ssh("web-1", "echo works").stdout == b"works\n"
    assert "\x1b" not in proxy.daemon.words()


def test_a_newline_in_what_a_client_says_of_itself_breaks_no_log_line(lab):
    """OpenSSH's client sends none, so a client of our own: a banner with an escape sequence, and
    rubbish where the key exchange should be."""
    proxy = lab.proxy({"web-1": lab.target()}, [lab.person()])
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        client.sendall(b"SSH-2.0-evil\x1b[2J\r\n\x00\x00\x00\x0c\x0a" + b"al\nice:web-1" * 9)
        client.settimeout(20)
        try:
            while client.recv(4096):
                pass
        except ConnectionError:
            pass
    wait_until(proxy.daemon.words, what="a log line")
    for line in proxy.daemon.words().splitlines():
        assert not line.startswith("ice:") and "\x1b" not in line
