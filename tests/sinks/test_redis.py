"""The Redis sink on a real server: what it writes, in which order, and what each refusal means."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from pydantic import ValidationError
from redis.asyncio import Redis

from eventbus.devservices import RedisService
from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Failure,
    Fault,
    Outcome,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.redis_scene import in_collection, redis_sink, send, set_user

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def own() -> Iterator[RedisService]:
    """A Redis that the tests configure, pause and block."""
    with RedisService.start(own=True) as service:
        yield service


@pytest.fixture
async def admin(own: RedisService) -> AsyncIterator[Redis]:
    async with Redis.from_url(own.url) as client:
        yield client


@pytest.fixture
def stream() -> str:
    return f"test:{uuid.uuid4().hex}"


@pytest.fixture
def changes() -> Changes:
    return Changes()


async def _ids(client: Redis, stream: str) -> list[str]:
    entries: Any = await client.xrange(stream)
    return [fields[b"id"].decode() for _, fields in entries]


async def test_an_entry_has_the_id_and_the_event(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """And nothing else."""
    event = changes.change("a", text="é\0\n")
    async with redis_sink(own.url, stream=stream) as sink:
        assert await send(sink, [event]) == [DELIVERED]
    entries: Any = await admin.xrange(stream)
    assert [fields for _, fields in entries] == [
        {b"id": event.id.encode(), b"event": PlainEncoder().encode(event)}
    ]


async def test_the_stream_is_named_by_the_event(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """One call may write to several streams, each in order."""
    events = [in_collection(f"c{number % 3}", changes.change("a")) for number in range(30)]
    async with redis_sink(own.url, stream=stream + ".{database}.{collection}") as sink:
        assert set(await send(sink, events)) == {DELIVERED}
    for number in range(3):
        assert await _ids(admin, f"{stream}.shop.c{number}") == [event.id for event in events[number::3]]


async def test_a_hot_key_costs_one_round_trip(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """A batch of one key is one command."""
    events = [changes.change("hot") for _ in range(200)]
    async with redis_sink(own.url, stream=stream) as sink:
        await send(sink, [changes.change("first")])
        await admin.config_resetstat()
        assert set(await send(sink, events)) == {DELIVERED}
    calls = {name: stat["calls"] for name, stat in (await admin.info("commandstats")).items()}
    assert calls["cmdstat_evalsha"] == 1
    assert (await _ids(admin, stream))[1:] == [event.id for event in events]


@pytest.mark.parametrize(("approximate", "most"), [(False, 10), (True, 300)])
async def test_a_stream_is_trimmed(
    own: RedisService, admin: Redis, stream: str, changes: Changes, approximate: bool, most: int
) -> None:
    """To the entry, or to a node of a hundred."""
    async with redis_sink(own.url, stream=stream, maxlen=10, approximate=approximate) as sink:
        events = changes.distinct(450)
        assert set(await send(sink, events)) == {DELIVERED}
    length = await admin.xlen(stream)
    assert 10 <= length <= most
    assert approximate == (length > 10)
    assert (await _ids(admin, stream))[-10:] == [event.id for event in events[-10:]]


async def test_a_stream_is_not_trimmed_by_default(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    async with redis_sink(own.url, stream=stream) as sink:
        assert set(await send(sink, changes.distinct(450))) == {DELIVERED}
    assert await admin.xlen(stream) == 450


async def test_a_key_of_another_type_refuses_for_good(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """The other streams of the call are written."""
    await admin.set(f"{stream}.bad", "a string")
    events = [in_collection(name, changes.change("a")) for name in ("good", "bad", "good", "bad")]
    async with redis_sink(own.url, stream=stream + ".{collection}") as sink:
        outcomes = await send(sink, events)
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, type(DELIVERED), Rejected]
    assert await _ids(admin, f"{stream}.good") == [events[0].id, events[2].id]


async def test_nothing_passes_a_failure_of_its_stream(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """A stream that takes no more stops at the first entry; the others go on."""
    last = 2**64 - 1
    await admin.xadd(f"{stream}.full", {"id": "x", "event": "y"}, id=f"{last}-{last - 1}")
    events = [in_collection(name, changes.change("a")) for name in ("full", "full", "free", "full", "free")]
    async with redis_sink(own.url, stream=stream + ".{collection}") as sink:
        await admin.config_resetstat()
        outcomes = await send(sink, events)
    tried = (await admin.info("commandstats"))["cmdstat_xadd"]
    assert (tried["calls"], tried["failed_calls"]) == (4, 1)
    assert [outcome for outcome in outcomes if outcome is not DELIVERED] == [outcomes[1]] * 2
    assert [index for index, outcome in enumerate(outcomes) if outcome is DELIVERED] == [0, 2, 4]
    assert isinstance(outcomes[1], Retry)
    assert outcomes[1].fault is Fault.FAILED
    assert "exhausted" in outcomes[1].reason
    assert (await _ids(admin, f"{stream}.full"))[1:] == [events[0].id]


@pytest.mark.parametrize(
    ("setting", "refusing", "normal", "word"),
    [
        ("maxmemory", "1", "0", "OOM"),
        ("min-replicas-to-write", "1", "0", "NOREPLICAS"),
    ],
)
async def test_a_server_that_cannot_write_now_costs_no_event_anything(
    own: RedisService,
    admin: Redis,
    stream: str,
    changes: Changes,
    setting: str,
    refusing: str,
    normal: str,
    word: str,
) -> None:
    """And the same sink goes on when it can."""
    async with redis_sink(own.url, stream=stream) as sink:
        await admin.config_set(setting, refusing)
        try:
            refused = await send(sink, changes.distinct(3))
        finally:
            await admin.config_set(setting, normal)
        assert set(await send(sink, changes.distinct(3))) == {DELIVERED}
    assert len(set(refused)) == 1
    assert isinstance(refused[0], Retry)
    assert (refused[0].fault, refused[0].reason.split()[0]) == (Fault.UNAVAILABLE, word)
    assert refused[0].kind is Failure.SERVER
    assert await admin.xlen(stream) == 3


async def test_a_replica_is_unavailable(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """As after a failover, until the address points to the new master."""
    async with redis_sink(own.url, stream=stream) as sink:
        await admin.replicaof("127.0.0.1", "1")
        try:
            [outcome] = await send(sink, [changes.change("a")])
        finally:
            await admin.replicaof("NO", "ONE")
    assert isinstance(outcome, Retry)
    assert (outcome.fault, outcome.reason.split()[0]) == (Fault.UNAVAILABLE, "READONLY")


async def test_a_server_that_is_blocked_is_unavailable(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """A script of somebody else that does not end."""
    await admin.config_set("busy-reply-threshold", "1")

    async def block() -> None:
        async with Redis.from_url(own.url, socket_timeout=None) as client:
            with pytest.raises(Exception, match=r"(?i)killed"):
                await client.eval("while true do end", 0)

    async with redis_sink(own.url, stream=stream) as sink, anyio.create_task_group() as tasks:
        await sink.open()
        tasks.start_soon(block)
        outcome: Outcome = DELIVERED
        with anyio.fail_after(30):
            while outcome is DELIVERED:
                [outcome] = await send(sink, [changes.change("a")])
        await admin.script_kill()
    assert isinstance(outcome, Retry)
    assert (outcome.fault, outcome.reason.split()[0]) == (Fault.UNAVAILABLE, "BUSY")


async def test_a_server_that_does_not_answer_is_unavailable(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """After the timeout, which is ours; then the same sink goes on."""
    async with redis_sink(own.url, stream=stream, timeout="200ms") as sink:
        await sink.open()
        own.pause()
        try:
            with anyio.fail_after(30):
                [outcome] = await send(sink, [changes.change("a")])
                with pytest.raises(Unreachable):
                    await sink.open()
        finally:
            own.resume()
        assert isinstance(outcome, Retry)
        assert (outcome.fault, outcome.kind) == (Fault.UNAVAILABLE, Failure.TIMEOUT)
        with anyio.fail_after(30):
            while await send(sink, [changes.change("b")]) != [DELIVERED]:
                pass


async def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """A send that was cancelled while the server stood still, then one that the server refuses."""
    await admin.set(f"{stream}.bad", "a string")
    async with redis_sink(own.url, stream=stream + ".{collection}") as sink:
        await sink.open()
        own.pause()
        try:
            with anyio.move_on_after(0.1) as scope:
                await send(sink, [in_collection("good", changes.change("a"))])
            assert scope.cancelled_caught
        finally:
            own.resume()
        for _ in range(3):
            [outcome] = await send(sink, [in_collection("bad", changes.change("a"))])
            assert isinstance(outcome, Rejected)


async def test_the_script_is_loaded_again_when_the_server_forgot_it(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """As after a failover to a server that has never seen it."""
    async with redis_sink(own.url, stream=stream) as sink:
        await send(sink, [changes.change("a")])
        await admin.script_flush()
        assert await send(sink, [changes.change("a")]) == [DELIVERED]
    assert await admin.xlen(stream) == 2


@pytest.mark.parametrize(
    ("rights", "password"),
    [
        (["on", ">right", "~*", "+@all"], "wrong"),
        (["on", ">right", "~*", "+@all", "-evalsha"], "right"),
        (["on", ">right", "~other*", "+@all"], "right"),
        (["off", ">right", "~*", "+@all"], "right"),
    ],
    ids=["password", "command", "key", "user"],
)
async def test_a_refused_user_opens_the_circuit(
    own: RedisService, admin: Redis, stream: str, changes: Changes, rights: list[str], password: str
) -> None:
    """Without the password in what is said."""
    await set_user(admin, "writer", rights)
    url = own.url.replace("redis://", f"redis://writer:{password}@")
    async with redis_sink(url, stream=stream) as sink:
        [outcome] = await send(sink, [changes.change("a")])
    assert isinstance(outcome, Retry)
    assert (outcome.fault, outcome.kind) == (Fault.UNAUTHORISED, Failure.UNAUTHORISED)
    assert password not in outcome.reason.replace("username-password", "")


async def test_the_rights_that_are_needed_are_few(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """A user who may run this script on its streams can be written with; the server's limit stays unknown."""
    rights = ["on", ">p", f"~{stream}", "+evalsha", "+script|load", "+xadd", "+ping"]
    await set_user(admin, "least", rights)
    async with redis_sink(own.url.replace("redis://", "redis://least:p@"), stream=stream) as sink:
        await sink.open()
        assert await send(sink, [changes.change("a")]) == [DELIVERED]


