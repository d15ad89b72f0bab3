"""The source on an API of its own: the contract, what is particular to pages, and a daemon that is killed."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.sdk import Batch, ConfigurationError, Event, Parked, SourceContext, Unreachable
from eventbus.testing import SourceOutageContract
from eventbus_source_http import HttpSource, HttpSourceOptions
from tests.e2e.daemon import DaemonProcess

_BEGIN = 1_700_000_000


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi

    def do_GET(self) -> None:
        self.api.answer(self)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.fromtimestamp(_BEGIN + self.api.clock + 1, UTC), usegmt=True)

    def log_message(self, *args: object) -> None:
        """It says nothing."""


class FakeApi:
    """Items of three to a page, two of them at the same value; its clock stands still between changes."""

    def __init__(self, order: str = "time", paging: str = "link") -> None:
        self.order, self.paging = order, paging
        self.clock = 0
        self.items: list[dict[str, Any]] = []
        self.refusals: list[tuple[int, Mapping[str, str]]] = []
        self.is_up = True
        self.asked: list[tuple[str, Mapping[str, str], int]] = []
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/items"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, count: int) -> None:
        """Further items; the one of the later key first."""
        for index in range(count):
            self.clock += 2 if index % 2 == 0 else 0
            self.put({"id": f"k{len(self.items)}", "at": self._value()})

    def put(self, item: dict[str, Any]) -> None:
        """An item as it is."""
        self.items.append(item)

    def _value(self) -> object:
        if self.order == "number":
            return self.clock
        return datetime.fromtimestamp(_BEGIN + self.clock, UTC).isoformat()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """One page."""
        status, headers, body = self._answer(asked)
        content = json.dumps(body).encode()
        self.asked.append((asked.path, dict(asked.headers), status))
        asked.send_response(status)
        for name, value in headers.items():
            asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(content) if status != 304 else 0))
        asked.end_headers()
        if status != 304:
            asked.wfile.write(content)

    def _answer(self, asked: BaseHTTPRequestHandler) -> tuple[int, Mapping[str, str], object]:
        if not self.is_up:
            return 503, {}, None
        if self.refusals:
            return *self.refusals.pop(0), None
        query = dict(parse_qsl(urlsplit(asked.path).query))
        since: Any = int(query["since"]) if self.order == "number" else query["since"].replace("Z", "+00:00")
        found = [item for item in list(self.items) if self._at(item) >= self._parsed(since)]
        offset = int(query.get("cursor", "0"))
        page, rest = found[offset : offset + 3], found[offset + 3 :]
        etag = f'"{len(self.items)}-{offset}"'
        if asked.headers.get("If-None-Match") == etag:
            return 304, {}, None
        headers = {"ETag": etag}
        if self.paging == "cursor":
            return 200, headers, {"data": page, "next": str(offset + 3) if rest else None}
        if rest and self.paging == "link":
            headers["Link"] = f'<?{urlencode({**query, "cursor": offset + 3})}>; rel="next"'
        return 200, headers, page

    def _at(self, item: Mapping[str, Any]) -> Any:
        return self._parsed(item["at"])

    def _parsed(self, value: Any) -> Any:
        return value if self.order == "number" else datetime.fromisoformat(value)

    def source(self, **options: Any) -> HttpSource:
        """A source of it."""
        given: dict[str, Any] = {"url": self.url, "order_by": "at", "order": self.order, "page_size": 3}
        given |= {"settle": "0s", "poll_every": "10ms"}
        if self.paging == "cursor":
            given |= {"items": "data", "next_cursor": "next"}
        return HttpSource(HttpSourceOptions(**(given | options)), SourceContext("items", None, None))


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the daemon runs on."""
    return "asyncio"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    made = FakeApi()
    yield made
    made.close()


class _Harness:
    def __init__(self, api: FakeApi) -> None:
        self._api = api

    def make_source(self) -> HttpSource:
        return self._api.source()

    async def change(self, count: int) -> None:
        self._api.add(count)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._api.is_up = False
        yield
        self._api.is_up = True


class TestHttpSource(SourceOutageContract):
    """By times and by numbers, with links, with cursors and with neither."""

    @pytest.fixture(params=[("time", "link"), ("number", "cursor"), ("time", "none")], ids="-".join)
    def harness(self, request: pytest.FixtureRequest) -> Iterator[_Harness]:
        api = FakeApi(*request.param)
        api.add(4)
        yield _Harness(api)
        api.close()


async def _read(source: HttpSource, count: int) -> list[Batch]:
    reader = source.reader(await source.oldest())
    batches: list[Batch] = []
    try:
        with anyio.fail_after(60):
            while sum(map(len, batches)) < count:
                batch = await reader.next()
                assert batch is not None
                batches.append(batch)
    finally:
        await reader.close()
    return batches


