"""Runs a script of OpenSSH's own tests (Debian: openssh-tests), as it is, with castbucket-proxy between
the client and the server. The tests let themselves be told which programs to use:

  ssh   OpenSSH's, by a wrapper that names the proxy's socket, whatever user the test names; and
        of the algorithms that ssh knows it tells those that the proxy offers, too
  sshd  openssh_front.py: the client's connection goes to the proxy. Its socket leads to an sshd with
        the configuration that the test wrote, one for each connection
  sftp-server  which sftp's tests run without any ssh: it is started at the far end of the proxy

Everything is recorded by castbucket.so into a directory."""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

from lab.process import die_with_parent, environment, run
from lab.ssh import Proxy, account, make_key, password_is_locked, write

TESTS = "/usr/lib/openssh/regress"
HERE = os.path.dirname(os.path.abspath(__file__))
SOCKET = "web-1"
HOST_KEYS = {"ssh-ed25519": "ed25519", "ecdsa-sha2-nistp256": "ecdsa", "ssh-rsa": "rsa"}
PROGRAMS = ("check-perm", "config.h", "mkdtemp", "modpipe", "netcat", "setuid-allowed")
ALGORITHMS = {"kex": 0, "cipher": 2, "mac": 4}  # of ssh -Q: which list of a KEXINIT

# The programs that the tests are given. Sessions at the far side run some of them, too: these have
# nothing of the test's environment, so what the programs need is written into them.
SSH = """#!/bin/sh
for word in "$@"; do
    [ "$asked" != yes ] || { [ ! -f "{stage}/$word" ] || exec cat "{stage}/$word"; }
    asked=; [ "$word" != -Q ] || asked=yes
done
exec /usr/bin/ssh -oUser={user}:{socket} "$@"
"""
SSHD = """#!/bin/sh
OPENSSH_STAGE={stage} TEST_SSH_PORT={port} exec {here}/openssh_front.py "$@"
"""
SFTP_SERVER = """#!/bin/sh
[ -n "$OPENSSH_STAGE" ] || exec /usr/lib/openssh/sftp-server "$@"
[ $# -gt 0 ] || exec {stage}/ssh -q -F {stage}/obj/ssh_proxy -s somehost sftp
exec {stage}/ssh -q -F {stage}/obj/ssh_proxy somehost /usr/lib/openssh/sftp-server "$@"
"""


def offered(port):
    """The name-lists of the KEXINIT of the server at this port: RFC 4253, 7.1."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        stream = peer.makefile("rb")
        stream.readline()
        peer.sendall(b"SSH-2.0-asks\r\n")
        length, padding = struct.unpack(">IB", stream.read(5))
        payload = stream.read(length - 1)[:-padding]
    lists, at = [], 17
    for _ in range(10):
        (length,) = struct.unpack_from(">I", payload, at)
        lists.append(payload[at + 4:at + 4 + length].decode().split(","))
        at += 4 + length
    return lists


class Servers:
    """Where the proxy's socket leads: an sshd for each connection, as the test last wanted it."""

    def __init__(self, directory, keys):
        self.directory = directory
        self.identity = os.path.join(directory, "identity")
        self.public = write(os.path.join(directory, "identity_authorized"), make_key(self.identity))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.known_hosts = os.path.join(directory, "known_hosts")
        lines = []
        for name in HOST_KEYS:
            with open(os.path.join(keys, name + ".pub"), encoding="utf-8") as file:
                lines.append("[127.0.0.1]:%s %s" % (self.address.split(":")[1], file.read()))
        write(self.known_hosts, "".join(lines))
        self.processes = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, open(os.path.join(self.directory, "server.json"),
                                  encoding="utf-8") as file:
                # The proxy's own login is not what a test is about; sshd's first word counts.
                self.processes.append(subprocess.Popen(
                    ["/usr/sbin/sshd", "-i", "-o", "AuthorizedKeysFile=" + self.public,
                     *json.load(file)], stdin=connection, stdout=connection,
                    stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, env=environment()))

    def stop(self):
        self.listener.close()
        for process in self.processes:
            process.kill()
            process.wait()


