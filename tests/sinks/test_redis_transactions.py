"""Slices with their position in a real Redis: where it lies. The rest is in the contract kit."""

from __future__ import annotations

import uuid

import pytest
from redis.asyncio import Redis

from eventbus.devservices import RedisService
from eventbus.sdk import DELIVERED
from eventbus.testing import Changes
from tests.sinks.redis_scene import message_of, redis_sink

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_positions_lie_where_they_are_told_to(redis_service: RedisService) -> None:
    """In a hash of the route; an operator reads there what the target has."""
    name = uuid.uuid4().hex
    options = {"stream": name, "positions": f"{name}:position:"}
    async with redis_sink(redis_service.url, **options) as sink:
        await sink.open()
        transactions = sink.transactions("orders/feed")
        assert await transactions.claim(7) is None
        event = Changes().change("a")
        assert await transactions.commit([message_of(sink, event)], b"there") == DELIVERED
    async with Redis.from_url(redis_service.url) as client:
        stored = await client.hgetall(f"{name}:position:orders/feed")
    assert stored == {b"epoch": b"7", b"position": b"there"}
