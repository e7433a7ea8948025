"""castbucket-proxy: what goes through it, what does not, and what the plugin gets to see."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from lab.process import wait_until
from lab.ssh import Person, Target, account, free_port, make_key, write
from proxy_fixtures import Stage, build_probe, memory_kib, stay

MEGA = 1 << 20


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def stage(tmp_path, probe):
    made = Stage(tmp_path, probe)
    yield made
    made.close()


# Commands.

def test_exec_keeps_stdin_stdout_stderr_and_the_exit_status_apart(stage):
    done = stage.start().ssh("web-1", "cat; echo problem >&2; exit 7", input=b"in\x00put\xff\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"in\x00put\xff\n", b"problem\n")
    session = stage.session()
    assert session.end == "exited 7"
    assert session.bytes("stdout") == done.stdout
    assert session.bytes("stderr") == done.stderr
    assert session.bytes("input") == b"in\x00put\xff\n"
    info = session.info
    assert info["command"] == "cat; echo problem >&2; exit 7"
    assert (info["socket"], info["user"], info["target_user"]) == ("web-1", "alice", account())
    assert info["target_address"] == stage.target.address
    assert re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", info["key_fingerprint"])
    assert re.fullmatch(r"127\.0\.0\.1:\d+", info["client_address"])
    assert re.fullmatch(r"[0-9a-f]{32}", info["connection_id"])
    assert (info["kind"], info["has_terminal"]) == ("2", "0")


def test_a_command_of_any_bytes_arrives_as_it_is(stage):
    command = b"printf %s 'a\xff\xc3\n\x1b[31mb' # \x01\x02"
    done = stage.start().ssh("web-1", command)
    assert (done.returncode, done.stdout) == (0, b"a\xff\xc3\n\x1b[31mb")
    assert "\x1b" not in stage.log()


def test_death_by_a_signal_is_passed_on(stage):
    words = ("-v", "-o", "LogLevel=DEBUG1", "web-1", "kill -KILL $$")
    done = stage.start().ssh(*words)
    assert done.returncode == 255
    assert b"exit-signal" in done.stderr
    assert stage.session().end == "signaled KILL"


def test_end_of_input_ends_the_program_but_not_its_output(stage):
    done = stage.start().ssh("web-1", "sort; sleep 0.3; echo after", input=b"b\na\n")
    assert (done.returncode, done.stdout) == (0, b"a\nb\nafter\n")


def test_end_of_output_does_not_end_the_input(stage):
    command = "exec >&- 2>&-; cat > %s/kept" % stage.directory
    process = stage.start().popen("web-1", command)
    assert process.stdout.read() == b""
    process.stdin.write(b"still here")
    process.stdin.close()
    assert process.wait(20) == 0
    with open(stage.directory + "/kept", "rb") as file:
        assert file.read() == b"still here"


@pytest.mark.parametrize("proxy_side,target_more", [
    ([], ""),
    (["-o", "RekeyLimit=1M"], ""),
    ([], "RekeyLimit 1M"),
    (["-o", "RekeyLimit=2M"], "RekeyLimit 3M"),
])
def test_64_mib_arrive_whole_in_both_directions_with_and_without_rekeying(stage, proxy_side,
                                                                          target_more):
    target = stage.add(Target(os.path.join(stage.directory, "rekeying"), target_more))
    stage.start(sockets={"web-1": target})
    data = os.urandom(MEGA) * 64
    path = stage.directory + "/big"
    done = stage.ssh(*proxy_side, "web-1", "tee %s | sha256sum; cat %s" % (path, path), input=data,
                     seconds=120)
    assert (done.returncode, done.stderr) == (0, b"")
    digest, _, rest = done.stdout.partition(b"  -\n")
    assert digest.decode() == hashlib.sha256(data).hexdigest()
    assert hashlib.sha256(rest).digest() == hashlib.sha256(data).digest()
    session = stage.session()
    assert session.end == "exited 0"
    assert session.bytes("shown") == done.stdout
    assert session.bytes("input") == data


def test_both_directions_at_once_do_not_block_each_other(stage):
    data = os.urandom(MEGA) * 32
    done = stage.start().ssh("-o", "RekeyLimit=5M", "web-1", "cat", input=data, seconds=120)
    assert done.returncode == 0
    assert done.stdout == data
    assert stage.session().bytes("stdout") == data


def test_stdout_and_stderr_together_lose_nothing(stage):
    command = ("for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero | tr '\\0' o; "
               "head -c 1000000 /dev/zero | tr '\\0' e >&2; done; exit 3")
    done = stage.start().ssh("web-1", command)
    assert done.returncode == 3
    assert done.stdout == b"o" * 8000000
    assert done.stderr == b"e" * 8000000


def test_a_slow_reader_costs_no_memory(stage):
    """A person who reads little by little, of both streams, while the far side has no end of it."""
    command = ("trap '' PIPE; while :; do head -c 300000 /dev/zero || exit; "
               "head -c 300000 /dev/zero >&2 || exit; done")
    process = stage.start().popen("web-1", command)
    try:
        process.stdout.read(1000)
        pid = int(stage.session().info["pid"])
        most = 0
        for _ in range(40):
            process.stdout.read(20000)
            time.sleep(0.05)
            most = max(most, memory_kib(pid))
        assert most < 64 * 1024
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            used = sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
        time.sleep(1)
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            later = sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
        assert later - used < 30, "it spins while it waits"
    finally:
        process.kill()
        process.communicate()
    assert stage.session().end.startswith("lost ")


# Terminals.

def test_a_shell_has_a_terminal_that_follows_the_persons(stage):
    screen = stage.start().terminal("-tt", "web-1", columns=101, rows=31)
    screen.send("PS1='$ '; stty -echo\n")
    screen.send("echo size $(stty size) term $TERM sum $((40 + 2))\n")
    screen.expect("size 31 101 term xterm-256color sum 42")
    screen.resize(120, 40)
    wait_until(lambda: "resize 120 40" in stage.session().events, what="the resize")
    screen.send("echo now $(stty size)\n")
    screen.expect("now 40 120")
    screen.send("exit 5\n")
    assert screen.finish() == 5
    session = stage.session()
    assert session.end == "exited 5"
    info = session.info
    assert (info["kind"], info["has_terminal"], info["term"]) == ("1", "1", "xterm-256color")
    assert (info["columns"], info["rows"]) == ("101", "31")
    assert "command" not in info
    # Before it, our own terminal echoed what was typed; after it, ssh says that it is closed.
    assert session.bytes("shown") in screen.seen


def test_ctrl_c_interrupts_the_far_side(stage):
    screen = stage.start().terminal("-tt", "web-1", "sleep 1000; echo code $?")
    wait_until(stage.sessions, what="the session")
    time.sleep(0.3)
    screen.send("\x03")
    assert screen.finish() in (130, 255)
    assert stage.session().bytes("input") == b"\x03"


# Programs.

def test_scp_sftp_rsync_and_git_work_unchanged(stage):
    stage.start()
    here, there = stage.directory + "/here", stage.directory + "/there"
    os.makedirs(here)
    os.makedirs(there)
    data = os.urandom(3 * MEGA)
    with open(here + "/file", "wb") as file:
        file.write(data)

    def same(path):
        with open(path, "rb") as file:
            assert file.read() == data

    config = ["-F", stage.alice.config]
    for protocol in (["-s"], ["-O"]):
        for source, goal in ((here + "/file", "web-1:%s/a" % there),
                             ("web-1:%s/a" % there, here + "/b")):
            done = stage.run("scp", "-q", *protocol, *config, source, goal)
            assert (done.returncode, done.stderr) == (0, b"")
        same(here + "/b")
        os.remove(here + "/b")
        os.remove(there + "/a")
    done = stage.run("scp", "-q", *config, "web-1:%s/none" % there, here)
    assert done.returncode != 0 and b"No such file" in done.stderr

    batch = ("put %s/file %s/c\nget %s/c %s/d\nls %s\n" % (here, there, there, here, there)).encode()
    done = stage.run("sftp", "-q", *config, "-b", "-", "web-1", input=batch)
    assert done.returncode == 0 and b"/c" in done.stdout
    same(here + "/d")
    assert {"kind": "3", "command": "sftp", "has_terminal": "0"}.items() <= \
        stage.sessions()[-1].info.items()

    done = stage.run("rsync", "-a", "-e", "ssh -F " + stage.alice.config, here + "/",
                     "web-1:%s/copy/" % there)
    assert (done.returncode, done.stderr) == (0, b"")
    same(there + "/copy/file")
    done = stage.run("rsync", "-a", "-e", "ssh -F " + stage.alice.config,
                     "web-1:%s/none" % there, here)
    assert done.returncode == 23 and b"No such file" in done.stderr

    repository = stage.directory + "/repository"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", repository], ["-C", repository, "add", "."],
                  ["-C", repository, "commit", "-q", "-m", "first"]):
        if words[0] == "-C" and words[2] == "add":
            write(repository + "/readme", "text\n")
        assert stage.run(*git, *words).returncode == 0
    clone = stage.run(*git, "clone", "-q", "web-1:" + repository, stage.directory + "/clone")
    assert (clone.returncode, clone.stderr) == (0, b"")
    assert os.path.exists(stage.directory + "/clone/readme")
    assert all(one.end in ("exited 0", "exited 1", "exited 23") for one in stage.sessions())


def test_a_control_master_gives_a_recording_for_each_channel(stage):
    stage.start()
    control = ["-S", stage.directory + "/control"]
    master = stage.popen("-M", "-N", *control, "web-1")
    try:
        wait_until(lambda: os.path.exists(stage.directory + "/control"), what="the master")
        others = [stage.popen(*control, "web-1", "echo %d; cat; exit %d" % (n, n))
                  for n in range(5)]
        for n, other in enumerate(others):
            stdout, _ = other.communicate(b"x" * 100000 * n, timeout=30)
            assert stdout == b"%d\n" % n + b"x" * 100000 * n
            assert other.returncode == n
        stuck = stage.popen(*control, "web-1", "cat /dev/zero")
        stuck.stdout.read(1000)
        done = stage.ssh(*control, "web-1", "echo not stuck")
        assert done.stdout == b"not stuck\n"
        # Not `stuck`: its client has no window left, and OpenSSH's master, which then sends nothing
        # and waits, does not notice before something else arrives.
        gone = stage.popen(*control, "web-1", "while echo still here; do sleep 0.1; done")
        gone.stdout.read(5)
        gone.kill()
        gone.communicate()
        done = stage.ssh(*control, "web-1", "echo again")
        assert done.stdout == b"again\n"
    finally:
        # Not by a signal: OpenSSH's client misses one that comes just before it polls.
        stage.ssh(*control, "-O", "exit", "web-1")
        master.communicate(timeout=20)
    stuck.communicate(timeout=20)
    sessions = stage.sessions()
    assert len(sessions) == 9
    assert len({one.info["connection_id"] for one in sessions}) == 1
    assert sorted(one.end for one in sessions if one.end.startswith("exited"))[-1] == "exited 4"
    assert "lost the client closed the session" in [one.end for one in sessions]


def test_input_arrives_whole_and_the_status_comes_though_output_ended_first(stage):
    stage.start()
    path = stage.directory + "/arrived"
    data = b"0123456789abcdef" * 200000
    command = "exec >&- 2>&-; sleep 0.2; cat > %s; sleep 0.2; exit 7" % path
    assert stage.ssh("web-1", command, input=data).returncode == 7
    with open(path, "rb") as arrived:
        assert arrived.read() == data
    assert [one.end for one in stage.sessions()] == ["exited 7"]


def test_the_environment_is_the_far_sides_decision(stage):
    done = stage.start().ssh("-o", "SetEnv=GREETING='hello there' LC_X=1", "web-1",
                             'echo "$GREETING $LC_X"')
    assert done.stdout == b"hello there 1\n"
    strict = stage.add(Target(os.path.join(stage.directory, "strict"), "Match all\nAcceptEnv NONE"))
    assert strict.port


# Who gets in.

def refused(done):
    assert done.returncode == 255
    assert done.stdout == b""
    return done.stderr


def test_only_the_right_key_user_and_socket_get_in_and_the_rest_look_alike(stage):
    stage.start(people={"alice": stage.alice.public, "bob": ""})
    other = Person(os.path.join(stage.directory, "other"), "other")
    stage.alice.meet(stage.proxy, ["web-1"])
    wrong_key = refused(stage.ssh("-o", "IdentityFile=" + other.identity, "-i", other.identity,
                                  "-F", "none", "-p", str(stage.proxy.port), "-o",
                                  "UserKnownHostsFile=%s/known_hosts" % stage.alice.directory,
                                  "-o", "BatchMode=yes", "-l", "alice:web-1", "127.0.0.1", "id"))
    seen = {wrong_key.replace(b"alice:web-1", b"NAME")}
    for name in ("bob:web-1", "carol:web-1", "alice:none", "alice:", "alice", ":web-1"):
        answer = refused(stage.ssh("-l", name, "web-1", "id"))
        seen.add(answer.replace(name.encode(), b"NAME"))
    assert seen == {b"NAME@127.0.0.1: Permission denied (publickey).\r\n"}
    assert stage.sessions() == []
    assert 'as "carol:web-1" failed' in stage.log()


HOSTILE = ["../alice", "..", ".", "", "a/b", "/etc/passwd", "al\nice", "a" * 300, "%2e%2e", "\x1b[2J",
           "alice\x00", "-alice", ".alice", "alice\r", "\xff", "*", "alice "]


def test_hostile_names_are_never_paths_and_never_break_a_log_line(stage):
    stage.start()
    folder = os.path.join(stage.proxy.directory, "authorized_keys")
    # Were a name used as a path, this would let it in.
    write(os.path.join(stage.proxy.directory, "alice"), stage.alice.public)
    write(os.path.join(folder, ".alice"), stage.alice.public)
    write(os.path.join(folder, "-alice"), stage.alice.public)
    for name in HOSTILE:
        for form in (name + ":web-1", "alice:" + name):
            if "\0" in form:
                continue
            done = stage.ssh("-o", "LogLevel=ERROR", "-l", form,
                             "web-1", "id")
            assert done.returncode == 255 and done.stdout == b"", form
    assert stage.sessions() == []
    for line in stage.log().splitlines():
        assert re.match(r"castbucket-proxy\[\d+\]: (info|warning|error): ", line), line
        assert line.isascii() and line.isprintable(), line


def test_options_of_a_key_are_kept_or_the_key_is_refused(stage):
    stage.start()
    file = os.path.join(stage.proxy.directory, "authorized_keys", "alice")
    public = stage.alice.public
    for text, allowed in (
            ("# a comment\n\n   \n" + public, True),
            ("no-port-forwarding,no-agent-forwarding " + public, True),
            ('from="10.0.0.0/8" ' + public, False),
            ('from="10.0.0.0/8,127.0.0.1" ' + public, True),
            ('from="127.0.0.*" ' + public, True),
            ('from="*,!127.0.0.0/8" ' + public, False),
            ('from="localhost" ' + public, False),
            ('expiry-time="20200101" ' + public, False),
            ('expiry-time="20990101Z",no-user-rc ' + public, True),
            ("restrict " + public, True),
            ('command="echo in" ' + public, True),
            ('command="echo no # ssh-ed25519 ' + public, False),
            ('environment="A=b" ' + public, False),
            ('tunnel="0" ' + public, False),
            ('principals="alice" ' + public, False),
            ("pty,no-pty " + public, False),
            ("no-pty,no-pty " + public, False),
            ('permitopen="everything" ' + public, False),
            ("no-such-\x1b[31m-option,no-pty " + public, False),
            ("x" * 5000 + " " + public, False),
            ("environment=\"A=b\" %s%s" % (public, public), False),
            ("cert-authority " + public, False),
            ("#" + public, False),
            ("nonsense\nssh-ed25519 AAAA\nssh-rsa !!!\n" + public, True),
            ("", False)):
        write(file, text)
        done = stage.ssh("web-1", "echo in")
        assert (done.stdout == b"in\n") == allowed, text
    write(file, public, mode=0o666)
    assert stage.ssh("web-1", "echo in").returncode == 255
    log = stage.log()
    for words in (r'"from" does not admit 127.0.0.1', r'"from": "localhost" is no address',
                  r'"expiry-time": its time has passed', "a double quote or a comma may be missing",
                  r'"environment" is not implemented', r'"tunnel" is not implemented',
                  r'"principals" is not implemented', r'"cert-authority" is not implemented',
                  r'"no-pty" contradicts "pty"', r'"no-pty" is given twice',
                  r'"permitopen": "everything" is not host:port',
                  r'"no-such-\x1b[31m-option" is not implemented',
                  r'"%s" is not implemented' % ("x" * 48)):
        assert re.search(r"/alice:1: the key is refused: .*" + re.escape(words), log), words
    assert "can be written by others" in log


def test_a_key_without_pty_gets_no_terminal_but_runs_commands(stage):
    stage.start(people={"alice": "restrict " + stage.alice.public})
    # OpenSSH's client then gives up, as it does without a proxy.
    done = stage.ssh("-tt", "web-1", "echo in")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"PTY allocation request failed" in done.stderr
    done = stage.ssh("web-1", "test -t 0 && echo terminal || echo none")
    assert (done.returncode, done.stdout) == (0, b"none\n")
    assert stage.sessions()[-1].info["has_terminal"] == "0"
    assert "alice on web-1: a terminal is refused: it is off for this key" in stage.log()
    file = os.path.join(stage.proxy.directory, "authorized_keys", "alice")
    write(file, "restrict,pty " + stage.alice.public)
    done = stage.ssh("-tt", "web-1", "test -t 0 && echo terminal")
    assert done.stdout == b"terminal\r\n"


def test_a_keys_command_runs_in_place_of_all_that_is_asked_and_both_are_recorded(stage):
    command = 'echo "forced, $SSH_ORIGINAL_COMMAND"; cat; exit 3'
    stage.start(people={"alice": 'command="%s" %s' % (command.replace('"', '\\"'),
                                                     stage.alice.public)})
    forged = ["-o", "SetEnv=SSH_ORIGINAL_COMMAND=forged"]
    asked = [(["web-1", "cat /etc/shadow"], b"cat /etc/shadow", "command: cat /etc/shadow"),
             ([*forged, "-s", "web-1", "sftp"], b"sftp", "subsystem: sftp"),
             ([*forged, "-T", "web-1"], b"", "a shell"),
             (["web-1", b"a\xff\x1b[2J"], b"a\xff\x1b[2J", r"command: a\xff\x1b[2J")]
    for words, original, shown in asked:
        done = stage.ssh(*words, input=b"input")
        assert done.returncode == 3, done.stderr
        assert done.stdout == b"forced, " + original + b"\ninput"
        session = stage.sessions()[-1]
        assert (session.info["command"], session.info["kind"]) == (command, "2")
        assert "marker key-command in place of " + shown in session.events
        assert session.end == "exited 3"
        assert "alice on web-1: key-command in place of " in stage.log()
    assert len(stage.sessions()) == len(asked)


def test_a_keys_command_runs_at_a_server_that_takes_no_environment(stage):
    target = stage.add(Target(os.path.join(stage.directory, "strict"), accept_env="NONE"))
    stage.start(sockets={"web-1": target},
                people={"alice": 'command="echo [$SSH_ORIGINAL_COMMAND]" ' + stage.alice.public})
    done = stage.ssh("web-1", "id")
    assert (done.returncode, done.stdout) == (0, b"[]\n")
    assert "marker key-command in place of command: id" in stage.session().events


def test_passwords_and_other_methods_are_not_offered(stage):
    done = stage.start().ssh("-v", "-o", "PubkeyAuthentication=no", "-o", "BatchMode=no", "-o",
                             "LogLevel=DEBUG1", "web-1", "id")
    assert done.returncode == 255
    assert b"Authentications that can continue: publickey\r\n" in done.stderr


# Where one gets to.

def test_a_changed_or_unknown_host_key_is_refused_with_a_message(stage):
    key = make_key(os.path.join(stage.directory, "another"))
    address = "[127.0.0.1]:%d " % stage.target.port
    stage.start()
    for known, words in ((address + " ".join(key.split()[:2]) + "\n", b"has changed"),
                         ("", b"is not known")):
        write(stage.target.known_hosts, known)
        done = stage.ssh("web-1", "id")
        assert (done.returncode, done.stdout) == (255, b"")
        assert done.stderr.startswith(b"castbucket-proxy: the host key of web-1 (%s) %s: " % (
            stage.target.address.encode(), words))
        assert b"SHA256:" in done.stderr and done.stderr.count(b"\n") == 1
    screen = stage.terminal("-tt", "web-1")
    screen.expect("is not known")
    assert screen.finish() == 255
    assert stage.sessions() == []
    assert stage.target.known_hosts in stage.log()


def test_hashed_host_names_are_understood(stage):
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", stage.target.known_hosts], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert stage.start().ssh("web-1", "echo in").stdout == b"in\n"


def test_a_far_side_that_is_away_or_says_no_is_told(stage):
    stage.start()
    other = make_key(os.path.join(stage.target.directory, "other"))
    kept = os.path.join(stage.target.directory, "authorized_keys")
    with open(kept, encoding="utf-8") as file:
        right = file.read()
    write(kept, other)
    done = stage.ssh("web-1", "id")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"web-1 does not accept this proxy's key" in done.stderr
    write(kept, right)
    stage.target.stop()
    done = stage.ssh("web-1", "id")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"cannot connect to web-1" in done.stderr and b"Connection refused" in done.stderr
    assert stage.sessions() == []


def test_a_subsystem_that_the_far_side_lacks_fails_as_without_a_proxy(stage):
    done = stage.start().ssh("-s", "web-1", "nonsense")
    assert done.returncode == 255
    assert b"subsystem request failed" in done.stderr
    assert stage.session().end == "lost the far side refused to run it"


# What is refused.

def test_forwardings_are_refused_and_do_not_disturb_the_session(stage):
    stage.start()
    for words in (["-A"], ["-X"], ["-L", "%d:127.0.0.1:1" % free_port()],
                  ["-R", "0:127.0.0.1:1"], ["-D", str(free_port())]):
        with_display = {"DISPLAY": ":99", "SSH_AUTH_SOCK": "/nonexistent",
                        "HOME": stage.alice.directory, "PATH": os.environ["PATH"]}
        done = stage.ssh(*words, "web-1", "echo ${SSH_AUTH_SOCK:-none} ${DISPLAY:-none}",
                         env=with_display)
        assert (done.returncode, done.stdout) == (0, b"none none\n"), words
    done = stage.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "web-1", "id")
    assert done.returncode == 255 and b"remote port forwarding failed" in done.stderr
    done = stage.ssh("-W", stage.target.address, "web-1")
    assert done.returncode == 255 and b"stdio forwarding failed" in done.stderr


def test_keepalives_are_answered(stage):
    done = stage.start().ssh("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1", "web-1",
                             "sleep 4; echo alive", seconds=30)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


# What the plugin decides.

def test_a_socket_that_is_not_recorded_goes_through_all_the_same(stage):
    done = stage.start("ignore web-1").ssh("web-1", "cat; exit 4", input=b"data")
    assert (done.returncode, done.stdout) == (4, b"data")
    assert stage.sessions() == []


def test_a_refused_session_runs_nothing_and_says_why(stage):
    stage.start("refuse web-1 the spool is full \x1b[31m")
    done = stage.ssh("web-1", "touch %s/ran; echo out" % stage.directory)
    assert (done.returncode, done.stdout) == (255, b"")
    assert done.stderr == (b"castbucket-proxy: this session is refused: "
                           b"the spool is full  [31m\n")
    assert not os.path.exists(stage.directory + "/ran")
    done = stage.run("sftp", "-q", "-F", stage.alice.config, "-b", "/dev/null", "web-1")
    assert done.returncode == 255 and b"the spool is full" in done.stderr


def test_when_recording_ends_so_does_the_session_and_nothing_unrecorded_is_shown(stage):
    stage.start("end web-1 100")
    done = stage.ssh("web-1", "printf '%090d'; sleep 0.3; printf '%090d'; sleep 60")
    assert (done.returncode, done.stdout) == (255, b"0" * 90)
    assert b"cannot be recorded any more" in done.stderr
    session = stage.session()
    assert session.bytes("shown") == done.stdout
    assert session.end == "lost the recording failed"


# Processes.

def test_a_killed_connection_takes_nobody_else_along(stage):
    stage.start()
    first, second = (stage.popen("web-1", "echo up; cat") for _ in range(2))
    for one in (first, second):
        assert one.stdout.readline() == b"up\n"
    pids = [int(one.info["pid"]) for one in stage.sessions()]
    assert len(set(pids)) == 2 and stage.proxy.daemon.process.pid not in pids
    os.kill(pids[0], signal.SIGKILL)
    ended = wait_until(lambda: [one for one in (first, second) if one.poll() is not None],
                       what="the end of one")
    assert len(ended) == 1 and ended[0].returncode == 255
    other = second if ended[0] is first else first
    stdout, _ = other.communicate(b"still here", timeout=20)
    assert (other.returncode, stdout) == (0, b"still here")
    assert "killed by signal 9" in stage.log()
    assert stage.ssh("web-1", "echo new").stdout == b"new\n"


def test_a_plugin_that_crashes_cuts_only_its_own_connection(stage):
    stage.start("abort bad", sockets={"web-1": stage.target, "bad": stage.target})
    good = stage.popen("web-1", "echo up; cat")
    assert good.stdout.readline() == b"up\n"
    assert stage.ssh("bad", "id").returncode == 255
    stdout, _ = good.communicate(b"still here", timeout=20)
    assert (good.returncode, stdout) == (0, b"still here")


def test_a_lost_client_and_a_lost_far_side_are_told_apart(stage):
    stage.start()
    process = stage.popen("web-1", "echo up; sleep 1000")
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate()
    assert stage.session().end == "lost the client disconnected"

    process = stage.popen("web-1", "echo $PPID; sleep 1000")
    sshd = int(process.stdout.readline())
    os.kill(sshd, signal.SIGKILL)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 255
    assert b"castbucket-proxy: the connection to web-1 was lost\n" in stderr
    assert stage.sessions()[1].end == "lost the far side disconnected"


def test_stopping_ends_sessions_properly_and_the_recorder_last(stage):
    stage.start()
    process = stage.popen("web-1", "echo up; sleep 1000")
    assert process.stdout.readline() == b"up\n"
    assert stage.proxy.stop() == 0
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 255
    assert b"castbucket-proxy: the proxy is stopping." in stderr
    assert stage.session().end == "lost the proxy stopped"
    with open(os.path.join(stage.recordings, "service"), encoding="ascii") as file:
        words = file.read().split()
    assert words[0::2] == ["start", "quiesce"] and words[1] == words[3]


def test_the_recorder_is_one_process_and_is_started_again(stage):
    stage.start()
    service = os.path.join(stage.recordings, "service")

    def starts():
        if not os.path.exists(service):
            return []
        with open(service, encoding="ascii") as file:
            return [int(line.split()[1]) for line in file if line.startswith("start")]

    first = wait_until(starts, what="the recorder")[0]
    stage.ssh("web-1", "true")
    assert starts() == [first] and int(stage.session().info["pid"]) != first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(starts()) == 2, what="the second recorder")


def test_a_connection_has_only_what_it_needs(stage):
    stage.start()
    process = stage.popen("web-1", "echo up; cat")
    assert process.stdout.readline() == b"up\n"
    pid = int(stage.session().info["pid"])
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapBnd"], 16) == 0 or os.getuid() != 0
    with open("/proc/%d/limits" % pid, encoding="ascii") as file:
        assert re.search(r"Max core file size\s+0\s+0", file.read())
    process.communicate(timeout=20)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_started_as_root_it_becomes_the_user_of_the_configuration(stage):
    stage.start()
    stage.proxy.stop()
    folder = stage.directory
    for path, directories, files in os.walk(folder):
        for name in directories + files:
            os.chown(os.path.join(path, name), 65534, 65534)
    while folder != "/tmp" and len(folder) > 1:
        os.chmod(folder, os.stat(folder).st_mode | 0o755)
        folder = os.path.dirname(folder)
    # The host key may stay root's own; sshd wants its files back.
    host_key = os.path.join(stage.proxy.directory, "host_key")
    os.chown(host_key, 0, 0)
    for name in os.listdir(stage.target.directory):
        if name not in ("identity", "known_hosts"):
            os.chown(os.path.join(stage.target.directory, name), 0, 0)
    os.chmod(os.path.dirname(stage.probe), 0o755)
    os.chmod(os.path.dirname(os.path.dirname(stage.probe)), 0o755)
    os.chmod(stage.recordings, 0o777)
    for name in ("key", "config", "known_hosts"):
        os.chown(os.path.join(stage.alice.directory, name), 0, 0)
    with open(stage.proxy.configuration, encoding="utf-8") as file:
        text = file.read()
    write(stage.proxy.configuration, text.replace('\nuser = "root"', '\nuser = "nobody"'), 0o600)
    stage.proxy.start()
    stage.alice.meet(stage.proxy, ["web-1"])
    os.chown(os.path.join(stage.alice.directory, "config"), 0, 0)
    process = stage.popen("web-1", "echo up; cat")
    assert process.stdout.readline() == b"up\n", process.stderr.read() + stage.log().encode()
    pid = int(stage.session().info["pid"])
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert set(status["Uid"].split()) == {"65534"} and set(status["Gid"].split()) == {"65534"}
    assert status["CapEff"] == status["CapPrm"] == status["CapBnd"] == "0" * 16
    process.communicate(timeout=20)


# Limits.

def test_who_does_not_log_in_is_dropped(stage):
    stage.start(more="login_grace_time = 1\nmax_unauthenticated = 2")
    silent = [socket.create_connection(("127.0.0.1", stage.proxy.port)) for _ in range(2)]
    for one in silent:
        assert one.recv(100).startswith(b"SSH-2.0-")
    third = socket.create_connection(("127.0.0.1", stage.proxy.port))
    assert third.recv(100) == b""
    for one in silent:
        one.settimeout(10)
        while one.recv(4096):
            pass
        one.close()
    third.close()
    wait_until(lambda: stage.ssh("web-1", "echo in").stdout == b"in\n", what="room")
    assert "max_unauthenticated is reached" in stage.log()


def test_a_login_outlives_the_grace_time_and_the_number_of_connections_is_capped(stage):
    stage.start(more="login_grace_time = 1\nmax_connections = 1")
    process = stage.popen("web-1", "echo up; cat")
    assert process.stdout.readline() == b"up\n"
    assert stage.ssh("web-1", "id").returncode == 255
    stay(1.5, lambda: process.poll() is None)
    assert process.communicate(b"x", timeout=20)[0] == b"x"


@pytest.mark.parametrize("data", [b"", b"\n" * 100000, b"SSH-2.0-x\r\n" + os.urandom(5000),
                                  b"\x00" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"S" * 5000],
                         ids=["nothing", "lines", "noise", "zeros", "http", "long"])
def test_garbage_instead_of_ssh_harms_nobody(stage, data):
    stage.start(more="login_grace_time = 2")
    with socket.create_connection(("127.0.0.1", stage.proxy.port)) as one:
        try:
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            one.settimeout(10)
            while one.recv(4096):
                pass
        except ConnectionError:
            pass
    assert stage.ssh("web-1", "echo in").stdout == b"in\n"
    assert "killed" not in stage.log()