class OpenSSHStage:
    def __init__(self, lab):
        self.lab = lab
        self.directory = os.path.join(lab.directory, "openssh")
        self.objects = os.path.join(self.directory, "obj")
        os.makedirs(self.objects)
        for name in PROGRAMS:
            shutil.copy(os.path.join(TESTS, name), self.objects)
        for name, kind in HOST_KEYS.items():  # the tests take what is there
            done = run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f",
                        os.path.join(self.objects, name)])
            assert done.returncode == 0, done.stderr
        lab.must("settings", "storage", "acme", "--type", "directory", "--path",
                 os.path.join(self.directory, "store"))
        lab.socket(SOCKET, "acme")
        self.servers = Servers(self.directory, self.objects)
        lab.things.append(self.servers)
        self.proxy = Proxy(
            os.path.join(self.directory, "proxy"), lab.settings, {SOCKET: self.servers},
            {account(): ""}, host_keys=[os.path.join(self.objects, name) for name in HOST_KEYS],
            more="max_connections_per_user = 512\nmax_unauthenticated_per_source = 32\n",
            socket_more="local_forwarding = true\nremote_forwarding = true\n"
                        "agent_forwarding = true\nx11_forwarding = true\n")
        lab.things.append(self.proxy)
        # Whom the test lets in is whom the proxy lets in.
        keys = os.path.join(self.proxy.directory, "authorized_keys", account())
        os.unlink(keys)
        os.symlink(os.path.join(self.objects, "authorized_keys_" + account()), keys)
        for name, text in (("ssh", SSH), ("sshd", SSHD), ("sftp-server", SFTP_SERVER)):
            for word, value in (("stage", self.directory), ("user", account()), ("here", HERE),
                                ("socket", SOCKET), ("port", str(self.proxy.port))):
                text = text.replace("{%s}" % word, value)
            write(os.path.join(self.directory, name), text, 0o755)
        lists = offered(self.proxy.port)
        for kind, which in ALGORITHMS.items():
            known = run(["ssh", "-Q", kind]).stdout.decode().split()
            shared = [name for name in known if name in lists[which]]
            assert shared, kind
            write(os.path.join(self.directory, kind), "\n".join(shared) + "\n")

    def environment(self):
        more = {"TEST_SSH_SSHD_CONFOPTS": "UsePAM yes"} if password_is_locked() else {}
        return environment(
            OPENSSH_STAGE=self.directory, TEST_SHELL="sh", TEST_SSH_PORT=str(self.proxy.port),
            TEST_SSH_SSH=os.path.join(self.directory, "ssh"),
            TEST_SSH_SSHD=os.path.join(self.directory, "sshd"),
            TEST_SSH_SFTPSERVER=os.path.join(self.directory, "sftp-server"),
            TEST_SSH_UNSAFE_PERMISSIONS="1",
            BUILDDIR=self.objects, OBJ=self.objects, SUDO="", USER=account(), LOGNAME=account(),
            HOME=self.directory, **more)

    def run(self, name, seconds):
        """Returns (exit status, lines that it wrote)."""
        script = os.path.join(TESTS, name + ".sh")
        log = os.path.join(self.directory, "output")
        with open(log, "wb") as output, open("/dev/zero", "rb") as zero:
            process = subprocess.Popen(
                ["sh", os.path.join(TESTS, "test-exec.sh"), self.objects, script], stdin=zero,
                stdout=output, stderr=subprocess.STDOUT, env=self.environment(), cwd=self.objects,
                start_new_session=True, preexec_fn=die_with_parent)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                self.end(process)
        with open(log, encoding="utf-8", errors="replace") as output:
            return status, output.read().splitlines()

    def end(self, process):
        """What the script left behind: its own session, and the daemons, which say who they are."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        try:
            with open(os.path.join(self.objects, "pidfile"), encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGTERM)
        except (OSError, ValueError):
            pass

    def failures(self):
        """Of each that the script counted: "what it was at: what went wrong"."""
        found, at = [], ""
        path = os.path.join(self.objects, "failed-regress.log")
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    kind, _, text = line.rstrip("\n").partition(": ")
                    if kind == "trace":
                        at = text
                    elif kind in ("FAIL", "FATAL") and text:
                        found.append("%s: %s" % (at, text))
        return found

    def logs(self):
        return "\n".join(self.failures()) + "\n" + self.proxy.daemon.words()[-3000:]

    def recordings(self):
        """Stops the proxy. Returns the entries of what was recorded: each complete and whole."""
        assert self.proxy.stop() == 0
        done = self.lab.once()
        assert done.returncode == 0, done.stdout + done.stderr
        if not os.path.exists(os.path.join(self.directory, "store")):  # made for the first
            return []
        entries = self.lab.ls("acme")
        for entry in entries:
            assert entry["complete"], entry
            self.lab.must("verify", entry["id"], "--org", "acme")
        assert self.lab.spooled() == []
        return entries


def names_of_makefile():
    """LTESTS of the package's Makefile."""
    with open(os.path.join(TESTS, "Makefile"), encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    return re.search(r"^LTESTS=(.*)$", text, re.MULTILINE).group(1).split()
