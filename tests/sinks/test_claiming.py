"""A sink with claims: content is stored before its message goes out, in order, whatever fails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import bson
import orjson
import pytest
from pydantic import BaseModel

from eventbus.encoding.claims import ClaimCheck
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import DELIVERED, Claim, Delivered, Event, Fault, Message, Outcome, Rejected, Retry
from eventbus.sdk import Encoded, Encoder, Options, SinkTraits
from eventbus.sinks.claiming import ClaimingSink
from tests.encoding.changes import HTTP, KAFKA, change, encoder

pytestmark = pytest.mark.anyio

LARGE = bson.encode({"_id": 1, "text": "x" * 2000})


class Shelf:
    """Keeps claims in memory, and is away when it counts, as a real store would be only by chance."""

    def __init__(self) -> None:
        self.kept: dict[str, Claim] = {}
        self.failure: Exception | None = None
        self.steps: list[str] = []

    async def open(self) -> None:
        self.steps.append("shelf opened")

    async def close(self) -> None:
        self.steps.append("shelf closed")

    async def put(self, claim: Claim) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept[claim.id] = claim
        self.steps.append("stored")


class Target:
    """Takes messages, and knows whether their content was there by then."""

    Options: ClassVar[type[BaseModel]] = Options
    name = "target"
    traits = SinkTraits(max_batch=10, keeps_order=True)
    carries = HTTP

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.bodies: list[bytes] = []

    async def open(self) -> None:
        self.shelf.steps.append("sink opened")

    async def close(self) -> None:
        self.shelf.steps.append("sink closed")

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        body = encoder.encode(event)
        return Message(event, body) if event.operation != "refused" else Rejected("refused")

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        assert messages
        self.shelf.steps.append(f"sent {len(messages)}")
        self.bodies += [message.body for message in messages]
        return [DELIVERED] * len(messages)


def _large(token: str, **parts: Any) -> Event:
    return change(token=token, document=LARGE, **parts)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def sink(shelf: Shelf) -> ClaimingSink:
    return ClaimingSink(Target(shelf), shelf)


CHECKED: dict[str, Any] = {"claim_check": {"above": "1KiB", "bucket": "claims", "keep": "1d"}}


def _messages(sink: ClaimingSink, *events: Event, **options: Any) -> list[Message]:
    made = [sink.encode(event, encoder(HTTP, **CHECKED, **options)) for event in events]
    assert all(isinstance(message, Message) for message in made)
    return [message for message in made if isinstance(message, Message)]


async def test_content_is_stored_before_its_message_goes_out(shelf: Shelf, sink: ClaimingSink) -> None:
    """The message tells where, how large and with which hash; small ones carry their content."""
    large, small = _large("A1"), change(token="A2")
    outcomes = await sink.send(_messages(sink, large, small))
    assert outcomes == [DELIVERED, DELIVERED]
    assert shelf.steps == ["stored", "sent 2"]
    assert isinstance(sink._sink, Target)
    told, whole = (orjson.loads(body) for body in sink._sink.bodies)
    assert "dataref" not in whole
    reference = told["data"]["claim_check"]
    (claim,) = shelf.kept.values()
    assert told["dataref"] == f"gridfs:claims/{claim.id}"
    assert reference == {
        "bucket": "claims",
        "id": claim.id,
        "size": len(claim.content),
        "sha256": hashlib.sha256(claim.content).hexdigest(),
    }
    assert claim.id.startswith(large.id)
    assert claim.content == encoder(HTTP).encode(large), "what the message would have been"
    assert (claim.content_type, claim.keep_secs) == ("application/cloudevents+json", 86400.0)
    assert told["id"] == large.id


@pytest.mark.parametrize(
    ("options", "content_type"),
    [
        ({"envelope": "debezium"}, "application/json"),
        ({"mode": "binary"}, "application/json"),
        ({"body": "{document}"}, "application/json"),
        ({"envelope": "document", "format": "bson"}, "application/bson"),
    ],
)
async def test_every_form_has_a_reference_in_the_same_form(
    shelf: Shelf, sink: ClaimingSink, options: dict[str, Any], content_type: str
) -> None:
    """Headers stay as they are."""
    event = _large("A1")
    (message,) = _messages(sink, event, **options)
    checked = encoder(HTTP, **CHECKED, **options)
    assert isinstance(checked, ClaimCheck)
    assert checked.content_type == content_type
    assert checked.headers(event) == encoder(HTTP, **options).headers(event)
    told = bson.decode(message.body) if options.get("format") else orjson.loads(message.body)
    await sink.send([message])
    (claim,) = shelf.kept.values()
    assert told["claim_check"]["id"] == claim.id
    assert claim.content == encoder(HTTP, **options).encode(event)


@pytest.mark.parametrize("failure", [Unreachable("away"), ConfigurationError("no rights")], ids=str)
async def test_what_cannot_be_stored_waits_and_what_is_behind_it(
    shelf: Shelf, sink: ClaimingSink, failure: Exception
) -> None:
    """No event's budget is spent; what is before it goes out; later it all does, in order."""
    messages = _messages(sink, change(token="A1"), _large("A2"), change(token="A3"))
    shelf.failure = failure
    first, *rest = await sink.send(messages)
    assert isinstance(first, Delivered)
    assert [outcome.fault for outcome in rest if isinstance(outcome, Retry)] == [Fault.UNAVAILABLE] * 2
    assert all(isinstance(outcome, Retry) and str(failure) in outcome.reason for outcome in rest)
    shelf.failure = None
    assert await sink.send(messages[1:]) == [DELIVERED] * 2
    assert shelf.steps == ["sent 1", "stored", "sent 2"]
    shelf.failure = failure
    assert await sink.send(messages) == [DELIVERED] * 3, "what is stored is not stored again"


async def test_storing_is_bounded_in_time(
    shelf: Shelf, sink: ClaimingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call with much to store sends a part: it must not outlast the lease."""
    monkeypatch.setattr("eventbus.sinks.claiming._STORING_SECS", -1.0)
    messages = _messages(sink, change(token="A1"), _large("A2"))
    assert isinstance((await sink.send(messages))[1], Retry)
    monkeypatch.undo()
    assert await sink.send(messages[1:]) == [DELIVERED]


async def test_it_is_opened_and_closed_with_the_sink(shelf: Shelf, sink: ClaimingSink) -> None:
    """And says of itself what the sink says."""
    await sink.open()
    await sink.close()
    assert shelf.steps == ["shelf opened", "sink opened", "sink closed", "shelf closed"]
    assert (sink.name, sink.traits.max_batch, sink.carries) == ("target", 10, HTTP)
    refused = sink.encode(change(operation="refused"), encoder(HTTP, **CHECKED))
    assert isinstance(refused, Rejected)
    plain = sink.encode(_large("A1"), encoder(HTTP))
    assert isinstance(plain, Message)
    assert plain.claim is None


def test_another_content_of_the_same_change_is_another_claim() -> None:
    """A document that is looked up may be a later one; and a tombstone is never too large."""
    checked = encoder(KAFKA, envelope="document", **CHECKED)
    assert isinstance(checked, ClaimCheck)
    one = checked.claim(_large("A1"))
    other = checked.claim(change(token="A1", document=bson.encode({"_id": 1, "text": "y" * 2000})))
    assert one is not None
    assert other is not None
    assert one.id != other.id
    assert one.id.partition("-")[0] == other.id.partition("-")[0]
    assert checked.encode(change(operation="delete", document=None)) == b""
