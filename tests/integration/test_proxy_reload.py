"""castbucket-proxy's life under a service manager: reload, upgrade, activation, readiness, drain."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from lab.process import Daemon, environment, program, wait_until
from lab.ssh import write
from proxy_fixtures import Stage, build_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


def reload(stage):
    """Sends SIGHUP, and waits until it listens again or says that it does not."""
    def heard():
        log = stage.log()
        return log.count("listening on") + log.count("stays in force")
    before = heard()
    stage.proxy.daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: heard() > before, seconds=30, what="the reload")


def change(stage, old, new):
    with open(stage.proxy.configuration, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    write(stage.proxy.configuration, text.replace(old, new))


def test_a_reload_reads_the_configuration_and_old_sessions_live_on(stage):
    stage.start(more="max_connections_per_user = 1")
    process = stage.popen("web-1", "echo in; cat")
    assert process.stdout.read(3) == b"in\n"
    pid = stage.proxy.daemon.process.pid
    assert stage.ssh("web-1", "echo two").returncode == 255
    change(stage, "max_connections_per_user = 1", "max_connections_per_user = 2")
    reload(stage)
    assert stage.proxy.daemon.process.poll() is None and stage.proxy.daemon.process.pid == pid
    assert stage.ssh("web-1", "echo two").stdout == b"two\n"
    # It still counts the one that the program before let in.
    change(stage, "max_connections_per_user = 2", "max_connections_per_user = 1")
    reload(stage)
    assert b"1 connections already" in stage.ssh("web-1", "echo three").stderr
    stdout, _ = process.communicate(b"still here", timeout=20)
    assert (process.returncode, stdout) == (0, b"still here")
    assert wait_until(lambda: stage.ssh("web-1", "echo four").stdout, what="room") == b"four\n"
    # The recorder was started anew each time, and ends with the proxy.
    def starts():
        with open(os.path.join(stage.recordings, "service"), encoding="ascii") as file:
            return [line.split()[0] for line in file]
    wait_until(lambda: starts().count("start") >= 2, what="a new recorder")
    assert stage.proxy.stop() == 0
    assert starts()[-1] == "quiesce"


def test_a_bad_configuration_keeps_the_old_and_is_logged(stage):
    stage.start()
    change(stage, "listen =", "colour = 1\nlisten =")
    reload(stage)
    assert "colour" in stage.log() and "the old one stays in force" in stage.log()
    assert stage.ssh("web-1", "echo in").stdout == b"in\n"


def test_no_connection_is_refused_while_it_reloads(stage):
    stage.start(more="max_unauthenticated = 1000\nmax_unauthenticated_per_source = 1000")
    over, failed, good = threading.Event(), [], []

    def knock():
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", stage.proxy.port), timeout=30) as one:
                    (good if one.recv(4) == b"SSH-" else failed).append(1)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=knock) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        reload(stage)
    over.set()
    for thread in threads:
        thread.join()
    assert not failed and len(good) > 10


def test_a_reload_becomes_the_program_that_is_installed_now(stage, monkeypatch):
    stage.start()
    installed = os.path.join(stage.directory, "castbucket-proxy")
    shutil.copy(program("castbucket-proxy"), installed)
    stage.proxy.stop()
    stage.proxy.daemon = Daemon([installed, "-f", stage.proxy.configuration],
                                os.path.join(stage.proxy.directory, "proxy.log"),
                                stdout=subprocess.PIPE, env=stage.proxy.env)
    line = stage.proxy.daemon.process.stdout.readline().decode()
    stage.proxy.port = int(line.rsplit(":", 1)[1])
    stage.alice.meet(stage.proxy, ["web-1"])
    process = stage.popen("web-1", "echo in; cat")
    assert process.stdout.read(3) == b"in\n"
    shutil.copy(installed, installed + ".new")
    os.rename(installed + ".new", installed)
    reload(stage)
    running = os.stat("/proc/%d/exe" % stage.proxy.daemon.process.pid)
    assert running.st_ino == os.stat(installed).st_ino
    assert stage.ssh("web-1", "echo new").stdout == b"new\n"
    stdout, _ = process.communicate(b"old", timeout=20)
    assert stdout == b"old"
    # One that does not work is not taken.
    shutil.copy("/bin/false", installed + ".new")
    os.rename(installed + ".new", installed)
    reload(stage)
    assert stage.ssh("web-1", "echo still").stdout == b"still\n"


def passing(stage, descriptors, count=None, pid="$$"):
    """Starts the proxy as a service manager does that passes these; gives its end and its log."""
    # A shell, because $LISTEN_PID has to be the proxy's own. Descriptors first go where none is.
    moves = ["exec %d<&%d" % (200 + at, fd) for at, fd in enumerate(descriptors)]
    moves += ["exec %d<&%d" % (3 + at, 200 + at) for at in range(len(descriptors))]
    script = '; '.join([*moves, 'LISTEN_PID=%s LISTEN_FDS="%s" exec "$0" "$@"' % (
        pid, len(descriptors) if count is None else count)])
    return subprocess.run(["bash", "-c", script, program("castbucket-proxy"), "-t", "-f",
                           stage.proxy.configuration], stdin=subprocess.DEVNULL, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=stage.proxy.env, pass_fds=descriptors)


def test_what_is_passed_and_is_no_listening_socket_is_named(stage):
    stage.start()
    stage.proxy.stop()
    good, bound = socket.create_server(("127.0.0.1", 0)), socket.socket()
    bound.bind(("127.0.0.1", 0))
    datagram, connected = socket.socket(type=socket.SOCK_DGRAM), socket.create_connection(
        good.getsockname())
    accepted, _ = good.accept()
    local = socket.socket(socket.AF_UNIX)
    local.bind(os.path.join(stage.directory, "local"))
    local.listen()
    ends = os.pipe()
    assert passing(stage, [good.fileno()]).returncode == 0
    for fd in [bound.fileno(), datagram.fileno(), connected.fileno(), accepted.fileno(),
               local.fileno(), ends[0]]:
        for passed in ([fd], [good.fileno(), fd]):
            done = passing(stage, passed)
            assert done.returncode == 1, done.stdout
            assert b"descriptor %d, passed by $LISTEN_FDS, is no listening TCP socket" % (
                2 + len(passed)) in done.stdout
            assert b"ListenStream=" in done.stdout
    assert b"descriptor 4, " in passing(stage, [good.fileno()], count=2).stdout
    for one in (good, bound, datagram, connected, accepted, local):
        one.close()
    for end in ends:
        os.close(end)


def test_sockets_are_passed_by_numbers_or_not_at_all(stage):
    stage.start()
    stage.proxy.stop()
    with socket.create_server(("127.0.0.1", 0)) as good:
        for count in ("", "-1", "1x", "99999999999999999999", " 1"):
            done = passing(stage, [good.fileno()], count)
            assert done.returncode == 1 and b"not two numbers" in done.stdout, (count, done.stdout)
        assert b"not two numbers" in passing(stage, [good.fileno()], pid="me").stdout
        done = passing(stage, [good.fileno()] * 65)
        assert done.returncode == 1 and b"65 sockets are passed" in done.stdout
        assert passing(stage, [good.fileno()] * 64).returncode == 0
        # Another process's.
        assert passing(stage, [], count=3, pid="1").returncode == 0


def test_the_service_manager_is_told_and_its_sockets_are_used(stage):
    stage.start()
    stage.proxy.stop()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = os.path.join(stage.directory, "notify")
    told.bind(path)
    told.settimeout(30)
    passed = socket.create_server(("127.0.0.1", 0))
    # A shell, because $LISTEN_PID has to be the proxy's own.
    script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&%d' % passed.fileno()
    log = os.path.join(stage.proxy.directory, "proxy.log")
    with open(log, "ab") as output:
        process = subprocess.Popen(
            ["bash", "-c", script, program("castbucket-proxy"), "-f", stage.proxy.configuration],
            env=dict(stage.proxy.env, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000"),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[passed.fileno()])
    try:
        assert told.recv(1000).startswith(b"READY=1\n")
        stage.proxy.port = passed.getsockname()[1]
        stage.alice.meet(stage.proxy, ["web-1"])
        assert stage.ssh("web-1", "echo activated [$NOTIFY_SOCKET]").stdout == b"activated []\n"

        def hear(word):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                if told.recv(1000).startswith(word):
                    return
            raise AssertionError(word)

        hear(b"WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        hear(b"RELOADING=1\nMONOTONIC_USEC=")
        hear(b"READY=1")
        hear(b"WATCHDOG=1")
        assert stage.ssh("web-1", "echo again").stdout == b"again\n"
        process.terminate()
        hear(b"STOPPING=1")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        told.close()
        passed.close()


def test_sessions_may_go_on_for_a_while_after_the_stop(stage):
    stage.start(more="drain_time = 60")
    process = stage.popen("web-1", "echo in; cat")
    assert process.stdout.read(3) == b"in\n"
    stage.proxy.daemon.process.terminate()
    wait_until(lambda: "stopping" in stage.log(), what="the stop")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", stage.proxy.port), timeout=5)
    stdout, _ = process.communicate(b"to the end", timeout=20)
    assert (process.returncode, stdout) == (0, b"to the end")
    assert stage.proxy.daemon.process.wait(20) == 0
    assert stage.session().end == "exited 0"


def test_a_second_stop_ends_the_wait(stage):
    stage.start(more="drain_time = 1000")
    process = stage.popen("web-1", "echo in; cat")
    assert process.stdout.read(3) == b"in\n"
    stage.proxy.daemon.process.terminate()
    wait_until(lambda: "stopping" in stage.log(), what="the stop")
    stage.proxy.daemon.process.terminate()
    assert stage.proxy.daemon.process.wait(20) == 0
    process.communicate(timeout=20)
    assert stage.session().end == "lost the proxy stopped"
