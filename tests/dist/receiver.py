"""Web services of the tests of alerts, at one address, which answer as they are told while they are open."""

from __future__ import annotations

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from eventbus.devservices._ports import free_port

__all__ = ["Receiver"]


class Receiver:
    """It listens at its address while it is open, and keeps no connection."""

    def __init__(self) -> None:
        self.port = free_port()
        self.statuses: dict[str, int] = {}
        """What it answers, by the first word of the path; 200 with an object where nothing is said."""
        self.asked: set[str] = set()
        """By what names it was asked."""
        self._server: ThreadingHTTPServer | None = None

    def url(self, path: str) -> str:
        """An address of it."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def open(self) -> Self:
        """Listen from now on."""
        statuses, asked = self.statuses, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def _answer(self) -> None:
                name = self.path.split("/")[1]
                asked.add(name)
                self.send_response(statuses.get(name, 200))
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Nothing: the daemon tells what it was answered."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
