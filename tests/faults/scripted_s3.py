"""An S3 and STS that misbehave as they are told. A mock, and only for what RADOS Gateway, on which
all other tests stand, cannot be made to do: answers that are errors, wrong, cut, endless or missing
at a chosen request. It does not verify signatures (the gateway does), only what they are scoped to:
region, date and session token. It keeps objects in memory, never replaces one, and notes each
request as an operation's name, such as PutObject."""

import base64
import datetime
import email.utils
import hashlib
import http.server
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape


class Object:
    def __init__(self, data, sha256, etag, checksum):
        self.data, self.sha256, self.etag, self.checksum = data, sha256, etag, checksum


class Upload:
    def __init__(self, key, sha256):
        self.key, self.sha256, self.parts = key, sha256, {}


class Request:
    """What came, understood."""

    def __init__(self, handler):
        self.method = handler.command
        path, _, query = handler.path.partition("?")
        self.headers = handler.headers
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.bucket, _, key = path.lstrip("/").partition("/")
        self.key = urllib.parse.unquote(key)
        self.body = b""

    @property
    def operation(self):
        if not self.bucket:
            return "AssumeRole"
        if not self.key:
            return ("HeadBucket" if self.method == "HEAD" else
                    "GetBucketLocation" if "location" in self.query else "ListObjectsV2")
        if self.method == "POST":
            return ("CreateMultipartUpload" if "uploads" in self.query else
                    "CompleteMultipartUpload")
        if self.method == "PUT":
            return "UploadPart" if "partNumber" in self.query else "PutObject"
        return "HeadObject" if self.method == "HEAD" else "GetObject"


class Answer:
    def __init__(self, status=200, body=b"", **headers):
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def failure(status, code, **headers):
    return Answer(status, ("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>as the script "
                           "says</Message></Error>" % code).encode(), **headers)


