"""Forwarding through castbucket-proxy: refused unless the socket allows it, recorded when it does."""

import os
import re
import socket
import subprocess
import threading
import time

import pytest

from lab.process import environment, run, wait_until
from lab.ssh import Person, Target, free_port, write
from proxy_fixtures import Stage, build_probe, memory_kib

MEGA = 1 << 20
ALL = "local_forwarding = true\nremote_forwarding = true\nx11_forwarding = true\n" \
      "agent_forwarding = true"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


class Service:
    """A TCP server on loopback: `serve` is called with each connection, in a thread of its own."""

    def __init__(self, serve):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass

    def stop(self):
        self.listening.close()


def echo(connection):
    """Until the end of input; then one word more."""
    while True:
        data = connection.recv(65536)
        if not data:
            connection.sendall(b"bye")
            return
        connection.sendall(data)


@pytest.fixture
def echoing():
    made = Service(echo)
    yield made
    made.stop()


class Client:
    """An ssh that forwards until stop()."""

    def __init__(self, stage, *words):
        self.process = stage.popen("-o", "ExitOnForwardFailure=yes", *words)

    def stop(self):
        self.process.terminate()
        return self.process.communicate(timeout=20)


def connect(port, seconds=20):
    return wait_until(lambda: try_connect(port), seconds=seconds, what="the forwarded port")


def try_connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=20)
    except OSError:
        return None


def say(port, data):
    """Sends it all and the end, and returns what comes back until the other's end."""
    with connect(port) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(data),
                                                  connection.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = b""
        while True:
            some = connection.recv(65536)
            if not some:
                break
            answer += some
        sender.join()
        return answer


def recording(stage):
    """The recording of the connection's forwardings."""
    found = [one for one in stage.sessions() if one.info["kind"] == "4"]
    assert len(found) == 1, [one.info for one in stage.sessions()]
    return found[0]


def markers(session, word):
    return [line.split(" ", 1)[1] for line in session.events
            if line.startswith("marker " + word)]


# Refused by default.

