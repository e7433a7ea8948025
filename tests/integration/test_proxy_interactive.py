"""Servers that ask the person, through castbucket-proxy: sockets with interactive_login, and those
without. OpenSSH's server asks by PAM; what it cannot be made to ask comes from a server of our own
(lab/questions.py)."""

import glob
import os
import re
import subprocess
import time

import pytest

from interactive_fixtures import ALICE, ON, Questioned, refused, rounds
from lab.process import Daemon, environment, wait_until
from lab.questions import FAILED, PARTIAL, SUCCESS, Answers, Asking, PamTarget, query
from lab.ssh import account, make_key, write
from proxy_fixtures import build_probe

BOTH = "AuthenticationMethods publickey,keyboard-interactive\n"
PASSWORD_ONLY = "KbdInteractiveAuthentication no\nPasswordAuthentication yes\n"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Questioned(tmp_path, probe)
    yield made
    made.close()


# Off, which is the default.

@pytest.mark.parametrize("setting", ["", "interactive_login = false"])
def test_nobody_is_asked_unless_the_socket_says_so(stage, setting):
    server = stage.server(first=BOTH)
    server.identity = server.key
    stage.begin(server, socket_more=setting)
    done = stage.log_in("secret", options=("-v", "-o", "LogLevel=DEBUG1"))
    said = done.stderr.decode()
    assert (done.returncode, done.stdout, stage.asked) == (255, b"", [])
    assert "castbucket-proxy: web-1 does not accept this proxy's key. Ask the operator." in said
    assert set(re.findall(r"that can continue: (\S+)", said)) == {"publickey"}
    assert "partial" not in said


@pytest.mark.parametrize("setting,reached", [("", 0), (ON, 1)])
def test_the_server_is_reached_at_the_first_channel_or_at_an_interactive_login(stage, setting,
                                                                               reached):
    stage.start(socket_more=setting)
    before = stage.target.daemon.words().count("Connection from")
    process = stage.popen("-N", "web-1")
    wait_until(lambda: "alice logged in" in stage.log(), what="the login")
    assert stage.target.daemon.words().count("Connection from") - before == reached
    process.kill()
    process.communicate()


def test_to_the_proxy_itself_people_prove_a_key_first(stage):
    stage.begin(stage.server())
    done = stage.log_in("secret", options=("-v", "-o", "PubkeyAuthentication=no",
                                           "-o", "LogLevel=DEBUG1"))
    assert done.returncode == 255 and stage.asked == []
    assert set(re.findall(r"that can continue: (\S+)", done.stderr.decode())) == {"publickey"}
    make_key(os.path.join(stage.directory, "stranger"))
    with open(stage.alice.config, encoding="utf-8") as file:
        text = file.read()
    write(stage.alice.config, text.replace(stage.alice.identity, stage.directory + "/stranger"))
    done = stage.log_in("secret")
    assert done.returncode == 255 and stage.asked == []


# What servers ask.

@pytest.mark.parametrize("kind", ["openssh", "own"])
def test_a_server_that_knows_only_passwords_gets_one(stage, kind):
    server = stage.server(first=PASSWORD_ONLY) if kind == "openssh" else \
        stage.server(Asking, password="secret")
    stage.begin(server)
    done = stage.log_in("secret")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\n", b""), stage.log()
    assert stage.asked == ["%s@web-1's password:" % account()]
    assert stage.session().end == "exited 0"
    assert "interactive login at %s as %s by password" % (server.address, account()) in stage.log()


def test_several_rounds_with_the_echo_that_each_asks_for(stage):
    stage.begin(stage.server(code="314159"))
    screen = stage.terminal("-o", "BatchMode=no", "web-1", "echo in")
    after = screen.expect(ALICE + "Password: ")
    screen.send("secret\n")
    after = screen.expect(ALICE + "Password: ", after=after)
    screen.send("314159\n")
    assert screen.finish() == 0
    assert b"secret" not in screen.seen and b"314159\r\n" in screen.seen
    assert screen.seen.endswith(b"in\r\n"), screen.seen


def test_several_questions_in_a_round_and_rounds_without_any(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    screen = stage.terminal("-o", "BatchMode=no", "-o", "LogLevel=INFO", "web-1", "echo in")
    for prompt, answer in (("Name: ", "operator"), ("PIN: ", "1234"), ("Code: ", "\u00e4 b")):
        screen.expect(ALICE + prompt)
        screen.send(answer + "\n")
    assert screen.finish() == 0, stage.log()
    for words in (b"Appliance\r", b"Once, please.\r", b"A message is on its way.\r", b"operator\r"):
        assert words in screen.seen
    assert b"1234" not in screen.seen
    assert server.tried == [["operator", "1234"], [], ["\u00e4 b"]]
    assert stage.session().end == "exited 0"


def test_an_empty_answer_is_one(stage):
    def script():
        return SUCCESS if (yield query(("Any: ", False), ("More: ", True))) == ["", ""] else FAILED
    stage.begin(stage.server(Asking, script))
    assert stage.log_in("", "").stdout == b"in\n", stage.log()


def test_the_key_and_then_a_code(stage):
    server = stage.server(first=BOTH)
    server.identity = server.key
    stage.begin(server)
    done = stage.log_in("secret")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"in\n", b""), stage.log()
    assert stage.asked == ["Password:"]
    assert "by publickey,keyboard-interactive" in stage.log()
    assert "marker interactive-login publickey,keyboard-interactive" in stage.session().events


