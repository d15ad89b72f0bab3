"""Slices with their position in a real Redis: where it lies. The rest is in the contract kit."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from redis.asyncio import Redis

from eventbus.devservices import RedisService
from eventbus.sdk import DELIVERED, Fault, Retry
from eventbus.testing import Changes
from tests.sinks.redis_scene import message_of, redis_sink, set_user

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


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ({"mode": "list", "maxlen": 10}, "ltrim"),
        ({"mode": "list"}, "hset"),
        ({"mode": "stream", "maxlen": 10}, "hset"),
        ({"mode": "stream"}, "xadd"),
    ],
)
async def test_a_right_that_is_missing_leaves_no_message_behind(
    redis_service: RedisService, options: dict[str, Any], right: str
) -> None:
    """Whichever of the writes needs it, for scripts do not roll back; with it the slice is there once."""
    name, user = f"test:{uuid.uuid4().hex}", f"u{uuid.uuid4().hex}"
    mode = options["mode"]
    url = redis_service.url.replace("redis://", f"redis://{user}:pass@")
    rights = ["on", ">pass", "~*", "&*", "+@all"]
    async with Redis.from_url(redis_service.url) as admin:
        await set_user(admin, user, rights)
        async with redis_sink(url, **options, **{mode: name}) as sink:
            await sink.open()
            transactions = sink.transactions(f"orders/{name}")
            await transactions.claim(1)
            messages = [message_of(sink, Changes().change("a"))]
            await set_user(admin, user, [*rights, f"-{right}"])
            for _ in range(3):
                answer = await transactions.commit(messages, b"there")
                assert isinstance(answer, Retry)
                assert answer.fault is Fault.UNAUTHORISED
            length = {"list": admin.llen, "stream": admin.xlen}[mode]
            assert await length(name) == 0
            await set_user(admin, user, rights)
            assert await transactions.commit(messages, b"there") == DELIVERED
            assert await length(name) == 1
        await admin.execute_command("ACL", "DELUSER", user)  # type: ignore[no-untyped-call] # as it is
