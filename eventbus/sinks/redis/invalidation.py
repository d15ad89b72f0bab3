"""Deletes the keys that a change has made stale. That needs no order: to delete twice does no harm.

A search by pattern walks through all keys of the server, in steps that others' commands come between. One
walk serves all messages of a call that have the same pattern.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from redis.asyncio import RedisCluster

from eventbus.encoding.keys import KeyTemplate
from eventbus.sdk import DELIVERED, Encoded, Encoder, Event, Message, Outcome, Rejected
from eventbus.sinks.redis.cache import is_of_the_daemon
from eventbus.sinks.redis.options import RedisOptions
from eventbus.sinks.redis.outcomes import ERRORS, outcome_of
from eventbus.sinks.redis.server import Client

__all__ = ["Invalidation"]

_KEYS_AT_ONCE: Final = 500


class Invalidation:
    """Deletes keys by template, and by pattern."""

    def __init__(self, options: RedisOptions, client: Client) -> None:
        self._client = client
        self._keys = [KeyTemplate(text) for text in options.keys]
        self._patterns = [KeyTemplate(text, _escaped_for_glob) for text in options.patterns]
        self._scan_count = options.scan_count

    def encode(self, event: Event, encoder: Encoder) -> Encoded:  # noqa: ARG002 - its work is not wanted
        """The keys and patterns as JSON: the event itself is not sent."""
        if is_of_the_daemon(event):
            return Message(event, b"")
        keys, patterns = _rendered(self._keys, event), _rendered(self._patterns, event)
        if not keys and not patterns:
            return Rejected("nothing to invalidate: the event lacks a value of each key and each pattern")
        return Message(event, orjson.dumps({"keys": keys, "patterns": patterns}))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`. Whatever fails is tried again with the whole call: it does no harm."""
        wanted = [orjson.loads(message.body) for message in messages if message.body]
        try:
            await self._unlink(dict.fromkeys(key for one in wanted for key in one["keys"]))
            for pattern in dict.fromkeys(pattern for one in wanted for pattern in one["patterns"]):
                await self._unlink_matching(pattern)
        except ERRORS as error:
            return [outcome_of(error)] * len(messages)
        return [DELIVERED] * len(messages)

    async def _unlink(self, keys: Iterable[str | bytes]) -> None:
        for some in self._together(keys):
            await self._client.unlink(*some)

    def _together(self, keys: Iterable[str | bytes]) -> list[list[str | bytes]]:
        """Keys that one command may name: on a cluster those of one slot."""
        groups: defaultdict[int, list[str | bytes]] = defaultdict(list)
        for key in keys:
            slot = self._client.keyslot(key) if isinstance(self._client, RedisCluster) else 0
            groups[slot].append(key)
        return [
            group[start : start + _KEYS_AT_ONCE]
            for group in groups.values()
            for start in range(0, len(group), _KEYS_AT_ONCE)
        ]

    async def _unlink_matching(self, pattern: str) -> None:
        """Walk through the keys, on every primary of a cluster."""
        nodes: Sequence[Any] = [self._client]
        if isinstance(self._client, RedisCluster):
            await self._client.initialize()
            nodes = self._client.get_primaries()
        for node in nodes:
            await self._walk(node, pattern)

    async def _walk(self, node: Any, pattern: str) -> None:
        """On one node, which may be a client or one of a cluster's: their types have nothing in common."""
        cursor: Any = 0
        while True:
            cursor, found = await node.execute_command(
                "SCAN", cursor, "MATCH", pattern, "COUNT", self._scan_count
            )
            await self._unlink(found)
            if not int(cursor):
                return


def _rendered(templates: Sequence[KeyTemplate], event: Event) -> list[str]:
    """What the event has all values for, each once."""
    texts = (template.render(event) for template in templates)
    return list(dict.fromkeys(text for text in texts if text is not None))


def _escaped_for_glob(text: str) -> str:
    """The text as a pattern of Redis that matches nothing else."""
    return "".join(f"\\{character}" if character in "*?[]\\" else character for character in text)
