"""The person who is recorded tries to stop, edit, truncate, fill, trace, read, outlive or forge the
recording: each attempt fails, or ends the session with the recording kept."""

import os
import stat
import struct
import subprocess
import time

import pytest

from lab import bastion as lab_bastion
from lab.attacks import ATTACKS, judge, script
from lab.bastion import ALICE, RECORDER, Bastion
from lab.journal import END, LOST, MARKER, STDERR, STDOUT, end_of, payloads, read_frames
from lab.process import Terminal, environment, run, wait_until

REASON = lab_bastion.why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

class Recorded(Bastion):
    """ForceCommand and login shell, as its manual page wants."""

    def sshd(self, more, spool_options):
        # `Match` has to stand last.
        super().sshd((more or "AcceptEnv *\nPermitUserRC no\nDisableForwarding yes\n"
                      "PermitTunnel no\nForceCommand exec " + self.shell), spool_options)


@pytest.fixture(scope="module")
def bastion():
    made = Recorded()
    yield made
    made.stop()


@pytest.fixture
def special():
    """A bastion that is set up otherwise."""
    made = []

    def make(**keywords):
        made.append(Recorded(**keywords))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def shown_is_recorded(done, frames):
    assert b"".join(payloads(frames, STDOUT)) == done.stdout
    assert b"".join(payloads(frames, STDERR)) == done.stderr


def victim(bastion):
    """A journal that the person knows by name: one of theirs, from before."""
    bastion.ssh("true")
    name = sorted(bastion.names())[0]
    info = os.stat(name)
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (RECORDER, 0o600)
    return os.path.join(bastion.journals, os.path.basename(name))


def at_terminal(bastion, command, **keywords):
    """A session with a terminal. (what it showed, status)"""
    screen = Terminal([*bastion.client(), "-tt", "alice@127.0.0.1", command],
                      env=environment(HOME=bastion.directory), **keywords)
    status = screen.finish()
    return screen.seen, status


def tree(bastion):
    """What is in the spool, with sizes."""
    folder = "/proc/%s/root%s" % (bastion.inside()[2], bastion.spool)
    return sorted((os.path.join(path, name), os.path.getsize(os.path.join(path, name)))
                  for path, _, names in os.walk(folder) for name in names)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "own-terminal"])
def test_an_attempt_fails_and_is_recorded(bastion, name):
    words = script(name, bastion.spool, victim(bastion), bastion.shell)
    before = set(tree(bastion))
    done, sessions = bastion.recorded(lambda: bastion.ssh(words))
    judge(name, done.stdout)
    (mine,) = [frames for frames in sessions if words.encode() in frames[0][1]]
    shown_is_recorded(done, mine)
    assert end_of(mine) == (1, 0, "")
    assert before <= set(tree(bastion))  # nothing of what was there has changed


@pytest.mark.parametrize("name", ["own-terminal", "signals", "ptrace", "proc"])
def test_an_attempt_at_a_terminal_fails_and_is_recorded(bastion, name):
    words = script(name, bastion.spool, victim(bastion), bastion.shell)
    (seen, status), (frames,) = bastion.recorded(lambda: at_terminal(bastion, words))
    judge(name, seen, terminal=True)
    assert status == 0 and b"PAST" not in seen
    assert b"".join(payloads(frames, STDOUT)) == seen


@pytest.mark.parametrize("name, wanted", [
    ("signals", b"KILL: SUCCEEDED"), ("spool-read", b"read: SUCCEEDED"),
    ("spool-write", b"unlink: SUCCEEDED"), ("proc", b"environ: SUCCEEDED")])
def test_without_separation_the_same_attempts_succeed(name, wanted, tmp_path):
    """Else the tests above might prove nothing."""
    spool = tmp_path / "spool"
    (spool / "journals").mkdir(parents=True)
    file = spool / "journals" / "x.journal"
    file.write_bytes(b"x")
    # A process of our own by that name is in the relay's place.
    relay = tmp_path / "castbucket-shell"
    relay.write_text("#!/bin/sh\n%s\ntrue\n" % script(name, str(spool), str(file), "/bin/true"))
    relay.chmod(0o755)
    assert wanted in run([str(relay)]).stdout