def test_the_key_of_an_agent_and_then_a_code(stage, tmp_path_factory):
    server = stage.server(first=BOTH)
    path = os.path.join(str(tmp_path_factory.mktemp("a")), "agent")
    stage.add(Daemon(["ssh-agent", "-D", "-a", path], os.path.join(stage.directory, "agent.log"),
                     env=environment()))
    wait_until(lambda: os.path.exists(path), what="the agent")
    other = os.path.join(stage.directory, "other")
    make_key(other)
    for key in (other, server.key):
        subprocess.run(["ssh-add", "-q", key], check=True, env=environment(SSH_AUTH_SOCK=path),
                       stderr=subprocess.DEVNULL)
    stage.begin(server, socket_more=ON + '\nidentity_agent = "%s"' % path)
    assert stage.log_in("secret").stdout == b"in\n", stage.log()
    assert "by publickey,keyboard-interactive" in stage.log()


def test_a_code_and_then_the_key(stage):
    server = stage.server(first="AuthenticationMethods keyboard-interactive,publickey\n")
    server.identity = server.key
    stage.begin(server)
    assert stage.log_in("secret").stdout == b"in\n", stage.log()
    assert "by keyboard-interactive,publickey" in stage.log()


def test_a_code_and_then_a_password(stage):
    def script():
        return PARTIAL if (yield query(("Code: ", False))) == ["1"] else FAILED
    stage.begin(stage.server(Asking, script, password="secret"))
    assert stage.log_in("1", "secret").stdout == b"in\n", stage.log()
    assert stage.asked == ["Code:", "%s@web-1's password:" % account()]
    assert "by keyboard-interactive,password" in stage.log()


def test_a_server_that_refuses_keyboard_interactive_unasked_is_given_a_password(stage):
    def script():
        return FAILED
        yield  # which makes it a generator
    stage.begin(stage.server(Asking, script, password="secret"))
    assert stage.log_in("wrong", "secret").stdout == b"in\n", stage.log()
    assert stage.asked == ["%s@web-1's password:" % account()] * 2


def test_a_server_that_is_content_with_the_key_asks_nobody(stage):
    server = stage.server()
    server.identity = server.key
    stage.begin(server)
    # In batch mode, as programs are.
    done = stage.ssh("-v", "-o", "LogLevel=DEBUG1", "web-1", "echo in")
    assert done.stdout == b"in\n" and b"partial" not in done.stderr, stage.log()
    assert "unattended login at %s as %s by publickey" % (server.address, account()) in stage.log()
    assert [one for one in stage.session().events if "interactive" in one] == []


def test_a_server_that_lets_anybody_in_asks_nobody(stage):
    stage.begin(stage.server(Asking, anybody=True))
    assert stage.ssh("web-1", "echo in").stdout == b"in\n", stage.log()
    assert "unattended login" in stage.log()


def test_a_key_that_the_server_does_not_take_is_no_end(stage):
    server = stage.server()
    server.identity = os.path.join(stage.directory, "unknown")
    make_key(server.identity)
    stage.begin(server)
    assert stage.log_in("secret").stdout == b"in\n", stage.log()
    assert "by keyboard-interactive" in stage.log()


# Wrong answers.

def test_after_a_wrong_answer_the_person_may_try_again(stage):
    stage.begin(stage.server(code="314159"))
    done = stage.log_in("wrong", "secret", "wrong", "secret", "314159")
    assert (done.returncode, done.stdout) == (0, b"in\n"), (stage.log(), stage.answers.asked)
    assert len(stage.asked) == 5
    assert stage.log().count("does not accept what alice answered") == 2


def test_their_client_gives_up_after_three(stage):
    stage.begin(stage.server())
    done = stage.log_in("wrong", "wrong", "wrong", "secret")
    refused(stage, done, "Permission denied (keyboard-interactive).")
    assert len(stage.asked) == 3


def test_the_servers_count_holds(stage):
    stage.begin(stage.server(first="MaxAuthTries 2\n"))
    done = stage.log_in("wrong", "wrong", "secret")
    refused(stage, done, "web-1 ended the login: ")
    assert "Too many authentication failures" in done.stderr.decode()
    assert len(stage.asked) == 2


