"""An STS whose sessions last ten seconds. Programs ask for an hour, so a relay asks for 900 s in their
place (signing anew with the same account), of a gateway that believes it is 890 s earlier. The
credentials are the gateway's own, and it is the gateway that refuses them when they are over."""

import http.server
import re
import threading
import urllib.parse


class ShortSessions:
    def __init__(self, gateway, claims_long=False):
        """With claims_long the answer claims that they last until 2100: a program that is told so
        only learns from the store that they are over."""
        self.given = 0
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                form = dict(urllib.parse.parse_qsl(body.decode()))
                form["DurationSeconds"] = "900"
                status, answer = gateway.assume_role_request(
                    urllib.parse.urlencode(form).encode())
                if status == 200:
                    relay.given += 1
                if claims_long:
                    answer = re.sub(rb"<Expiration>\d{4}", b"<Expiration>2100", answer)
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
