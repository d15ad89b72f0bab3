"""The stage `http_lookup`, with a real web server: each question once, and what becomes of each answer."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from anyio.abc import SocketStream
from bson import Int64
from structlog.testing import capture_logs

from eventbus.model import Event, Slot
from eventbus.stages.pipeline import Pipeline
from eventbus.telemetry.metrics import REGISTRY
from tests.sinks.receiver import Handler, Receiver, answering, hang, receiving, request_of, talking
from tests.sources.certificates import Certificates
from tests.stages.events import change, config, pipeline, problem, told

pytestmark = pytest.mark.anyio

SECRET = "s3cret-of-a-document"
DEEP = json.loads("[" * 99 + "1" + "]" * 99)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def stage(url: str, path: str = "/customers/{document.customer}", **options: Any) -> Pipeline:
    """A pipeline with the stage alone."""
    return pipeline({"http_lookup": {"url": f"{url}{path}", "into": "document.who", **options}})


def orders(*customers: Any, **parts: Any) -> list[Event]:
    """Changes of orders of these customers."""
    return [
        change(token=f"82{number:04}", document={"_id": number, "customer": customer}, **parts)
        for number, customer in enumerate(customers)
    ]


def found(slots: Sequence[Slot]) -> list[Any]:
    """What was found for each, or what became of it."""
    every = [told(slot) for slot in slots]
    return [one if isinstance(one, str) else one["document"]["who"] for one in every]


@asynccontextmanager
async def closing(made: Pipeline) -> AsyncIterator[Pipeline]:
    """Close it in the end."""
    try:
        yield made
    finally:
        await made.close()


async def looked_up(made: Pipeline, events: Sequence[Event]) -> list[Any]:
    """What was found for each, and the connections are closed."""
    async with closing(made):
        with anyio.fail_after(30):
            return found(await made.apply(events))


def saying(content: str, status: int = 200, **headers: str) -> Handler:
    return answering(status, content, **headers)


async def echo(request: web.Request) -> web.StreamResponse:
    """Say what was asked."""
    return web.json_response({"path": request.rel_url.raw_path, "question": dict(request.query)})


def numbered(*statuses: int, then: str = '{"ok": true}') -> Handler:
    """Answer with each status once, and then with some content."""
    left = list(statuses)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=left.pop(0)) if left else web.Response(text=then)

    return answer


async def test_each_question_is_asked_once_and_its_values_are_percent_encoded() -> None:
    """Whatever a value holds, it stays a value in its place; headers go with every request."""
    async with receiving() as receiver:
        receiver.handler = echo
        made = stage(
            receiver.url,
            "/c/{document.customer}?of={database}&key={document.customer}",
            headers={"Authorization": "Bearer t0ken", "Accept": "text/plain"},
        )
        odd = "a/../b?x=1&y=#\u00e4 {7}"
        one, two, three, four = await looked_up(made, orders(odd, 7, Int64(7), odd))
    quoted = "a%2F..%2Fb%3Fx%3D1%26y%3D%23%C3%A4%20%7B7%7D"
    assert one == four == {"path": f"/c/{quoted}", "question": {"of": "shop", "key": odd}}
    assert two == three == {"path": "/c/7", "question": {"of": "shop", "key": "7"}}
    assert len(receiver.posts) == 2
    headers = receiver.posts[0].headers
    assert (headers["authorization"], headers["accept"]) == ("Bearer t0ken", "text/plain")
    assert headers["user-agent"].startswith("eventbus/")


async def test_a_body_is_part_of_the_question() -> None:
    """With POST; its values have their types."""
    async with receiving() as receiver:
        receiver.handler = saying('{"ok": true}')
        body = {"id": "{document.customer}", "text": "of {document.customer}", "fixed": [1]}
        made = stage(receiver.url, "", method="POST", body=body)
        assert await looked_up(made, orders(1, "1", 1)) == [{"ok": True}] * 3
    asked = [(post.method, post.path, json.loads(post.body)) for post in receiver.posts]
    assert sorted(asked, key=str) == [  # both are asked at once
        ("POST", "/", {"id": "1", "text": "of 1", "fixed": [1]}),
        ("POST", "/", {"id": 1, "text": "of 1", "fixed": [1]}),
    ]
    assert receiver.posts[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", [".", ".."])
async def test_a_value_leads_to_no_other_place(value: str) -> None:
    """A part of a path that is two dots is the folder above, however it is written."""
    async with receiving() as receiver:
        (said,) = await looked_up(stage(receiver.url), orders(value))
    assert said.startswith("parked: stage http_lookup (1): url: a part of its path would be . or ..")
    assert receiver.posts == []


async def test_what_is_known_is_not_asked_for() -> None:
    """What was found, and for as long as was asked for, that there is nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404) if request.path.endswith("2") else web.json_response(1)

    async with receiving() as receiver:
        receiver.handler = answer
        for cache, expected in (
            ({}, ["1", "2", "2"]),
            ({"missing_ttl": "1m"}, ["1", "2"]),
            ({"ttl": "0s"}, ["1", "2", "1", "2"]),
            ({"entries": 1, "missing_ttl": "1m"}, ["1", "2", "3", "1"]),
        ):
            receiver.posts.clear()
            third = [3] if "entries" in cache else []
            async with closing(stage(receiver.url, cache=cache, concurrency=1)) as made:
                await made.apply(orders(1, 2, *third))
                assert found(await made.apply(orders(1, 2))) == [1, None]
            assert [post.path[-1] for post in receiver.posts] == expected