@pytest.mark.anyio
async def test_an_event_is_the_item_with_its_key(api: FakeApi) -> None:
    """What has no key is parked, without showing what it holds; the token is sent."""
    api.put({"id": 7, "at": "2023-11-14T23:13:20+01:00", "text": "hush"})
    api.put({"at": "2023-11-14T22:13:20.000001Z", "text": "hush"})
    event, parked = [slot for batch in await _read(api.source(token="pass"), 2) for slot in batch.slots]
    assert isinstance(event, Event)
    assert (event.operation, event.document_key) == ("replace", {"_id": 7})
    assert event.document == {"_id": 7, **api.items[0]}
    assert event.time_ms == _BEGIN * 1000
    assert isinstance(parked, Parked)
    assert parked.reason == "the item has no 'id'"
    assert api.asked[0][1]["Authorization"] == "Bearer pass"


@pytest.mark.anyio
async def test_a_time_is_read_when_it_is_settled(api: FakeApi) -> None:
    """What has the same time and comes late is given too, though its place is before that of others."""
    api.add(1)
    source = api.source(settle="3s")
    reader = source.reader(await source.oldest())
    assert (batch := await reader.next()) is not None
    assert not batch.slots
    assert not reader.is_exhausted
    api.put({"id": "late", "at": api.items[0]["at"]})
    api.clock += 2
    assert (batch := await reader.next()) is not None
    assert len(batch.slots) == 2
    await reader.close()


@pytest.mark.anyio
async def test_what_is_not_new_is_asked_for_with_its_etag(api: FakeApi) -> None:
    """And given all the same when it changes. That there is no more is told, for a replay to end with it."""
    api.add(2)
    source = api.source()
    reader = source.reader(await source.oldest())
    for is_exhausted in (False, True, True):
        assert await reader.next() is not None
        assert reader.is_exhausted is is_exhausted
    assert [status for *_, status in api.asked] == [200, 200, 304]
    api.add(1)
    assert (batch := await reader.next()) is not None
    assert len(batch.slots) == 1
    await reader.close()


@pytest.mark.anyio
async def test_it_is_left_alone_as_long_as_it_asks(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is refused for good is said at once."""
    waits: list[float] = []

    async def sleep(secs: float) -> None:
        waits.append(secs)

    monkeypatch.setattr("eventbus_source_http.reader.anyio.sleep", sleep)
    api.add(1)
    api.refusals = [(429, {"Retry-After": "120"}), (401, {}), (302, {"Location": "/other"})]
    source = api.source()
    reader = source.reader(await source.oldest())
    assert (batch := await reader.next()) is not None
    assert not batch.slots
    assert reader.trouble is not None
    assert "429" in reader.trouble
    with pytest.raises(ConfigurationError, match="answers 401: look at"):
        await reader.next()
    assert waits == [0.0, 120.0]
    with pytest.raises(ConfigurationError, match="answers 302: it leads elsewhere"):
        await source.check()
    api.is_up = False
    with pytest.raises(Unreachable, match="answers 503"):
        await source.now()
    await reader.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("items", "options", "says"),
    [
        (
            [{"id": 1, "at": "2024-01-02T00:00:00Z"}, {"id": 2, "at": "2024-01-01T00:00:00Z"}],
            {},
            "in the order of",
        ),
        ([{"id": 1, "at": "2024-01-02T00:00:00Z"}], {"order_by": "seen"}, "no time at 'seen'"),
        ([{"id": 1, "at": "2024-01-02T00:00:00Z"}], {"items": "data"}, "no list"),
    ],
)
async def test_what_cannot_be_read_in_order_is_refused(
    api: FakeApi, items: list[dict[str, Any]], options: dict[str, Any], says: str
) -> None:
    for item in items:
        api.put(item)
    with pytest.raises(ConfigurationError, match=says):
        await _read(api.source(**options), 1)


@pytest.mark.services
@pytest.mark.timeout(300)
def test_a_daemon_that_is_killed_loses_nothing(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """Every item is in the file at the end, though the daemon was killed between and the API was away."""
    api, out = FakeApi("number", "cursor"), tmp_path / "out"
    out.mkdir()
    source = {"type": "http", "url": api.url, "order_by": "at", "order": "number", "items": "data"}
    source |= {"next_cursor": "next", "poll_every": "50ms"}
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{fresh_database}_state"},
        "log": {"format": "json"},
        "sinks": {"out": {"type": "file", "path": str(out / "items.jsonl")}},
        "subscriptions": {"items": {"source": source, "routes": ["out"]}},
    }

    def keys() -> set[str]:
        lines = [
            line for file in out.iterdir() for line in file.read_text().splitlines() if line.endswith("}")
        ]
        return {
            key for key in (item["id"] for item in api.items) if any(f'"{key}"' in line for line in lines)
        }

    with MongoClient[dict[str, Any]](mongo.uri) as client, DaemonProcess(tmp_path, config) as daemon:
        daemon.start()
        api.add(40)
        daemon.wait_for(lambda: len(keys()) > 5, "some of them")
        daemon.kill()
        api.add(40)
        daemon.start(wait=False)
        api.is_up = False
        api.add(21)
        api.is_up = True
        daemon.wait_for(lambda: len(keys()) == 101, "all of them")
        assert daemon.terminate() == 0
        client.drop_database(f"{fresh_database}_state")
    api.close()