def test_everything_is_refused_by_default_with_a_reason(stage, echoing):
    stage.start()
    done = stage.ssh("-v", "-W", "127.0.0.1:%d" % echoing.port, "web-1")
    assert done.returncode != 0 and done.stdout == b""
    assert b"administratively prohibited" in done.stderr
    assert b"forwarding to 127.0.0.1:%d is refused: it is off for this socket" % echoing.port \
        in done.stderr
    done = stage.ssh("-v", "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "web-1")
    assert done.returncode != 0
    assert b"remote port forwarding failed" in done.stderr
    assert b"listening at localhost:0 is refused: it is off for this socket" in done.stderr
    done = stage.ssh("-R", "0:127.0.0.1:1", "web-1", "echo still")
    assert done.stdout == b"still\n"
    assert "is refused: it is off for this socket" in stage.log()
    assert [one.info["kind"] for one in stage.sessions()] == ["2"]


def test_agent_and_display_are_refused_by_default(stage):
    target = stage.add(Target(os.path.join(stage.directory, "with-x11"), "X11Forwarding yes"))
    stage.start(sockets={"web-1": target})
    agent = Agent(stage)
    try:
        done = stage.run("ssh", "-F", stage.alice.config, "-A", "-Y", "-o",
                         "IdentityAgent=SSH_AUTH_SOCK", "web-1",
                         "echo agent=$SSH_AUTH_SOCK display=$DISPLAY",
                         env=environment(HOME=stage.alice.directory, SSH_AUTH_SOCK=agent.path,
                                         DISPLAY="127.0.0.1:99"))
        assert done.stdout == b"agent= display=\n"
    finally:
        agent.stop()


def test_a_key_forwards_nothing_that_its_options_forbid_where_the_socket_allows_all(stage, echoing):
    target = stage.add(Target(os.path.join(stage.directory, "with-x11"), "X11Forwarding yes"))
    options = "no-port-forwarding,no-agent-forwarding,no-X11-forwarding "
    stage.start(sockets={"web-1": target}, socket_more=ALL,
                people={"alice": options + stage.alice.public})
    done = stage.ssh("-v", "-W", "127.0.0.1:%d" % echoing.port, "web-1", input=b"x")
    assert done.returncode != 0 and done.stdout == b""
    assert b"forwarding to 127.0.0.1:%d is refused: it is off for this key" % echoing.port \
        in done.stderr
    done = stage.ssh("-v", "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "web-1")
    assert done.returncode != 0
    assert b"listening at localhost:0 is refused: it is off for this key" in done.stderr
    agent = Agent(stage)
    try:
        done = stage.run("ssh", "-F", stage.alice.config, "-A", "-Y", "-o",
                         "IdentityAgent=SSH_AUTH_SOCK", "web-1",
                         "echo agent=$SSH_AUTH_SOCK display=$DISPLAY",
                         env=environment(HOME=stage.alice.directory, SSH_AUTH_SOCK=agent.path,
                                         DISPLAY="127.0.0.1:99"))
        assert done.stdout == b"agent= display=\n"
    finally:
        agent.stop()


def test_restrict_forbids_forwarding_and_what_stands_behind_it_gives_it_back(stage, echoing):
    stage.start(socket_more=ALL, people={"alice": "restrict " + stage.alice.public})
    words = ("-v", "-W", "127.0.0.1:%d" % echoing.port, "web-1")
    done = stage.ssh(*words, input=b"x")
    assert done.returncode != 0 and b"is refused: it is off for this key" in done.stderr
    file = os.path.join(stage.proxy.directory, "authorized_keys", "alice")
    write(file, "restrict,port-forwarding " + stage.alice.public)
    assert stage.ssh(*words, input=b"x").stdout == b"xbye"
    agent = Agent(stage)
    try:
        done = stage.run("ssh", "-F", stage.alice.config, "-A", "-o", "IdentityAgent=SSH_AUTH_SOCK",
                         "web-1", "echo agent=$SSH_AUTH_SOCK",
                         env=environment(HOME=stage.alice.directory, SSH_AUTH_SOCK=agent.path))
        assert done.stdout == b"agent=\n"
    finally:
        agent.stop()


def test_a_key_reaches_only_what_both_its_options_and_the_socket_permit(stage, echoing):
    other = Service(echo)
    options = 'permitopen="127.0.0.1:%d",permitopen="[::1]:*",permitopen="localhost:%d" ' % (
        echoing.port, other.port)
    stage.start(socket_more='local_forwarding = true\npermit_open = {"127.0.0.1:*"}',
                people={"alice": options + stage.alice.public})
    try:
        done = stage.ssh("-W", "127.0.0.1:%d" % echoing.port, "web-1", input=b"x")
        assert done.stdout == b"xbye", done.stderr
        for place, whose in (("127.0.0.1:%d" % other.port, b"key"), ("[::1]:80", b"socket"),
                             ("localhost:%d" % other.port, b"socket")):
            done = stage.ssh("-v", "-W", place, "web-1", input=b"x")
            assert done.returncode != 0 and done.stdout == b""
            assert b"this " + whose + b" does not permit to go there" in done.stderr
    finally:
        other.stop()


def test_a_key_listens_only_where_its_options_permit(stage, echoing):
    port, other = free_port(), free_port()
    stage.start(socket_more="remote_forwarding = true",
                people={"alice": 'permitlisten="localhost:%d" %s' % (port, stage.alice.public)})
    client = Client(stage, "-N", "-R", "%d:127.0.0.1:%d" % (port, echoing.port), "web-1")
    assert say(port, b"x") == b"xbye"
    client.stop()
    for place in ("%d" % other, "0", "127.0.0.1:%d" % port):
        done = stage.ssh("-v", "-o", "ExitOnForwardFailure=yes", "-N", "-R",
                         "%s:127.0.0.1:%d" % (place, echoing.port), "web-1")
        assert done.returncode != 0
        assert b"is refused: this key does not permit to listen there" in done.stderr
    file = os.path.join(stage.proxy.directory, "authorized_keys", "alice")
    write(file, 'permitlisten="%d" %s' % (other, stage.alice.public))
    client = Client(stage, "-N", "-R", "127.0.0.1:%d:127.0.0.1:%d" % (other, echoing.port), "web-1")
    assert say(other, b"x") == b"xbye"
    client.stop()


# Local: -W, -L, -D, -J.

def test_a_local_forwarding_carries_both_directions_and_is_recorded_without_a_session(stage, echoing):
    stage.start(socket_more=ALL)
    port = free_port()
    client = Client(stage, "-N", "-L", "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port), "web-1")
    data = os.urandom(3 * MEGA)
    assert say(port, data) == data + b"bye"
    assert say(port, b"again") == b"againbye"
    client.stop()
    session = recording(stage)
    info = session.info
    assert (info["socket"], info["user"], info["has_terminal"]) == ("web-1", "alice", "0")
    assert session.end == "exited 0"
    opened = markers(session, "forward-open")
    # ssh tries the port once more than we do, when a try of ours comes to nothing.
    assert re.fullmatch(r"forward-open id=1 type=direct-tcpip from=127\.0\.0\.1:\d+ "
                        r"to=127\.0\.0\.1:%d" % echoing.port, opened[0])
    closed = " ".join(markers(session, "forward-close"))
    assert re.search(r"id=1 to_upstream=%d to_client=%d seconds=\d+\.\d{3}" % (
        len(data), len(data) + 3), closed)
    assert "id=2 to_upstream=5 to_client=8 " in closed
    assert session.bytes("shown") == b"" and session.bytes("input") == b""


def test_w_is_a_pipe_to_a_port(stage, echoing):
    stage.start(socket_more=ALL)
    done = stage.ssh("-W", "127.0.0.1:%d" % echoing.port, "web-1", input=b"through\n")
    assert (done.returncode, done.stdout) == (0, b"through\nbye")
    assert recording(stage).end == "exited 0"


def test_a_dynamic_forwarding_goes_where_socks_says(stage, echoing):
    stage.start(socket_more=ALL)
    port = free_port()
    client = Client(stage, "-N", "-D", "127.0.0.1:%d" % port, "web-1")
    try:
        with connect(port) as connection:
            connection.sendall(b"\x05\x01\x00")
            assert connection.recv(2) == b"\x05\x00"
            connection.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + echoing.port.to_bytes(2, "big"))
            assert connection.recv(10)[:2] == b"\x05\x00"
            connection.sendall(b"socks")
            assert connection.recv(5) == b"socks"
    finally:
        client.stop()
    assert "to=127.0.0.1:%d" % echoing.port in markers(recording(stage), "forward-open")[-1]


def test_a_jump_through_the_proxy_reaches_the_next_host(stage):
    stage.start(socket_more=ALL)
    beyond = stage.add(Target(os.path.join(stage.directory, "beyond")))
    with open(stage.alice.config, encoding="utf-8") as file:
        text = file.read()
    write(stage.alice.config, "\n".join([
        "Host beyond", "    HostName 127.0.0.1", "    Port %d" % beyond.port, "    User root"
        if os.getuid() == 0 else "", "    IdentityFile " + beyond.identity,
        "    ProxyCommand ssh -F %s -W %%h:%%p web-1" % stage.alice.config,
        "    UserKnownHostsFile " + beyond.known_hosts, text]))
    done = stage.ssh("beyond", "echo beyond")
    assert (done.returncode, done.stdout) == (0, b"beyond\n"), done.stderr
    assert "to=127.0.0.1:%d" % beyond.port in markers(recording(stage), "forward-open")[0]


def test_a_port_where_nobody_listens_is_refused_with_the_far_sides_reason(stage):
    stage.start(socket_more=ALL)
    done = stage.ssh("-v", "-W", "127.0.0.1:%d" % free_port(), "web-1")
    assert done.returncode != 0
    assert b"Connection refused" in done.stderr


def test_only_permitted_destinations_are_reached(stage, echoing):
    stage.start(socket_more='local_forwarding = true\npermit_open = {"127.0.0.1:%d", "db:*"}'
                % echoing.port)
    done = stage.ssh("-W", "127.0.0.1:%d" % echoing.port, "web-1", input=b"x")
    assert done.stdout == b"xbye"
    for elsewhere in ("127.0.0.1:%d" % stage.target.port, "localhost:%d" % echoing.port):
        done = stage.ssh("-v", "-W", elsewhere, "web-1")
        assert b"this socket does not permit to go there" in done.stderr
        assert done.returncode != 0


HOSTILE = "a\" type=x\n to=b id=9\x1b[2J"


def test_a_hostile_destination_breaks_no_line(stage):
    stage.start(socket_more=ALL)
    stage.ssh("-W", "[%s]:22" % HOSTILE, "web-1")
    assert "\x1b" not in stage.log()
    for session in stage.sessions():
        assert not [line for line in session.events if line.startswith(" to=")]


def test_a_slow_reader_of_a_forwarding_stalls_nobody_and_costs_no_memory(stage, echoing):
    flood = Service(lambda connection: [connection.sendall(bytes(65536)) for _ in range(100000)])
    stage.start(socket_more=ALL)
    flooded, port = free_port(), free_port()
    client = Client(stage, "-L", "127.0.0.1:%d:127.0.0.1:%d" % (flooded, flood.port), "-L",
                    "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port), "web-1", "cat")
    try:
        stuck = []
        for _ in range(12):
            stuck.append(connect(flooded))
            assert stuck[-1].recv(1000)
        time.sleep(1)
        for _ in range(3):
            assert say(port, b"z" * MEGA) == b"z" * MEGA + b"bye"
        client.process.stdin.write(b"and the session\n")
        client.process.stdin.flush()
        assert client.process.stdout.read(16) == b"and the session\n"
        pid = int(recording(stage).info["pid"])
        limit = 96 * 1024 * (8 if os.environ.get("SANITIZE") else 1)
        assert memory_kib(pid) < limit
        for one in stuck:
            one.close()
        assert say(port, b"after") == b"afterbye"
    finally:
        client.stop()
        flood.stop()


def test_forwarding_goes_on_in_both_directions_through_rekeying(stage, echoing):
    target = stage.add(Target(os.path.join(stage.directory, "rekeying"), "RekeyLimit 1M"))
    stage.start(sockets={"web-1": target}, socket_more=ALL)
    data = os.urandom(16 * MEGA)
    done = stage.ssh("-o", "RekeyLimit=1M", "-W", "127.0.0.1:%d" % echoing.port, "web-1",
                     input=data, seconds=120)
    assert done.stdout == data + b"bye"


# Remote: -R.

def test_a_remote_forwarding_brings_connections_to_the_person(stage, echoing):
    stage.start(socket_more=ALL)
    port = free_port()
    client = Client(stage, "-N", "-R", "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port), "web-1")
    data = os.urandom(2 * MEGA)
    assert say(port, data) == data + b"bye"
    client.stop()
    session = recording(stage)
    assert session.end == "exited 0"
    assert markers(session, "listen-open") == ["listen-open address=127.0.0.1 port=%d" % port]
    assert "type=forwarded-tcpip" in markers(session, "forward-open")[0]
    assert "to_upstream=%d to_client=%d" % (len(data) + 3, len(data)) in \
        " ".join(markers(session, "forward-close"))


def test_a_remote_port_of_any_number_is_told_and_works(stage, echoing):
    stage.start(socket_more=ALL)
    client = Client(stage, "-v", "-N", "-R", "127.0.0.1:0:127.0.0.1:%d" % echoing.port, "web-1")
    try:
        port = 0
        for line in client.process.stderr:
            found = re.search(rb"Allocated port (\d+) for remote forward", line)
            if found:
                port = int(found.group(1))
                break
        assert port
        assert say(port, b"any") == b"anybye"
    finally:
        client.stop()


def test_a_remote_port_that_is_taken_is_refused(stage, echoing):
    stage.start(socket_more=ALL)
    done = stage.ssh("-v", "-o", "ExitOnForwardFailure=yes", "-N", "-R",
                     "127.0.0.1:%d:127.0.0.1:1" % echoing.port, "web-1")
    assert done.returncode != 0 and b"the far side refuses it" in done.stderr


def test_a_remote_port_is_given_back(stage, echoing):
    stage.start(socket_more=ALL)
    control = ["-S", stage.directory + "/control"]
    port = free_port()
    master = stage.popen("-M", "-N", *control, "web-1")
    spec = "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port)
    try:
        wait_until(lambda: os.path.exists(stage.directory + "/control"), what="the master")
        assert stage.ssh(*control, "-O", "forward", "-R", spec, "web-1").returncode == 0
        assert say(port, b"open") == b"openbye"
        assert stage.ssh(*control, "-O", "cancel", "-R", spec, "web-1").returncode == 0
        wait_until(lambda: not try_connect(port), what="the port to be closed")
    finally:
        stage.ssh(*control, "-O", "exit", "web-1")
        master.communicate(timeout=20)
    assert markers(recording(stage), "listen-close") == [
        "listen-close address=127.0.0.1 port=%d" % port]


# Agent and display.

class Agent:
    """An ssh-agent with one key of its own."""

    def __init__(self, stage):
        self.path = os.path.join(stage.directory, "agent")
        self.process = subprocess.Popen(["ssh-agent", "-D", "-a", self.path],
                                        stdout=subprocess.DEVNULL, env=environment())
        wait_until(lambda: os.path.exists(self.path), what="the agent")
        self.person = Person(os.path.join(stage.directory, "agent-key"), "agent-key")
        done = run(["ssh-add", "-q", self.person.identity],
                   env=environment(SSH_AUTH_SOCK=self.path))
        assert done.returncode == 0, done.stderr

    def stop(self):
        self.process.terminate()
        self.process.wait()


def test_the_agent_is_reached_from_the_far_side_and_its_use_is_recorded(stage):
    stage.start(socket_more=ALL)
    agent = Agent(stage)
    try:
        done = stage.run("ssh", "-F", stage.alice.config, "-A", "-o",
                         "IdentityAgent=SSH_AUTH_SOCK", "web-1", "ssh-add -L",
                         env=environment(HOME=stage.alice.directory, SSH_AUTH_SOCK=agent.path))
        assert done.stdout.split()[:2] == agent.person.public.encode().split()[:2], done.stderr
        assert stage.ssh("web-1", "echo [$SSH_AUTH_SOCK]").stdout == b"[]\n"
    finally:
        agent.stop()
    session = recording(stage)
    assert markers(session, "agent-forwarding") == ["agent-forwarding"]
    assert "type=auth-agent@openssh.com" in markers(session, "forward-open")[0]
    assert int(re.search(r"to_upstream=(\d+)", markers(session, "forward-close")[0]).group(1)) > 50


def test_the_display_is_reached_from_the_far_side(stage):
    """With something that speaks of X11 no more than its first bytes."""
    target = stage.add(Target(os.path.join(stage.directory, "with-x11"),
                              "X11Forwarding yes\nX11UseLocalhost yes"))
    stage.start(sockets={"web-1": target}, socket_more=ALL)
    seen = []
    number = next(n for n in range(50, 90) if free_display(n))

    def display(connection):
        seen.append(connection.recv(1000))
        connection.sendall(b"display")

    path = stage.directory + "/talk.py"
    write(path, "import os, socket, struct, subprocess\n"
                "name = os.environ['DISPLAY']\n"
                "words = subprocess.run(['xauth', 'list', name], stdout=-1).stdout.split()\n"
                "cookie = bytes.fromhex(words[2].decode())\n"
                "kind = b'MIT-MAGIC-COOKIE-1'\n"
                "s = socket.create_connection(('127.0.0.1',\n"
                "    6000 + int(name.rsplit(':', 1)[1].split('.')[0])))\n"
                "s.sendall(b'l\\0' + struct.pack('<HHHHH', 11, 0, len(kind), len(cookie), 0)\n"
                "          + kind + b'\\0\\0' + cookie)\n"
                "print(s.recv(100).decode())\n")
    listening = socket.create_server(("127.0.0.1", 6000 + number))
    service = Service.__new__(Service)
    service.listening, service.serve = listening, display
    threading.Thread(target=service.accept, daemon=True).start()
    try:
        done = stage.run("ssh", "-F", stage.alice.config, "-Y", "web-1", "python3 " + path,
                         env=environment(HOME=stage.alice.directory,
                                         DISPLAY="127.0.0.1:%d" % number,
                                         PATH=os.environ["PATH"]))
        assert done.stdout == b"display\n", (done.stderr, stage.log())
        assert seen[0][:2] == b"l\0"
    finally:
        service.stop()
    assert "type=x11" in markers(recording(stage), "forward-open")[0]


def free_display(number):
    try:
        socket.create_server(("127.0.0.1", 6000 + number)).close()
        return True
    except OSError:
        return False


# When things end.

def test_a_refused_recording_refuses_the_forwarding(stage, echoing):
    stage.start("refuse web-1 the disk is full", socket_more=ALL)
    done = stage.ssh("-v", "-W", "127.0.0.1:%d" % echoing.port, "web-1")
    assert done.returncode != 0 and b"the disk is full" in done.stderr


def test_a_socket_that_is_not_recorded_forwards_all_the_same(stage, echoing):
    stage.start("ignore web-1", socket_more=ALL)
    done = stage.ssh("-W", "127.0.0.1:%d" % echoing.port, "web-1", input=b"x")
    assert done.stdout == b"xbye" and stage.sessions() == []


def test_the_death_of_the_far_side_ends_forwardings_and_is_recorded(stage, echoing):
    stage.start(socket_more=ALL)
    port = free_port()
    client = Client(stage, "-N", "-L", "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port), "web-1")
    with connect(port) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        kill_children(stage.target.daemon.process.pid)
        assert connection.recv(1) == b""
    client.process.communicate(timeout=20)
    session = recording(stage)
    assert session.end == "lost the far side disconnected"
    assert "to_upstream=1 to_client=1" in markers(session, "forward-close")[0]


def kill_children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        for word in file.read().split():
            os.kill(int(word), 9)


def test_stopping_the_proxy_closes_forwardings_and_completes_the_recording(stage, echoing):
    stage.start(socket_more=ALL)
    port = free_port()
    client = Client(stage, "-N", "-L", "127.0.0.1:%d:127.0.0.1:%d" % (port, echoing.port), "web-1")
    with connect(port) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert stage.proxy.stop() == 0
        assert connection.recv(1) == b""
    client.process.communicate(timeout=20)
    session = recording(stage)
    assert session.end == "lost the proxy stopped"
    assert 'reason="the proxy stopped"' in markers(session, "forward-close")[0]