@pytest.mark.parametrize(
    ("handler", "options", "becomes"),
    [
        (saying('{"a": {"b": 1, "c": 2}, "d": 3}'), {}, {"a": {"b": 1, "c": 2}, "d": 3}),
        (saying('{"a": {"b": 1, "c": 2}, "d": 3}'), {"fields": ["a.b"]}, {"a": {"b": 1}}),
        (saying('[{"a": 1, "b": 2}, {}]'), {"fields": ["a"]}, [{"a": 1}, {}]),
        (saying("7"), {}, 7),
        (saying("7"), {"fields": ["a"]}, "parked: the answer is no object that could have fields"),
        (saying("9223372036854775807"), {}, Int64(2**63 - 1)),
        (saying("9223372036854775808"), {}, 2.0**63),
        (saying("[-9223372036854775809, 1.5, 1e400]"), {}, "parked: the answer is no JSON"),
        (saying("[-9223372036854775809, 1.5]"), {}, [-(2.0**63), 1.5]),
        (saying("null"), {}, None),
        (saying("", 204), {}, None),
        (saying("", 404), {}, None),
        (saying("", 410), {"missing": "skip"}, "dropped"),
        (saying("", 404), {"missing": "park"}, "parked: nothing is found"),
        (saying(""), {}, "parked: the answer is no JSON"),
        (saying(f"{SECRET}<html>"), {}, "parked: the answer is no JSON"),
        (saying('{"a": NaN}'), {}, "parked: the answer is no JSON"),
        (saying('{"a\\u0000": 1}'), {}, "parked: no document can hold the answer"),
        (saying("[" * 99 + "1" + "]" * 99), {"fields": []}, DEEP),
        (saying("[" * 100 + "]" * 100), {}, "parked: no document can hold the answer"),
        (saying("[" * 5000 + "]" * 5000), {}, "parked: the answer is no JSON"),
        (saying(f'"{"x" * 99}"'), {"max_size": "100B"}, "parked: the answer is larger than max_size"),
        (saying(f'"{"x" * 98}"'), {"max_size": "100B"}, "x" * 98),
        (saying(SECRET, 400), {}, "parked: answered 400 Bad Request"),
        (saying(SECRET, 422), {"unavailable": None}, "parked: answered 422 Unprocessable"),
    ],
)
async def test_an_answer_becomes_what_it_means(
    handler: Handler, options: dict[str, Any], becomes: Any
) -> None:
    """A value in the types of documents, nothing, or a dead letter whose reason shows nothing of it."""
    async with receiving() as receiver:
        receiver.handler = handler
        (said,) = await looked_up(
            stage(receiver.url, "/c/{document.customer}?key=k3y", **options), orders(SECRET)
        )
        where = f"parked: stage http_lookup (1): {receiver.url}/c/{{document.customer}}: "
    if isinstance(becomes, str) and becomes.startswith("parked: "):
        assert said.startswith(where + becomes.removeprefix("parked: "))
        assert SECRET not in said
        assert "k3y" not in said
    else:
        assert said == becomes
        assert type(said) is type(becomes)


async def test_an_event_that_lacks_a_value_asks_nothing() -> None:
    """For it there is nothing."""
    async with receiving() as receiver:
        deleted = change(operation="delete", document=None)
        for missing, becomes in (
            (None, "{}"),
            ("skip", "dropped"),
            ("park", "the event lacks a value of the url"),
        ):
            async with closing(stage(receiver.url, missing=missing)) as made:
                (slot,) = await made.apply([deleted])
            assert str(told(slot)).endswith(becomes)
    assert receiver.posts == []


