"""A server of our own that programs are fetched from, well and badly."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BYTES = b"\x7fELF" + bytes(range(256)) * 1024
SHA256 = hashlib.sha256(BYTES).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self._head(302, {"Location": "/program"})
        elif self.path == "/away":
            self._head(302, {"Location": "file:///etc/hostname"})
        elif self.path == "/missing":
            self.send_error(404)
        elif self.path == "/short":
            self._head(200, {"Content-Length": str(len(BYTES))})
            self.wfile.write(BYTES[:1000])
        else:
            self._head(200, {"Content-Length": str(len(BYTES))})
            self.wfile.write(BYTES)

    def _head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running_server() -> Iterator[str]:
    """The address of a server that has `BYTES` at every path that it does not know."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
