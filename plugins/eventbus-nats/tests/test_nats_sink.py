"""The sink on a real nats-server: the contract, ids, subjects, streams, limits, rights."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import nats
import pytest
from nats.js.api import DiscardPolicy, StreamConfig
from nats.js.errors import APIError
from pydantic import ValidationError

from eventbus.devservices import NatsService
from eventbus.sdk import DELIVERED, Event, Failure, Fault, Message, Rejected, Retry, Sink, Unreachable
from eventbus.testing import (
    Changes,
    PlainEncoder,
    Received,
    SinkContract,
    SinkOutageContract,
    SinkRejectionContract,
)
from eventbus_nats import NatsOptions, NatsSink
from eventbus_nats.outcomes import outcome_of

pytestmark = [pytest.mark.services, pytest.mark.anyio]


@pytest.fixture(scope="module")
def service() -> Iterator[NatsService]:
    """A server that the outage contract kills and brings back."""
    with NatsService.start(own=True) as service:
        yield service


@pytest.fixture
def anyio_backend() -> str:
    """The daemon's."""
    return "asyncio"


class NatsHarness:
    """A stream of its own for each test."""

    def __init__(self, service: NatsService, **options: Any) -> None:
        self.service = service
        self.stream = f"T{uuid.uuid4().hex[:10]}"
        self.options: dict[str, Any] = {
            "servers": [service.url],
            "subject": f"{self.stream}.{{collection}}",
            "stream": {"name": self.stream, "subjects": [f"{self.stream}.>"]},
            **options,
        }

    def make_sink(self) -> Sink:
        return NatsSink("bus", NatsOptions.model_validate(self.options))

    async def received(self) -> Sequence[Received]:
        return [Received(json.loads(one.data)["id"], one.data) for one in await self.messages()]

    async def messages(self) -> Sequence[Any]:
        """All that the stream has, in its order."""
        client = await nats.connect(self.service.url)
        try:
            streams = client.jetstream()
            state = (await streams.stream_info(self.stream)).state
            return [await streams.get_msg(self.stream, seq) for seq in range(1, state.last_seq + 1)]
        finally:
            await client.close()

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(self.service.kill)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(self.service.restart)


class TestNats(SinkContract, SinkRejectionContract, SinkOutageContract):
    """What every sink promises."""

    @pytest.fixture
    def harness(self, service: NatsService) -> NatsHarness:
        return NatsHarness(service)

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * (1 << 20))


async def _sent(sink: Sink, *events: Event) -> Sequence[Any]:
    made = [sink.encode(event, PlainEncoder()) for event in events]
    assert all(isinstance(one, Message) for one in made), made
    return await sink.send([one for one in made if isinstance(one, Message)])


@asynccontextmanager
async def _opened(harness: NatsHarness) -> AsyncIterator[Sink]:
    sink = harness.make_sink()
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


async def test_what_comes_again_is_in_the_stream_once(service: NatsService) -> None:
    """The same event has the same id, whichever connection brings it."""
    harness, event = NatsHarness(service), Changes().change("a")
    for _ in range(2):
        async with _opened(harness) as sink:
            assert list(await _sent(sink, event)) == [DELIVERED]
    (message,) = await harness.messages()
    assert message.headers["Nats-Msg-Id"] == event.id
    assert message.headers["Content-Type"] == "application/json"


async def test_ids_of_two_routes_into_one_stream_can_differ(service: NatsService) -> None:
    """The first does not keep the second out."""
    one = NatsHarness(service)
    other = NatsHarness(service, subject=f"{one.stream}.audit", stream=one.options["stream"])
    other.options["message_id"] = "audit-{event_id}"
    event = Changes().change("a")
    for harness in (one, other):
        async with _opened(harness) as sink:
            assert list(await _sent(sink, event)) == [DELIVERED]
    subjects = [message.subject for message in await one.messages()]
    assert subjects == [f"{one.stream}.orders", f"{one.stream}.audit"]


async def test_values_are_single_words_of_a_subject(service: NatsService) -> None:
    """None of them divides it or stands for other words; one that is missing makes no subject."""
    harness = NatsHarness(service)
    harness.options["subject"] = f"{harness.stream}.{{document_key._id}}"
    changes = Changes()
    sink = harness.make_sink()
    made = sink.encode(changes.change("a.b *>c"), PlainEncoder())
    assert isinstance(made, Message)
    assert made.target == f"{harness.stream}.a_b___c"
    assert isinstance(sink.encode(changes.change("a", document_key=None), PlainEncoder()), Rejected)


