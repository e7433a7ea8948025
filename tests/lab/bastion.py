"""A bastion as packages install one: castbucket-shell set-user-ID to an account of its own and the login
shell of people, under OpenSSH's sshd. Accounts, settings and processes are in name spaces of their own,
so nothing of it touches this machine; that takes root."""

import json
import os
import shutil
import subprocess
import tempfile

from lab.journal import read_frames
from lab.process import build_directory, environment, program, run, wait_until
from lab.ssh import answers, free_port, make_key, write

RECORDER, ALICE, BOB = 64310, 64311, 64312
ACCOUNTS = {"castbucket": RECORDER, "alice": ALICE, "bob": BOB}

# In the new name spaces, as process 1: the accounts are in an upper layer of /etc.
INIT = """set -e
mount -t tmpfs -o mode=755 none "$1/etc"
mkdir "$1/etc/upper" "$1/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work" none /etc
cp -R "$1/files/." /etc/
for name in passwd group shadow; do cat "$1/accounts/$name" >>"/etc/$name"; done
chown 0:64310 /etc/castbucket/settings.json
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/sshd
[ -z "$2" ] || { mount -t tmpfs -o "$2" none "$1/spool"; }
/usr/sbin/sshd -D -e -f "$1/sshd_config"
"""


def why_not():
    """Why there can be no bastion here; None: there can."""
    if os.environ.get("SANITIZE"):
        return "a leak checker may not look at the relay, which nobody may trace, nor be told so"
    if os.getuid() != 0:
        return "only root can install a set-user-ID program and let people in"
    done = run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c",
                "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w && "
                "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w none /etc"])
    return None if done.returncode == 0 else "no name spaces here: " + done.stderr.decode()


class Bastion:
    def __init__(self, configuration="", sshd="", spool_options="", **socket_settings):
        # Not a test's own directory: people must get into it.
        self.directory = tempfile.mkdtemp(prefix="castbucket-bastion.")
        os.chmod(self.directory, 0o755)
        self.spool = self.path("spool")
        self.journals = self.path("spool", "journals")
        self.shell = self.path("bin", "castbucket-shell")
        self.process = None
        for name in ("etc", "bin", "lib", "home", "accounts", "files", "files/castbucket"):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), 0o755)
        os.mkdir(self.spool, 0o700)
        os.chown(self.spool, RECORDER, RECORDER)
        self.install()
        self.accounts()
        self.settings(configuration, socket_settings)
        self.sshd(sshd, spool_options)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def install(self):
        for name in ("castbucket.so", "castbucket-recorder.so"):
            shutil.copy(os.path.join(build_directory(), name), self.path("lib"))
        shutil.copy(program("castbucket-shell"), self.shell)
        os.chown(self.shell, RECORDER, RECORDER)
        os.chmod(self.shell, 0o6755)

    def accounts(self):
        lines = {"passwd": "", "group": "", "shadow": ""}
        for name, number in ACCOUNTS.items():
            home = self.path("home", name)
            os.mkdir(home, 0o755)
            os.chown(home, number, number)
            shell = "/usr/sbin/nologin" if name == "castbucket" else self.shell
            lines["passwd"] += "%s:x:%d:%d::%s:%s\n" % (name, number, number, home, shell)
            lines["group"] += "%s:x:%d:\n" % (name, number)
            lines["shadow"] += "%s:*:19000:0:99999:7:::\n" % name
        for name, text in lines.items():
            write(self.path("accounts", name), text)

    def settings(self, configuration, socket_settings):
        store = self.path("store")
        write(self.path("files", "castbucket", "settings.json"), json.dumps({
            "version": 1, "spool": self.spool,
            "organizations": {"acme": {"storage": {"type": "directory", "path": store}}},
            "sockets": {"jump": {"organization": "acme", "recording": True, **socket_settings},
                        "other": {"organization": "acme", "recording": True}}}), 0o640)
        write(self.path("files", "castbucket", "shell.conf"),
              'plugin = "%s"\nsocket = "jump"\nshell = "/bin/bash"\n%s\n' % (
                  self.path("lib", "castbucket.so"), configuration), 0o644)

    def sshd(self, more, spool_options):
        self.identity = self.path("identity")
        host_key = self.path("host_key")
        keys = write(self.path("authorized_keys"), make_key(self.identity), 0o644)
        public = make_key(host_key)
        self.port = free_port()
        write(self.path("sshd_config"), "\n".join([
            "ListenAddress 127.0.0.1", "Port %d" % self.port, "HostKey " + host_key,
            "AuthorizedKeysFile " + keys, "StrictModes no", "PidFile none", "UsePAM no",
            "PrintMotd no", "PrintLastLog no", "MaxSessions 100", "MaxStartups 100",
            "ExposeAuthInfo yes", more or "AcceptEnv *",
            "Subsystem sftp /usr/lib/openssh/sftp-server", ""]))
        self.log = self.path("sshd.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                 INIT, "init", self.directory, spool_options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
        wait_until(lambda: answers(self.port) or self.process.poll() is not None, what="sshd")
        with open(self.log, encoding="utf-8", errors="replace") as log:
            assert self.process.poll() is None, log.read()
        self.known_hosts = write(self.path("known_hosts"), "[127.0.0.1]:%d %s\n" % (
            self.port, " ".join(public.split()[:2])))

    def client(self, name="ssh"):
        """OpenSSH's client, up to the host."""
        return [name, "-q", "-F", "none", "-o", "Port=%d" % self.port, "-o", "BatchMode=yes", "-o",
                "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o",
                "UserKnownHostsFile=" + self.known_hosts, "-i", self.identity]

    def ssh(self, *words, user="alice", seconds=60, options=(), **keywords):
        keywords.setdefault("env", environment(HOME=self.directory))
        return run([*self.client(), *options, user + "@127.0.0.1", *words], seconds=seconds,
                   **keywords)

    def inside(self):
        """What to put before a command for it to run in the name spaces, as root."""
        with open("/proc/%d/task/%d/children" % (2 * (self.process.pid,)), encoding="ascii") as file:
            return ["nsenter", "--target", file.read().split()[0], "--mount", "--pid"]

    def names(self):
        inner = self.inside()[2]
        folder = "/proc/%s/root%s" % (inner, self.journals)
        return {os.path.join(folder, name) for name in os.listdir(folder)
                if name.endswith(".journal")} if os.path.isdir(folder) else set()

    def recorded(self, act):
        """What act() returns, and the frames of each session that it left, oldest first."""
        before = self.names()
        result = act()
        return result, [read_frames(path) for path in sorted(self.names() - before)]

    def stop(self):
        if self.process:
            self.process.kill()  # and --kill-child does the rest
            self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)
