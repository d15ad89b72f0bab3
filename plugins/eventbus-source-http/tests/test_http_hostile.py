"""The source on an API that says what it should not: nothing is lost, and no secret goes astray."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import anyio
import pytest
from pydantic import ValidationError

from eventbus.sdk import Batch, ConfigurationError, Event, Parked, Reader, SourceContext, Unreachable
from eventbus_source_http import HttpSource, HttpSourceOptions

Said: TypeAlias = tuple[int, Mapping[str, str], object]


class SaysAnything:
    """Answers with what a test gives for the parameters of a request."""

    def __init__(self) -> None:
        self.says: Callable[[Mapping[str, str]], Said] = lambda _: (404, {}, None)
        self.asked: list[Mapping[str, str]] = []
        self.answers: Callable[[BaseHTTPRequestHandler], None] = self._answer
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.answers(self)

            def log_message(self, *args: object) -> None:
                """It says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def always(self, body: object) -> None:
        """Say the same to everything."""
        self.says = lambda _: (200, {}, body)

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        query = dict(parse_qsl(urlsplit(asked.path).query))
        self.asked.append(query)
        status, headers, body = self.says(query)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        asked.send_response(status)
        for name, value in headers.items():
            asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(content)))
        asked.end_headers()
        asked.wfile.write(content)

    def source(self, **options: object) -> HttpSource:
        """A source of it, of numbers, in pages with cursors unless a test wants others."""
        given: dict[str, Any] = {"url": f"http://127.0.0.1:{self._server.server_port}/", "order_by": "at"}
        given |= {"order": "number", "items": "data", "poll_every": "1ms"}
        if "next_link" not in options:
            given["next_cursor"] = "next"
        return HttpSource(HttpSourceOptions(**(given | options)), SourceContext("items", None, None))


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the daemon runs on."""
    return "asyncio"


@pytest.fixture
def api() -> Iterator[SaysAnything]:
    made = SaysAnything()
    yield made
    made.close()


async def _next(reader: Reader) -> Batch:
    with anyio.fail_after(60):
        batch = await reader.next()
    assert batch is not None
    return batch


async def _closed(reader: Reader, error: type[Exception]) -> str:
    """What the reader ends with."""
    try:
        with pytest.raises(error) as caught:
            await _next(reader)
    finally:
        await reader.close()
    return str(caught.value)


def _keys(batches: Sequence[Batch]) -> list[object]:
    keys = [slot.event.document_key for batch in batches for slot in batch.slots]
    return [key["_id"] for key in keys if isinstance(key, dict)]


@pytest.mark.anyio
async def test_an_item_that_leaves_a_page_takes_no_other_out_of_sight(api: SaysAnything) -> None:
    """All have one value; one of the first page changes before the second is asked for: the rest moves up."""
    items = [{"id": f"k{n}", "at": 1} for n in range(7)]
    changes = iter([None])

    def page(query: Mapping[str, str]) -> Said:
        begin = int(query.get("cursor", "0"))
        found = [item for item in items if int(str(item["at"])) >= int(query["since"])]
        said = found[begin : begin + 3]
        if next(changes, ...) is None:
            items.append(items.pop(0) | {"at": 2})
        return 200, {}, {"data": said, "next": begin + 3 if found[begin + 3 :] else None}

    api.says = page
    source = api.source()
    reader = source.reader(await source.oldest())
    batches = [await _next(reader)]
    assert not batches[0].slots
    assert reader.trouble == "items left the API's pages while those were read"
    while len(_keys(batches)) < 7:
        batches.append(await _next(reader))
    assert sorted(map(str, _keys(batches))) == [f"k{n}" for n in range(7)]
    await reader.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda _: b"[" * 100_000, "no JSON"),
        (lambda _: b"\xff", "no JSON"),
        (lambda n: {"data": [], "next": n + 1}, "brought nothing new"),
        (lambda n: {"data": [{"id": 1, "at": 1}], "next": n + 1}, "brought nothing new"),
    ],
    ids=["too deep", "no text", "empty pages without an end", "one page without an end"],
)
async def test_what_makes_no_sense_now_is_waited_for(
    api: SaysAnything, body: Callable[[int], object], says: str
) -> None:
    """With a bound on what is asked for; what comes then is read."""
    api.says = lambda query: (200, {}, body(int(query.get("cursor", "0"))))
    source = api.source()
    reader = source.reader(await source.oldest())
    assert not (await _next(reader)).slots
    assert says in str(reader.trouble)
    assert len(api.asked) <= 100
    api.always({"data": [{"id": 1, "at": 1}], "next": False})
    assert _keys([await _next(reader)]) == [1]
    assert reader.trouble is None
    await reader.close()


@pytest.mark.anyio
async def test_a_cursor_that_has_ended_is_no_end(api: SaysAnything) -> None:
    """The first page is asked for again; and whoever refuses with a time to wait is asked again, too."""
    items = [{"id": 1, "at": 1}, {"id": 2, "at": 1}]
    ends = iter([410, 400])

    def page(query: Mapping[str, str]) -> Said:
        if "cursor" not in query:
            return 200, {}, {"data": items[:1], "next": "c"}
        return next(ends, 200), {}, {"data": items[1:]}

    api.says = page
    source = api.source()
    reader = source.reader(await source.oldest())
    for status in (410, 400):
        assert not (await _next(reader)).slots
        assert f"answers {status} to the address of a further page" in str(reader.trouble)
    assert sorted(map(str, _keys([await _next(reader)]))) == ["1", "2"]
    await reader.close()
    api.says = lambda _: (403, {"Retry-After": "9"}, None)
    with pytest.raises(Unreachable, match="answers 403"):
        await source.check()


@pytest.mark.anyio
@pytest.mark.parametrize("link", ["http://[", "mailto:a@b", "http://elsewhere/"])
async def test_a_next_page_that_is_none_of_this_server_is_not_asked_for(api: SaysAnything, link: str) -> None:
    """The token would go there; what is no address is said to be none."""
    api.always({"data": [], "next": link})
    source = api.source(next_link="next", token="t")
    assert "the next page" in await _closed(source.reader(await source.oldest()), ConfigurationError)
    assert len(api.asked) == 1


@pytest.mark.anyio
async def test_an_item_that_no_encoding_has_takes_no_other_with_it(api: SaysAnything) -> None:
    """It is parked, and its event can be stored."""
    api.always(b'{"data": [{"id": 1, "at": 1}, {"id": "\\ud800", "at": 2}, {"id": 3, "at": 3}]}')
    source = api.source()
    reader = source.reader(await source.oldest())
    first, broken, last = (await _next(reader)).slots
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(broken, Parked)
    assert broken.reason == "the item has halves of characters, or is too deep"
    json.dumps([broken.event.document, broken.event.document_key], ensure_ascii=False).encode()
    await reader.close()


@pytest.mark.anyio
async def test_whoever_reads_while_it_is_closed_is_told_of_the_end(api: SaysAnything) -> None:
    """Also in the middle of an answer: the connection is closed when nobody reads from it any more."""
    begun, go_on = threading.Event(), threading.Event()

    def slowly(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(200)
        asked.send_header("Content-Length", "100")
        asked.end_headers()
        asked.wfile.write(b"[")
        begun.set()
        go_on.wait(60)

    api.answers = slowly
    source = api.source()
    reader = source.reader(await source.oldest())
    ends: list[Batch | None] = []

    async def read() -> None:
        ends.append(await reader.next())

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.to_thread.run_sync(begun.wait)
            await reader.close()
    go_on.set()
    assert ends == [None]


@pytest.mark.parametrize(
    "wrong", [{"token": "hidden\nhidden"}, {"headers": {"X-Key": "hidden\r"}}, {"headers": {"a b": "hidden"}}]
)
def test_what_no_header_can_be_is_refused(wrong: dict[str, Any]) -> None:
    """When the configuration is read, and without being shown."""
    with pytest.raises(ValidationError) as caught:
        HttpSourceOptions.model_validate({"url": "http://host/", "order_by": "at", **wrong})
    assert "hidden" not in repr(caught.value.errors(include_input=False))
