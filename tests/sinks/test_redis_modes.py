"""The modes of the Redis sink on a real server: lists, groups, cache entries, invalidation."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import anyio
import anyio.to_thread
import bson
import pytest
from redis.asyncio import Redis

from eventbus.devservices import RedisService
from eventbus.sdk import DELIVERED, EncodingError, Event, Fault, Rejected, Retry
from eventbus.sinks.redis.cache import guard_of
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.redis_scene import in_collection, message_of, redis_sink, send, set_user

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def own() -> Iterator[RedisService]:
    """A Redis that the tests configure, and that takes a second to load its data."""
    slowly = ["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"]
    with RedisService.start(extra_args=[*slowly, "--appendfsync", "always"]) as service:
        yield service


@pytest.fixture
async def admin(own: RedisService) -> AsyncIterator[Any]:
    """Typed loosely, since the client's types are for all its modes at once."""
    async with Redis.from_url(own.url) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"test:{uuid.uuid4().hex}"


@pytest.fixture
def changes() -> Changes:
    return Changes()


def _body(event: Event) -> bytes:
    return PlainEncoder().encode(event)


# -- streams


async def test_every_stream_has_its_groups(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """One that is new, one that was there, and one that was deleted; a group reads from the beginning."""
    await admin.xadd(f"{name}.old", {"id": "x", "event": "y"})
    events = [in_collection(stream, changes.change("a")) for stream in ("old", "new")]
    async with redis_sink(own.url, stream=name + ".{collection}", groups=["one", "two"]) as sink:
        for _ in range(2):
            assert set(await send(sink, events)) == {DELIVERED}
        await admin.delete(f"{name}.new")
        assert set(await send(sink, events)) == {DELIVERED}
    for stream, length in (("old", 4), ("new", 1)):
        groups = await admin.xinfo_groups(f"{name}.{stream}")
        assert [group["name"] for group in groups] == [b"one", b"two"]
        [[_, entries]] = await admin.xreadgroup("two", "me", {f"{name}.{stream}": ">"})
        assert len(entries) == length


async def test_groups_are_asked_for_once(own: RedisService, admin: Any, name: str, changes: Changes) -> None:
    """The server counts a group that is there as an error."""
    async with redis_sink(own.url, stream=name, groups=["one"]) as sink:
        await send(sink, [changes.change("a")])
        await admin.config_resetstat()
        assert await send(sink, [changes.change("a")]) == [DELIVERED]
    assert "cmdstat_xgroup|create" not in await admin.info("commandstats")


async def test_a_group_that_cannot_be_made_stops_its_stream(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """A user who may only append."""
    await set_user(
        admin, "appender", ["on", ">p", "~*", "+evalsha", "+script|load", "+xadd", "+exists", "+ping"]
    )
    url = own.url.replace("redis://", "redis://appender:p@")
    async with redis_sink(url, stream=name, groups=["one"]) as sink:
        [outcome] = await send(sink, [changes.change("a")])
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAUTHORISED
    assert not await admin.exists(name)


async def test_old_entries_are_dropped(own: RedisService, admin: Any, name: str, changes: Changes) -> None:
    """By the server's clock; newer ones stay."""
    seconds, _ = await admin.time()
    for age in (7200, 1800):
        await admin.xadd(name, {"id": str(age), "event": "old"}, id=f"{(seconds - age) * 1000}-1")
    event = changes.change("a")
    async with redis_sink(own.url, stream=name, max_age="1h", approximate=False) as sink:
        assert await send(sink, [event]) == [DELIVERED]
    entries = await admin.xrange(name)
    assert [fields[b"id"].decode() for _, fields in entries] == ["1800", event.id]


# -- lists and channels


async def test_a_list_keeps_its_newest_elements(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """The oldest at the left end, where readers take from."""
    events = changes.distinct(25)
    async with redis_sink(own.url, mode="list", list=name, maxlen=10) as sink:
        assert set(await send(sink, events)) == {DELIVERED}
    assert await admin.lrange(name, 0, -1) == [_body(event) for event in events[-10:]]


async def test_a_list_that_cannot_be_trimmed_is_said(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """Rather than growing without bound."""
    await set_user(admin, "pusher", ["on", ">p", "~*", "+evalsha", "+script|load", "+rpush"])
    url = own.url.replace("redis://", "redis://pusher:p@")
    async with redis_sink(url, mode="list", list=name, maxlen=10) as sink:
        outcomes = await send(sink, changes.distinct(3))
    assert outcomes[:2] == [DELIVERED] * 2
    assert isinstance(outcomes[2], Retry)
    assert outcomes[2].fault is Fault.UNAUTHORISED


async def test_a_channel_is_named_by_the_event(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """And need not have anybody who listens."""
    events = [in_collection(collection, changes.change("a")) for collection in ("deaf", "heard")]
    async with (
        admin.pubsub() as listener,
        redis_sink(own.url, mode="pubsub", channel=name + ".{collection}") as sink,
    ):
        await listener.subscribe(f"{name}.heard")
        assert await send(sink, events) == [DELIVERED] * 2
        with anyio.fail_after(30):
            heard = [await anext(listener.listen()) for _ in range(2)]
    assert heard[1]["data"] == _body(events[1])


# -- cache entries


@pytest.mark.parametrize("mode", ["set", "hash"])
async def test_an_entry_never_goes_back_in_time(
    own: RedisService, admin: Any, name: str, changes: Changes, mode: str
) -> None:
    """Whatever comes late, twice or after a delete: in the end there is the newest state, or nothing."""
    order = random.Random(mode)
    for attempt in range(20):
        operations = order.choices(["insert", "update", "delete"], k=12)
        events = [changes.change(f"{attempt}-{n % 3}", operation=word) for n, word in enumerate(operations)]
        newest = {event.document_key["_id"]: event for event in events}  # type: ignore[call-overload,index] # the kit's are decoded
        scrambled = events + order.sample(events, 6)
        order.shuffle(scrambled)
        async with redis_sink(own.url, mode=mode, key=name + ":{document_key._id}", ttl="1h") as sink:
            for start in range(0, len(scrambled), 5):
                assert set(await send(sink, scrambled[start : start + 5])) == {DELIVERED}
        for key, event in newest.items():
            entry = await (admin.get if mode == "set" else admin.hgetall)(f"{name}:{key}")
            assert _id_of(entry) == (event.id if event.operation != "delete" else None)


def _id_of(entry: Any) -> str | None:
    if isinstance(entry, bytes):
        return str(json.loads(entry)["id"])
    return entry[b"id"].decode() if entry else None


async def test_a_repetition_writes_again(own: RedisService, admin: Any, name: str, changes: Changes) -> None:
    """Its first try may have written the token and not the value."""
    event = changes.change("a")
    async with redis_sink(own.url, mode="set", key=name) as sink:
        await send(sink, [event])
        await admin.delete(name)
        assert await send(sink, [event]) == [DELIVERED]
    assert await admin.get(name) == _body(event)


async def test_entries_expire_and_their_tokens_later(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """So that an earlier event does not bring back what has expired; a delete leaves the token alone."""
    early, late = changes.change("a"), changes.change("a")
    async with redis_sink(own.url, mode="set", key=name, ttl="20ms", marker_ttl="1h") as sink:
        assert await send(sink, [late]) == [DELIVERED]
        with anyio.fail_after(30):
            while await admin.exists(name):
                await admin.ping()
        assert await send(sink, [early]) == [DELIVERED]
        assert not await admin.exists(name)
        assert await send(sink, [changes.change("a", operation="delete")]) == [DELIVERED]
    assert await admin.keys(f"*{name}*") == [guard_of(name).encode()]
    assert 0 < await admin.pttl(guard_of(name)) <= 3_600_000


async def test_without_a_time_to_live_nothing_expires(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    async with redis_sink(own.url, mode="set", key=name) as sink:
        assert await send(sink, [changes.change("a")]) == [DELIVERED]
    assert [await admin.ttl(key) for key in (name, guard_of(name))] == [-1, -1]


async def test_a_hash_has_the_fields_of_the_newest_event(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """Text as it is, all else as JSON, as many as there are; fields that are gone are gone."""

    class Wide:
        content_type = "application/json"

        def encode(self, event: Event) -> bytes:
            many = {f"f{number}": number for number in range(2500)}
            return json.dumps({"text": "é", "none": None, "list": [1]} | many).encode()

        def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:
            return ()

    event = changes.change("a")
    await admin.hset(name, "before", "1")
    async with redis_sink(own.url, mode="hash", key=name, ttl="1h") as sink:
        made = sink.encode(event, Wide())
        assert not isinstance(made, Rejected)
        assert await sink.send([made]) == [DELIVERED]
    fields = await admin.hgetall(name)
    assert (fields[b"text"], fields[b"none"], fields[b"list"]) == ("é".encode(), b"null", b"[1]")
    assert len(fields) == 2503
    assert 0 < await admin.ttl(name) <= 3600


async def test_what_has_no_place_is_refused_or_passed_over(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """A change without a value of the key; a body that is no object; what the daemon itself says."""

    class Text(PlainEncoder):
        def encode(self, event: Event) -> bytes:
            return b'"text"'

    told = Event(token="82", operation="eventbus.watermark", database="", collection="")
    async with redis_sink(own.url, mode="hash", key=name + ":{document.category}") as sink:
        assert isinstance(sink.encode(changes.change("a"), PlainEncoder()), Rejected)
        assert await sink.send([message_of(sink, told)]) == [DELIVERED]
    async with redis_sink(own.url, mode="hash", key=name) as sink:
        for encoder in (Text(), _Broken()):
            made = sink.encode(changes.change("a"), encoder)
            assert isinstance(made, Rejected)
            assert "JSON object" in made.reason
    assert not await admin.keys(f"{name}*")


class _Broken(PlainEncoder):
    def encode(self, event: Event) -> bytes:
        return b"\x16\0\0\0"


async def test_a_strange_token_refuses_its_key_alone(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    await admin.lpush(guard_of(f"{name}:bad"), "no token")
    async with redis_sink(own.url, mode="set", key=name + ":{document_key._id}") as sink:
        outcomes = await send(sink, [changes.change(key) for key in ("good", "bad", "good")])
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, type(DELIVERED)]


# -- invalidation


async def test_keys_and_patterns_are_deleted(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """Those that the event names; values are no patterns; a search goes in steps of a bounded size."""
    gone = [f"{name}:product:7", f"{name}:category:shoes*", *(f"{name}:page:shoes*:{n}" for n in range(300))]
    kept = [f"{name}:product:8", f"{name}:category:hats", f"{name}:page:shoes-old:1", f"{name}:other"]
    for key in (*gone, *kept):
        await admin.set(key, "1")
    event = changes.change("7")
    event.document = bson.encode({"_id": 7, "category": "shoes*"})
    options = {
        "keys": [f"{name}:product:{{document_key._id}}", f"{name}:category:{{document.category}}"],
        "patterns": [f"{name}:page:{{document.category}}:*", f"{name}:{{before.category}}:*"],
    }
    async with redis_sink(own.url, mode="invalidate", scan_count=50, **options) as sink:
        await admin.config_resetstat()
        assert await send(sink, [event, event]) == [DELIVERED] * 2
    assert sorted(await admin.keys(f"{name}*")) == sorted(key.encode() for key in kept)
    assert (await admin.info("commandstats"))["cmdstat_scan"]["calls"] >= 300 // 50


async def test_what_names_no_key_is_refused(own: RedisService, name: str, changes: Changes) -> None:
    """It would leave something stale without a word; what the daemon itself says makes nothing stale."""
    told = Event(token="82", operation="eventbus.watermark", database="", collection="")
    broken = changes.change("a")
    broken.document = b"\5\0\0\0"
    async with redis_sink(own.url, mode="invalidate", keys=["c:{document.category}"]) as sink:
        assert isinstance(sink.encode(changes.change("a"), PlainEncoder()), Rejected)
        assert await sink.send([message_of(sink, told)]) == [DELIVERED]
        with pytest.raises(EncodingError, match="document: not valid BSON"):
            sink.encode(broken, PlainEncoder())


# -- refusals, in every mode


MODES: Sequence[dict[str, Any]] = [
    {"mode": "list", "list": "%s"},
    {"mode": "set", "key": "%s"},
    {"mode": "hash", "key": "%s"},
    {"mode": "invalidate", "keys": ["%s"]},
    {"mode": "pubsub", "channel": "%s"},
    {"stream": "%s"},
]


async def test_a_server_that_refuses_now_costs_no_event_anything(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """Out of memory, a replica: whoever writes is told to wait. A script that was forgotten is no matter."""
    for options in MODES:
        named = {option: _named(value, name + options.get("mode", "")) for option, value in options.items()}
        async with redis_sink(own.url, **named) as sink:
            assert await send(sink, [changes.change("a")]) == [DELIVERED]
            await admin.script_flush()
            await admin.replicaof("127.0.0.1", "1")
            try:
                [replica] = await send(sink, [changes.change("a")])
            finally:
                await admin.replicaof("NO", "ONE")
            await admin.config_set("maxmemory", 1)
            try:
                [full] = await send(sink, [changes.change("a")])
                if "key" in options:  # what frees memory goes on
                    assert await send(sink, [changes.change("a", operation="delete")]) == [DELIVERED]
            finally:
                await admin.config_set("maxmemory", 0)
            assert await send(sink, [changes.change("a")]) == [DELIVERED]
        assert _said(replica) in ({"READONLY", "You"} if "channel" not in options else {"delivered"}), options
        assert _said(full) == ("OOM" if not options.keys() & {"keys", "channel"} else "delivered"), options


def _named(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_named(one, name) for one in value]
    return value.replace("%s", name)


def _said(outcome: Any) -> str:
    if outcome == DELIVERED:
        return "delivered"
    assert isinstance(outcome, Retry), outcome
    assert outcome.fault is Fault.UNAVAILABLE
    return outcome.reason.split()[0]


async def test_a_server_that_is_loading_is_unavailable(
    own: RedisService, admin: Any, name: str, changes: Changes
) -> None:
    """As after a restart with much data; the same sink goes on when it is loaded."""
    await admin.eval("for i = 1, 2000 do redis.call('RPUSH', KEYS[1], i) end", 1, f"{name}:data")
    async with redis_sink(own.url, mode="set", key=name) as sink:
        own.kill()
        said = set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, own.restart)
            with anyio.fail_after(60):
                while (outcome := (await send(sink, [changes.change("a")]))[0]) != DELIVERED:
                    assert isinstance(outcome, Retry)
                    assert outcome.fault is Fault.UNAVAILABLE
                    said.add(outcome.kind.value if "loading" in outcome.reason else "")
        assert "server" in said


@pytest.mark.parametrize("key", ["k", "{a}b", "x{a}b{c}", "{}a", "a}b", "a{b"])
def test_a_token_lies_beside_its_entry(key: str) -> None:
    """In the same slot of a cluster, but for keys whose braces do not match."""
    from redis.crc import key_slot

    assert (key_slot(guard_of(key).encode()) == key_slot(key.encode())) == (key not in {"{}a", "a}b"})
