"""What the webhook sink's options make of a request, as a real server gets it."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator
from math import inf
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from anyio.abc import SocketStream
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.http.connection import Patience
from eventbus.http.dialling import Dialler, Origin
from eventbus.http.faults import NoReply
from eventbus.http.networks import Networks
from eventbus.sdk import DELIVERED, Event, Failure, Fault, Message, Outcome, Rejected, Retry, Unreachable
from eventbus.telemetry.metrics import REGISTRY
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.receiver import (
    Post,
    Receiver,
    answering,
    hang,
    make_sink,
    message_of,
    opened,
    receiving,
    request_of,
    send_one,
    talking,
)

pytestmark = pytest.mark.anyio

SECRET = base64.b64encode(b"key" * 8).decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def sent(receiver: Receiver, *events: Event, **options: Any) -> list[Outcome]:
    """What becomes of events in one call."""
    path = options.pop("path", "/")
    async with opened(receiver.url + path, **options) as sink:
        with anyio.fail_after(30):
            return list(await sink.send([message_of(sink, event) for event in events]))


async def test_method_address_and_headers_follow_the_event(receiver: Receiver) -> None:
    changes = Changes()
    insert = Event(token="1", operation="insert", database="shop", collection="a b/c\u00e9")
    delete = Event(token="2", operation="delete", database="shop", collection="orders")
    for event in (insert, delete, insert):
        assert await sent(
            receiver,
            event,
            path="/{database}/{collection}?op={operation}&literal={{}}",
            method="PUT",
            methods={"delete": "DELETE"},
            headers={"X-Where": "{database}.{collection}"},
        ) == [DELIVERED]
    assert await sent(receiver, changes.change("a")) == [DELIVERED]
    assert [(post.method, post.path, post.headers.get("x-where")) for post in receiver.posts] == [
        ("PUT", "/shop/a%20b%2Fc%C3%A9?op=insert&literal={}", "shop.a%20b%2Fc%C3%A9"),
        ("DELETE", "/shop/orders?op=delete&literal={}", "shop.orders"),
        ("PUT", "/shop/a%20b%2Fc%C3%A9?op=insert&literal={}", "shop.a%20b%2Fc%C3%A9"),
        ("POST", "/", None),
    ]


async def test_a_name_with_a_line_break_begins_no_header(receiver: Receiver) -> None:
    """Neither where it comes from an event, nor where it comes from an encoding."""
    event = Event(token="1", operation="insert", database="shop", collection="x\r\nX-Evil: 1")
    async with opened(receiver.url, headers={"X-Where": "{collection}"}) as sink:
        message = Message(event, b"{}", headers=(("X-Reason", b"a\r\nX-Evil: 2"),))
        assert await sink.send([message]) == [DELIVERED]
    (post,) = receiver.posts
    assert "x-evil" not in post.headers
    assert post.headers["x-where"] == "x%0D%0AX-Evil%3A%201"
    assert post.headers["x-reason"] == "a  X-Evil: 2"


@pytest.mark.parametrize("form", ["array", "ndjson"])
async def test_several_events_go_in_one_request(receiver: Receiver, form: str) -> None:
    """In their order, signed as a whole, under an id that is theirs."""
    events = Changes().distinct(5)
    signing = {"secrets": [SECRET]}
    async with opened(receiver.url, body=form, max_batch=5, signing=signing) as sink:
        assert (sink.traits.max_batch, sink.traits.keeps_order) == (5, True)
        encoder = CloudEventsEncoder("orders")
        messages = [made for event in events if isinstance(made := sink.encode(event, encoder), Message)]
        for several in (messages, messages, messages[:4]):
            assert await sink.send(several) == [DELIVERED] * len(several)
    first, second, shorter = receiver.posts
    assert _ids(first, form) == [event.id for event in events]
    assert first.headers["webhook-id"] == second.headers["webhook-id"] != shorter.headers["webhook-id"]
    expected = {"array": "application/cloudevents-batch+json", "ndjson": "application/x-ndjson"}
    assert first.headers["content-type"] == expected[form]
    Webhook(SECRET).verify(first.body, first.headers, json_parse=False)


def _ids(post: Post, form: str) -> list[str]:
    found = json.loads(post.body) if form == "array" else map(json.loads, post.body.splitlines())
    return [one["id"] for one in found]


async def test_of_a_refused_request_only_the_refused_event_is_rejected(receiver: Receiver) -> None:
    """And events of other addresses are none of its business; a key's order is kept."""
    events = [Changes().change(f"k{place}", text="poison" if place == 3 else "fine") for place in range(8)]

    async def judge(request: web.Request) -> web.StreamResponse:
        return web.Response(status=422 if b"poison" in await request.read() else 200, text="no")

    receiver.handler = judge
    outcomes = await sent(receiver, *events, body="array")
    assert [type(outcome) for outcome in outcomes] == [
        Rejected if place == 3 else type(DELIVERED) for place in range(8)
    ]
    assert outcomes[3] == Rejected("answered 422 Unprocessable Entity: no")
    accepted = [json.loads(post.body) for post in receiver.posts if b"poison" not in post.body]
    assert [one["id"] for several in accepted for one in several] == [
        event.id for place, event in enumerate(events) if place != 3
    ]
    assert len(receiver.posts) == 7


