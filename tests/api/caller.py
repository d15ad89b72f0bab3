"""Somebody who uses the admin API of a daemon, and what the daemon answered."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["READ", "WRITE", "Answer", "Caller"]

READ = "read-token-0123456789abcdef"
WRITE = "write-token-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: The status.
        headers: The headers, by their names in lower case.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"].startswith("application/problem+json"), self
        return str(self.json["code"])


class Caller:
    """Asks one server.

    Args:
        port: Where it listens on this machine.
        token: What is shown; empty for nothing.
        tls: The context, if it speaks TLS.
    """

    def __init__(self, port: int, token: str = WRITE, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self._token = token
        self._tls = tls

    def with_token(self, token: str) -> Caller:
        """The same with another token."""
        return Caller(self.port, token, self._tls)

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST of a JSON body, if there is one."""
        return self.ask("POST", path, body, headers=headers)

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask; underlines in names of headers are hyphens."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self._token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self._token}"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=30, context=self._tls)
            if self._tls is not None
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        )
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()