async def test_no_two_ids_become_one(service: NatsService) -> None:
    """Else the stream would drop the second as known: values differ in the header as they do in the event."""
    harness = NatsHarness(service, message_id="{document_key._id}")
    keys = ["a.b", "a_b", "a b", "a%20b", "a*b", "a>b", "a\nb", "a\u2028b", "ä"]
    async with _opened(harness) as sink:
        changes = Changes()
        outcomes = await _sent(sink, *[changes.change(key) for key in keys])
    assert list(outcomes) == [DELIVERED] * len(keys)
    ids = [str(message.headers["Nats-Msg-Id"]) for message in await harness.messages()]
    assert len(ids) == len(keys)
    assert {"a.b", "a_b", "a%20b", "a%2520b"} <= set(ids)


async def test_a_stream_that_is_deleted_is_made_again(service: NatsService) -> None:
    """With the connection that there is; one that we may not make is named."""
    harness = NatsHarness(service)
    async with _opened(harness) as sink:
        client = await nats.connect(service.url)
        await client.jetstream().delete_stream(harness.stream)
        (waits,) = await _sent(sink, Changes().change("a"))
        assert isinstance(waits, Retry)
        assert list(await _sent(sink, Changes().change("a"))) == [DELIVERED]
    harness.options["stream"] = {"name": harness.stream}
    async with _opened(harness) as sink:
        await client.jetstream().delete_stream(harness.stream)
        await client.close()
        waits = [(await _sent(sink, Changes().change("a")))[0] for _ in range(2)][-1]
    assert isinstance(waits, Retry)
    assert waits.fault is Fault.UNAVAILABLE
    assert f"there is no stream {harness.stream}: make it" in waits.reason


@pytest.mark.parametrize("answer", [b"welcome", b"{}", b"5", b'{"error": "no"}', b'{"error": {}}'])
async def test_who_answers_in_the_place_of_a_stream_takes_nothing(
    service: NatsService, answer: bytes
) -> None:
    """Any program may listen to a subject and answer: that is no acknowledgement, and no mistake of ours."""
    harness = NatsHarness(service, stream=None)
    client = await nats.connect(service.url)

    async def reply(message: Any) -> None:
        await message.respond(answer)

    await client.subscribe(f"{harness.stream}.*", cb=reply)
    await client.flush()
    async with _opened(harness) as sink:
        (outcome,) = await _sent(sink, Changes().change("a"))
    await client.close()
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.FAILED
    assert "no stream" in outcome.reason


def test_an_id_that_is_being_agreed_on_is_asked_for_again() -> None:
    """In a cluster: the message of the first try may be there in a moment, and costs no event's budget."""
    outcome = outcome_of(APIError(code=409, err_code=10158, description="duplicate message id is in process"))
    assert isinstance(outcome, Retry)
    assert outcome.fault is Fault.UNAVAILABLE


async def test_a_stream_that_must_take_them_is_the_only_one(service: NatsService) -> None:
    """Subjects of another stream are refused for good; those of none wait for one."""
    mine, other = NatsHarness(service), NatsHarness(service)
    async with _opened(mine) as sink, _opened(other) as strange:
        assert list(await _sent(sink, Changes().change("a"))) == [DELIVERED]
        astray = NatsHarness(service, subject=f"{other.stream}.x", stream=mine.options["stream"])
        nowhere = NatsHarness(service, subject="nowhere.x", stream=None)
        async with _opened(astray) as wrong, _opened(nowhere) as lost:
            (refused,) = await _sent(wrong, Changes().change("a"))
            (waits,) = await _sent(lost, Changes().change("a"))
        assert strange.name == "bus"
    assert refused == Rejected("JetStream: expected stream does not match (10060)")
    assert isinstance(waits, Retry)
    assert waits.fault is Fault.UNAVAILABLE
    assert "no stream takes this subject" in waits.reason


