"""The webhook sink against a real HTTP server: what goes over the wire, and what an answer means."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook, WebhookVerificationError

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.sdk import DELIVERED, Fault, Message, Outcome, Rejected, Retry
from eventbus.testing import Changes, PlainEncoder
from tests.encoding.changes import change, encoder
from tests.sinks.receiver import Receiver, answering, hang, message_of, opened, receiving, send_one

pytestmark = pytest.mark.anyio

OLD = "whsec_" + base64.b64encode(b"old" * 8).decode()
NEW = base64.b64encode(b"new" * 8).decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def outcome_of(receiver: Receiver, **options: Any) -> Outcome:
    async with opened(receiver.url, **options) as sink:
        return await send_one(sink)


async def test_every_secret_signs_and_receivers_can_verify_each(receiver: Receiver) -> None:
    """While a secret is replaced, receivers with the old one and with the new one accept the message."""
    signing = {"scheme": "standard", "secrets": [OLD, NEW]}
    event = Changes().change("a", text="caf\u00e9")
    async with opened(receiver.url, signing=signing) as sink:
        assert await send_one(sink, event) == DELIVERED
    (post,) = receiver.posts
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(post.body, post.headers)["id"] == event.id
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"third" * 5).decode()).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(post.body + b" ", post.headers)


async def test_attributes_stand_in_headers_in_binary_mode(receiver: Receiver) -> None:
    """As the CloudEvents project's package reads them; the body is the data alone."""
    event = change(document_key={"_id": 'größe "50 %"'})
    async with opened(receiver.url) as sink:
        message = sink.encode(event, encoder(sink.carries, mode="binary"))
        assert isinstance(message, Message)
        assert await sink.send([message]) == [DELIVERED]
    (post,) = receiver.posts
    read = from_http_event(HTTPMessage(headers=post.headers, body=post.body))
    assert (read.get_id(), read.get_subject()) == (event.id, 'größe "50 %"')
    assert read.get_attributes()["datacontenttype"] == "application/json"
    assert json.loads(post.body)["operation"] == "update"


async def test_the_time_is_of_the_attempt_and_the_id_of_the_event(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry after hours is not refused as a replay, and is known as the same message."""
    clock = iter([1_700_000_000.9, 1_700_009_000.1])
    monkeypatch.setattr("eventbus.sinks.webhook.sink.time", SimpleNamespace(time=lambda: next(clock)))
    event = Changes().change("a")
    async with opened(receiver.url, signing={"secrets": [NEW]}) as sink:
        message = message_of(sink, event)
        await sink.send([message])
        await sink.send([message])
    first, second = receiver.posts
    assert [post.headers["webhook-timestamp"] for post in receiver.posts] == ["1700000000", "1700009000"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == event.id
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body


async def test_an_unsigned_message_still_has_an_id(receiver: Receiver) -> None:
    event = Changes().change("a")
    async with opened(f"{receiver.url}/in?a=%2Fb", headers={"X-Shard": "7", "user-agent": "mine"}) as sink:
        assert await send_one(sink, event) == DELIVERED
    (post,) = receiver.posts
    assert post.path == "/in?a=%2Fb"
    assert post.headers["webhook-id"] == event.id
    assert "webhook-signature" not in post.headers
    assert post.headers["content-type"] == PlainEncoder.content_type
    assert post.headers["x-shard"] == "7"
    assert post.headers["user-agent"] == "mine"
    assert json.loads(post.body)["id"] == event.id


async def test_a_cloudevent_says_that_it_is_one(receiver: Receiver) -> None:
    event = Changes().change("a")
    async with opened(receiver.url) as sink:
        made = sink.encode(event, CloudEventsEncoder("orders"))
        assert isinstance(made, Message)
        assert await sink.send([made]) == [DELIVERED]
    (post,) = receiver.posts
    assert post.headers["content-type"] == "application/cloudevents+json"
    assert json.loads(post.body)["id"] == post.headers["webhook-id"] == event.id


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.handler = answering(status)
    assert await outcome_of(receiver) == DELIVERED


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (429, Fault.UNAVAILABLE),
        (503, Fault.UNAVAILABLE),
        (500, Fault.FAILED),
        (501, Fault.FAILED),
        (502, Fault.FAILED),
        (504, Fault.FAILED),
        (599, Fault.FAILED),
        (408, Fault.FAILED),
        (425, Fault.FAILED),
        (401, Fault.UNAUTHORISED),
        (403, Fault.UNAUTHORISED),
    ],
)
async def test_statuses_that_ask_for_another_try(receiver: Receiver, status: int, fault: Fault) -> None:
    receiver.handler = answering(status, "content of the document")
    outcome = await outcome_of(receiver)
    assert isinstance(outcome, Retry)
    assert outcome.fault is fault
    assert outcome.reason.startswith(f"answered {status}")
    assert "content" not in outcome.reason
    assert outcome.after_secs is None


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422, 451, 499])
async def test_other_4xx_are_rejected_with_the_beginning_of_the_answer(
    receiver: Receiver, status: int
) -> None:
    receiver.handler = answering(status, "no\x00 such\r\n\x1b[31m sku\u202e " + "x" * 10_000)
    outcome = await outcome_of(receiver)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(f"answered {status}")
    said = outcome.reason.partition(": ")[2]
    assert said.startswith("no such [31m sku x")
    assert said.isprintable()
    assert 150 < len(said) <= 200


async def test_retry_after_in_seconds_and_as_a_date(receiver: Receiver) -> None:
    receiver.handler = answering(503, Retry_After="17")
    outcome = await outcome_of(receiver)
    assert isinstance(outcome, Retry)
    assert outcome.after_secs == 17.0
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    receiver.handler = answering(429, Retry_After=date)
    outcome = await outcome_of(receiver)
    assert isinstance(outcome, Retry)
    assert outcome.after_secs is not None
    assert 300 < outcome.after_secs <= 600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, status: int) -> None:
    """A signed message, and its Authorization, are for the receiver that was configured."""
    receiver.handler = answering(status, Location=f"http://elsewhere.invalid:{receiver.port}/t0ken?k=v")
    outcome = await outcome_of(receiver)
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.FAILED
    assert "elsewhere.invalid" in outcome.reason
    assert "t0ken" not in outcome.reason
    assert len(receiver.posts) == 1


async def test_an_endpoint_that_prints_the_request_gives_no_secret_away(receiver: Receiver) -> None:
    """Dead letters and logs show what the server said, not what we told it in confidence."""

    async def echo(request: web.Request) -> web.StreamResponse:
        tokens = [request.headers[name].split()[-1] for name in ("authorization", "x-key")]
        said = f"{request.path_qs} {tokens} http://a:b@c/"
        return web.Response(status=422, text="Cannot POST " + said)

    receiver.handler = echo
    url = f"http://user:pa%2Fss@127.0.0.1:{receiver.port}/hooks/T0123456789ABCDEF?k=q%20uery"
    async with opened(url, headers={"X-Key": "Custom k3y"}) as sink:
        outcome = await send_one(sink)
        shown = f"{outcome!r} {sink.Options.model_validate({'url': url, 'headers': {'X-Key': 'k3y'}})!r}"
    basic = base64.b64encode(b"user:pa/ss").decode()
    assert receiver.posts[0].headers["authorization"] == f"Basic {basic}"
    assert isinstance(outcome, Rejected)
    assert "Cannot POST /hooks/*** " not in outcome.reason
    assert "Cannot POST /hooks/***" in outcome.reason
    for secret in (basic, "pa/ss", "pa%2Fss", "T0123456789ABCDEF", "q uery", "q%20uery", "k3y", ":b@"):
        assert secret not in shown


async def test_connections_are_reused_when_answers_are_small(receiver: Receiver) -> None:
    receiver.handler = answering(200, "x" * 4000)
    async with opened(receiver.url) as sink:
        for _ in range(20):
            assert await send_one(sink) == DELIVERED
    assert (len(receiver.posts), receiver.connections) == (20, 1)


async def test_a_long_answer_is_not_read_to_its_end(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by a sink with all the time in the world."""
    monkeypatch.setattr("eventbus.http.connection._CONTENT_PATIENCE_SECS", 1000.0)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=422)
        await response.prepare(request)
        while True:
            await response.write(b"on and on " * 100)

    receiver.handler = endless
    async with opened(receiver.url, timeout="1000s") as sink:
        for _ in range(2):
            outcome = await send_one(sink)
            assert isinstance(outcome, Rejected)
            assert outcome.reason.endswith("on and on")
    assert receiver.connections == 2