@pytest.mark.parametrize("status", [500, 503])
async def test_a_failure_is_one_of_all_that_went_together(receiver: Receiver, status: int) -> None:
    receiver.handler = answering(status)
    outcomes = await sent(receiver, *Changes().distinct(3), body="ndjson")
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], Retry)
    assert len(receiver.posts) == 1


async def test_one_request_holds_events_of_one_address(receiver: Receiver) -> None:
    made = [
        Event(token=str(place), operation="insert", database="shop", collection=collection)
        for place, collection in enumerate("aabba")
    ]
    assert await sent(receiver, *made, path="/{collection}", body="array") == [DELIVERED] * 5
    assert [(post.path, len(json.loads(post.body))) for post in receiver.posts] == [
        ("/a", 2),
        ("/b", 2),
        ("/a", 1),
    ]


async def test_what_is_no_json_cannot_stand_beside_others() -> None:
    class Text(PlainEncoder):
        content_type = "text/plain"

    class Spread(PlainEncoder):
        def encode(self, event: Event) -> bytes:
            return b"{\n}"

    for form, encoder in (("array", Text()), ("ndjson", Text()), ("ndjson", Spread())):
        made = make_sink("http://h/", body=form).encode(Changes().change("a"), encoder)
        assert isinstance(made, Rejected)
        assert made.kind is Failure.ENCODING
    assert isinstance(make_sink("http://h/", body="array").encode(Changes().change("a"), Spread()), Message)


async def test_large_bodies_are_compressed_and_the_signature_is_over_the_body_before(
    receiver: Receiver,
) -> None:
    """Servers decompress before the application sees the body that it verifies."""
    large = Changes().change("a", text="x" * 2_000_000)
    for event in (large, Changes().change("b", text="x" * 2_000), Changes().change("small")):
        assert await sent(receiver, event, compression="gzip", signing={"secrets": [SECRET]}) == [DELIVERED]
    first, second, small = receiver.posts
    assert len(first.body) < 10_000
    for post in (first, second):
        assert post.headers["content-encoding"] == "gzip"
        Webhook(SECRET).verify(gzip.decompress(post.body), post.headers)
    assert "content-encoding" not in small.headers
    Webhook(SECRET).verify(small.body, small.headers)


async def test_private_keys_sign_beside_shared_secrets(receiver: Receiver) -> None:
    """Receivers with the public key verify `v1a`, the standard's library finds its `v1` among them."""
    key = Ed25519PrivateKey.generate()
    seed, public = key.private_bytes_raw(), key.public_key()
    secrets = [
        SECRET,
        *("whsk_" + base64.b64encode(raw).decode() for raw in (seed, seed + public.public_bytes_raw())),
    ]
    assert await sent(receiver, Changes().change("a"), signing={"secrets": secrets}) == [DELIVERED]
    (post,) = receiver.posts
    Webhook(SECRET).verify(post.body, post.headers)
    shared, *own = post.headers["webhook-signature"].split(" ")
    assert shared.startswith("v1,")
    assert own[0] == own[1]
    signature = base64.b64decode(own[0].removeprefix("v1a,"), validate=True)
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    public.verify(signature, signed)
    with pytest.raises(InvalidSignature):
        public.verify(signature, signed + b" ")


@pytest.mark.parametrize(("keep_alive", "connections"), [("0s", 3), ("1h", 1)])
async def test_connections_are_kept_as_long_as_wanted(
    receiver: Receiver, keep_alive: str, connections: int
) -> None:
    async with opened(receiver.url, keep_alive=keep_alive) as sink:
        for _ in range(3):
            assert await send_one(sink) == DELIVERED
    assert receiver.connections == connections