async def test_a_service_that_is_away_is_waited_for_and_the_stage_says_so() -> None:
    """Nothing is parked; what was answered already is not asked for again, however the cache is set."""
    async with receiving() as receiver:
        receiver.handler = numbered(200, 503, 500, 401, 302, then='{"ok": true}')
        async with closing(stage(receiver.url, concurrency=1, cache={"ttl": "0s"})) as made:
            with capture_logs() as logs, anyio.fail_after(60):
                slots = await made.apply(orders(1, 2))
            assert found(slots)[1] == {"ok": True}
            assert made.trouble is None
    reasons = [line["reason"] for line in logs if line["event"] == "stage_waited"]
    where = f"{receiver.url}/customers/{{document.customer}}: answered "
    assert reasons == [
        f"{where}503 Service Unavailable",
        f"{where}500 Internal Server Error",
        f"{where}401 Unauthorized",
        f"{where}302 Found: redirects are not followed, change the url",
    ]
    assert [post.path[-1] for post in receiver.posts] == ["1", "2", "2", "2", "2", "2"]


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    """From the start; when it is there the batch goes on."""
    receiver = Receiver()
    await receiver.start()
    url = receiver.url
    await receiver.stop()
    receiver.handler = echo
    async with closing(stage(url)) as made, anyio.create_task_group() as tasks:
        done: list[Any] = []

        async def apply() -> None:
            done.extend(found(await made.apply(orders(1))))

        with anyio.fail_after(60), capture_logs() as logs:
            tasks.start_soon(apply)
            while not logs:
                await anyio.lowlevel.checkpoint()
            assert "cannot connect" in (made.trouble or "")
            await receiver.start()
            while not done:
                await anyio.lowlevel.checkpoint()
    await receiver.stop()
    assert done == [{"path": "/customers/1", "question": {}}]


async def test_a_service_is_left_alone_for_as_long_as_it_asks() -> None:
    """By Retry-After."""
    asked_at: list[float] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            return web.Response(status=429, headers={"Retry-After": "2"})
        return web.json_response({"ok": True})

    async with receiving() as receiver:
        receiver.handler = answer
        assert await looked_up(stage(receiver.url), orders(1)) == [{"ok": True}]
    assert asked_at[1] - asked_at[0] > 1.9


