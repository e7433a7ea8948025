"""The supervisor of one throw-away gateway: writes the configuration, starts the daemons, says so in
gateway.json, and kills all of them when it is told to end or its owner has gone."""

import ctypes
import http.client
import json
import os
import random
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
import uuid

SERVICE_USER = "castbucket"
SHORT_TOKENS_SECONDS = 10
STATE_FILE = "gateway.json"
PID_FILE = "supervisor.pid"
PR_SET_PDEATHSIG = 1


class GatewayError(Exception):
    """The gateway could not be started or asked; the text says what to look at."""


def random_word(length, alphabet=string.ascii_letters + string.digits):
    return "".join(random.SystemRandom().choice(alphabet) for _ in range(length))


def free_port(taken=()):
    """A port that nobody has now. Below the ephemeral range, so that an outgoing connection of
    somebody else is unlikely to take it before we do."""
    for _ in range(200):
        port = random.SystemRandom().randrange(10240, 32000)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise GatewayError("no free port on 127.0.0.1 between 10240 and 32000")


def die_with_parent():
    """In a child before exec: the kernel kills it when the supervisor ends, even by kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
auth cluster required = none
auth service required = none
auth client required = none
auth supported = none
keyring = /dev/null
# Without this radosgw waits for ever: its connections want a mode that no authentication rules out.
ms mon client mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms bind port min = {osd_ports}
ms bind port max = {osd_ports_end}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
run dir = {directory}
# None: its path would have to fit 107 bytes, and nobody asks it anything.
admin socket =
log file = {directory}/$name.log
crash dir = {directory}/crash
log to syslog = false
err to stderr = true

[mon]
mon data = {directory}/mon
mon cluster log file = {directory}/cluster.log
paxos propose interval = 0.02
paxos min wait = 0.01
mon data avail warn = 1
mon data avail crit = 0

[osd]
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = {memory}
osd op num shards = 1
osd fast shutdown = true

[client]
rgw enable apis = s3, sts, iam, admin
rgw sts key = {sts_key}
rgw s3 auth use sts = true
rgw dns name = s3.localhost
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey={kms_key}
rgw enable usage log = false
rgw enable ops log = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw run sync thread = false
rgw thread pool size = 64
rgw num rados handles = 1
rgw data = {directory}/rgw
# One line a request, with its method: what the tests read to say that nothing was ever deleted.
debug rgw = {debug}

[client.rgw.main]
rgw frontends = beast endpoint=127.0.0.1:{rgw} ssl_endpoint=127.0.0.1:{rgw_tls} \
ssl_certificate={directory}/tls.pem ssl_private_key={directory}/tls.key

[client.rgw.past]
rgw frontends = beast endpoint=127.0.0.1:{rgw_past}
"""

SHIM = """\
global
    maxconn 512
defaults
    mode http
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    option http-keep-alive
    http-reuse safe
frontend s3
    bind 127.0.0.1:{shim}
    # Stands for sts:ExternalId. Only a form has parameters; an object's body is not waited for.
    acl is_form req.hdr(content-type) -m beg application/x-www-form-urlencoded
    acl has_external_id req.body_param(ExternalId) -m found
    http-request del-header Referer
    http-request wait-for-body time 5s if is_form
    http-request set-header Referer %[req.body_param(ExternalId),url_dec(1)] \
if is_form has_external_id
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:{rgw}
{past}"""

SHIM_PAST = """\
frontend sts_in_the_past
    bind 127.0.0.1:{shim_past}
    acl is_form req.hdr(content-type) -m beg application/x-www-form-urlencoded
    acl has_external_id req.body_param(ExternalId) -m found
    http-request del-header Referer
    http-request wait-for-body time 5s if is_form
    http-request set-header Referer %[req.body_param(ExternalId),url_dec(1)] \
if is_form has_external_id
    default_backend gateway_in_the_past
backend gateway_in_the_past
    server gateway 127.0.0.1:{rgw_past}
"""