async def test_a_connection_that_nobody_needs_is_closed(receiver: Receiver) -> None:
    """A firewall in between forgets it silently, and the next request would hang."""
    closed = anyio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        transport = request.transport

        async def until_closed() -> None:
            while not transport.is_closing():  # noqa: ASYNC110 - the transport tells nobody
                await anyio.sleep(0.01)
            closed.set()

        tasks.start_soon(until_closed)
        return web.Response()

    receiver.handler = watch
    async with anyio.create_task_group() as tasks, opened(receiver.url, keep_alive="50ms") as sink:
        assert await send_one(sink) == DELIVERED
        with anyio.fail_after(30):
            await closed.wait()
        assert await send_one(sink) == DELIVERED
        tasks.cancel_scope.cancel()
    assert receiver.connections == 2


async def test_answers_lead_to_what_users_decided(receiver: Receiver) -> None:
    """A status goes before its hundred, and what is not decided stays as it is."""
    answers = {
        "404": "retry",
        "409": "delivered",
        "4xx": "wait",
        "418": "pause",
        "500": "park",
        "3xx": "park",
    }
    expected = {
        404: (Retry, Fault.FAILED),
        409: (type(DELIVERED), None),
        422: (Retry, Fault.UNAVAILABLE),
        418: (Retry, Fault.UNAVAILABLE),
        500: (Rejected, None),
        503: (Retry, Fault.UNAVAILABLE),
        302: (Rejected, None),
    }
    for status, (kind, fault) in expected.items():
        receiver.handler = answering(status, "why")
        (outcome,) = await sent(receiver, Changes().change("a"), answers=answers)
        assert type(outcome) is kind
        assert getattr(outcome, "fault", None) is fault
        assert getattr(outcome, "pauses", False) is (status == 418)


async def test_gone_asks_for_a_pause_and_keeps_what_was_said(receiver: Receiver) -> None:
    """The reason is for logs, what the receiver said is for the dead letter."""
    receiver.handler = answering(410, "moved to hooks.example, token s3cretT0ken123")
    url = f"{receiver.url}/s3cretT0ken123"
    async with opened(url) as sink:
        outcome = await send_one(sink)
    assert isinstance(outcome, Retry)
    assert (outcome.pauses, outcome.reason) == (True, "answered 410 Gone")
    assert outcome.detail == "moved to hooks.example, token ***"


async def test_an_adaptive_sink_sends_less_at_once_where_it_is_refused(receiver: Receiver) -> None:
    """And never more than it may; the metric shows it."""
    answers: list[int] = []

    async def busy(request: web.Request) -> web.StreamResponse:
        crowd = receiver.under_way
        await anyio.sleep(0.01)
        answers.append(503 if crowd > 3 else 200)
        return web.Response(status=answers[-1])

    receiver.handler = busy
    async with (
        opened(receiver.url, concurrency=12, adaptive=True) as sink,
        anyio.create_task_group() as tasks,
    ):

        async def lane() -> None:
            for _ in range(25):
                await send_one(sink)

        for _ in range(12):
            tasks.start_soon(lane)
    assert receiver.most_under_way <= 12
    assert answers[-150:].count(200) > 100
    shown = REGISTRY.get_sample_value("eventbus_sink_concurrency", {"sink": "hook"})
    assert shown is not None
    assert 1 <= shown <= 6


@pytest.mark.parametrize(
    ("timeouts", "said", "fault"),
    [
        ({"first_byte": "50ms"}, "no answer within 0.05 s", Fault.FAILED),
        ({"send": "50ms"}, "no progress in sending within 0.05 s", Fault.FAILED),
    ],
)
async def test_each_phase_of_a_request_has_its_limit(
    timeouts: dict[str, str], said: str, fault: Fault
) -> None:
    """A server that takes the connection, and then nothing more than the system takes for it."""
    large = Changes().change("a", text="x" * 12_000_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        async with opened(url, timeout="30s", timeouts=timeouts) as sink:
            outcome = await send_one(sink, large if "send" in timeouts else None)
    assert isinstance(outcome, Retry)
    assert (outcome.reason, outcome.fault, outcome.kind) == (said, fault, Failure.TIMEOUT)


async def test_each_phase_of_connecting_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog that is full swallows connections; a server without TLS swallows the handshake."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.socket() as one,
        socket.socket() as two,
    ):
        port = server.getsockname()[1]
        with pytest.raises(Unreachable, match=r"no TLS session within 0\.05 s$"):
            await make_sink(f"https://127.0.0.1:{port}/", timeouts={"tls": "50ms"}).open()
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        with pytest.raises(Unreachable, match=r"no connection within 0\.05 s$"):
            await make_sink(f"http://127.0.0.1:{port}/", timeouts={"connect": "50ms"}).open()


