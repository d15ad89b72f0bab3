"""A route with `for_each`: what becomes of an event that is several messages, whatever becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import bson
import orjson
import pytest
from pydantic import BaseModel

from eventbus.encoding.items import ItemsEncoder
from eventbus.errors import EncodingError, NoForm
from eventbus.model import DELIVERED, Delivered, Event, Failure, Fault, Message, Outcome, Rejected, Retry
from eventbus.sdk import (
    Commit,
    Encoded,
    Encoder,
    Expression,
    Options,
    Refused,
    SinkTraits,
    TransactionalSink,
    Views,
)
from eventbus.sinks.fanning_out import FanOutSink, parts_of
from eventbus.testing import PlainEncoder

pytestmark = pytest.mark.anyio

REFUSED = Rejected("no such item")
AGAIN = Retry(Fault.UNAVAILABLE, "away")


@dataclass
class Target:
    """Notes its calls, and answers by the item."""

    traits: SinkTraits = field(default_factory=lambda: SinkTraits(max_batch=3, keeps_order=True))
    answers: dict[Any, Outcome] = field(default_factory=dict)
    name: str = "target"
    Options: ClassVar[type[BaseModel]] = Options

    def __post_init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.ids: list[str] = []

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nor to close."""

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The item alone; one is not encodable."""
        item = (event.attributes or {}).get("item")
        return REFUSED if item == "odd" else Message(event, orjson.dumps(item), key=event.key)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """One answer each."""
        items = [orjson.loads(message.body) for message in messages]
        self.calls.append(items)
        self.ids += [message.event.id for message in messages]
        return [self.answers.get(item, DELIVERED) for item in items]

    def transactions(self, route: str) -> _Ledger:
        """Those of a route."""
        return _Ledger(self, route)


@dataclass
class _Ledger:
    target: Target
    route: str

    async def claim(self, epoch: int) -> bytes | None:
        return str(epoch).encode()

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        outcomes = await self.target.send(messages)
        by = {place: one for place, one in enumerate(outcomes) if isinstance(one, Rejected | Retry)}
        return Refused(by) if by else DELIVERED

    async def close(self) -> None:
        self.target.calls.append(["closed"])


def event(*items: Any, key: int = 1, **parts: Any) -> Event:
    """An order with items."""
    document = {"_id": key, "items": list(items)}
    return Event(
        **{
            "token": f"82{key:04}",
            "operation": "insert",
            "database": "shop",
            "collection": "orders",
            "document_key": {"_id": key},
            "document": bson.encode(document),
            **parts,
        }
    )


def encoder() -> ItemsEncoder:
    """That of a route."""
    return ItemsEncoder(PlainEncoder(), Expression("document.items"), Views())


def messages(sink: FanOutSink, *events: Event) -> list[Message]:
    """One for each event."""
    made = [sink.encode(one, encoder()) for one in events]
    assert all(isinstance(one, Message) for one in made)
    return [one for one in made if isinstance(one, Message)]


async def test_each_item_is_a_message_in_calls_that_the_sink_takes() -> None:
    """In their order, with the bounds of the sink."""
    target = Target()
    sink = FanOutSink(target)
    outcomes = await sink.send(messages(sink, event(1, 2), event(3, 4, 5, key=2)))
    assert target.calls == [[1, 2, 3], [4, 5]]
    assert outcomes == [DELIVERED] * 2
    assert len(set(target.ids)) == 5


async def test_the_ids_are_the_same_whenever_the_event_comes() -> None:
    """And no item's is the event's own."""
    target = Target()
    sink = FanOutSink(target)
    for _ in range(2):
        await sink.send(messages(sink, event("a", "a")))
    assert target.ids[:2] == target.ids[2:]
    assert event("a", "a").id not in target.ids
    (message,) = messages(sink, event("a", "b"))
    assert [part.event.attributes for part in parts_of(message)] == [
        {"item": "a", "index": 0},
        {"item": "b", "index": 1},
    ]


async def test_a_sink_that_keeps_no_order_gets_one_of_a_key_at_a_time() -> None:
    """Items of one event are of one key."""
    target = Target(SinkTraits(max_batch=10))
    sink = FanOutSink(target)
    await sink.send(messages(sink, event(1, 2), event(3, key=2)))
    assert target.calls == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [({2: AGAIN}, AGAIN), ({2: REFUSED}, REFUSED), ({1: AGAIN, 3: REFUSED}, REFUSED)],
)
async def test_the_worst_of_its_parts_is_what_comes_of_an_event(
    answers: dict[Any, Outcome], outcome: Outcome
) -> None:
    """And the others are none the worse for it."""
    target = Target(answers=answers)
    sink = FanOutSink(target)
    assert await sink.send(messages(sink, event(1, 2, 3), event(4, key=2))) == [outcome, DELIVERED]


async def test_after_a_failure_no_later_item_of_the_event_is_sent() -> None:
    """They come with the next try, in their order."""
    target = Target(SinkTraits(max_batch=1), {1: AGAIN})
    sink = FanOutSink(target)
    assert await sink.send(messages(sink, event(1, 2, 3))) == [AGAIN]
    assert target.calls == [[1]]


async def test_behind_what_is_tried_again_nothing_of_its_key_goes_out() -> None:
    """A later event of the document waits with it; those of others go on."""
    target = Target(SinkTraits(max_batch=1, keeps_order=True), {1: AGAIN})
    sink = FanOutSink(target)
    outcomes = await sink.send(messages(sink, event(1, 2), event(3), event(4, key=2)))
    assert outcomes == [AGAIN, AGAIN, DELIVERED]
    assert target.calls == [[1], [4]]


async def test_a_sink_may_have_an_answer_of_its_own_for_delivered() -> None:
    """An equal one is as good: later items go out all the same."""
    target = Target(SinkTraits(max_batch=1), {1: Delivered()})
    sink = FanOutSink(target)
    assert await sink.send(messages(sink, event(1, 2))) == [DELIVERED]
    assert target.calls == [[1], [2]]


def test_what_is_no_list_is_refused_and_what_has_no_items_left_out() -> None:
    """Missing, null and empty are alike."""
    sink = FanOutSink(Target())
    for empty in (event(), event(document={"_id": 1}), event(document=None), event(document={"items": None})):
        with pytest.raises(NoForm):
            sink.encode(empty, encoder())
    with pytest.raises(EncodingError, match="for_each: it is no list"):
        sink.encode(event(document={"items": 7}), encoder())
    refused = sink.encode(event("a", "odd"), encoder())
    assert refused == Rejected("item 1: no such item", Failure.REJECTED)


def test_other_routes_of_the_sink_and_what_the_daemon_says_are_as_ever() -> None:
    """A gap has no items."""
    sink = FanOutSink(Target())
    gap = Event(token="1/~gap", operation="eventbus.gap", database="", collection="")
    for made in (sink.encode(event("a"), PlainEncoder()), sink.encode(gap, encoder())):
        assert isinstance(made, Message)
        assert parts_of(made) == [made]


async def test_in_a_transaction_all_take_effect_or_the_event_is_refused() -> None:
    """The target judges messages; the route hears of events."""
    target = Target(answers={5: REFUSED, 2: AGAIN})
    sink = FanOutSink(target)
    assert isinstance(sink, TransactionalSink)
    transactions = sink.transactions("orders/copies")
    assert await transactions.claim(3) == b"3"
    group = messages(sink, event(1, 2), event(3, key=2), event(4, 5, key=3))
    assert await transactions.commit(group, b"p") == Refused({0: AGAIN, 2: REFUSED})
    assert await transactions.commit(group[1:2], b"p") == DELIVERED
    await transactions.close()
    assert target.calls == [[1, 2, 3, 4, 5], [3], ["closed"]]
