"""A bastion in a tree: its accounts, its sshd, castbucket's services, and the people who come in from
outside with OpenSSH's client."""

import json
import os
import subprocess

from lab.process import Daemon, Terminal, environment, run, wait_until
from lab.ssh import answers, free_port, make_key
from tree import ENVIRONMENT
from unit import Unit

ORGANIZATION = "acme"
SOCKETS = ("jump", "sudo", "web-1")  # castbucket-shell's, sudo's, the proxy's
PEOPLE = ("alice", "bob", "dave", "deploy")
SSHD = """Port %d
ListenAddress 127.0.0.1
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
ExposeAuthInfo yes
PidFile none
PrintMotd no
Subsystem sftp internal-sftp
Include /etc/ssh/sshd_config.d/*.conf
"""


class Site:
    def __init__(self, tree, gateway, directory, suite):
        self.tree = tree
        self.gateway = gateway
        self.directory = directory
        self.suite = suite
        self.packages = directory
        self.organization = None
        self.sshd = None
        self.units = {}
        self.terminals = []
        self.key = os.path.join(directory, "key")
        self.known_hosts = os.path.join(directory, "known_hosts")
        self.ports = {}
        self.before = set()  # every file before castbucket came
        self.expected = []  # (socket, user, what the client saw): recordings that must be there

    def close(self):
        for terminal in self.terminals:
            terminal.process.kill()
        for unit in self.units.values():
            if unit.process and unit.process.poll() is None:
                unit.process.kill()
                unit.process.wait()
        if self.sshd:
            self.sshd.stop()

    # The machine.

    def files(self):
        """Every file and directory of the tree, but for what is mounted."""
        done = subprocess.run(["find", self.tree.directory, "-xdev", "-printf", "%P\n"],
                              stdout=subprocess.PIPE, check=True)
        return set(done.stdout.decode(errors="replace").splitlines())

    def accounts(self):
        self.public = make_key(self.key)
        for name in PEOPLE:
            self.tree.must("useradd", "--create-home", "--shell", "/bin/bash", "--password", "*",
                           name)
            self.tree.write("/home/%s/.ssh/authorized_keys" % name, self.public, owner=name)
            self.tree.must("chown", "-R", name + ":", "/home/" + name)
        self.tree.write("/etc/sudoers.d/dave", "dave ALL=(ALL) NOPASSWD: ALL\n", 0o440)

    def start_sshd(self):
        port = self.ports["sshd"] = free_port()
        self.tree.write("/etc/ssh/sshd_config", SSHD % port)
        with open(self.known_hosts, "w", encoding="utf-8") as file:
            file.write("[127.0.0.1]:%d %s" % (port, self.tree.read(
                "/etc/ssh/ssh_host_ed25519_key.pub")))
        self.run_sshd()

    def run_sshd(self):
        """sshd, by whatever its configuration says now."""
        if self.sshd:
            self.sshd.stop()
        log = os.path.join(self.directory, "sshd.log")
        tree = self.tree

        class Inside(Daemon):
            def __init__(self):  # as a daemon of the tree's
                self.log = log
                with open(log, "ab") as output:
                    self.process = subprocess.Popen(
                        ["/usr/sbin/sshd", "-D", "-e"], stdin=subprocess.DEVNULL, stdout=output,
                        stderr=output, env=ENVIRONMENT, preexec_fn=tree.enter())

        self.sshd = Inside()
        wait_until(lambda: answers(self.ports["sshd"]) or self.sshd.process.poll() is not None,
                   what="sshd")
        assert self.sshd.process.poll() is None, self.sshd.words()

    def unit(self, name):
        if name not in self.units:
            self.units[name] = Unit(self.tree, name, os.path.join(self.directory, name + ".log"))
        return self.units[name]

    def fresh_unit(self, name):
        """As it is installed now."""
        self.units.pop(name, None)
        return self.unit(name)

    # The people.

    def options(self, letter, port):
        """Of ssh, or sftp, which has another letter for the port."""
        return ["-F", "none", "-q", letter, str(self.ports[port]), "-i", self.key,
                "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o",
                "UserKnownHostsFile=" + self.known_hosts, "-o", "StrictHostKeyChecking=yes",
                "-o", "IdentityAgent=none"]

    def words(self, user, *words, port="sshd"):
        return ["ssh", *self.options("-p", port), "-l", user, *words]

    def ssh(self, user, *words, port="sshd", seconds=60, **keywords):
        keywords.setdefault("env", environment(HOME=self.directory))
        return run(self.words(user, "127.0.0.1", *words, port=port), seconds=seconds, **keywords)

    def sftp(self, user, commands):
        """Runs sftp's commands, with this site's directory as the local one."""
        done = run(["sftp", *self.options("-P", "sshd"), "-b", "-", user + "@127.0.0.1"],
                   input=commands.encode() + b"\n", cwd=self.directory,
                   env=environment(HOME=self.directory))
        assert done.returncode == 0, done.stderr

    def terminal(self, user, port="sshd"):
        """A person at a keyboard."""
        made = Terminal(self.words(user, "-tt", "127.0.0.1", port=port),
                        env=environment(HOME=self.directory))
        self.terminals.append(made)
        return made

    # castbucket.

    def environment(self):
        return self.gateway.service_environment()

    def castbucket(self, *words, **keywords):
        """As root, which has the account's keys in its environment."""
        return self.tree.must("castbucket", *words, env=self.environment(), **keywords)

    def recordings(self):
        """Those whose manifest is there: they are complete."""
        found = [json.loads(line) for line in
                 self.castbucket("ls", "--org", ORGANIZATION, "--json").splitlines()]
        return [entry for entry in found if entry["user"] is not None]

    def expect(self, socket, user, shown):
        """Notes what a person saw in one session; check_expected() looks for it in the bucket."""
        self.expected.append((socket, user, shown))

    def check_expected(self, seconds=60):
        """Each noted session is a recording whose bytes are what the person saw, in order."""
        wait_until(lambda: len(self.recordings()) >= len(self.expected), seconds, "the uploads",
                   every=0.5)
        left = self.recordings()
        raws = {entry["id"]: self.raw(entry) for entry in left}
        for socket, user, shown in self.expected:
            for entry in left:
                if (entry["socket"], entry["user"]) != (socket, user):
                    continue
                if raws[entry["id"]] == shown:
                    left.remove(entry)
                    break
            else:
                raise AssertionError("no recording of %s by %s shows %r; there are %s" % (
                    socket, user, shown[-500:],
                    [(one["socket"], one["user"], raws[one["id"]][-300:]) for one in left]))
        assert not left, left

    def raw(self, entry):
        done = subprocess.run(
            ["castbucket", "get", entry["id"], "--org", ORGANIZATION, "--raw", "-o", "-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **self.environment()}, preexec_fn=self.tree.enter(), timeout=120,
            check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def spooled(self):
        """What waits."""
        found = []
        for area in ("journals", "sealed", "quarantine"):
            path = self.tree.path("/var/spool/castbucket/" + area)
            found += [area + "/" + name for name in os.listdir(path)] if os.path.isdir(path) else []
        return sorted(found)

    def spooled_ids(self):
        """Of the recordings that wait, or that are being made."""
        return {name.partition("/")[2].partition(".")[0] for name in self.spooled()}
