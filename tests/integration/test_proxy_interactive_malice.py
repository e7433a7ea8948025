"""Interactive logins through castbucket-proxy with servers, and clients, that do not do what they
should: each ends with words for the person and in the log, and none lasts."""

import os
import socket
import threading
import time

import paramiko
import pytest

from interactive_fixtures import ALICE, Questioned, refused, rounds
from lab.process import wait_until
from lab.questions import FAILED, SUCCESS, Asking, query
from lab.ssh import Target, make_key, write
from proxy_fixtures import build_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Questioned(tmp_path, probe)
    yield made
    made.close()


# Servers.

def test_a_server_that_is_away_is_told_as_it_is(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    server.stop()
    refused(stage, stage.ssh("web-1", "id"),
            "cannot connect to web-1 (%s): Connection refused" % server.address)


def test_a_changed_host_key_is_told_before_anything_is_asked(stage):
    server = stage.server()
    stage.begin(server)
    key = make_key(os.path.join(stage.directory, "another"))
    write(server.known_hosts, "[127.0.0.1]:%d %s\n" % (server.port, " ".join(key.split()[:2])))
    done = stage.log_in("secret")
    refused(stage, done, "the host key of web-1 (%s) has changed: it offers SHA256:" % server.address)
    assert stage.asked == []
    assert "keyboard-interactive" not in server.daemon.words()


@pytest.mark.parametrize("key,words", [
    (True, "web-1 does not accept this proxy's key. Ask the operator."),
    (False, "web-1 has no other way to log in. Ask its operator."),
])
def test_a_server_that_neither_takes_the_key_nor_asks_is_told(stage, key, words):
    server = stage.add(Target(os.path.join(stage.directory, "strict")))
    server.identity = os.path.join(stage.directory, "unknown") if key else None
    if key:
        make_key(server.identity)
    stage.begin(server)
    refused(stage, stage.ssh("web-1", "id"), words)


def endless():
    while True:
        yield query(instruction="Wait.")


def too_many():
    yield query(*[("%d: " % n, False) for n in range(33)])


def far_too_many():
    yield query(*[("", False) for n in range(300)])


def long_prompt():
    yield query(("x" * 4097, False))


def long_instruction():
    yield query(instruction="x" * 100000)


def more_than_a_packet():
    yield query(("x" * 300000, False))


@pytest.mark.parametrize("script,words", [
    (endless, "web-1 does not come to an end with its questions"),
    (too_many, "web-1 asks too many questions at once"),
    (far_too_many, "web-1 says what is not understood: Too much prompts requested"),
    (long_prompt, "web-1 asks questions that are too long"),
    (long_instruction, "web-1 asks questions that are too long"),
    (more_than_a_packet, "web-1 ended the login: "),
])
def test_a_server_that_asks_too_much_ends_the_login(stage, script, words):
    server = stage.server(Asking, script)
    stage.begin(server)
    done = stage.log_in()
    refused(stage, done, words)
    assert stage.asked == []
    assert "socket web-1: interactive login: %s %s" % (server.address, words[len("web-1 "):]) \
        in stage.log()


def test_as_much_as_is_allowed_is_asked(stage):
    prompts = [("%d %s " % (n, "x" * 4000), False) for n in range(32)]

    def script():
        answers = yield query(*prompts, instruction="y" * 4096)
        for _ in range(31):
            yield query()
        return SUCCESS if answers == [str(n) for n in range(32)] else FAILED
    stage.begin(stage.server(Asking, script))
    assert stage.log_in(*map(str, range(32))).stdout == b"in\n", stage.log()


def test_what_a_server_says_in_a_prompt_or_an_error_is_harmless(stage):
    def script():
        answers = yield query(("\x1b[2J%s%n\u00e4\r\n: ", True))
        return SUCCESS if answers == ["fine"] else FAILED
    stage.begin(stage.server(Asking, script))
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    screen.expect(ALICE)
    screen.send("fine\n")
    assert screen.finish() == 0
    assert b"\x1b[2J" not in screen.seen  # OpenSSH's client sees to that
    assert "\x1b" not in stage.log()


def test_a_server_that_hangs_up_in_the_middle_is_told(stage):
    def script():
        yield query(("One: ", False))
        server.hang_up()
        return FAILED
    server = stage.server(Asking, script)
    stage.begin(server)
    refused(stage, stage.log_in("1"), "web-1 ended the login: ")


def test_a_server_that_hangs_up_while_the_person_thinks_is_told(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    screen.expect("Name: ")
    server.hang_up()
    wait_until(lambda: "ended the login" in stage.log(), what="the log")
    screen.send("operator\n")  # their client reads from the terminal, and not from the proxy
    screen.expect("PIN: ")
    screen.send("1234\n")
    assert screen.finish() == 255
    assert b"web-1 ended the login: " in screen.seen


class Silent:
    """Accepts connections, and says nothing."""

    identity = None

    def __init__(self, known_hosts):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listening.getsockname()[1]
        self.known_hosts = known_hosts

    def stop(self):
        self.listening.close()


@pytest.mark.parametrize("when,words", [
    ("asked", "web-1 did not answer within login_grace_time"),
    ("connected", "cannot connect to web-1"),
])
def test_silence_lasts_no_longer_than_login_grace_time(stage, when, words):
    release = threading.Event()

    def script():
        yield query(("One: ", False))
        release.wait(60)
        return SUCCESS
    server = stage.server(Asking, script) if when == "asked" else \
        stage.add(Silent(write(os.path.join(stage.directory, "none"), "")))
    stage.begin(server, more="login_grace_time = 3")
    begun = time.monotonic()
    done = stage.log_in("1")
    assert 2 < time.monotonic() - begun < 8
    release.set()
    refused(stage, done, words)


def test_a_person_who_does_not_answer_is_waited_for_as_long(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server, more="login_grace_time = 3")
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    screen.expect("Name: ")
    wait_until(lambda: "alice did not answer within login_grace_time" in stage.log(), 10, "the log")
    wait_until(lambda: not server.transports[0].is_active(), 10, "the end at the server")
    screen.send("operator\n")
    screen.expect("PIN: ")
    screen.send("1234\n")
    assert screen.finish() == 255 and b"You did not answer in time" in screen.seen


@pytest.mark.parametrize("answers", [False, True])
def test_a_person_who_leaves_ends_it_at_the_server(stage, answers):
    """While they think, and while the server does."""
    release = threading.Event()

    def script():
        yield query(("One: ", False))
        release.wait(60)
        return SUCCESS
    server = stage.server(Asking, script)
    stage.begin(server)
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    screen.expect("One: ")
    if answers:
        screen.send("1\n")
        wait_until(lambda: server.tried, what="the answer")
    screen.process.kill()
    wait_until(lambda: 'as "alice:web-1" failed' in stage.log(), 10, "the log")
    release.set()
    wait_until(lambda: not server.transports[0].is_active(), 10, "the end at the server")
    screen.finish()


def test_a_proxy_that_is_stopped_does_not_wait_for_answers(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    screen.expect("Name: ")
    begun = time.monotonic()
    assert stage.proxy.stop() == 0
    assert time.monotonic() - begun < 5
    wait_until(lambda: not server.transports[0].is_active(), 10, "the end at the server")
    screen.process.kill()
    screen.finish()


# Clients.

def client(stage):
    """A client of our own, whose key is a partial success."""
    transport = paramiko.Transport(("127.0.0.1", stage.proxy.port))
    transport.start_client(timeout=20)
    left = transport.auth_publickey("alice:web-1", paramiko.Ed25519Key(filename=stage.alice.identity))
    assert left == ["keyboard-interactive"]
    return transport


def test_a_name_cannot_be_changed_after_the_key(stage):
    stage.begin(stage.server(Asking, rounds), people={"alice": stage.alice.public, "bob": ""})
    transport = client(stage)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.auth_interactive("bob:web-1", lambda *_: ["operator", "1234"])
    wait_until(lambda: "another name in the middle of the login" in stage.log(), what="the log")
    transport.close()


def test_too_few_answers_end_the_login(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    transport = client(stage)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.auth_interactive("alice:web-1", lambda *_: ["operator"])
    wait_until(lambda: "answers do not match the questions" in stage.log(), what="the log")
    assert server.tried == []
    transport.close()


def test_an_answer_that_is_too_long_ends_the_login(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    transport = client(stage)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.auth_interactive("alice:web-1", lambda *_: ["operator", "x" * 4097])
    wait_until(lambda: "an answer is too long" in stage.log(), what="the log")
    assert server.tried == []
    transport.close()


def test_answers_that_nobody_asked_for_and_other_methods_get_nowhere(stage):
    stage.begin(stage.server(Asking, rounds), more="max_auth_tries = 3")
    transport = client(stage)
    message = paramiko.Message()
    message.add_byte(bytes([61]))  # SSH_MSG_USERAUTH_INFO_RESPONSE
    message.add_int(1)
    message.add_string("operator")
    transport._send_message(message)
    wait_until(lambda: not transport.is_active(), what="the end")
    transport = client(stage)
    key = paramiko.Ed25519Key(filename=stage.alice.identity)
    for attempt in (lambda: transport.auth_password("alice:web-1", "secret", fallback=False),
                    lambda: transport.auth_publickey("alice:web-1", key)):
        with pytest.raises(paramiko.BadAuthenticationType) as raised:
            attempt()
        assert raised.value.allowed_types == ["keyboard-interactive"]
    answers = iter([["operator", "1234"], [], ["\u00e4 b"]])
    assert transport.auth_interactive("alice:web-1", lambda *_: next(answers)) == []
    assert transport.is_authenticated()
    transport.close()
    assert stage.sessions() == []


def test_no_channel_is_opened_before_the_answers_are_right(stage):
    stage.begin(stage.server(Asking, rounds))
    transport = client(stage)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.open_session(timeout=10)
    transport.close()
    assert stage.sessions() == []


class Deaf(paramiko.auth_handler.AuthHandler):
    """Does nothing about questions but to note that they came."""

    def __init__(self, transport):
        super().__init__(transport)
        self.came = threading.Event()

    @property
    def _handler_table(self):
        return {60: lambda *_: self.came.set()}  # SSH_MSG_USERAUTH_INFO_REQUEST


@pytest.mark.parametrize("kind", ["questions", "password"])
def test_a_client_that_begins_again_is_asked_the_same_again(stage, kind):
    server = stage.server(Asking, rounds) if kind == "questions" else \
        stage.server(Asking, password="secret")
    stage.begin(server)
    transport = client(stage)
    deaf = transport.auth_handler = Deaf(transport)
    message = paramiko.Message()
    message.add_byte(bytes([50]))  # SSH_MSG_USERAUTH_REQUEST
    for text in ("alice:web-1", "ssh-connection", "keyboard-interactive", "", ""):
        message.add_string(text)
    transport._send_message(message)
    assert deaf.came.wait(20)
    answers = iter([["operator", "1234"], [], ["\u00e4 b"]] if kind == "questions" else [["secret"]])
    assert transport.auth_interactive("alice:web-1", lambda *_: next(answers)) == []
    transport.close()
