"""castbucket-proxy's limits: of strangers, of people, of channels, and of silence."""

import os
import re
import signal
import socket
import time

import pytest

from lab.process import wait_until
from lab.ssh import make_key, write
from proxy_fixtures import Stage, build_probe

KEEPALIVE = "keepalive_interval = 1\nkeepalive_count = 2"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


def knock(stage):
    return socket.create_connection(("127.0.0.1", stage.proxy.port), timeout=20)


def greeting(connection):
    """What it says first; b"" when it hangs up."""
    try:
        return connection.recv(4)
    except ConnectionResetError:
        return b""


def test_strangers_of_one_address_are_limited_and_make_room_when_they_leave(stage):
    stage.start(more="max_unauthenticated_per_source = 3")
    strangers = [knock(stage) for _ in range(3)]
    assert [greeting(one) for one in strangers] == [b"SSH-"] * 3
    with knock(stage) as one_more:
        assert greeting(one_more) == b""
    assert "max_unauthenticated_per_source is reached" in stage.log()
    for one in strangers:
        one.close()
    done = wait_until(lambda: stage.ssh("web-1", "echo in").stdout, what="room")
    assert done == b"in\n"


def test_somebody_who_is_logged_in_is_no_stranger(stage):
    stage.start(more="max_unauthenticated_per_source = 1")
    processes = []
    try:
        for _ in range(3):
            processes.append(stage.popen("web-1", "echo in; cat"))
            assert processes[-1].stdout.read(3) == b"in\n"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_too_many_keys_end_the_login(stage):
    stage.start(more="max_auth_tries = 3")
    wrong = []
    for n in range(5):
        path = "%s/wrong%d" % (stage.directory, n)
        make_key(path)
        wrong += ["-i", path]
    with open(stage.alice.config, encoding="utf-8") as file:
        text = file.read()
    write(stage.alice.config, re.sub(r"\n +IdentityFile [^\n]*", "", text))
    done = stage.ssh(*wrong, "-i", stage.alice.identity, "web-1", "echo in")
    assert done.returncode == 255 and done.stdout == b""
    assert stage.ssh(*wrong[:4], "-i", stage.alice.identity, "web-1", "echo in").stdout == b"in\n"


def test_one_person_has_so_many_connections_and_is_told(stage):
    stage.start(more="max_connections_per_user = 2")
    processes = [stage.popen("web-1", "echo in; cat") for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.read(3) == b"in\n"
        done = stage.ssh("web-1", "echo in")
        assert (done.returncode, done.stdout) == (255, b"")
        assert done.stderr == (b"castbucket-proxy: you have 2 connections already, and this proxy "
                               b"allows no more\n")
        processes[0].kill()
        processes[0].wait()
        assert wait_until(lambda: stage.ssh("web-1", "echo in").stdout, what="room") == b"in\n"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_connection_has_so_many_channels(stage):
    stage.start(more="max_channels = 2")
    control = ["-S", stage.directory + "/control"]
    master = stage.popen("-M", "-N", *control, "web-1")
    others = []
    try:
        wait_until(lambda: os.path.exists(stage.directory + "/control"), what="the master")
        for _ in range(2):
            others.append(stage.popen(*control, "web-1", "echo in; cat"))
            assert others[-1].stdout.read(3) == b"in\n"
        # Without it, ssh would open a connection of its own.
        done = stage.ssh(*control, "-o", "ProxyCommand=false", "web-1", "echo in")
        assert (done.returncode, done.stdout) == (255, b"")
        assert "too many channels" in stage.log()
        others[0].communicate(timeout=20)
        assert stage.ssh(*control, "web-1", "echo in").stdout == b"in\n"
    finally:
        stage.ssh(*control, "-O", "exit", "web-1")
        for process in [master, *others]:
            process.communicate(timeout=20)


def test_a_client_that_falls_silent_ends_its_session_with_the_reason(stage):
    stage.start(more=KEEPALIVE)
    process = stage.popen("web-1", "echo in; cat")
    try:
        assert process.stdout.read(3) == b"in\n"
        process.send_signal(signal.SIGSTOP)
        assert stage.session().end == "lost the client does not answer any more"
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_falls_silent_ends_its_session_with_the_reason(stage):
    stage.start(more=KEEPALIVE)
    process = stage.popen("web-1", "echo $PPID; cat")
    frozen = int(process.stdout.readline())
    try:
        os.kill(frozen, signal.SIGSTOP)
        assert stage.session().end == "lost the far side does not answer any more"
        assert b"the connection to web-1 was lost" in process.communicate(timeout=20)[1]
    finally:
        os.kill(frozen, signal.SIGKILL)


def test_quiet_sessions_of_peers_that_answer_go_on(stage):
    stage.start(more=KEEPALIVE)
    process = stage.popen("web-1", "cat")
    wait_until(stage.sessions, what="the session")
    time.sleep(5)
    stdout, _ = process.communicate(b"still here", timeout=20)
    assert (process.returncode, stdout) == (0, b"still here")


def test_a_port_is_opened_between_two_questions(stage):
    """libssh has room for one global request; both kinds go by it."""
    stage.start(more="keepalive_interval = 1", socket_more="remote_forwarding = true")
    control = ["-S", stage.directory + "/control"]
    master = stage.popen("-M", *control, "web-1", "cat")
    try:
        wait_until(stage.sessions, what="the session")
        for _ in range(3):
            time.sleep(1.1)
            done = stage.ssh(*control, "-O", "forward", "-R", "127.0.0.1:0:127.0.0.1:1", "web-1")
            assert done.returncode == 0 and int(done.stdout) > 1024, done
    finally:
        stage.ssh(*control, "-O", "exit", "web-1")
        master.communicate(timeout=20)
