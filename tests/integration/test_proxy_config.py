"""castbucket-proxy's options and configuration: what is wrong is said before anybody connects."""

import os
import re

import pytest

from lab.process import TOP, environment, program, run
from lab.ssh import make_key, write
from proxy_fixtures import build_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("probe"))


class Setting:
    """A configuration that is good, and its variations."""

    def __init__(self, directory, probe):
        self.directory = str(directory)
        self.path = os.path.join(self.directory, "proxy.conf")
        for name in ("host_key", "identity"):
            make_key(os.path.join(self.directory, name))
        os.mkdir(os.path.join(self.directory, "keys"))
        write(os.path.join(self.directory, "known_hosts"), "")
        write(os.path.join(self.directory, "probe.conf"), "directory %s\n" % self.directory)
        lines = ['listen = "127.0.0.1:0"', 'host_key = "DIR/host_key"',
                 'authorized_keys = "DIR/keys"', 'recording_plugin = "%s"' % probe,
                 'recording_settings = "DIR/probe.conf"',
                 'user = "root"' if os.getuid() == 0 else "",
                 'socket "web-1" {', '    upstream = "127.0.0.1:22"',
                 '    identity = "DIR/identity"', '    known_hosts = "DIR/known_hosts"', "}"]
        self.text = "\n".join(lines).replace("DIR", self.directory) + "\n"

    def test(self, text=None):
        write(self.path, (text or self.text).replace("DIR", self.directory))
        return run([program("castbucket-proxy"), "-t", "-f", self.path], env=environment())

    def wrong(self, text, *words):
        done = self.test(text)
        assert done.returncode == 2, done
        said = done.stderr.decode()
        for word in words:
            assert word in said, said
        assert self.path in said
        assert "good" not in done.stdout.decode()


@pytest.fixture
def setting(tmp_path, probe):
    return Setting(tmp_path, probe)


def test_a_good_one_is_good(setting):
    done = setting.test()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == setting.path + ": good\n"
    listed = setting.text.replace('listen = "127.0.0.1:0"',
                                  'listen = {"127.0.0.1:0",\n"[::1]:0"}')
    assert setting.test(listed).returncode == 0


def test_an_interactive_login_needs_no_identity(setting):
    text = re.sub(r"identity = .*", "interactive_login = true", setting.text)
    assert setting.test(text).returncode == 0
    # One that is given has to be good all the same.
    setting.wrong(text.replace("interactive_login =", 'identity = "DIR/none"\ninteractive_login ='),
                  "socket web-1", "identity", "No such file")


@pytest.mark.parametrize("added,words", [
    ("colour = 1", [":1:", "colour"]),
    ('user = "root"\nuser = "root"', [":2:", "user", "twice"]),
    ('listen = {"127.0.0.1:0"}', ["listen", "twice"]),
    ('max_connections = "many"', [":1:", "max_connections"]),
    ('log_format = "xml"', [":1:", "log_format", "neither text nor json"]),
    ('log_format = "json"\nlog_format = "json"', [":2:", "log_format", "twice"]),
    ("max_connections = 0", [":1:", "max_connections", "1 to 100000"]),
    ('socket "web-1" {\nupstream = "a:1"\nidentity = "i"\nknown_hosts = "k"\n}',
     ["web-1", "duplicate"]),
    ('socket "x" {\nupstream = "a:1"\n}', [":3:", "socket x", "identity", "missing"]),
    ('socket "x" {\nupstream = "a:1"\nidentity = "i"\nidentity_agent = "/a"\nknown_hosts = "k"\n}',
     [":6:", "socket x", "identity_agent", "not beside identity"]),
    ('socket "x" {\nupstream = "a:1"\nidentity_agent = "a"\nknown_hosts = "k"\n}',
     [":3:", "identity_agent", "absolute path"]),
    ('socket "x" {\nupstream = "a"\n}', [":2:", "upstream", "host:port"]),
    ('socket "x" {\nupstream = "a:99999"\n}', [":2:", "upstream", "host:port"]),
    ('socket "x" {\nupstream = "a:1"\nupstream = "a:1"\n}', [":3:", "upstream", "twice"]),
    ('socket "x" {\ncolour = 1\n}', [":2:", "colour"]),
    ('socket "a\\nb" {\n}', ["control character"]),
    ('socket "x" {\nupstream = "a:1"\nknown_hosts = "k"\ninteractive_login = false\n}',
     [":5:", "socket x", "identity", "missing"]),
    ('socket "x" {\ninteractive_login = true\ninteractive_login = true\n}',
     [":3:", "interactive_login", "twice"]),
    ('socket "x" {\nlocal_forwarding = maybe\n}', [":2:", "local_forwarding", "boolean"]),
    ('socket "x" {\npermit_open = {"*:443", "db"}\n}', [":2:", "permit_open", "host:port"]),
    ('socket "x" {\nagent_forwarding = true\nagent_forwarding = true\n}',
     [":3:", "agent_forwarding", "twice"]),
    ('socket "%s" {\nupstream = "a:1"\nidentity = "i"\nknown_hosts = "k"\n}' % ("x" * 81),
     ["more than 80 bytes"]),
])
def test_what_is_wrong_is_named_with_file_line_and_key(setting, added, words):
    setting.wrong(added + "\n" + setting.text, *words)