async def test_a_stream_that_is_missing_is_made_only_with_subjects(service: NatsService) -> None:
    """With what users said of it; without subjects, opening says what to do."""
    harness = NatsHarness(service)
    harness.options["stream"] |= {"duplicate_window": "30s", "max_age": "1h", "storage": "memory"}
    async with _opened(harness):
        client = await nats.connect(service.url)
        config = (await client.jetstream().stream_info(harness.stream)).config
        await client.close()
    assert (config.duplicate_window, config.max_age, config.storage) == (30, 3600, "memory")
    harness.options["stream"] = {"name": "MISSING"}
    with pytest.raises(Unreachable, match=r"nats sink bus: there is no stream MISSING: make it"):
        await harness.make_sink().open()


async def test_what_is_larger_than_the_stream_takes_is_refused(service: NatsService) -> None:
    """And what is larger than a stream holds waits for room."""
    harness = NatsHarness(service)
    client = await nats.connect(service.url)
    config = StreamConfig(
        name=harness.stream,
        subjects=[f"{harness.stream}.>"],
        max_msg_size=1000,
        max_msgs=1,
        discard=DiscardPolicy.NEW,
    )
    await client.jetstream().add_stream(config)
    await client.close()
    changes = Changes()
    async with _opened(harness) as sink:
        (refused,) = await _sent(sink, changes.change("a", text="x" * 1000))
        taken, full = [await _sent(sink, changes.change("a")) for _ in range(2)]
    assert isinstance(refused, Rejected)
    assert refused.kind is Failure.TOO_LARGE
    assert list(taken) == [DELIVERED]
    assert isinstance(full[0], Retry)
    assert full[0].fault is Fault.UNAVAILABLE


_USERS = """
authorization { users = [
  { user: may, password: secret-1 }
  { user: may-not, password: secret-2, permissions: { publish: ["$JS.>"], subscribe: ["_INBOX.>"] } }
] }
"""


async def test_wrong_credentials_and_missing_rights_are_told_apart(tmp_path: Any) -> None:
    """Who cannot come in is told so when it opens; who may not publish, when it does. No secret is told."""
    config = tmp_path / "nats.conf"
    config.write_text(_USERS)
    with NatsService.start(own=True, extra_args=("--config", str(config))) as guarded:
        harness = NatsHarness(guarded, username="may", password="secret-1")
        async with _opened(harness) as sink:
            assert list(await _sent(sink, Changes().change("a"))) == [DELIVERED]
        harness.options |= {"username": "may-not", "password": "secret-2", "timeout": "1s"}
        async with _opened(harness) as sink:
            (refused,) = await _sent(sink, Changes().change("b"))
        harness.options["password"] = "secret-3"
        with pytest.raises(Unreachable) as caught:
            await harness.make_sink().open()
    assert isinstance(refused, Retry)
    assert refused.fault is Fault.UNAUTHORISED
    assert "authorization violation" in str(caught.value).lower()
    assert "secret" not in str(caught.value) + refused.reason


async def test_few_wait_for_their_acknowledgements_at_once(service: NatsService) -> None:
    """All are delivered, though only two may be under way."""
    harness = NatsHarness(service, max_pending=2)
    async with _opened(harness) as sink:
        assert list(await _sent(sink, *Changes().distinct(50))) == [DELIVERED] * 50
    assert len(await harness.messages()) == 50


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"servers": ["http://host"]}, "must be an address such as nats://"),
        ({"servers": ["nats://user:hidden@host:4222"]}, "must hold no user"),
        ({"subject": "shop..{collection}"}, "single dots"),
        ({"subject": "shop.{colection}"}, "unknown name"),
        ({"username": "me"}, "belong together"),
        ({"username": "me", "password": "hidden", "token": "hidden"}, "only one of them"),
        ({"tls": {}}, "is for servers that begin with tls://"),
        ({"stream": {"name": "S", "max_age": "1m"}}, "must not be longer than max_age"),
        ({"stream": {"name": "a b"}}, "pattern"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], said: str) -> None:
    """With a sentence that says why, and without a secret."""
    usual: dict[str, Any] = {"servers": ["nats://host:4222"], "subject": "shop.x"}
    with pytest.raises(ValidationError, match=said) as caught:
        NatsOptions.model_validate(usual | wrong)
    assert "hidden" not in caught.value.errors(include_input=False).__repr__()