async def test_no_more_requests_at_once_than_configured(receiver: Receiver) -> None:
    """`concurrency` is the target's total, over all routes."""
    full = anyio.Event()

    async def gather(request: web.Request) -> web.StreamResponse:
        if receiver.under_way == 3:
            full.set()
        await full.wait()
        return web.Response()

    receiver.handler = gather
    async with opened(receiver.url, concurrency=3) as sink, anyio.create_task_group() as tasks:
        assert (sink.traits.lanes, sink.traits.concurrency, sink.traits.max_batch) == (3, 3, 1)
        for _ in range(12):
            tasks.start_soon(send_one, sink)
    assert len(receiver.posts) == 12
    assert receiver.most_under_way == 3


async def test_a_body_of_16_mb_arrives_whole_and_signed(receiver: Receiver) -> None:
    event = Changes().change("a", text="x" * 16_000_000)
    async with opened(receiver.url, signing={"secrets": [NEW]}) as sink:
        assert await send_one(sink, event) == DELIVERED
        assert await send_one(sink) == DELIVERED
    assert Webhook(NEW).verify(receiver.posts[0].body, receiver.posts[0].headers)["id"] == event.id
    assert receiver.posts[0].headers["content-length"] == str(len(receiver.posts[0].body))
    assert receiver.connections == 1


async def test_cancelling_gives_the_connection_up(receiver: Receiver) -> None:
    """A drain need not wait for an endpoint that hangs, and nothing of the attempt is left over."""
    arrived = anyio.Event()

    async def arrive_and_hang(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    receiver.handler = arrive_and_hang
    async with opened(receiver.url, concurrency=1) as sink:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_one, sink)
            await arrived.wait()
            tasks.cancel_scope.cancel()
        receiver.handler = answering(200)
        assert await send_one(sink) == DELIVERED
    assert receiver.connections == 2


async def test_opening_again_changes_nothing(receiver: Receiver) -> None:
    async with opened(receiver.url) as sink:
        await send_one(sink)
        await sink.open()
        await send_one(sink)
    assert receiver.connections == 1
