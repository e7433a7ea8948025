"""A TCP wire between a client and a server that can be slow, can be cut, and remembers what went
over it. For plain HTTP: what it heard of an AssumeRole are the credentials a program really uses."""

import re
import socket
import threading
import time


class Wire:
    def __init__(self, url, bytes_per_second=None, instead=None, both_ways=False, latency=0.0):
        """bytes_per_second: of what the client sends; both_ways: of what the server sends, too.
        latency: seconds before each piece goes on. instead: (these bytes, those of the same length)
        in what the server answers."""
        host, port = url.split("://")[1].rstrip("/").split(":")
        self.server = (host, int(port))
        self.bytes_per_second = bytes_per_second
        self.instead = instead
        self.both_ways = both_ways
        self.latency = latency
        self.sent = []      # of each connection: what the client sent
        self.received = []  # of each connection: what the server sent
        self.remember = True
        self.down = False
        self.free_at = 0.0  # when what was sent so far will have gone through
        self.connections = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            up, back = bytearray(), bytearray()
            with self.lock:
                self.sent.append(up)
                self.received.append(back)
                self.connections |= {client, server}
            for source, target, heard, slow in ((client, server, up, True),
                                                (server, client, back, self.both_ways)):
                threading.Thread(target=self.pump, args=(source, target, heard, slow),
                                 daemon=True).start()

    def pump(self, source, target, heard, slow):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if self.remember:
                    heard += data
                if self.instead and source.getpeername() == self.server:
                    data = data.replace(*self.instead)
                if self.latency:
                    time.sleep(self.latency)
                if slow and self.bytes_per_second:
                    self.wait_for_turn(len(data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(source)
            self.close(target)

    def wait_for_turn(self, length):
        """The connections share the wire."""
        with self.lock:
            now = time.monotonic()
            self.free_at = max(self.free_at, now) + length / self.bytes_per_second
            pause = self.free_at - now
        time.sleep(pause)

    @staticmethod
    def close(end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut(self):
        """Breaks every connection, and refuses new ones until mend()."""
        self.down = True
        with self.lock:
            for end in self.connections:
                self.close(end)

    def mend(self):
        self.down = False

    def stop(self):
        self.listener.close()
        self.cut()

    def credentials(self):
        """(access key, secret key, session token) of every AssumeRole that went over the wire."""
        found = []
        for answer in list(self.received):
            text = bytes(answer).decode(errors="replace")
            found += re.findall(r"<AccessKeyId>([^<]+)</AccessKeyId>.*?"
                                r"<SecretAccessKey>([^<]+)</SecretAccessKey>.*?"
                                r"<SessionToken>([^<]+)</SessionToken>", text, re.DOTALL)
        return found