def test_the_manual_lists_every_attempt():
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "pkg", "man",
                           "castbucket-shell.1.scd"), encoding="utf-8") as page:
        said = " ".join(page.read().split())
    assert len(ATTACKS) >= 17
    for name, (tried, _) in ATTACKS.items():
        assert "- " + tried in said, name


# ---- what ends the session ---------------------------------------------------------------------


@pytest.mark.parametrize("command", ["kill -9 -1", "pkill -9 -u alice sshd; sleep 2"])
def test_killing_all_that_is_ones_own_ends_the_session_and_keeps_the_recording(bastion, command):
    before = bastion.names()
    done = bastion.ssh("echo before; sleep 0.3; %s; echo after" % command)
    assert done.stdout in (b"before\n", b"before\nafter\n")
    (journal,) = bastion.names() - before
    wait_until(lambda: read_frames(journal)[-1][0] == END, what="the recording's end")
    assert b"".join(payloads(read_frames(journal), STDOUT)).startswith(b"before\n")


def test_the_death_of_the_relay_kills_the_command_and_keeps_what_was_shown(bastion):
    def act():
        with subprocess.Popen([*bastion.client(), "alice@127.0.0.1",
                               "trap '' HUP PIPE TERM; echo $PPID $$; while :; do sleep 0.1; done"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
            relay, command = client.stdout.readline().split()
            run([*bastion.inside(), "kill", "-9", relay.decode()])
            client.wait(20)
            return command.decode()

    command, (frames,) = bastion.recorded(act)
    assert run([*bastion.inside(), "kill", "-0", command]).returncode != 0
    assert command.encode() in b"".join(payloads(frames, STDOUT))


def test_a_full_spool_ends_the_session_and_keeps_what_was_shown(special):
    small = special(spool_options="size=6m,mode=700,uid=%d,gid=%d" % (RECORDER, RECORDER))
    done, (frames,) = small.recorded(lambda: small.ssh("yes 0123456789; echo survived >&2"))
    assert done.returncode == 124 and b"survived" not in done.stderr
    kept = b"".join(payloads(frames, STDOUT))
    assert len(done.stdout) > 1 << 20 and kept.startswith(done.stdout)


def test_hanging_up_ends_the_shell_and_the_recording_says_so(bastion):
    def act():
        screen = Terminal([*bastion.client(), "-tt", "alice@127.0.0.1"],
                          env=environment(HOME=bastion.directory))
        screen.expect_prompt()
        screen.send("echo pid=$$.\r")
        at = screen.expect("\rpid=")
        screen.expect(".", after=at)
        pid = screen.seen[at:].split(b".")[0].decode()
        screen.process.kill()
        screen.process.wait()
        os.close(screen.master)
        wait_until(lambda: run([*bastion.inside(), "kill", "-0", pid]).returncode, what="the end")
        time.sleep(1)

    _, (frames,) = bastion.recorded(act)
    assert end_of(frames)[0] == LOST


# ---- outliving -----------------------------------------------------------------------------------

FREE = {"nohup": "nohup sleep 4711 >/dev/null 2>&1 </dev/null &",
        "setsid": "setsid sleep 4711 >/dev/null 2>&1 </dev/null &",
        "two-forks": "(setsid sh -c 'sleep 4711 & sleep 4711 &' &) >/dev/null 2>&1 </dev/null",
        "disown": "sleep 4711 >/dev/null 2>&1 </dev/null & disown",
        "tmux": "tmux -f /dev/null -L attack new-session -d 'sleep 4711' </dev/null >/dev/null 2>&1"}


@pytest.mark.parametrize("how", FREE)
def test_what_is_left_running_is_marked(bastion, how):
    done, (frames,) = bastion.recorded(lambda: bastion.ssh(FREE[how] + "\nsleep 0.3; echo left"))
    try:
        assert done.stdout == b"left\n"
        assert any(b"left running: process " in label for label in payloads(frames, MARKER))
    finally:
        run([*bastion.inside(), "pkill", "-9", "-u", str(ALICE)])


@pytest.mark.parametrize("how", FREE)
def test_what_is_left_running_is_ended_where_the_operator_says_so(special, how):
    ending = special(configuration='left_running = "end"')
    _, (frames,) = ending.recorded(lambda: ending.ssh(FREE[how] + "\nsleep 0.3; echo left"))
    assert any(b"ended with the session: process" in label for label in payloads(frames, MARKER))
    assert run([*ending.inside(), "pgrep", "-u", str(ALICE), "sleep"]).stdout == b""


# ---- environment and files of theirs -----------------------------------------------------------


def test_an_environment_of_theirs_reaches_the_command_and_not_the_relay(bastion):
    home = bastion.path("home", "alice")
    sent = {"GCONV_PATH": home, "LOCPATH": home, "TZ": home + "/zone", "TMPDIR": home + "/none",
            "OPENSSL_CONF": home + "/o.cnf", "HOSTALIASES": home + "/h", "MALLOC_PERTURB_": "7",
            "CASTBUCKET_SETTINGS": home + "/s.json", "USER": "root", "LOGNAME": "root"}
    options = ["-o", "SetEnv " + " ".join("%s=%s" % pair for pair in sent.items())]
    done, (frames,) = bastion.recorded(lambda: bastion.ssh("/usr/bin/env", options=options))
    arrived = done.stdout.decode().splitlines()
    for pair in (("TMPDIR", home + "/none"), ("CASTBUCKET_SETTINGS", home + "/s.json")):
        assert "%s=%s" % pair in arrived
    assert done.returncode == 0 and b"\0alice\0" in frames[0][1] and b"\0root\0" not in frames[0][1]
    shown_is_recorded(done, frames)


def test_the_loader_takes_nothing_from_them(bastion):
    home = bastion.path("home", "alice")
    words = ("export LD_DEBUG=files LD_DEBUG_OUTPUT=%s/loaded LD_PRELOAD=%s/evil.so; "
             "%s -c 'echo inner'; /bin/true" % (home, home, bastion.shell))
    done, sessions = bastion.recorded(lambda: bastion.ssh(words))
    assert done.stdout == b"inner\n" and len(sessions) == 2
    assert b"evil.so" in done.stderr  # so it did reach /bin/true
    told = [name for name in os.listdir(home) if name.startswith("loaded.")]
    assert told
    for name in told:
        with open(os.path.join(home, name), "rb") as file:
            assert b"castbucket.so" not in file.read(), name


def test_files_of_sshs_in_the_home_directory_do_nothing(bastion):
    folder = bastion.path("home", "alice", ".ssh")
    os.makedirs(folder, exist_ok=True)
    witness = bastion.path("home", "alice", "rc-ran")
    for name, text in (("environment", "FROM_FILE=yes\n"), ("rc", "touch %s\n" % witness)):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(os.path.join(folder, name), 0o755)
    done, (frames,) = bastion.recorded(lambda: bastion.ssh("echo [$FROM_FILE]"))
    assert done.stdout == b"[]\n" and not os.path.exists(witness)
    shown_is_recorded(done, frames)


# ---- forging ---------------------------------------------------------------------------------------


def test_another_identity_or_address_cannot_be_claimed_in_a_session(bastion):
    proof = bastion.path("home", "alice", "proof")
    words = ("umask 077; echo 'publickey ssh-ed25519 AAAA' >%s; USER=root LOGNAME=root "
             "SSH_CONNECTION='6.6.6.6 666 10.0.0.1 22' SSH_USER_AUTH=%s exec %s -c 'echo forged'" % (
                 proof, proof, bastion.shell))
    done, sessions = bastion.recorded(lambda: bastion.ssh(words))
    assert done.stdout == b"forged\n" and len(sessions) == 2
    (nested,) = [one for one in sessions if b"USER=root" not in one[0][1]]
    assert b"6.6.6.6" not in nested[0][1] and b"within process" in nested[0][1]
    assert not any(b"authenticated" in label for label in payloads(nested, MARKER))


def test_what_looks_like_a_recording_is_only_output(bastion):
    """Frames of a journal, lines of a cast, an end: all of it comes back as bytes that were shown."""
    frame = struct.pack("<IIQ", END << 24 | 18, 0, 0) + bytes(24)
    forged = frame * 3 + b'\n[0.1, "x", "0"]\n[1, "o", "rm"]\r\n\x1b[2J\x1b]0;t\x07\x00\xff\xfe' + frame
    done, (frames,) = bastion.recorded(lambda: bastion.ssh("cat; exit 3", input=forged))
    assert done.stdout == forged and b"".join(payloads(frames, STDOUT)) == forged
    assert len(payloads(frames, END)) == 1 and end_of(frames) == (1, 3, "")


def test_started_without_descriptors_it_records(bastion):
    words = "%s -c 'echo hidden; echo also >&2' <&- >&- 2>&-; echo done" % bastion.shell
    done, sessions = bastion.recorded(lambda: bastion.ssh(words))
    assert done.stdout == b"done\n" and len(sessions) == 2
    (nested,) = [one for one in sessions if b">&-" not in one[0][1]]
    assert b"".join(payloads(nested, STDOUT)) == b"hidden\n"
    assert b"".join(payloads(nested, STDERR)) == b"also\n"


# ---- one's own terminal ------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["exec <&- >&- 2>&-; sleep 0.3; exit 3", "stty 0; exit 3",
                                     "stty raw -echo rows 1 cols 1; echo small; exit 3",
                                     "exec 9<>/dev/tty; echo by another >&9; exit 3",
                                     "printf '\\033c\\033[?1049h'; exit 3"])
