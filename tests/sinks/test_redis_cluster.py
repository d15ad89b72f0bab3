"""The Redis sink on a cluster of three real nodes: slots that move, a node that dies, keys in all places."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import anyio.to_thread
import pytest
from redis.crc import key_slot

from eventbus.sdk import DELIVERED, Event, Fault, Message, Rejected, Retry, Sink
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.testing import Changes, PlainEncoder, Received, SinkContract
from tests.sinks.redis_scene import in_collection, redis_sink, send
from tests.sinks.redis_servers import Cluster

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster.started() as cluster:
        yield cluster


@pytest.fixture
def name() -> str:
    return f"test:{uuid.uuid4().hex}"


@pytest.fixture
def changes() -> Changes:
    return Changes()


def _all_keys(cluster: Cluster, pattern: str) -> set[bytes]:
    found: set[bytes] = set()
    for node in range(3):
        keys: Any = cluster.admin(node).keys(pattern)
        found |= set(keys)
    return found


def _streams(changes: Changes) -> list[Event]:
    """Two changes for each of forty streams, which lie on every node."""
    return [in_collection(f"c{number % 40}", changes.change("a")) for number in range(80)]


async def test_a_batch_reaches_every_node_and_each_stream_in_order(
    cluster: Cluster, name: str, changes: Changes
) -> None:
    """Also when no node knows the script any more."""
    events = _streams(changes)
    async with redis_sink(cluster.url, cluster=True, stream=name + ".{collection}") as sink:
        await sink.open()
        for part in (events[:40], events[40:]):
            assert set(await send(sink, part)) == {DELIVERED}
            for node in range(3):
                cluster.admin(node).script_flush()
    sizes = [len(cluster.admin(node).keys(f"{name}*")) for node in range(3)]
    assert (sum(sizes), min(sizes) > 0) == (40, True)
    for number in range(40):
        stream = f"{name}.c{number}"
        entries: Any = cluster.admin(key_slot(stream.encode()) * 3 // 16384).xrange(stream)
        assert [fields[b"id"].decode() for _, fields in entries] == [
            events[number].id,
            events[number + 40].id,
        ]


async def test_a_slot_that_moved_is_followed(cluster: Cluster, name: str, changes: Changes) -> None:
    """The client learns of it from the answer; without `cluster` the reason says what to set."""
    slot = key_slot(name.encode())
    owner = slot * 3 // 16384
    async with redis_sink(cluster.url, cluster=True, mode="list", list=name) as sink:
        await sink.open()
        cluster.move_slot(slot, (owner + 1) % 3)
        try:
            assert await send(sink, [changes.change("a")]) == [DELIVERED]
            assert cluster.admin((owner + 1) % 3).llen(name) == 1
            async with redis_sink(cluster.nodes[owner].url, mode="list", list=name) as alone:
                [outcome] = await send(alone, [changes.change("a")])
            cluster.admin((owner + 1) % 3).delete(name)
        finally:
            cluster.move_slot(slot, owner)
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAVAILABLE
    assert "set cluster: true" in outcome.reason


async def test_cache_entries_lie_beside_their_tokens(cluster: Cluster, name: str, changes: Changes) -> None:
    """Whatever the key; one whose braces do not match is refused, and no other with it."""
    keys = ["plain", "{tag}:a", "x{tag}", "bad}key"]
    template = name + ":{document_key._id}"
    async with redis_sink(cluster.url, cluster=True, mode="set", key=template) as sink:
        await sink.open()
        made = [sink.encode(changes.change(key), PlainEncoder()) for key in keys]
        outcomes = await sink.send([one for one in made if isinstance(one, Message)])
        late = await send(sink, [changes.change("plain", operation="delete")])
    assert outcomes == [DELIVERED] * 3
    assert isinstance(made[3], Rejected)
    assert late == [DELIVERED]
    assert {key.decode() for key in _all_keys(cluster, f"*{name}*")} >= {
        f"{name}:{{tag}}:a",
        f"{name}:x{{tag}}",
    }


async def test_keys_and_patterns_are_deleted_on_every_node(
    cluster: Cluster, name: str, changes: Changes
) -> None:
    async with redis_sink(cluster.url, cluster=True, mode="set", key=name + ":{document_key._id}") as sink:
        await sink.open()
        assert set(await send(sink, changes.distinct(60))) == {DELIVERED}
    options = {"keys": [name + ":{document_key._id}", name + ":key-59"], "patterns": [name + ":key-1*"]}
    async with redis_sink(cluster.url, cluster=True, mode="invalidate", scan_count=10, **options) as sink:
        await sink.open()
        assert await send(sink, [changes.change("key-20"), changes.change("key-30")]) == [DELIVERED] * 2
    kept = {key.decode().rpartition(":")[2] for key in _all_keys(cluster, f"{name}:*")}
    gone = {"key-20", "key-30", "key-59", "key-1", *(f"key-{number}" for number in range(10, 20))}
    assert kept == {f"key-{number}" for number in range(60)} - gone


async def test_a_channel_is_heard_on_every_node(cluster: Cluster, name: str, changes: Changes) -> None:
    listener: Any = cluster.admin(2).pubsub()  # type: ignore[no-untyped-call] # as it is
    listener.subscribe(name)
    assert listener.get_message(timeout=30)
    async with redis_sink(cluster.url, cluster=True, mode="pubsub", channel=name) as sink:
        await sink.open()
        assert await send(sink, [changes.change("a")]) == [DELIVERED]
    heard = await anyio.to_thread.run_sync(lambda: listener.get_message(timeout=30))
    assert heard is not None
    assert heard["type"] == "message"
    listener.close()


async def test_a_node_that_died_holds_up_its_own_slots_alone(
    cluster: Cluster, name: str, changes: Changes
) -> None:
    """Its messages ask for another try; the same sink goes on when it is back."""
    events = _streams(changes)[:40]
    async with redis_sink(cluster.url, cluster=True, stream=name + ".{collection}", timeout="2s") as sink:
        await sink.open()
        assert set(await send(sink, events)) == {DELIVERED}
        cluster.nodes[2].kill()
        outcomes = await send(sink, events)
        dead = {event.id for event in events if key_slot(f"{name}.{event.collection}".encode()) > 10922}
        failed = {event.id for event, one in zip(events, outcomes, strict=True) if one != DELIVERED}
        assert failed >= dead
        assert {one.fault for one in outcomes if isinstance(one, Retry)} == {Fault.UNAVAILABLE}
        with anyio.fail_after(60):
            for event in events:
                while event.id not in dead and await send(sink, [event]) != [DELIVERED]:
                    pass
        await anyio.to_thread.run_sync(cluster.nodes[2].restart)
        with anyio.fail_after(60):
            while set(await send(sink, events)) != {DELIVERED}:
                pass
    await anyio.to_thread.run_sync(cluster.wait_until_whole)


class ClusterHarness:
    """One stream, on whichever node it lies."""

    def __init__(self, cluster: Cluster, stream: str) -> None:
        self._cluster = cluster
        self._stream = stream

    def make_sink(self) -> Sink:
        options = {"url": self._cluster.url, "cluster": True, "stream": self._stream}
        return RedisSink("feed", RedisOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        owner = key_slot(self._stream.encode()) * 3 // 16384
        entries: Any = self._cluster.admin(owner).xrange(self._stream)
        return [Received(fields[b"id"].decode(), fields[b"event"]) for _, fields in entries]


class TestCluster(SinkContract):
    @pytest.fixture
    def harness(self, cluster: Cluster, name: str) -> ClusterHarness:
        return ClusterHarness(cluster, name)
