"""A sink before which the schemas of its messages are registered, for their ids stand in every message.

It is a sink itself, so that nothing else needs to know of schema registries.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import BaseModel

from eventbus.encoding.avro import RegisteredSchema
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.sdk import (
    Carries,
    Encoded,
    Encoder,
    Event,
    Message,
    Options,
    Outcome,
    Sink,
    TransactionalSink,
    Transactions,
    carried_by,
)

__all__ = ["RegisteringSink", "Registry", "SchemaRegistry"]

_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_NEVER: Final = frozenset({409, 422})
"""The schema does not go with the subject's earlier ones, or is none: the operator's business."""


class Registry(Protocol):
    """Gives ids to schemas."""

    async def id_of(self, schema: RegisteredSchema) -> int:
        """The id of a schema under its subject.

        Raises:
            Unreachable: Ask again later.
            ConfigurationError: Asking again is of no use.
        """


class SchemaRegistry:
    """A registry with Confluent's interface.

    https://docs.confluent.io/platform/current/schema-registry/develop/api.html

    Args:
        url: Its address.
        login: Name and password of a user, if it asks for one.
        registers: Whether a schema that it does not know is registered, or waited for.
        timeout_secs: How long an answer may take.
    """

    def __init__(
        self, url: str, *, login: tuple[str, str] | None, registers: bool, timeout_secs: float
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
        if login is not None:
            self._headers["Authorization"] = f"Basic {b64encode(':'.join(login).encode()).decode()}"
        self._registers = registers
        self._timeout_secs = timeout_secs

    async def id_of(self, schema: RegisteredSchema) -> int:
        """See `Registry`."""
        place = f"{self._url}/subjects/{quote(schema.subject, safe='')}"
        place += "/versions" if self._registers else ""
        timeout = aiohttp.ClientTimeout(total=self._timeout_secs)
        try:
            async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
                return await _asked(session, place, schema)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"the schema registry does not answer: {type(error).__name__}") from error


async def _asked(session: aiohttp.ClientSession, place: str, schema: RegisteredSchema) -> int:
    content = orjson.dumps({"schema": schema.text})
    async with session.post(place, data=content, allow_redirects=False) as response:
        answer = await response.read()
        if response.status == 200:
            return _id_in(answer)
        reason = f"the schema registry answered {response.status} for {schema.subject}"
        if response.status in _NEVER:
            raise ConfigurationError(f"{reason}: {answer[:300].decode(errors='replace')}")
        raise Unreachable(reason)


def _id_in(answer: bytes) -> int:
    try:
        found = orjson.loads(answer)["id"]
    except (ValueError, TypeError, KeyError):
        found = None
    if not isinstance(found, int):
        raise Unreachable("the schema registry gave no id: is it one?")
    return found


class RegisteringSink:
    """Has the schemas of a sink's messages registered before it is open.

    Args:
        sink: The sink.
        schemas: The schemas by the routes that use them, each with its registry.
    """

    Options: ClassVar[type[BaseModel]] = Options

    def __init__(
        self, sink: Sink, schemas: Mapping[tuple[str, str], tuple[RegisteredSchema, Registry]]
    ) -> None:
        self.name = sink.name
        self.traits = sink.traits
        self.carries: Carries = carried_by(sink)
        self._sink = sink
        self._schemas = schemas

    def schema(self, subscription: str, route: str) -> RegisteredSchema | None:
        """The schema of a route; None if its messages have none."""
        found = self._schemas.get((subscription, route))
        return found[0] if found is not None else None

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; a registry that is away is waited for, as the sink itself would be."""
        for schema, registry in self._schemas.values():
            if schema.id is None:
                schema.id = await registry.id_of(schema)
        await self._sink.open()

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._sink.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        return self._sink.encode(event, encoder)

    def transactions(self, route: str) -> Transactions:
        """See `eventbus.sdk.TransactionalSink`; only where the sink itself has them."""
        assert isinstance(self._sink, TransactionalSink), self.name
        return self._sink.transactions(route)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        return await self._sink.send(messages)
