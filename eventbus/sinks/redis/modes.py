"""What becomes of an event in each mode: how it is encoded, and the call that writes a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from eventbus.encoding.template import Template
from eventbus.sdk import Delivered, Encoded, Encoder, Event, Message, Outcome
from eventbus.sinks.redis import scripts
from eventbus.sinks.redis.cache import Cache
from eventbus.sinks.redis.calls import Arguments, Calls
from eventbus.sinks.redis.invalidation import Invalidation
from eventbus.sinks.redis.options import RedisOptions
from eventbus.sinks.redis.server import Client
from eventbus.sinks.redis.transactions import RedisTransactions

__all__ = ["Mode", "TransactionalMode", "mode_of"]


class Mode(Protocol):
    """One way to use a Redis."""

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`; whether the server takes a value so large is not asked here."""

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""


@runtime_checkable
class TransactionalMode(Mode, Protocol):
    """A mode that can write a position beside events."""

    def transactions(self, key: str) -> RedisTransactions:
        """Those of the route whose position is kept at a key."""


def mode_of(options: RedisOptions, client: Client) -> Mode:
    """The mode that was chosen."""
    return _MODES[options.mode](options, client)


class _Named:
    """Writes each event to what a template names; the arguments are left to the mode."""

    def __init__(self, name: str | None, client: Client, script: str) -> None:
        self._name = Template(name or "")
        self._client = client
        self._calls = Calls(client, script, self._arguments)

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `Mode`."""
        return Message(event, encoder.encode(event), target=self._name.render(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Mode`."""
        return await self._calls.send(messages)

    def _arguments(self, messages: Sequence[Message]) -> Arguments:
        raise NotImplementedError


class Stream(_Named):
    """Each event is one entry with the fields ``id`` and ``event``."""

    def __init__(self, options: RedisOptions, client: Client) -> None:
        super().__init__(options.stream, client, scripts.APPEND)
        self._trim = _trimming(options)
        self._groups = options.groups
        self._prepared: set[str] = set()

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Groups are looked for in streams that are there once, and again when anything went wrong."""
        outcomes = await super().send(messages)
        delivered = {m.target for m, outcome in zip(messages, outcomes, strict=True) if not _failed(outcome)}
        self._prepared = self._prepared | delivered if not any(map(_failed, outcomes)) else set()
        return outcomes

    def transactions(self, key: str) -> RedisTransactions:
        """See `TransactionalMode`."""
        return RedisTransactions(self._client, key, "stream", scripts.COMMIT_TO_STREAMS, self._arguments)

    def _arguments(self, messages: Sequence[Message]) -> Arguments:
        streams = _numbered(messages)
        asked = "asked" if self._groups and not streams.keys() <= self._prepared else ""
        arguments: list[str | bytes | int] = [*self._trim, asked, len(self._groups), *self._groups]
        for message in messages:
            arguments += (streams[message.target], message.event.id, message.body)
        return list(streams), arguments


class List(_Named):
    """Each event is an element at the list's right end."""

    def __init__(self, options: RedisOptions, client: Client) -> None:
        super().__init__(options.list, client, scripts.PUSH)
        self._maxlen = str(options.maxlen or "")

    def transactions(self, key: str) -> RedisTransactions:
        """See `TransactionalMode`."""
        return RedisTransactions(self._client, key, "list", scripts.COMMIT_TO_LISTS, self._arguments)

    def _arguments(self, messages: Sequence[Message]) -> Arguments:
        lists = _numbered(messages)
        arguments: list[str | bytes | int] = [self._maxlen]
        for message in messages:
            arguments += (lists[message.target], message.body)
        return list(lists), arguments


class Channel(_Named):
    """Each event is published to whoever listens at the moment."""

    def __init__(self, options: RedisOptions, client: Client) -> None:
        super().__init__(options.channel, client, scripts.PUBLISH)

    def _arguments(self, messages: Sequence[Message]) -> Arguments:
        return [], [part for message in messages for part in (message.target, message.body)]


_MODES: Final[Mapping[str, Callable[[RedisOptions, Client], Mode]]] = {
    "stream": Stream,
    "list": List,
    "pubsub": Channel,
    "set": Cache,
    "hash": Cache,
    "invalidate": Invalidation,
}


def _trimming(options: RedisOptions) -> tuple[str, str, str]:
    """By what a stream is trimmed, how exactly, and to what."""
    how = "~" if options.approximate else "="
    if options.max_age is not None:
        return "MINID", how, str(round(options.max_age * 1000))
    return ("MAXLEN", how, str(options.maxlen)) if options.maxlen is not None else ("", "", "")


def _numbered(messages: Sequence[Message]) -> dict[str, int]:
    """Each target and its number from 1 on."""
    return {target: number for number, target in enumerate({m.target: None for m in messages}, 1)}


def _failed(outcome: Outcome) -> bool:
    return not isinstance(outcome, Delivered)
