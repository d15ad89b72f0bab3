"""A schema registry over real HTTP, with the endpoints that Confluent documents and an Avro reader for them.

Confluent's own server needs a JVM and a Kafka of its own, and is not free to fetch; what matters here is what
goes over the wire: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import fastavro
from aiohttp import web

__all__ = ["SchemaRegistryServer", "serving"]

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@dataclass
class SchemaRegistryServer:
    """What was registered, by subject, and how it answers."""

    url: str = ""
    subjects: dict[str, list[int]] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    answer: int = 0
    """Answer with this status instead, unless it is 0."""
    login: tuple[str, str] | None = None
    """Whom it answers; everybody by default."""

    async def register(self, request: web.Request) -> web.Response:
        """``POST /subjects/{subject}/versions``."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        text = (await request.json())["schema"]
        fastavro.parse_schema(json.loads(text))
        number = self._number(text) or len(self.schemas) + 1
        self.schemas[number] = text
        versions = self.subjects.setdefault(request.match_info["subject"], [])
        if number not in versions:
            versions.append(number)
        return _json({"id": number})

    async def look_up(self, request: web.Request) -> web.Response:
        """``POST /subjects/{subject}``."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        subject = request.match_info["subject"]
        number = self._number((await request.json())["schema"])
        if number not in self.subjects.get(subject, ()):
            return _json({"error_code": 40403, "message": "Schema not found"}, 404)
        return _json({"subject": subject, "version": 1, "id": number})

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.requests.append(request.path)
        assert request.headers["Content-Type"] == _MEDIA_TYPE
        if self.login is not None:
            given = base64.b64encode(":".join(self.login).encode()).decode()
            if request.headers.get("Authorization") != f"Basic {given}":
                return _json({"error_code": 401, "message": "Unauthorized"}, 401)
        if self.answer:
            return _json({"error_code": self.answer, "message": "as the test wants it"}, self.answer)
        return None

    def _number(self, text: str) -> int | None:
        return next((number for number, known in self.schemas.items() if known == text), None)

    def read(self, message: bytes) -> Any:
        """A message as a consumer reads it: by the schema whose id it begins with."""
        assert message[0] == 0
        schema = fastavro.parse_schema(json.loads(self.schemas[int.from_bytes(message[1:5], "big")]))
        rest = io.BytesIO(message[5:])
        record = fastavro.schemaless_reader(rest, schema, None)
        assert rest.read() == b""
        return record


def _json(content: Any, status: int = 200) -> web.Response:
    return web.json_response(content, status=status, content_type=_MEDIA_TYPE)


@asynccontextmanager
async def serving() -> AsyncIterator[SchemaRegistryServer]:
    """One on a free port of the loopback interface."""
    server = SchemaRegistryServer()
    app = web.Application()
    app.router.add_post("/subjects/{subject}/versions", server.register)
    app.router.add_post("/subjects/{subject}", server.look_up)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