async def test_a_value_above_the_servers_limit_is_rejected_unsent(
    own: RedisService, admin: Redis, stream: str, changes: Changes
) -> None:
    """The server would only drop the connection, again and again."""
    await admin.config_set("proto-max-bulk-len", 1 << 20)
    try:
        async with redis_sink(own.url, stream=stream) as sink:
            await sink.open()
            made = sink.encode(changes.change("a", text="x" * (1 << 20)), PlainEncoder())
            assert isinstance(made, Rejected)
            assert "proto-max-bulk-len 1048576" in made.reason
            assert made.kind is Failure.TOO_LARGE
            assert await send(sink, [changes.change("b", text="x" * 1_000_000)]) == [DELIVERED]
    finally:
        await admin.config_set("proto-max-bulk-len", 512 << 20)


async def test_one_send_is_one_attempt(stream: str, changes: Changes) -> None:
    """The route counts attempts, so the client must not repeat them by itself."""
    connections = 0

    async def hang_up(connection: SocketStream) -> None:
        nonlocal connections
        connections += 1
        async with connection:
            await connection.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, hang_up)
        async with redis_sink(f"redis://127.0.0.1:{port}/0", stream=stream) as sink:
            [outcome] = await send(sink, [changes.change("a")])
        tasks.cancel_scope.cancel()
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAVAILABLE
    assert connections == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://u:hunter2@h", "must begin with redis://"),
        ("redis://u:hunter2@h:port", "not a valid Redis URL"),
        ("redis://u:hun/ter2@h:6379/0", "number of a database"),
        ("redis://u:hunter2@h/orders", "number of a database"),
        ("redis://u:hunter2@h/0?nonsense=1", "not a valid Redis URL"),
        ("redis://u:hunter2@h/0?socket_timeout=soon", "not a valid Redis URL"),
    ],
)
async def test_a_bad_url_is_an_error_of_the_configuration(url: str, message: str) -> None:
    """Found without a connection, and the password is not repeated."""
    options = RedisOptions.model_validate({"url": url, "stream": "s"})
    with pytest.raises(ConfigurationError, match=message) as caught:
        RedisSink("feed", options)
    assert "hun" not in str(caught.value) + repr(options)


@pytest.mark.parametrize(
    "options",
    [
        {"stream": ""},
        {"stream": "{nonsense}"},
        {"stream": "s", "maxlen": 0},
        {"stream": "s", "maxlen": 1, "max_age": "1h"},
        {"stream": "s", "mode": "list"},
        {"stream": "s", "key": "k"},
        {"stream": "s", "ttl": "1h"},
        {"mode": "list", "list": "l", "max_age": "1h"},
        {"mode": "pubsub", "channel": "c", "maxlen": 3},
        {"mode": "set"},
        {"mode": "set", "key": "no {name}"},
        {"mode": "set", "key": "{document_key}"},
        {"mode": "hash", "key": "{document..a}"},
        {"mode": "invalidate"},
        {"mode": "invalidate", "keys": ["k"], "key": "k"},
        {"stream": "s", "cluster": True, "sentinel": {"servers": ["h:1"]}},
        {"stream": "s", "sentinel": {"servers": []}},
        {"stream": "s", "sentinel": {"servers": ["h"]}},
        {"stream": "s", "timeout": "0s"},
        {"stream": "s", "unknown": 1},
        {},
    ],
)
async def test_bad_options_are_errors_of_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RedisOptions.model_validate({"url": "redis://h"} | options)
