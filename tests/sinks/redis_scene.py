"""A Redis sink on a server, and what tests ask of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from eventbus.sdk import Event, Message, Outcome
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.testing import PlainEncoder

__all__ = ["in_collection", "message_of", "redis_sink", "send", "set_user"]


@asynccontextmanager
async def redis_sink(url: str, **options: Any) -> AsyncIterator[RedisSink]:
    """A sink, not open; closed in the end."""
    sink = RedisSink("feed", RedisOptions.model_validate({"url": url} | options))
    try:
        yield sink
    finally:
        await sink.close()


def message_of(sink: RedisSink, event: Event) -> Message:
    """The event's message, which there must be."""
    made = sink.encode(event, PlainEncoder())
    assert isinstance(made, Message), made
    return made


async def send(sink: RedisSink, events: Sequence[Event]) -> Sequence[Outcome]:
    """One call for all of them."""
    return await sink.send([message_of(sink, event) for event in events])


async def set_user(admin: Redis, name: str, rights: Sequence[str]) -> None:
    """A user with these rights and no others."""
    await admin.execute_command("ACL", "SETUSER", name, "reset", *rights)  # type: ignore[no-untyped-call] # as it is


def in_collection(collection: str, event: Event) -> Event:
    """The event, as a change of another collection."""
    event.collection = collection
    return event
