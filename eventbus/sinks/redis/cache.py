"""Cache entries that hold the newest state of a document, and never an older one than they held before.

Beside each entry a second key remembers the token of the change that wrote it. It outlives the entry, so that
neither a late event nor a replayed one brings back what was deleted or has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from redis.crc import key_slot

from eventbus.encoding.keys import KeyTemplate
from eventbus.sdk import (
    DELIVERED,
    Encoded,
    Encoder,
    Event,
    Failure,
    Message,
    Operation,
    Outcome,
    Rejected,
)
from eventbus.sinks.redis import scripts
from eventbus.sinks.redis.calls import Arguments, Calls
from eventbus.sinks.redis.options import RedisOptions
from eventbus.sinks.redis.server import Client

__all__ = ["Cache", "guard_of", "is_of_the_daemon"]

_OWN: Final = "eventbus."


class Cache:
    """Writes an entry for each document, as a string or as a hash; a delete removes it."""

    def __init__(self, options: RedisOptions, client: Client) -> None:
        self._key = KeyTemplate(options.key or "")
        self._is_hash = options.mode == "hash"
        self._is_cluster = options.cluster
        self._lives = [round((options.ttl or 0) * 1000), round(options.marker_ttl * 1000)]
        self._calls = Calls(client, scripts.CACHE, self._arguments)

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`. What the daemon itself says has no place in a cache: it has no target."""
        if is_of_the_daemon(event):
            return Message(event, b"")
        body = encoder.encode(event)
        key = self._key.render(event)
        if key is None:
            return Rejected(f"no key: the event has no value for one of {self._key.text}")
        if self._is_cluster and key_slot(guard_of(key).encode()) != key_slot(key.encode()):
            return Rejected("the braces of the key do not match: on a cluster its token cannot lie beside it")
        if self._is_hash and event.operation != Operation.DELETE and _fields(body) is None:
            return Rejected("a hash needs a JSON object", Failure.ENCODING)
        return Message(event, body, target=key)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        placed = [message for message in messages if message.target]
        outcomes = iter(await self._calls.send(placed) if placed else [])
        return [next(outcomes) if message.target else DELIVERED for message in messages]

    def _arguments(self, messages: Sequence[Message]) -> Arguments:
        keys: list[str] = []
        arguments: list[str | bytes | int] = [*self._lives]
        for message in messages:
            keys += (message.target, guard_of(message.target))
            arguments += (message.event.token, *self._written(message))
        return keys, arguments

    def _written(self, message: Message) -> tuple[str, bytes]:
        if message.event.operation == Operation.DELETE:
            return "delete", b""
        if self._is_hash:
            return "hash", orjson.dumps(_fields(message.body))
        return "set", message.body


def is_of_the_daemon(event: Event) -> bool:
    """Whether it is no change but something that the daemon itself says, a watermark for instance."""
    return event.operation.startswith(_OWN)


def guard_of(key: str) -> str:
    """The key that remembers the token, in the same slot of a cluster wherever that can be."""
    beside = f"{key}:eventbus"
    return beside if key_slot(beside.encode()) == key_slot(key.encode()) else f"eventbus:{{{key}}}"


def _fields(body: bytes) -> list[str] | None:
    """Names and values in turn: text as it is, all else as JSON; None of what is no object."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    return [part for name, field in value.items() for part in (name, _as_text(field))]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