def test_whatever_they_do_to_their_terminal_the_recording_has_what_was_shown(bastion, command):
    (seen, status), (frames,) = bastion.recorded(lambda: at_terminal(bastion, command))
    assert b"".join(payloads(frames, STDOUT)) == seen
    assert status in (3, 129, 255) and frames[-1][0] == END


# ---- other ways in -----------------------------------------------------------------------------


def test_sftp_does_not_reach_the_spool_and_is_recorded(bastion):
    path = victim(bastion)
    batch = "-put /etc/hostname %s\n-put /etc/hostname %s/x\n-rm %s\n-rename %s %s.x\n-get %s\n" % (
        path, bastion.spool, path, path, path, path)
    before = tree(bastion)
    done, (frames,) = bastion.recorded(
        lambda: run([*bastion.client("sftp"), "-b", "-", "alice@127.0.0.1"], input=batch.encode(),
                    cwd=bastion.directory))
    assert done.stderr.count(b"ermission denied") >= 4, done
    assert b"sftp\0" in frames[0][1] and end_of(frames)[0] == 1
    assert set(before) <= set(tree(bastion))


@pytest.mark.parametrize("how", [("-W", "127.0.0.1:%d"), ("-w", "0:0", "true"),
                                 ("-s", "unheard-of")])
def test_a_way_past_the_terminal_is_refused(bastion, how):
    words = [word % bastion.port if "%d" in word else word for word in how]
    options, words = (words[:2], words[2:]) if how[0] != "-s" else (["-s"], words[1:])
    done = bastion.ssh(*words, options=options)
    assert b"SSH-2.0" not in done.stdout and (done.returncode != 0 or how[0] == "-w")


def test_the_agent_and_x11_are_not_forwarded(bastion):
    done, (frames,) = bastion.recorded(
        lambda: bastion.ssh("echo [$SSH_AUTH_SOCK$DISPLAY]", options=["-A", "-X"]))
    assert done.stdout == b"[]\n"
    shown_is_recorded(done, frames)


def test_mosh_is_refused(bastion):
    done = bastion.ssh("mosh-server new -s -- /bin/sh")
    assert done.returncode == 126 and b"mosh-server" in done.stderr and b"CONNECT" not in done.stdout