@pytest.mark.parametrize(
    "content",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a":',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
        b"HTTP/1.1 200",
        b"nothing like it\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_none(content: bytes) -> None:
    """It is asked for again, and no event pays for it."""
    contents = [content, b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}']

    async def converse(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(contents.pop(0))

    async with talking(converse) as url:
        assert await looked_up(stage(url), orders(1)) == [{"a": 1}]


async def test_a_service_that_takes_too_long_is_away() -> None:
    """So is one that has begun to answer."""

    async def begin(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        await anyio.sleep_forever()
        return response

    options: dict[str, Any] = {"timeout": "100ms", "unavailable": "park", "breaker": {"failures": 1}}
    for handler in (hang, begin):
        async with receiving() as receiver:
            receiver.handler = handler
            (reason,) = await looked_up(stage(receiver.url, **options), orders(1))
        assert reason.endswith(" within 0.1 s")


async def test_requests_at_once_are_bounded() -> None:
    """As many as were asked for, and no more."""
    several = anyio.Event()

    async with receiving() as receiver:

        async def answer(request: web.Request) -> web.StreamResponse:
            if receiver.under_way == 3:
                several.set()
            await several.wait()
            return web.json_response(1)

        receiver.handler = answer
        assert await looked_up(stage(receiver.url, concurrency=3), orders(*range(9))) == [1] * 9
        assert receiver.most_under_way == 3
        assert receiver.connections <= 3


@pytest.mark.parametrize(("unavailable", "becomes"), [(None, None), ("park", "parked: ")])
async def test_with_a_breaker_events_go_on_without_an_answer(unavailable: str | None, becomes: Any) -> None:
    """It opens after several failures in a row, lets nothing through, and closes when one try succeeds."""
    async with receiving() as receiver:
        receiver.handler = numbered(*[503] * 4)
        breaker = {"failures": 3, "open": "100ms"}
        made = stage(receiver.url, unavailable=unavailable, breaker=breaker, concurrency=1)
        async with closing(made):
            with capture_logs() as logs, anyio.fail_after(60):
                first = found(await made.apply(orders(*range(20))))
                asked = len(receiver.posts)
                while isinstance(last := found(await made.apply(orders(99)))[0], str | None):
                    await anyio.lowlevel.checkpoint()
    assert last == {"ok": True}
    assert asked == 3
    for one in first:
        assert one == becomes or (isinstance(one, str) and one.startswith(str(becomes)))
        assert one is None or one.endswith(": answered 503 Service Unavailable")
        assert one is None or one.count("http://") == 1
    assert [line["event"] for line in logs] == ["lookup_circuit_opened", "lookup_circuit_closed"]
    assert logs[0]["reason"].endswith("/customers/{document.customer}: answered 503 Service Unavailable")
    assert logs[0]["stage"] == "http_lookup (1)"
    assert len(receiver.posts) == 5


async def test_a_failure_now_and_then_costs_no_event_its_answer() -> None:
    """Unless they come in a row, the question is asked again."""
    async with receiving() as receiver:
        receiver.handler = numbered(503, 500)
        assert await looked_up(stage(receiver.url, unavailable=None), orders(1)) == [{"ok": True}]
    assert len(receiver.posts) == 3


async def test_only_allowed_networks_are_talked_to() -> None:
    """Whatever the name, it is the address that counts."""
    async with receiving() as receiver:
        receiver.handler = echo
        options: dict[str, Any] = {"networks": ["public"], "unavailable": "park", "breaker": {"failures": 1}}
        for host in ("127.0.0.1", "localhost"):
            made = stage(f"http://{host}:{receiver.port}", **options)
            (said,) = await looked_up(made, orders(1))
            assert "is in no network that may be talked to" in said
    assert receiver.posts == []


async def test_certificates_are_checked(tmp_path: Path) -> None:
    """One that nobody vouches for is none; with its authority the service is trusted."""
    papers = Certificates.made_in(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(papers.server)
    async with receiving(tls) as receiver:
        receiver.handler = echo
        once: dict[str, Any] = {"unavailable": "park", "breaker": {"failures": 1}}
        (said,) = await looked_up(stage(receiver.url, **once), orders(1))
        assert "TLS: the certificate is not valid" in said
        (answer,) = await looked_up(stage(receiver.url, tls={"ca": str(papers.ca)}), orders(1))
        assert answer == {"path": "/customers/1", "question": {}}


async def test_what_came_of_questions_is_counted() -> None:
    """By what it was."""

    def counted(result: str) -> float:
        labels = {"subscription": "orders", "stage": "http_lookup (1)", "result": result}
        return REGISTRY.get_sample_value("eventbus_stage_lookups_total", labels) or 0.0

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.path[-1])
        return web.Response(status=[200, 404, 400, 503][number], text="1")

    results = ("cached", "found", "missing", "refused", "unavailable")
    before = [counted(result) for result in results]
    async with receiving() as receiver:
        receiver.handler = answer
        options: dict[str, Any] = {"unavailable": None, "breaker": {"failures": 1}, "concurrency": 1}
        async with closing(stage(receiver.url, **options)) as made:
            await made.apply(orders(0, 1, 2, 3))
            await made.apply(orders(0))
    assert [counted(result) - old for result, old in zip(results, before, strict=True)] == [1, 1, 1, 1, 1]


URL = "https://crm.example.com/c/{document.customer}"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "ftp://crm.example.com/"}, "begins with http:// or https://"),
        ({"url": "https://{document.host}/s3cret"}, "may stand in the path and in the query only"),
        ({"url": "https://crm.example.com/{docment.x}"}, "unknown name {docment.x}"),
        ({"url": "https://crm.example.com/{document.s3cret"}, "unmatched braces"),
        ({"url": "https://crm.example.com/\u00e4s3cret"}, "percent-encode # and all that is not ASCII"),
        ({"url": "https://crm.example.com/s3cret#x"}, "percent-encode # and all that is not ASCII"),
        ({"url": "https://jo:s3cret@crm.example.com/"}, "belong in a header Authorization"),
        ({"url": "https://0x7f.1/s3cret"}, "write the address in full"),
        ({"method": "POST"}, "body goes with method: POST"),
        ({"body": {"a": 1}}, "body goes with method: POST"),
        ({"method": "POST", "body": {"a": "{nothing}"}}, "unknown name {nothing}"),
        ({"headers": {"X": "s3cret\r\nY: 1"}}, "printable ASCII"),
        ({"headers": {"Host": "s3cret"}}, "this header is set by eventbus itself"),
        ({"headers": {"X-A": "1", "x-a": "s3cret"}}, "differ only in upper and lower case"),
        ({"breaker": {"failures": 1}}, "breaker: without unavailable: null or park"),
        ({"url": "http://crm.example.com/", "tls": {}}, "tls: the url does not begin with https://"),
        ({"networks": ["10.0.0.1/8"]}, "expected public, private, or a network"),
        ({"into": "operation"}, "every event has operation of its own"),
        ({"max_size": "17MiB"}, "must be"),
    ],
)
def test_what_is_wrong_is_found_before_the_start(options: dict[str, Any], says: str) -> None:
    """With its place, and without any secret."""
    said = problem({"http_lookup": {"url": URL, "into": "who", **options}})
    assert says in said
    assert "s3cret" not in said


def test_a_route_may_not_ask_and_conditions_know_the_answer() -> None:
    """A route's pipeline waits for nothing."""
    written = {"http_lookup": {"url": URL, "into": "who"}}
    config([written, {"filter": "who.tier == 'gold'"}])
    assert "http_lookup waits for others" in problem(route={"pipeline": [written]})
