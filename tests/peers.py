"""Peers on loopback that a recorded service calls."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Peer(BaseHTTPRequestHandler):
    """Echoes, redirects, answers in chunks or compressed, or hangs up."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/moved":
            return self._answer(302, b"", ("location", "/plain"))
        if self.path == "/gzip":
            return self._answer(200, gzip.compress(b"pressed"), ("content-encoding", "gzip"))
        if self.path == "/hangup":
            return self.connection.shutdown(2)
        if self.path == "/chunks":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            return self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        return self._answer(200, b"plain")

    def do_POST(self):
        self._answer(201, b"got " + self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, status, body, *headers):
        self.send_response(status)
        for name, value in (("x-told", "first"), *headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(peer: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A peer, served; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), peer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
