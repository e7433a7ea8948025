"""castbucket_io.so in Debian's sudo: what the command shows is recorded before the person sees it.

sudo reads /etc and nothing else, so each test's sudo runs in a mount namespace of its own, where
sudo.conf, sudoers and PAM's rules are the test's. That takes root."""

import json
import os
import shlex
import signal
import struct
import subprocess

import pytest

from lab.process import TOP, Terminal, build_directory, environment, program, run, wait_until
from proxy_fixtures import Recorded, build_probe

PERSON, TARGET = "nobody", "daemon"  # accounts that every Debian has

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="root, and mount namespaces, are needed to give sudo a configuration of the test's")
if "build-" in build_directory():
    pytestmark = pytest.mark.skip(reason="a plugin with a sanitizer does not load into sudo")


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


class Sudo:
    """Runs sudo as PERSON, with castbucket_io and these options of its Plugin line."""

    def __init__(self, directory, *options):
        self.directory = str(directory)
        self.options = options
        self.files = {
            "/etc/sudo.conf": "Plugin sudoers_policy sudoers.so\nPlugin castbucket_io %s %s\n"
                              % (program("castbucket_io.so"), " ".join(options)),
            "/etc/sudoers": "ALL ALL = (ALL) NOPASSWD: ALL\nDefaults !syslog, closefrom_override\n",
            "/etc/pam.d/sudo": "auth required pam_permit.so\naccount required pam_permit.so\n"
                               "session required pam_permit.so\n",
        }
        mounts = []
        for place, text in self.files.items():
            own = os.path.join(self.directory, os.path.basename(os.path.dirname(place) + "-" +
                                                                os.path.basename(place)))
            with open(own, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(own, 0o440 if place.endswith("sudoers") else 0o644)
            mounts.append("mount --bind %s %s" % (shlex.quote(own), place))
        self.prefix = ["unshare", "-m", "sh", "-ec", "\n".join(mounts) + '\nexec "$@"', "sh",
                       "setpriv", "--reuid=" + PERSON, "--clear-groups", "sudo", "-u", TARGET]

    def run(self, *words, **keywords):
        if words[0] == "-V":
            return run([*self.prefix[:-2], *words])
        keywords.setdefault("env", environment())
        return run([*self.prefix, *words], cwd="/", **keywords)

    def terminal(self, *words, **keywords):
        return Terminal([*self.prefix, *words], cwd="/", **keywords)


class ProbedSudo(Sudo):
    """With the probe as recording plugin; `rules` are lines of its settings."""

    def __init__(self, directory, probe, rules=()):
        self.recordings = os.path.join(str(directory), "recordings")
        os.mkdir(self.recordings)
        settings = os.path.join(str(directory), "probe.conf")
        with open(settings, "w", encoding="ascii") as file:
            file.write("\n".join(["directory " + self.recordings, *rules]) + "\n")
        super().__init__(directory, "plugin=" + probe, "settings=" + settings, "socket=web-1")

    def recorded(self):
        """What was recorded of the only session."""
        (name,) = [name for name in os.listdir(self.recordings) if name.endswith(".info")]
        return Recorded(os.path.join(self.recordings, name[:-len(".info")]))


@pytest.fixture
def sudo(tmp_path, probe):
    return ProbedSudo(tmp_path, probe)


def test_streams_are_apart_and_the_exit_status_is_the_commands(sudo):
    done = sudo.run("sh", "-c", "id -un; echo problem >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"daemon\n", b"problem\n")
    recorded = sudo.recorded()
    assert recorded.bytes("stdout") == b"daemon\n"
    assert recorded.bytes("stderr") == b"problem\n"
    assert recorded.end == "exited 7"


def test_a_recording_says_who_ran_what_as_whom(sudo):
    assert sudo.run("printf", "%s|", "a b", "it's", "", "plain").returncode == 0
    info = sudo.recorded().info
    assert (info["socket"], info["user"], info["target_user"]) == ("web-1", PERSON, TARGET)
    assert info["command"] == "/usr/bin/printf '%s|' 'a b' 'it'\\\\''s' '' plain"
    assert info["kind"] == "2" and info["has_terminal"] == "0"
    assert info["target_address"] == os.uname().nodename.split(".")[0]
    assert info["connection_id"].startswith("sudo process ")


def test_what_the_person_says_of_himself_is_not_believed(sudo):
    lies = environment(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22", USER="root", SUDO_USER="root",
                       CASTBUCKET_SETTINGS="/nowhere")
    assert sudo.run("true", env=lies).returncode == 0
    info = sudo.recorded().info
    assert info["user"] == PERSON and "client_address" not in info


def test_input_passes_and_is_given_to_the_plugin(sudo):
    done = sudo.run("cat", input=b"typed\n" * 10000)
    assert done.stdout == b"typed\n" * 10000
    assert sudo.recorded().bytes("input") == b"typed\n" * 10000
    assert sudo.recorded().bytes("stdout") == b"typed\n" * 10000


def test_a_shell_under_a_terminal_is_recorded_as_it_is_seen(sudo):
    terminal = sudo.terminal("-s", columns=91, rows=17, env=environment(SHELL="/bin/sh"))
    terminal.expect_prompt()
    terminal.send("stty size; echo on-$((40 + 2))\n")
    at = terminal.expect("on-42")
    terminal.resize(100, 30)

    def arrived():  # a new size goes through three processes: ask until it is there
        terminal.send("stty size\n")
        while terminal.read(0.2):
            pass
        return b"30 100" in terminal.seen[at:]
    wait_until(arrived, what="the new size")
    terminal.send("exit 5\n")
    assert terminal.finish() == 5
    recorded = sudo.recorded()
    assert recorded.end == "exited 5"
    assert terminal.seen == recorded.bytes("shown")
    info = recorded.info
    assert (info["kind"], info["has_terminal"]) == ("1", "1")
    assert (info["columns"], info["rows"]) == ("91", "17")
    assert "command" not in info
    assert "resize 100 30" in recorded.events
    assert recorded.bytes("input").endswith(b"exit 5\r") or b"exit 5\n" in recorded.bytes("input")


def test_a_signal_that_ends_the_command_is_recorded(sudo):
    done = sudo.run("sh", "-c", "kill -TERM $$")
    assert done.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert sudo.recorded().end == "signaled TERM"


def test_a_command_that_cannot_be_run_leaves_a_finished_recording(sudo, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    assert sudo.run(str(broken)).returncode != 0
    assert sudo.recorded().end.split()[0] in ("lost", "exited")


def test_recording_off_leaves_sudo_as_it_was(tmp_path, probe):
    sudo = ProbedSudo(tmp_path, probe, ["ignore web-1"])
    done = sudo.run("sh", "-c", "echo out; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert os.listdir(sudo.recordings) == []


def test_what_may_not_run_unrecorded_does_not_run(tmp_path, probe):
    sudo = ProbedSudo(tmp_path, probe, ["refuse web-1 the spool is full"])
    done = sudo.run("touch", str(tmp_path / "ran"))
    assert done.returncode == 1 and not (tmp_path / "ran").exists()
    assert b"castbucket_io: refused: the spool is full" in done.stderr


def test_a_command_ends_when_it_can_be_recorded_no_further_and_shows_nothing_unrecorded(
        tmp_path, probe):
    sudo = ProbedSudo(tmp_path, probe, ["end web-1 5000"])
    terminal = sudo.terminal("sh", "-c", "while :; do echo 0123456789; done")
    terminal.finish()
    recorded = sudo.recorded()
    assert 0 < len(recorded.bytes("shown")) <= 5000
    shown = terminal.seen.split(b"castbucket_io: ")[0]
    assert recorded.bytes("shown").startswith(shown.rstrip(b"\r\n"))
    assert b"cannot be recorded any further" in terminal.seen


@pytest.mark.parametrize("options, words", [
    (["socket="], b"needs socket=NAME"),
    ([], b"needs socket=NAME"),
    (["socket=web-1", "sockets=web-2"], b"no option 'sockets=web-2'"),
    (["socket=web-1", "plugin=/no/such.so"], b"/no/such.so: No such file"),
])
def test_a_mistake_in_sudo_conf_is_named_and_nothing_runs(tmp_path, options, words):
    done = Sudo(tmp_path, *options).run("touch", str(tmp_path / "ran"))
    assert done.returncode == 1 and not (tmp_path / "ran").exists()
    assert words in done.stderr


def test_the_version_can_be_asked_for(sudo):
    assert b"castbucket I/O plugin version " in sudo.run("-V").stdout
    assert os.listdir(sudo.recordings) == []


def journal_text(directory):
    """All frames' payloads of the one journal; format: journal.h."""
    (name,) = os.listdir(os.path.join(directory, "journals"))
    with open(os.path.join(directory, "journals", name), "rb") as file:
        data = file.read()
    (end,) = struct.unpack_from("<Q", data, 64)
    return data[struct.unpack_from("<I", data, 12)[0]:end]


def real_sudo(home, recording=True):
    with open(home.settings, encoding="utf-8") as file:
        settings = json.load(file)
    store = os.path.join(home.directory, "store")
    settings["organizations"] = {"acme": {"storage": {"type": "directory", "path": store}}}
    settings["sockets"] = {"web-1": {"organization": "acme", "recording": recording}}
    with open(home.settings, "w", encoding="utf-8") as file:
        json.dump(settings, file)
    return Sudo(home.directory, "plugin=" + home.plugin, "settings=" + home.settings,
                "socket=web-1")


def test_a_recorded_command_is_sealed_stored_and_played(home):
    done = real_sudo(home).run("sh", "-c", "echo from sudo; exit 4")
    assert (done.returncode, done.stdout) == (4, b"from sudo\n")
    assert home.once().returncode == 0
    entry = json.loads(home.must("ls", "--org", "acme", "--json"))
    assert home.castbucket("get", entry["id"], "--org", "acme", "--raw").raw == b"from sudo\n"


def test_the_example_configuration_is_one(home):
    sudo = real_sudo(home)
    with open(os.path.join(TOP, "pkg", "examples", "sudo.conf"), encoding="ascii") as file:
        example = file.read()
    with open(os.path.join(home.directory, "etc-sudo.conf"), "w", encoding="ascii") as file:
        file.write(example.replace("castbucket_io.so socket=web-1", "%s %s" % (
            program("castbucket_io.so"), " ".join(sudo.options))))
    assert sudo.run("echo", "by example").stdout == b"by example\n"
    assert b"by example" in journal_text(home.spool)


def test_killed_sudo_leaves_what_was_seen_and_the_command_ends_with_it(home):
    sudo = real_sudo(home)
    terminal = sudo.terminal("sh", "-c", "echo before; echo pid $$; sleep 600")
    at = terminal.expect("pid ")
    terminal.expect("\n", after=at)
    command = int(terminal.seen.split(b"pid ")[1].split()[0])
    front_end = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
                 and maps(pid, os.path.join(home.spool, "journals"))]
    assert front_end
    for pid in front_end:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not os.path.exists("/proc/%d" % command) or zombie(command),
               what="the command to end")
    terminal.finish()
    assert all(line in journal_text(home.spool) for line in terminal.seen.split(b"\r\n"))


def maps(pid, path):
    try:
        with open("/proc/%s/maps" % pid, encoding="utf-8", errors="replace") as file:
            return path in file.read()
    except OSError:
        return False


def zombie(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_what_root_records_belongs_to_the_owner_of_the_spool(home):
    os.makedirs(home.spool, exist_ok=True)
    os.chown(home.spool, 65534, 65534)
    assert real_sudo(home).run("echo", "hello").returncode == 0
    for place in ("journals", "sealed", "quarantine"):
        assert os.stat(os.path.join(home.spool, place)).st_uid == 65534
    (name,) = os.listdir(os.path.join(home.spool, "journals"))
    made = os.stat(os.path.join(home.spool, "journals", name))
    assert (made.st_uid, made.st_mode & 0o777) == (65534, 0o600)
