"""The sink on a real OpenSearch: the contract, documents that never go back in time, and what is refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from eventbus.devservices import OpenSearchService
from eventbus.sdk import DELIVERED, ClusterTime, Event, Fault, Message, ProbedSink, Rejected, Retry, Sink
from eventbus.testing import (
    Changes,
    PlainEncoder,
    Received,
    SinkContract,
    SinkOutageContract,
    SinkRejectionContract,
)
from eventbus_elasticsearch import ElasticsearchOptions, ElasticsearchSink
from tests.sources.proxy import Proxy

pytestmark = [pytest.mark.services, pytest.mark.anyio]

ONE_SHARD = {"number_of_shards": 1, "number_of_replicas": 0}
NUMBERS = {"properties": {"document": {"properties": {"number": {"type": "integer"}}}}}


@pytest.fixture
def anyio_backend() -> str:
    """The daemon's."""
    return "asyncio"


class IndexHarness:
    """An index of its own for each test, behind a proxy that can be cut."""

    def __init__(self, service: OpenSearchService, proxy: Proxy | None = None, **options: Any) -> None:
        self.service = service
        self.proxy = proxy
        self.index = f"t-{uuid.uuid4().hex[:10]}"
        host = service.url if proxy is None else f"http://127.0.0.1:{proxy.port}"
        self.options: dict[str, Any] = {
            "hosts": [host],
            "index": self.index,
            "max_batch": 100,
            "max_batch_size": "1MiB",
            **options,
        }

    def make_sink(self) -> Sink:
        return ElasticsearchSink("search", ElasticsearchOptions.model_validate(self.options))

    async def make_index(self, mappings: Mapping[str, Any] = NUMBERS) -> None:
        await self.ask("PUT", f"/{self.index}", {"settings": ONE_SHARD, "mappings": mappings})

    async def received(self) -> Sequence[Received]:
        """In the order in which the shard took them; JSON comes back as it was written."""
        return [
            Received(source["id"], json.dumps(source, separators=(",", ":"), ensure_ascii=False).encode())
            for source in (await self.documents()).values()
        ]

    async def documents(self) -> dict[str, Any]:
        """All that the index has, by id."""
        await self.ask("POST", f"/{self.index}/_refresh")
        query = {"size": 10_000, "sort": [{"_seq_no": "asc"}]}
        found = await self.ask("POST", f"/{self.index}/_search", query)
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Go around the sink and the proxy."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.service.url + path, json=body) as response,
        ):
            return await response.json()

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        assert self.proxy is not None
        await self.proxy.cut()
        try:
            yield
        finally:
            await self.proxy.mend()


class TestElasticsearch(SinkContract, SinkRejectionContract, SinkOutageContract):
    """What every sink promises; an index that mirrors documents has the newest state of each."""

    keeps_history = False

    @pytest.fixture
    async def harness(self, opensearch: OpenSearchService) -> AsyncIterator[IndexHarness]:
        async with Proxy(int(opensearch.url.rpartition(":")[2])) as proxy:
            harness = IndexHarness(opensearch, proxy)
            await harness.make_index()
            yield harness

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", document={"_id": "poison", "number": "none"})


@asynccontextmanager
async def _opened(harness: IndexHarness) -> AsyncIterator[Sink]:
    sink = harness.make_sink()
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


async def _sent(sink: Sink, *events: Event) -> list[Any]:
    """One call for each event, as a route does with those of one key."""
    outcomes: list[Any] = []
    for event in events:
        made = sink.encode(event, PlainEncoder())
        assert isinstance(made, Message), made
        outcomes += await sink.send([made])
    return outcomes


async def test_a_document_never_goes_back_in_time(opensearch: OpenSearchService) -> None:
    """Neither by a late change, nor after a delete; what comes again changes nothing and is delivered."""
    harness, changes = IndexHarness(opensearch, compression="gzip"), Changes()
    await harness.make_index()
    first, second, delete = (
        changes.change("a"),
        changes.change("a"),
        changes.change("a", operation="delete"),
    )
    async with _opened(harness) as sink:
        assert await _sent(sink, second, second, first) == [DELIVERED] * 3
        assert (await harness.documents())["a"]["id"] == second.id
        assert await _sent(sink, delete, delete, second, first) == [DELIVERED] * 4
        assert await harness.documents() == {}
        again = changes.change("a")
        assert await _sent(sink, again, changes.change("gone", operation="delete")) == [DELIVERED] * 2
    assert (await harness.documents())["a"]["id"] == again.id


async def test_the_changes_of_a_transaction_take_effect_in_their_order(opensearch: OpenSearchService) -> None:
    """They have one cluster time, so each may follow the other: the last one given is what stays."""
    harness, changes, time = IndexHarness(opensearch), Changes(), ClusterTime(1_700_000_000, 7)
    await harness.make_index()
    events = [changes.change("a", cluster_time=time) for _ in range(3)]
    async with _opened(harness) as sink:
        assert await _sent(sink, *events, *events) == [DELIVERED] * 6
        assert (await harness.documents())["a"]["id"] == events[-1].id
        delete = changes.change("a", cluster_time=time, operation="delete")
        assert await _sent(sink, delete) == [DELIVERED]
    assert await harness.documents() == {}


async def test_each_event_may_be_a_document(opensearch: OpenSearchService) -> None:
    """In the index of its day; one that comes again is known by its id."""
    harness = IndexHarness(opensearch, operation="create")
    harness.options["index"] = f"{harness.index}-%Y.%m.%d"
    changes = Changes()
    events = [changes.change("a"), changes.change("a", operation="delete", document=None)]
    async with _opened(harness) as sink:
        assert await _sent(sink, *events, *events) == [DELIVERED] * 4
    harness.index += "-2023.11.14"
    assert set(await harness.documents()) == {event.id for event in events}