async def test_slow_names_and_handshakes_hold_up_no_other_sink(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More sinks wait for name servers than there are threads for everybody.

    The system's call is held: its name servers are not ours to stop.
    """
    released, resolve = threading.Event(), socket.getaddrinfo

    def slow(host: str, *parts: Any, **named: Any) -> Any:
        if host.endswith(".slow.example"):
            released.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "at last")
        return resolve(host, *parts, **named)

    monkeypatch.setattr("eventbus.http.dialling.socket.getaddrinfo", slow)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        stuck = [make_sink(f"http://h{place}.slow.example/") for place in range(45)]
        stuck += [make_sink(f"https://127.0.0.1:{port}/") for _ in range(3)]
        ended: list[str] = []

        async def open_in_vain(sink: Any) -> None:
            with pytest.raises(Unreachable):
                await sink.open()
            ended.append(sink.name)

        async with anyio.create_task_group() as tasks:
            for sink in stuck:
                tasks.start_soon(open_in_vain, sink)
            await anyio.wait_all_tasks_blocked()
            async with opened(f"http://localhost:{receiver.port}/", keep_alive="0s") as well:
                for _ in range(3):
                    assert await send_one(well) == DELIVERED
            assert ended == []
            tasks.cancel_scope.cancel()
        released.set()


async def test_name_servers_that_never_answer_do_not_gather_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that its attempt has given up still counts, until the system returns."""
    released, begun = threading.Event(), threading.Semaphore(0)

    def hold(*_: Any, **__: Any) -> Any:
        begun.release()
        released.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "at last")

    monkeypatch.setattr("eventbus.http.dialling.socket.getaddrinfo", hold)
    dialler = Dialler(
        Origin("h.example", 80, False), Networks(["public"]), Patience(60, 60, 60, 60, 60), None
    )
    for _ in range(4):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dialler.dial, inf)
            await anyio.to_thread.run_sync(begun.acquire)
            tasks.cancel_scope.cancel()
    with pytest.raises(NoReply, match="earlier questions for it are not answered yet"):
        await dialler.dial(inf)
    released.set()


async def test_interim_replies_are_no_answers() -> None:
    """A server may say that it is at work, as often as it likes."""

    async def hint(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        await stream.send(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok"
        )
        await request_of(stream)
        await stream.send(b"HTTP/1.1 422 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n")

    async with talking(hint) as url, opened(url) as sink:
        assert await send_one(sink) == DELIVERED
        assert await send_one(sink) == Rejected("answered 422 Unprocessable Entity: bad")


async def test_what_nobody_asked_for_ends_a_connection() -> None:
    """Else it would be taken for the answer to the next request."""

    async def chatter(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        answered.set()
        await stream.send(b"HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n")
        await request_of(stream)

    answered = anyio.Event()
    async with talking(chatter) as url, opened(url) as sink:
        assert await send_one(sink) == DELIVERED
        await answered.wait()
        await anyio.wait_all_tasks_blocked()
        assert await send_one(sink) == DELIVERED


async def test_permission_is_asked_for_and_kept_to(receiver: Receiver) -> None:
    """CloudEvents' handshake: the endpoint must name us, and then every request does."""
    said: dict[str, str] = {}

    async def grant(request: web.Request) -> web.StreamResponse:
        return web.Response(headers=said if request.method == "OPTIONS" else {})

    receiver.handler = grant
    options = {"handshake_origin": "eventbus.example.com", "bearer": "t0ken"}
    for refusal in ({}, {"WebHook-Allowed-Origin": "other.example.com"}):
        said = refusal
        with pytest.raises(Unreachable, match="no permission to send events under our name"):
            await make_sink(f"{receiver.url}/in", **options).open()
    for allowed in ("*", "EventBus.example.com"):
        said = {"WebHook-Allowed-Origin": allowed, "WebHook-Allowed-Rate": "120000"}
        receiver.posts.clear()
        async with opened(f"{receiver.url}/in", **options) as sink:
            assert await send_one(sink) == DELIVERED
            assert sink._permission is not None
            assert sink._permission.per_minute == 120000
        question, post = receiver.posts
        assert (question.method, question.path) == ("OPTIONS", "/in")
        assert question.headers["webhook-request-origin"] == "eventbus.example.com"
        assert question.headers["authorization"] == "Bearer t0ken"
        assert post.headers["origin"] == "eventbus.example.com"
    receiver.handler = hang