def md5(data):
    return hashlib.md5(data).hexdigest()


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class ScriptedS3:
    def __init__(self):
        self.objects, self.uploads = {}, {}
        self.log = []            # operations, in the order they came
        self.faults = []         # see fault()
        self.region = "us-east-1"
        self.redirect = 301      # to who signs for another region; 400 as some stores do
        self.clock_ahead = 0     # seconds that the store's clock is ahead
        self.checksums = True    # it says x-amz-checksum-sha256; else ETags only
        self.encrypted = False   # by a key of the customer's: its ETags are no MD5s
        self.expired = set()     # session tokens
        self.tokens = 0
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.tls = None          # an ssl.SSLContext, and it is https
        self.handshakes = []     # how TLS handshakes ended: "" or what is wrong
        self.connections = 0     # ever, and
        self.connection_faults = []  # ways for the next of them: functions of the bare socket
        self.at_once = self.most_at_once = 0  # requests being answered
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + script.clock_ahead, usegmt=True)

            def handle_expect_100(self):
                return True  # said in serve(), when there was no fault before the body

            def serve(self):
                script.serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request, client_address):
                """On the connection's own thread, so that one that hangs holds up no other."""
                with script.lock:
                    script.connections += 1
                    way = script.connection_faults.pop(0) if script.connection_faults else None
                if way:
                    way(script, request)
                    return
                if script.tls:
                    try:
                        request = script.tls.wrap_socket(request, server_side=True)
                        script.handshakes.append("")
                    except OSError as error:  # ssl.SSLError is one
                        script.handshakes.append(str(error))
                        return
                super().finish_request(request, client_address)

            def handle_error(self, request, client_address):
                pass  # connections that are reset are what this is for

        self.listen = lambda port: Server(("127.0.0.1", port), Handler)
        self.port = 0
        self.start()

    def start(self):
        """Also again, on the same port, with all that it had."""
        self.server = self.listen(self.port)
        self.port = self.server.server_port
        self.over.clear()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http", self.port)

    def stop(self):
        """Connections are refused from now on."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    # The script.

    def fault(self, operation, way, times=1, after=0):
        """The next `times` requests of this operation, when `after` of it have passed, go this
        way: a function of (handler, request, answer of a good store as a function)."""
        self.faults.append([operation, way, times, after])

    def take_fault(self, operation):
        with self.lock:
            for fault in self.faults:
                if fault[0] != operation or not fault[2]:
                    continue
                if fault[3]:
                    fault[3] -= 1
                    continue
                fault[2] -= 1
                return fault[1]
        return None

    @property
    def unused(self):
        """Faults that did not come to pass: the test did not test them."""
        return [fault[0] for fault in self.faults if fault[2]]

    def serve(self, handler):
        request = Request(handler)
        with self.lock:
            self.log.append(request.operation)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.answer(handler, request)
        finally:
            with self.lock:
                self.at_once -= 1

    def answer(self, handler, request):
        way = self.take_fault(request.operation)
        if way and getattr(way, "before_body", False):
            way(handler, request, None)
            return
        if handler.headers.get("Expect", "").lower() == "100-continue":
            handler.send_response_only(100)
            handler.end_headers()
        length = int(handler.headers.get("Content-Length", 0))
        request.body = handler.rfile.read(length)
        if len(request.body) < length:
            return
        if way:
            way(handler, request, lambda: self.good(request))
        else:
            self.send(handler, self.good(request))

    @staticmethod
    def send(handler, answer):
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in answer.headers:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)

    # A good store.

    def good(self, request):
        with self.lock:
            if request.operation == "AssumeRole":
                return self.assume_role()
            return self.refused(request) or getattr(self, request.operation)(request)

    def assume_role(self):
        self.tokens += 1
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        return Answer(200, (
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
            "<AssumeRoleResult><Credentials><AccessKeyId>ASIA%012d</AccessKeyId>"
            "<SecretAccessKey>secret%d</SecretAccessKey><SessionToken>token%d</SessionToken>"
            "<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>" % (
                self.tokens, self.tokens, self.tokens,
                ends.strftime("%Y-%m-%dT%H:%M:%SZ"))).encode())

    def refused(self, request):
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", request.headers["Authorization"])
        signed = datetime.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=self.clock_ahead)
        if abs((now - signed).total_seconds()) > 900:
            return failure(403, "RequestTimeTooSkewed")
        if request.headers["x-amz-security-token"] in self.expired:
            return failure(400, "ExpiredToken")
        if scope[1] != self.region:
            code = {301: "PermanentRedirect", 307: "TemporaryRedirect",
                    400: "AuthorizationHeaderMalformed"}[self.redirect]
            return failure(self.redirect, code, x_amz_bucket_region=self.region)
        claimed = request.headers["x-amz-content-sha256"]
        if claimed != hashlib.sha256(request.body).hexdigest():
            return failure(400, "XAmzContentSHA256Mismatch")
        return None

    def HeadBucket(self, _):
        return Answer(200, x_amz_bucket_region=self.region)

    def GetBucketLocation(self, _):
        return Answer(200, ("<LocationConstraint>%s</LocationConstraint>" % self.region).encode())

    def ListObjectsV2(self, request):
        keys = sorted(key for key in self.objects if key.startswith(request.query["prefix"]))
        return Answer(200, ("<ListBucketResult><IsTruncated>false</IsTruncated>%s"
                            "</ListBucketResult>" % "".join(
                                "<Contents><Key>%s</Key><Size>%d</Size></Contents>" % (
                                    escape(key), len(self.objects[key].data))
                                for key in keys)).encode())

    def store(self, request, data, etag, checksum, meta):
        """Only ever new ones: that is what If-None-Match asks for."""
        if request.key in self.objects:
            assert request.headers["If-None-Match"] == "*", "would have replaced " + request.key
            return failure(412, "PreconditionFailed")
        self.objects[request.key] = Object(data, meta, etag, checksum)
        return None

    def PutObject(self, request):
        etag, checksum = md5(request.body), sha256(request.body)
        return self.store(request, request.body, etag, checksum,
                          request.headers["x-amz-meta-sha256"]) or Answer(
                              200, **self.sums(etag, checksum))

    def sums(self, etag, checksum):
        """The headers that say what the store has."""
        said = {"ETag": '"%s"' % (etag if not self.encrypted else md5(b"salt" + etag.encode()))}
        if self.checksums:
            said["x_amz_checksum_sha256"] = checksum
        if self.encrypted:
            said["x_amz_server_side_encryption"] = "aws:kms"
        return said

    def CreateMultipartUpload(self, request):
        name = "upload%d" % (len(self.uploads) + 1)
        self.uploads[name] = Upload(request.key, request.headers["x-amz-meta-sha256"])
        return Answer(200, ("<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
                            "</InitiateMultipartUploadResult>" % name).encode(),
                      **({"x_amz_checksum_algorithm": "SHA256"} if self.checksums else {}))

    def UploadPart(self, request):
        upload = self.uploads.get(request.query["uploadId"])
        if not upload:
            return failure(404, "NoSuchUpload")
        upload.parts[int(request.query["partNumber"])] = request.body
        return Answer(200, **self.sums(md5(request.body), sha256(request.body)))

    def CompleteMultipartUpload(self, request):
        name = request.query["uploadId"]
        upload = self.uploads.get(name)
        if not upload:
            return failure(404, "NoSuchUpload")
        wanted = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>([^<]+)</ETag>",
                            request.body.decode())
        parts = [upload.parts.get(int(number)) for number, _ in wanted]
        if None in parts or any(self.sums(md5(part), "")["ETag"].strip('"') not in etag
                                for part, (_, etag) in zip(parts, wanted)):
            return failure(400, "InvalidPart")
        together = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
        checksum = sha256(b"".join(hashlib.sha256(part).digest() for part in parts))
        etag, checksum = ["%s-%d" % (text, len(parts)) for text in (together, checksum)]
        refused = self.store(request, b"".join(parts), etag, checksum, upload.sha256)
        if refused:
            return refused
        del self.uploads[name]
        return Answer(200, ("<CompleteMultipartUploadResult><ETag>&quot;%s&quot;</ETag>"
                            "%s</CompleteMultipartUploadResult>" % (
                                self.sums(etag, "")["ETag"].strip('"'),
                                "<ChecksumSHA256>%s</ChecksumSHA256>" % checksum
                                if self.checksums else "")).encode())

    def HeadObject(self, request):
        found = self.objects.get(request.key)
        if not found:
            return failure(404, "NoSuchKey")
        return Answer(200, found.data, x_amz_meta_sha256=found.sha256,
                      **self.sums(found.etag, found.checksum))

    def GetObject(self, request):
        return self.HeadObject(request)


# Ways to misbehave, before there is a request.

def reset_when_connected(_script, connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_when_connected(_script, _connection):
    pass


def hang_when_connected(script, connection):
    script.over.wait(90)
    connection.close()


def cut_in_handshake(_script, connection):
    """When the client's first words have come, and half of a record was said."""
    connection.recv(100)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00")
    reset_when_connected(None, connection)