async def test_an_update_leaves_other_fields(opensearch: OpenSearchService) -> None:
    """Those that somebody else has written."""
    harness = IndexHarness(opensearch, operation="update")
    await harness.make_index()
    await harness.ask("PUT", f"/{harness.index}/_doc/a", {"theirs": 1})
    event = Changes().change("a")
    async with _opened(harness) as sink:
        assert await _sent(sink, event, Changes().change("b")) == [DELIVERED] * 2
    found = await harness.documents()
    assert (found["a"]["theirs"], found["a"]["id"]) == (1, event.id)
    assert "b" in found


async def test_what_the_server_refuses_is_told_without_values(opensearch: OpenSearchService) -> None:
    """And what somebody can mend waits for it."""
    harness, changes = IndexHarness(opensearch), Changes()
    await harness.make_index(NUMBERS | {"dynamic": "strict"})
    strange = changes.change("a", document={"number": "hidden"})
    async with _opened(harness) as sink:
        (refused,) = await _sent(sink, strange)
        await harness.make_index()
    assert isinstance(refused, Rejected)
    assert "hidden" not in refused.reason
    assert "strict and has no field id" in refused.reason
    harness = IndexHarness(opensearch)
    await harness.make_index()
    await harness.ask("PUT", f"/{harness.index}/_settings", {"index.blocks.write": True})
    async with _opened(harness) as sink:
        (waits,) = await _sent(sink, changes.change("a"))
    assert isinstance(waits, Retry)
    assert waits.fault is Fault.UNAVAILABLE
    harness.options["pipeline"] = "missing"
    await harness.ask("PUT", f"/{harness.index}/_settings", {"index.blocks.write": False})
    async with _opened(harness) as sink:
        (waits,) = await _sent(sink, changes.change("a"))
    assert isinstance(waits, Retry)
    assert "there is no such ingest pipeline" in waits.reason


@pytest.mark.parametrize("setting", ["cluster.max_shards_per_node", "cluster.blocks.read_only"])
async def test_a_cluster_that_takes_nothing_now_refuses_no_document(
    opensearch: OpenSearchService, setting: str
) -> None:
    """It has all the shards that it may have, or takes no writes: that passes, and costs nobody's budget."""
    harness = IndexHarness(opensearch)
    value = 1 if setting.endswith("node") else True
    await harness.ask("PUT", "/_cluster/settings", {"persistent": {setting: value}})
    try:
        async with _opened(harness) as sink:
            if value == 1:
                await harness.ask("PUT", f"/{harness.index}-1")
            (waits,) = await _sent(sink, Changes().change("a"))
            await harness.ask("PUT", "/_cluster/settings", {"persistent": {setting: None}})
            assert list(await _sent(sink, Changes().change("a"))) == [DELIVERED]
    finally:
        await harness.ask("PUT", "/_cluster/settings", {"persistent": {setting: None}})
    assert isinstance(waits, Retry), waits
    assert waits.fault is Fault.UNAVAILABLE


async def test_a_name_that_takes_no_writes_like_ours_refuses_no_document(
    opensearch: OpenSearchService,
) -> None:
    """An alias without an index to write to, and a data stream: somebody mends it, and all is delivered."""
    harness = IndexHarness(opensearch)
    for name in ("a", "b"):
        aliased: dict[str, Any] = {"aliases": {harness.index: {}}}
        await harness.ask("PUT", f"/{harness.index}-{name}", aliased)
    async with _opened(harness) as sink:
        (waits,) = await _sent(sink, Changes().change("a"))
        assert isinstance(waits, Retry), waits
        assert "is_write_index" in waits.reason
        add = {"add": {"index": f"{harness.index}-a", "alias": harness.index, "is_write_index": True}}
        await harness.ask("POST", "/_aliases", {"actions": [add]})
        assert list(await _sent(sink, Changes().change("a"))) == [DELIVERED]
    stream = IndexHarness(opensearch)
    pattern = {"index_patterns": [stream.index], "data_stream": {}}
    await stream.ask("PUT", f"/_index_template/{stream.index}", pattern)
    async with _opened(stream) as sink:
        (waits,) = await _sent(sink, Changes().change("a"))
    assert isinstance(waits, Retry), waits
    assert "operation: create" in waits.reason


async def test_a_node_that_is_away_is_followed_by_the_next(opensearch: OpenSearchService) -> None:
    """And a look at the cluster tells who answers, how it is, and how long the index knows deletes."""
    harness = IndexHarness(opensearch)
    await harness.make_index()
    await harness.ask("PUT", f"/{harness.index}/_settings", {"index.gc_deletes": "2h"})
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    dead = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    harness.options["hosts"] = [dead, opensearch.url]
    sink = harness.make_sink()
    assert isinstance(sink, ProbedSink)
    try:
        steps = [step async for step in sink.probe()]
        assert await _sent(sink, Changes().change("a")) == [DELIVERED]
    finally:
        await sink.close()
        server.close()
        await server.wait_closed()
    assert all(step.ok for step in steps)
    assert [step.name for step in steps] == ["connect", "open", "authenticate", "open"]
    said = " | ".join(step.detail for step in steps)
    assert f"OpenSearch 2.19.1 at {opensearch.url}" in said
    assert "the cluster is" in said
    assert "knows deletes for 2h" in said
