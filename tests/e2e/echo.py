"""A server that refuses whatever comes and prints all that it was sent, as many a server does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.e2e.serving import serving


@contextmanager
def echoing() -> Iterator[str]:
    """Its address; below it the first part of a path is the status of the answer."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), _Echo)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        of_secrets = [f"{name}: {it}" for name, it in self.headers.items() if name not in _DULL]
        shown = "\n".join([self.path, *of_secrets]).encode() + b"\n" + sent
        self.send_response(int(self.path.split("/")[1][:3]))
        self.send_header("Content-Length", str(len(shown)))
        self.end_headers()
        self.wfile.write(shown)

    do_POST = do_GET  # noqa: N815 - as the library has it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        """Say nothing."""


_DULL = {"Host", "Content-Type", "Content-Length", "User-Agent", "Accept"}
"""What is not worth a place among the first bytes of the answer, which alone are kept."""
