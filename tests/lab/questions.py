"""Servers that ask people who log in, and a person who answers."""

import glob
import os
import shutil
import socket
import subprocess
import threading

import paramiko

from lab.process import environment
from lab.ssh import Target, account, make_key, write

SUCCESS = paramiko.AUTH_SUCCESSFUL
PARTIAL = paramiko.AUTH_PARTIALLY_SUCCESSFUL
FAILED = paramiko.AUTH_FAILED


class PamTarget(Target):
    """OpenSSH's server with PAM: a password, and then a code that is shown as it is typed. PAM's files
    are ours by pam_wrapper(1), so that neither root nor an account with a password is needed."""

    def __init__(self, directory, password="secret", code=None, first=""):
        os.makedirs(directory, exist_ok=True)
        self.services = os.path.join(directory, "pam.d")
        os.makedirs(self.services, exist_ok=True)
        library, = glob.glob("/usr/lib/*/libpam_wrapper.so")
        matrix, = glob.glob("/usr/lib/*/pam_wrapper/pam_matrix.so")
        lines = []
        for number, (secret, option) in enumerate([(password, ""), (code, " echo")]):
            if secret:
                database = write(os.path.join(self.services, "secret%d" % number),
                                 "%s:%s:sshd\n" % (account(), secret))
                lines.append("auth requisite %s passdb=%s%s" % (matrix, database, option))
        lines += ["account required pam_permit.so", "session required pam_permit.so", ""]
        write(os.path.join(self.services, "sshd"), "\n".join(lines))
        write(os.path.join(self.services, "other"), "auth required pam_deny.so\n")
        super().__init__(directory, first=first + "UsePAM yes\nKbdInteractiveAuthentication yes",
                         env={"LD_PRELOAD": library, "PAM_WRAPPER": "1",
                              "PAM_WRAPPER_SERVICE_DIR": self.services})

    def stop(self):
        super().stop()
        # What pam_wrapper makes for each process, and leaves where one ends without saying so.
        for path in glob.glob("/tmp/pam.?/sshd"):
            try:
                with open(path, encoding="utf-8") as file:
                    ours = self.services in file.read()
            except OSError:  # somebody else's
                continue
            if ours:
                shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def query(*prompts, name="", instruction=""):
    """A round of questions: (prompt, echo) each."""
    return paramiko.InteractiveQuery(name, instruction, *prompts)


class Asking:
    """A server of our own (paramiko) for what OpenSSH's cannot be made to do: several questions in one
    round, none at all, and malice. Stands for appliances.

    `script` is a generator function that is called for each try: it yields rounds, gets answers, and
    returns SUCCESS, FAILED, or PARTIAL: then it wants the password, too. Without one there is no
    keyboard-interactive. `tried` are the passwords and the rounds of answers that came."""

    identity = None

    def __init__(self, directory, script=None, password=None, anybody=False):
        os.makedirs(directory, exist_ok=True)
        self.script = script
        self.password = password
        self.anybody = anybody
        self.tried = []
        self.transports = []
        host_key = os.path.join(directory, "host_key")
        public = make_key(host_key)
        self.host_key = paramiko.Ed25519Key(filename=host_key)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        self.known_hosts = write(os.path.join(directory, "known_hosts"), "[127.0.0.1]:%d %s\n" % (
            self.port, " ".join(public.split()[:2])))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            self.transports.append(transport)
            try:
                transport.start_server(event=threading.Event(), server=One(self, transport))
            except (OSError, paramiko.SSHException):
                pass

    def hang_up(self):
        for transport in self.transports:
            transport.close()

    def stop(self):
        if self.listening.fileno() < 0:
            return
        self.listening.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self.listening.close()
        self.hang_up()


class One(paramiko.ServerInterface):
    """One connection of it. Runs commands."""

    def __init__(self, server, transport):
        self.server = server
        self.transport = transport
        self.running = None
        self.partial = False

    def get_allowed_auths(self, username):
        if self.partial:
            return "password"
        return ",".join(name for name, there in (
            ("password", self.server.password),
            ("keyboard-interactive", self.server.script)) if there)

    def check_auth_none(self, username):
        return SUCCESS if self.server.anybody else FAILED

    def check_auth_password(self, username, password):
        self.server.tried.append(password)
        return SUCCESS if password == self.server.password else FAILED

    def check_auth_interactive(self, username, submethods):
        if not self.server.script:
            return FAILED
        self.running = self.server.script()
        return self.next_round(None)

    def check_auth_interactive_response(self, responses):
        self.server.tried.append(list(responses))
        return self.next_round(list(responses))

    def next_round(self, answers):
        try:
            return self.running.send(answers)
        except StopIteration as end:
            self.partial = end.value == PARTIAL
            return end.value

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.execute, args=(channel, command), daemon=True).start()
        return True

    @staticmethod
    def execute(channel, command):
        with subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=environment()) as process:
            try:
                for part in iter(lambda: process.stdout.read1(4096), b""):
                    channel.sendall(part)
                channel.send_exit_status(process.wait())
                channel.close()
            except OSError:  # hung up
                process.kill()


class Answers:
    """A person's answers, given by OpenSSH's client through SSH_ASKPASS, one to each prompt. `asked`
    are the prompts."""

    def __init__(self, directory, *answers):
        os.makedirs(directory, exist_ok=True)
        self.log = write(os.path.join(directory, "asked"), "")
        left = write(os.path.join(directory, "answers"), "".join(one + "\n" for one in answers))
        self.program = write(os.path.join(directory, "askpass"), "\n".join([
            "#!/bin/sh", "printf '%%s\\n' \"$1\" >>'%s'" % self.log,
            "[ -s '%s' ] || exit 1" % left,
            "head -n 1 '%s'; sed -i 1d '%s'" % (left, left), ""]), 0o700)

    @property
    def asked(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()

    def environment(self, home):
        return environment(HOME=home, SSH_ASKPASS=self.program, SSH_ASKPASS_REQUIRE="force")
