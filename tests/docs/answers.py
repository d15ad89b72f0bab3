"""The web service that examples ask, on a free port of the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import yaml

from tests.docs.pages import Block

__all__ = ["served"]

NAME = "https://crm.example.com"
"""Its address in the examples."""

_ANSWERS: dict[str, Any] = {}
"""What it answers, by path; a number is a status without content."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = _ANSWERS.get(self.path, 404)
        content = b"" if isinstance(answer, int) else json.dumps(answer).encode()
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """The same, and the question with it."""
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _ANSWERS[self.path] = _ANSWERS[self.path] | {"asked": question}
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Nobody reads it."""


@cache
def _server() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def served(block: Block) -> str:
    """The text of an example; its answers can be had at the address that stands there now."""
    answers: Mapping[str, Any] | None = yaml.safe_load(block.text).get("answers")
    if answers is None:
        return block.text
    folder = f"/{block.line}"
    _ANSWERS.update({f"{folder}{path}": answer for path, answer in answers.items()})
    return block.text.replace(NAME, f"{_server()}{folder}")