def no_tls(_script, connection):
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


# Ways to misbehave.

def instead(answer):
    """Answers this, and does nothing."""
    return lambda handler, request, good: ScriptedS3.send(handler, answer)


def reset(handler):
    """Ends the connection with a TCP reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def reset_at_once(handler, _request, _good):
    reset(handler)


reset_at_once.before_body = True


def reset_in_body(handler, _request, _good):
    """When a part of what is sent has been read."""
    handler.send_response_only(100)
    handler.end_headers()
    handler.rfile.read(min(int(handler.headers.get("Content-Length", 0)), 1000) // 2)
    reset(handler)


reset_in_body.before_body = True


def lost(handler, _request, good):
    """Takes effect, and nobody is told."""
    good()
    reset(handler)


def lost_before_effect(handler, _request, _good):
    reset(handler)


def cut_in_headers(handler, _request, good):
    good()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nETa")
    handler.wfile.flush()
    reset(handler)


def truncated(handler, _request, good):
    """Half of the answer's body, then the end of the connection."""
    answer = good()
    answer.headers["Content-Length"] = str(len(answer.body) + 100)
    answer.body = answer.body[:len(answer.body) // 2]
    ScriptedS3.send(handler, answer)
    handler.close_connection = True


def endless(handler, _request, good):
    """A body that goes on until the client has enough; after 256 MiB it is the test that fails."""
    answer = good()
    handler.send_response(answer.status)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = b"x" * 65536
    for _ in range(4096):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    raise AssertionError("the client read 256 MiB of nothing")


def hang_before_answer(script):
    def way(handler, _request, _good):
        script.over.wait(90)
        handler.close_connection = True
    return way


def hang_in_answer(script):
    """It took effect, and half of the answer came."""
    def way(handler, _request, good):
        answer = good()
        handler.wfile.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (
            answer.status, len(answer.body) + 1))
        handler.wfile.write(answer.body)
        handler.wfile.flush()
        script.over.wait(90)
        handler.close_connection = True
    return way