@pytest.mark.parametrize("line,instead,words", [
    (r"listen = .*", "", ["listen", "missing"]),
    (r"listen = .*", 'listen = "nowhere"', ["listen", "address:port"]),
    (r"host_key = .*", "", ["host_key", "missing"]),
    (r"host_key = .*", 'host_key = "DIR/none"', ["host_key", "none", "No such file"]),
    (r"host_key = .*", 'host_key = "DIR/known_hosts"', ["host_key", "no private key"]),
    (r"authorized_keys = .*", 'authorized_keys = "DIR/none"', ["authorized_keys", "No such file"]),
    (r"recording_plugin = .*", "", ["recording_plugin", "missing"]),
    (r"recording_plugin = .*", 'recording_plugin = "DIR/none.so"', ["recording_plugin", "none.so"]),
    (r"recording_plugin = .*", 'recording_plugin = "DIR/known_hosts"',
     ["recording_plugin", "known_hosts"]),
    (r"recording_settings = .*", 'recording_settings = "DIR/none.json"',
     ["recording_plugin", "none.json", "No such file"]),
    (r"identity = .*", 'identity = "DIR/none"', ["socket web-1", "identity", "No such file"]),
    (r"known_hosts = .*", 'known_hosts = "DIR/none"', ["socket web-1", "known_hosts"]),
])
def test_missing_files_and_keys_are_named(setting, line, instead, words):
    setting.wrong(re.sub(line, lambda _: instead, setting.text), *words)


def test_a_plugin_of_another_abi_is_refused_at_the_start(setting, tmp_path):
    other = build_probe(tmp_path, "-DPROBE_MAJOR=99")
    text = re.sub(r"recording_plugin = .*", 'recording_plugin = "%s"' % other, setting.text)
    setting.wrong(text, "recording_plugin", other, "99")
    done = run([program("castbucket-proxy"), "-f", setting.path], env=environment())
    assert done.returncode == 2 and b"listening" not in done.stdout


def test_a_private_key_that_everybody_can_read_is_refused(setting):
    os.chmod(os.path.join(setting.directory, "identity"), 0o644)
    setting.wrong(setting.text, "socket web-1", "identity", "0644")


@pytest.mark.skipif(os.getuid() != 0, reason="about being root")
def test_root_has_to_say_who_carries_connections(setting):
    setting.wrong(setting.text.replace('user = "root"', ""), "user", "missing", "root")
    setting.wrong(setting.text.replace('user = "root"', 'user = "no-such-account"'),
                  "user", "no-such-account")


def test_options(setting):
    def proxy(*words):
        return run([program("castbucket-proxy"), *words], env=environment())
    assert proxy("--version").stdout.startswith(b"castbucket-proxy ")
    assert b"authorized_keys" in proxy("--help").stdout
    assert proxy().returncode == proxy("--nonsense").returncode == 2
    assert proxy("-f", setting.path, "more").returncode == 2
    done = proxy("-f", setting.directory + "/none")
    assert done.returncode == 2 and b"No such file" in done.stderr


def test_the_example_is_good_once_its_files_are_there(setting, probe):
    with open(os.path.join(TOP, "pkg/examples/castbucket-proxy.conf"), encoding="utf-8") as file:
        text = file.read()
    for theirs, ours in (("/etc/castbucket/host_ed25519", "DIR/host_key"),
                         ("/etc/castbucket/authorized_keys.d", "DIR/keys"),
                         ("/usr/lib/castbucket/castbucket.so", probe),
                         ("/etc/castbucket/settings.json", "DIR/probe.conf"),
                         ("/etc/castbucket/known_hosts", "DIR/known_hosts"),
                         ('user = "castbucket"', 'user = "root"' if os.getuid() == 0 else "")):
        assert theirs in text
        text = text.replace(theirs, ours)
    text = re.sub(r"/etc/castbucket/\S*_ed25519", "DIR/identity", text)
    done = setting.test(text)
    assert (done.returncode, done.stderr) == (0, b"")