class Supervisor:
    def __init__(self, directory, short_tokens, verbose):
        self.directory = os.path.abspath(directory)
        self.short_tokens = short_tokens
        self.verbose = verbose
        self.children = {}

    def path(self, name):
        return os.path.join(self.directory, name)

    def say(self, text):
        if self.verbose:
            print("rgw: " + text, file=sys.stderr, flush=True)

    def run(self, *command):
        """A command that must succeed; its words are kept for the error."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, preexec_fn=die_with_parent)
        if done.returncode != 0:
            raise GatewayError("%s exited %d: %s" % (
                " ".join(command), done.returncode, done.stdout.decode(errors="replace")[-2000:]))
        return done.stdout

    def daemon(self, name, *command):
        output = open(self.path(name + ".out"), "ab")
        self.children[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=self.directory, preexec_fn=die_with_parent)
        output.close()

    def wait_for(self, name, port, seconds=30):
        """Until the daemon answers on its port."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.children[name].poll() is not None:
                raise GatewayError("%s exited %d; its words are in %s: %s" % (
                    name, self.children[name].returncode, self.path(name + ".out"),
                    tail(self.path(name + ".out"))))
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/")
                connection.getresponse().read()
                connection.close()
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
        raise GatewayError("%s does not answer on port %d; see %s" % (
            name, port, self.path("client.rgw.main.log")))

    def configure(self):
        ports = {}
        for name in ("mon_v2", "mon_v1", "rgw", "rgw_tls", "rgw_past", "shim", "shim_past"):
            ports[name] = free_port(ports.values())
        osd_ports = random.SystemRandom().randrange(10240, 31000)
        self.ports = ports
        self.fsid = str(uuid.uuid4())
        conf = CONFIGURATION.format(
            directory=self.directory, fsid=self.fsid, osd_ports=osd_ports,
            osd_ports_end=osd_ports + 1000, memory=4 << 30, sts_key=random_word(16),
            kms_key="YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=", debug="1/1", **ports)
        with open(self.path("ceph.conf"), "w", encoding="utf-8") as file:
            file.write(conf)
        past = SHIM_PAST.format(**ports) if self.short_tokens else ""
        with open(self.path("haproxy.cfg"), "w", encoding="utf-8") as file:
            file.write(SHIM.format(past=past, **ports))
        for name in ("mon", "osd", "rgw", "crash"):
            os.makedirs(self.path(name), exist_ok=True)

    def certificate(self):
        """For 127.0.0.1 and s3.localhost, its own authority; clients are given tls.pem to trust."""
        self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path("tls.key"), "-out",
                 self.path("tls.pem"), "-days", "2", "-subj", "/CN=throw-away gateway", "-addext",
                 "subjectAltName=IP:127.0.0.1,DNS:s3.localhost,DNS:*.s3.localhost")

    def start_cluster(self):
        conf = self.path("ceph.conf")
        monmap = self.path("monmap")
        self.say("ceph-mon, ceph-osd")
        self.run("monmaptool", "--create", "--clobber", "--fsid", self.fsid, "--addv", "a",
                 "[v2:127.0.0.1:%d,v1:127.0.0.1:%d]" % (self.ports["mon_v2"],
                                                        self.ports["mon_v1"]), monmap)
        self.run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", monmap)
        self.daemon("ceph-mon", "ceph-mon", "-c", conf, "-i", "a", "-f")
        osd_uuid = str(uuid.uuid4())
        self.run("ceph", "-c", conf, "--connect-timeout", "30", "osd", "new", osd_uuid, "0")
        self.run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)
        self.daemon("ceph-osd", "ceph-osd", "-c", conf, "-i", "0", "-f")

    def start_gateways(self):
        conf = self.path("ceph.conf")
        self.say("radosgw")
        self.daemon("radosgw", "radosgw", "-c", conf, "-n", "client.rgw.main", "-f")
        self.wait_for("radosgw", self.ports["rgw"])
        if self.short_tokens:
            self.say("radosgw, %d s in the past" % (900 - SHORT_TOKENS_SECONDS))
            # The library itself and not the faketime program, which would be the child we watch.
            self.daemon("radosgw-past", "env", "LD_PRELOAD=" + faketime_library(),
                        "FAKETIME=-%ds" % (900 - SHORT_TOKENS_SECONDS),
                        "DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                        "FAKETIME_DONT_RESET=1",
                        "radosgw", "-c", conf, "-n", "client.rgw.past", "-f")
            self.wait_for("radosgw-past", self.ports["rgw_past"])
        self.say("haproxy")
        self.daemon("haproxy", "haproxy", "-db", "-q", "-f", self.path("haproxy.cfg"))
        self.wait_for("haproxy", self.ports["shim"])

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        self.configure()
        self.certificate()
        self.start_cluster()
        self.start_gateways()
        access_key, secret_key = random_word(20).upper(), random_word(40)
        self.run("radosgw-admin", "-c", self.path("ceph.conf"), "-n", "client.rgw.main",
                 "--log-file", "/dev/null", "user", "create", "--uid", SERVICE_USER, "--display-name", "the proxy's operator",
                 "--caps", "roles=*", "--access-key", access_key, "--secret-key", secret_key)
        state = {
            "directory": self.directory,
            "endpoint": "http://127.0.0.1:%d" % self.ports["shim"],
            "gateway_endpoint": "http://127.0.0.1:%d" % self.ports["rgw"],
            "tls_endpoint": "https://127.0.0.1:%d" % self.ports["rgw_tls"],
            "ca_file": self.path("tls.pem"),
            "short_sts_endpoint": "http://127.0.0.1:%d" % self.ports["shim_past"]
                                  if self.short_tokens else None,
            "access_log": self.path("client.rgw.main.log"),
            "service": {"user": SERVICE_USER,
                        "arn": "arn:aws:iam:::user/" + SERVICE_USER,
                        "access_key": access_key, "secret_key": secret_key},
            "pids": {name: child.pid for name, child in self.children.items()},
        }
        write_whole(self.path(STATE_FILE), json.dumps(state, indent=2) + "\n")
        return state

    def stop(self):
        """Nothing of it is kept, so nobody is asked politely."""
        for child in self.children.values():
            if child.poll() is None:
                child.kill()
        for child in self.children.values():
            child.wait()
        self.children = {}

    def start_with_retries(self):
        """Another process may take a port between our look and our bind: then choose others."""
        for attempt in range(3):
            try:
                return self.start()
            except (GatewayError, subprocess.TimeoutExpired):
                self.stop()
                if attempt == 2:
                    raise
                self.keep_logs(attempt)
        return None

    def keep_logs(self, attempt):
        kept = self.path("attempt-%d" % attempt)
        os.makedirs(kept, exist_ok=True)
        for name in os.listdir(self.directory):
            if name.endswith((".log", ".out", ".conf", ".cfg")):
                shutil.move(self.path(name), os.path.join(kept, name))
        for name in ("mon", "osd", "rgw"):
            shutil.rmtree(self.path(name), ignore_errors=True)


def faketime_library():
    for folder in ("/usr/lib/" + os.uname().machine + "-linux-gnu/faketime", "/usr/lib/faketime",
                   "/usr/lib64/faketime"):
        path = os.path.join(folder, "libfaketimeMT.so.1")
        if os.path.exists(path):
            return path
    raise GatewayError("libfaketimeMT.so.1 is not installed (package faketime)")


def tail(path, size=2000):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def write_whole(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.rename(path + ".new", path)


def serve(directory, short_tokens, verbose, until_stdin_closes):
    """The supervisor's main. Its own process group, so that a terminal's Ctrl-C does not kill
    the daemons before their owner has decided to."""
    os.makedirs(directory, exist_ok=True)
    write_whole(os.path.join(directory, PID_FILE), "%d\n" % os.getpid())
    supervisor = Supervisor(directory, short_tokens, verbose)

    def told_to_stop(_number, _frame):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, told_to_stop)
    signal.signal(signal.SIGINT, told_to_stop)
    try:
        supervisor.start_with_retries()
        if until_stdin_closes:
            sys.stdin.buffer.read()
        else:
            while True:
                signal.pause()
    finally:
        supervisor.stop()
        for name in (STATE_FILE, PID_FILE):
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                pass