def reset_in_answer(handler, _request, good):
    """It took effect; half of the answer's body came."""
    answer = good()
    answer.headers["Content-Length"] = str(len(answer.body) + 100)
    answer.body = answer.body[:len(answer.body) // 2]
    ScriptedS3.send(handler, answer)
    handler.wfile.flush()
    reset(handler)


def other_headers(**headers):
    """Takes effect; these headers of the answer are wrong."""
    def way(handler, _request, good):
        answer = good()
        answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        ScriptedS3.send(handler, answer)
    return way


def other_answer(answer, **headers):
    """Has no effect, and a Date that is not the store's."""
    def way(handler, _request, _good):
        handler.send_response_only(answer.status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
    return way


def damage(handler, request, good):
    """What is stored is not what came; the store says so, as it sees nothing wrong with it."""
    request.body = request.body[:-1] + bytes([request.body[-1] ^ 1])
    request.headers.replace_header("x-amz-content-sha256",
                                   hashlib.sha256(request.body).hexdigest())
    ScriptedS3.send(handler, good())


def damage_whole(store):
    """What is put together of the parts is not what they were; the store says so."""
    def way(handler, request, good):
        answer = good()
        kept = store.objects[request.key]
        kept.data = kept.data[:-1] + bytes([kept.data[-1] ^ 1])
        parts = kept.etag.rpartition("-")[2]
        kept.etag, kept.checksum = md5(kept.data) + "-" + parts, sha256(kept.data) + "-" + parts
        ScriptedS3.send(handler, answer)
    return way


# TLS.

class Authority:
    """Issues certificates, made with openssl, in a directory."""

    def __init__(self, directory, name):
        self.path = lambda end: "%s/%s.%s" % (directory, name, end)
        self.count = 0
        self.run("req", "-x509", *self.key("ca"), "-out", self.path("pem"), "-days", "2", "-subj",
                 "/CN=" + name)

    @staticmethod
    def run(*words):
        subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)

    def key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                self.path(name + ".key"))

    def issue(self, host="IP:127.0.0.1", days=1):
        """A server's context with a certificate for this host; days -1: ended yesterday."""
        self.count += 1
        name = "server%d" % self.count
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=%s\n" % host)
        self.run("req", *self.key(name), "-out", self.path(name + ".csr"), "-subj", "/CN=store")
        self.run("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path("pem"),
                 "-CAkey", self.path("ca.key"), "-days", str(days), "-extfile",
                 self.path(name + ".ext"), "-out", self.path(name + ".pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        return context
