"""The three ends of a recorded session: OpenSSH's server as target, castbucket-proxy, and a person
with OpenSSH's client. Each with keys and files of its own, on loopback."""

import os
import pwd
import socket
import subprocess

from lab.process import Daemon, build_directory, environment, program, run, wait_until


def make_key(path):
    """A key pair without passphrase. Returns the public key's line."""
    done = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", os.path.basename(path), "-f",
                path])
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    with open(path + ".pub", encoding="utf-8") as file:
        return file.read()


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    return path


def account():
    return pwd.getpwuid(os.getuid()).pw_name


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def password_is_locked():
    """Root's own password is: sshd then refuses root, unless PAM decides."""
    try:
        with open("/etc/shadow", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, password = line.split(":")[:2]
                if name == account():
                    return password.startswith("!")
    except OSError:
        pass
    return False


class Target:
    """An sshd that lets in this account with one key: the proxy's identity. `first` are lines of its
    configuration that come before all others, and so decide."""

    def __init__(self, directory, more="", accept_env="*", first="", env=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.identity = os.path.join(directory, "identity")
        host_key = os.path.join(directory, "host_key")
        write(os.path.join(directory, "authorized_keys"), make_key(self.identity))
        public = make_key(host_key)
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        for _ in range(5):
            self.port = free_port()
            configuration = write(os.path.join(directory, "sshd_config"), "\n".join([
                first, "ListenAddress 127.0.0.1", "Port %d" % self.port, "HostKey " + host_key,
                "AuthorizedKeysFile " + os.path.join(directory, "authorized_keys"),
                "StrictModes no", "PidFile none", "PermitRootLogin yes", "PrintMotd no",
                "PrintLastLog no", "UsePAM " + ("yes" if password_is_locked() else "no"),
                "PasswordAuthentication no", "KbdInteractiveAuthentication no",
                "AcceptEnv " + accept_env, "MaxStartups 100", "MaxSessions 100",
                "Subsystem sftp internal-sftp", "LogLevel VERBOSE", more, ""]))
            self.daemon = Daemon(["/usr/sbin/sshd", "-D", "-e", "-f", configuration],
                                 os.path.join(directory, "sshd.log"), cwd=directory,
                                 env=environment(**(env or {})))
            wait_until(lambda: answers(self.port) or self.daemon.process.poll() is not None,
                       what="sshd")
            if self.daemon.process.poll() is None:
                break
        else:
            raise AssertionError("sshd does not start: " + self.daemon.words())
        self.address = "127.0.0.1:%d" % self.port
        self.known_hosts = write(os.path.join(directory, "known_hosts"), "[127.0.0.1]:%d %s" % (
            self.port, " ".join(public.split()[:2]) + "\n"))

    def stop(self):
        self.daemon.stop()


class Proxy:
    """castbucket-proxy for some sockets (name: Target) and people (name: public key)."""

    def __init__(self, directory, settings, sockets, people, plugin=None, env=None, more="",
                 socket_more="", host_keys=None):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        keys = os.path.join(directory, "authorized_keys")
        os.makedirs(keys, exist_ok=True)
        for name, public in people.items():
            write(os.path.join(keys, name), public)
        if not host_keys:
            host_keys = [os.path.join(directory, "host_key")]
            self.host_public = " ".join(make_key(host_keys[0]).split()[:2])
        lines = ['listen = "127.0.0.1:0"',
                 "host_key = {%s}" % ", ".join('"%s"' % path for path in host_keys),
                 'authorized_keys = "%s"' % keys,
                 'recording_plugin = "%s"' % (plugin or os.path.join(build_directory(),
                                                                     "castbucket.so")),
                 'recording_settings = "%s"' % settings]
        if os.getuid() == 0:
            lines.append('user = "root"')  # the test's own directories belong to root, too
        lines.append(more)
        for name, target in sockets.items():
            lines += ['socket "%s" {' % name.replace("\\", "\\\\").replace('"', '\\"'),
                      '    upstream = "%s"' % target.address,
                      '    upstream_user = "%s"' % account(),
                      '    identity = "%s"' % target.identity if target.identity else "",
                      '    known_hosts = "%s"' % target.known_hosts, socket_more, "}"]
        self.configuration = write(os.path.join(directory, "proxy.conf"), "\n".join(lines) + "\n")
        self.env = environment(**(env or {}))
        # The proxy makes itself undumpable, and a leak checker could not look at it.
        self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.daemon = None
        self.port = 0
        self.start()

    def start(self):
        log = os.path.join(self.directory, "proxy.log")
        self.daemon = Daemon([program("castbucket-proxy"), "-f", self.configuration], log,
                             stdout=subprocess.PIPE, env=self.env, cwd=self.directory)
        line = self.daemon.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            self.daemon.stop()
            raise AssertionError("castbucket-proxy does not listen: %s%s" % (
                line, self.daemon.words()))
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        return self.daemon.stop(30)


class Person:
    """Somebody with a key and OpenSSH's client; each of the proxy's sockets is a Host of theirs, so
    that `ssh web-1`, `scp FILE web-1:` and `rsync FILE web-1:` all go through the proxy."""

    def __init__(self, directory, name):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.name = name
        self.identity = os.path.join(directory, "key")
        self.public = make_key(self.identity)
        self.config = os.path.join(directory, "config")

    def meet(self, proxy, sockets):
        """Writes the client's configuration for this proxy."""
        known = write(os.path.join(self.directory, "known_hosts"),
                      "[127.0.0.1]:%d %s\n" % (proxy.port, proxy.host_public))
        lines = []
        for socket_name in sockets:
            lines += ["Host " + socket_name, '    User "%s:%s"' % (self.name, socket_name)]
        lines += ["Host *", "    HostName 127.0.0.1", "    Port %d" % proxy.port,
                  "    IdentityFile " + self.identity, "    IdentitiesOnly yes",
                  "    UserKnownHostsFile " + known, "    GlobalKnownHostsFile none",
                  "    StrictHostKeyChecking yes", "    BatchMode yes", "    LogLevel ERROR",
                  "    IdentityAgent none", ""]
        write(self.config, "\n".join(lines))

    def words(self, *words):
        return ["ssh", "-F", self.config, *words]

    def ssh(self, *words, seconds=60, **keywords):
        keywords.setdefault("env", environment(HOME=self.directory))
        return run(self.words(*words), seconds=seconds, **keywords)
