#!/usr/bin/python3 -SEs
"""What OpenSSH's own tests take for sshd (TEST_SSH_SSHD): castbucket-proxy, and sshd behind it.

They start a server in three ways. To have its configuration judged: sshd itself does that. As a
client's ProxyCommand, with -i: then this carries the client's bytes to the proxy. As a daemon: the
proxy listens at that port already, and all there is to keep is the file with the process's number.
Before each, what sshd was told goes to where openssh_stage.py finds it for the far end of the proxy."""

import json
import os
import select
import signal
import socket
import sys

SSHD = "/usr/sbin/sshd"
OWN_AFFAIRS = ("-t", "-T", "-V", "-G", "-h")


def tell(stage, words):
    path = os.path.join(stage, "server.json")
    mine = "%s.%d" % (path, os.getpid())
    with open(mine, "w", encoding="utf-8") as file:
        json.dump([word for word in words if word not in ("-i", "-D")], file)
    os.rename(mine, path)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


def carry(port):
    """Between standard input and output and the proxy, until the proxy is done."""
    proxy = socket.create_connection(("127.0.0.1", port))
    proxy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sources = [0, proxy.fileno()]
    try:
        while proxy.fileno() in sources:
            readable, _, _ = select.select(sources, [], [])
            for source in readable:
                data = os.read(source, 65536)
                if source != 0:
                    write_all(1, data)
                elif data:
                    proxy.sendall(data)
                else:
                    proxy.shutdown(socket.SHUT_WR)
                if not data:
                    sources.remove(source)
    except OSError:  # one of them is gone, and with it the connection
        pass


def pid_file(words):
    """Of the configuration that sshd was told."""
    configuration = words[words.index("-f") + 1]
    with open(configuration, encoding="utf-8") as file:
        for line in file:
            if line.split()[:1] == ["PidFile"]:
                return line.split()[1]
    sys.exit("%s: no PidFile" % configuration)


def stay(path):
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in 0, 1, 2:
        os.dup2(nothing, descriptor)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    with open(path, "w", encoding="ascii") as file:
        file.write("%d\n" % os.getpid())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os.unlink(path)


def main():
    words = sys.argv[1:]
    if any(word in OWN_AFFAIRS for word in words):
        os.execv(SSHD, [SSHD, *words])
    stage = os.environ["OPENSSH_STAGE"]
    tell(stage, words)
    if "-i" in words:
        carry(int(os.environ["TEST_SSH_PORT"]))
    else:
        stay(pid_file(words))


if __name__ == "__main__":
    main()