def test_the_proxys_count_holds(stage):
    # The client's first try, of "none", counts as well.
    stage.begin(stage.server(), more="max_auth_tries = 2")
    done = stage.log_in("wrong", "wrong", "secret")
    refused(stage, done, "Too many authentication failures")
    assert len(stage.asked) == 2


# What becomes of it.

def test_one_login_serves_every_session_of_a_shared_connection(stage):
    stage.begin(stage.server())
    control = ["-S", stage.directory + "/control"]
    master = stage.begin_session("-M", "-N", *control, "web-1", answers=["secret"])
    try:
        wait_until(lambda: os.path.exists(stage.directory + "/control"), what="the master")
        for n in range(3):
            assert stage.ssh(*control, "web-1", "echo %d" % n).stdout == b"%d\n" % n
    finally:
        stage.ssh(*control, "-O", "exit", "web-1")
        master.communicate(timeout=20)
    assert stage.asked == ["Password:"]
    assert len(stage.sessions()) == 3
    for session in stage.sessions():
        assert session.end == "exited 0" and session.info["user"] == "alice"
        assert session.info["target_user"] == account()
        assert "marker interactive-login keyboard-interactive" in session.events


def test_who_has_too_many_connections_is_told_and_gets_nothing(stage):
    stage.begin(stage.server(), more="max_connections_per_user = 1")
    process = stage.begin_session("web-1", "echo in; cat", answers=["secret"])
    try:
        assert process.stdout.read(3) == b"in\n"
        done = stage.log_in("secret")
        assert (done.returncode, done.stdout) == (255, b"")
        assert b"castbucket-proxy: you have 1 connections already" in done.stderr
        assert len(stage.sessions()) == 1
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_is_lost_later_is_told_as_ever(stage):
    server = stage.server(Asking, rounds)
    stage.begin(server)
    process = stage.begin_session("web-1", "echo in; sleep 5",
                                  answers=["operator", "1234", "\u00e4 b"])
    assert process.stdout.read(3) == b"in\n"
    server.hang_up()
    assert b"the connection to web-1 was lost" in process.communicate(timeout=20)[1]
    assert stage.session().end.startswith("lost ")


def test_answers_are_nowhere(home):
    """Neither in the log, nor in what castbucket's own plugin keeps and stores."""
    store = os.path.join(home.directory, "store")
    os.makedirs(store)
    home.must("settings", "storage", "acme", "--type", "directory", "--path", store)
    home.socket("web-1", "acme")
    home.socket("web-2", "acme")
    code = PamTarget(os.path.join(home.directory, "pam"), password="xyzzy-hidden",
                     code="plugh-shown")
    password = PamTarget(os.path.join(home.directory, "pam2"), password="xyzzy-hidden",
                         first=PASSWORD_ONLY)
    home.things += [code, password]
    code.identity = password.identity = None
    alice = home.person()
    proxy = home.proxy({"web-1": code, "web-2": password}, [alice], socket_more=ON)
    for name, words in (("web-1", ["xyzzy-wrong", "xyzzy-hidden", "plugh-shown"]),
                        ("web-2", ["xyzzy-wrong", "xyzzy-hidden"])):
        answers = Answers(os.path.join(home.directory, "person-answers"), *words)
        done = alice.ssh("-o", "BatchMode=no", name, "echo in",
                         env=answers.environment(alice.directory))
        assert done.stdout == b"in\n", (done, proxy.daemon.words())
    wait_until(lambda: sum(one["complete"] for one in home.ls("acme")) == 2, what="the recordings")
    searched = 0
    for path in glob.glob(home.directory + "/**", recursive=True):
        if not os.path.isfile(path) or path.startswith(code.services) or \
                path.startswith(password.services):
            continue
        with open(path, "rb") as file:
            data = file.read()
        assert b"xyzzy" not in data and b"plugh" not in data, path
        searched += 1
    assert searched > 10


def found_in_memory(pid, words):
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if "rw" in line.split()[1]:
                memory.seek(begin)
                if words in memory.read(end - begin):
                    return True
    return False


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look into the proxy's memory")
@pytest.mark.skipif(bool(os.environ.get("SANITIZE")), reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("kind", ["questions", "password"])
def test_answers_are_burned(stage, kind):
    """Of an ordinary length. Of longer ones, libssh leaves an end in buffers that what follows does
    not fill."""
    secret = "vPq7-Lm2x-Rt9w-Kd4z"

    def script():
        return SUCCESS if (yield query(("One: ", False))) == [secret] else FAILED
    stage.begin(stage.server(Asking, script) if kind == "questions" else
                stage.server(Asking, password=secret))
    process = stage.begin_session("web-1", "echo in; sleep 3", answers=[secret])
    wait_until(stage.sessions, what="the session")
    time.sleep(1)
    pid = int(re.search(r"\[(\d+)\]: info: alice logged in", stage.log())[1])
    assert found_in_memory(pid, b"alice")
    assert not found_in_memory(pid, secret[4:].encode())
    assert process.communicate(timeout=20)[0] == b"in\n"
