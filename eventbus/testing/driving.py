"""How the contracts drive a sink: as the lanes of a route do, and how they compare what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from eventbus.sdk import Event, Fault, Message, Outcome, Rejected, Retry, Sink, SinkTraits, Unreachable
from eventbus.testing.harness import PlainEncoder, Received

__all__ = [
    "assert_unavailable",
    "by_id",
    "cancel_after",
    "cancel_call_after",
    "deliver",
    "encoded",
    "first_deliveries",
    "history",
    "ids_by_key",
    "open_patiently",
    "opened",
    "send_what_was_encoded",
    "until_sent",
]

_T = TypeVar("_T")


def encoded(sink: Sink, events: Iterable[Event]) -> list[Message]:
    """The messages of events that every sink can carry."""
    messages = []
    for event in events:
        made = sink.encode(event, PlainEncoder())
        assert isinstance(made, Message), made
        messages.append(made)
    return messages


@asynccontextmanager
async def opened(sink: Sink, patience_secs: float) -> AsyncIterator[Sink]:
    """Open the sink, and close it however the block ends."""
    try:
        with anyio.fail_after(patience_secs):
            await open_patiently(sink)
        yield sink
    finally:
        with anyio.move_on_after(patience_secs, shield=True) as scope:
            await sink.close()
        assert not scope.cancelled_caught, "close did not return"


async def open_patiently(sink: Sink) -> None:
    """Open as the daemon does: again for as long as the target is away."""
    while True:
        try:
            return await sink.open()
        except Unreachable:
            await anyio.sleep(0.05)


async def deliver(sink: Sink, messages: Sequence[Message], patience_secs: float) -> int:
    """Send as a lane does: in order, in calls as large as the sink takes, until all are delivered.

    Returns:
        How many were delivered; a rejected message fails the test.
    """
    with anyio.fail_after(patience_secs):
        for call in _calls(sink.traits, messages):
            await _deliver_one_call(sink, call)
    return len(messages)


async def _deliver_one_call(sink: Sink, call: Sequence[Message]) -> None:
    remaining = list(call)
    while remaining:
        outcomes = await sink.send(remaining)
        assert len(outcomes) == len(remaining)
        rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        assert not rejected, rejected
        pairs = zip(remaining, outcomes, strict=True)
        remaining = [message for message, outcome in pairs if isinstance(outcome, Retry)]
        if remaining:
            await anyio.sleep(0.05)


def _calls(traits: SinkTraits, messages: Sequence[Message]) -> list[list[Message]]:
    """Cut into calls of `send` within the sink's bounds; no key twice in a call unless it keeps order."""
    calls: list[list[Message]] = []
    for message in messages:
        if not calls or not _fits(traits, calls[-1], message):
            calls.append([])
        calls[-1].append(message)
    return calls


def _fits(traits: SinkTraits, call: Sequence[Message], message: Message) -> bool:
    size = sum(len(other.body) for other in call) + len(message.body)
    repeated = any(other.event.key == message.event.key for other in call)
    return (
        len(call) < traits.max_batch
        and size <= traits.max_batch_bytes
        and (traits.keeps_order or not repeated)
    )


async def send_what_was_encoded(sink: Sink, results: Sequence[Message | Rejected]) -> list[Outcome]:
    """One try for what `encode` gave; what it rejected keeps its place among the outcomes."""
    messages = [made for made in results if isinstance(made, Message)]
    sent: list[Outcome] = []
    for call in _calls(sink.traits, messages):
        sent.extend(await sink.send(call))
    outcomes = iter(sent)
    return [next(outcomes) if isinstance(made, Message) else made for made in results]


async def cancel_after(steps: int, sink: Sink, messages: Sequence[Message]) -> None:
    """Send, and cancel that after so many turns of the event loop."""
    await cancel_call_after(steps, sink.send, messages)


async def cancel_call_after(
    steps: int, call: Callable[[Sequence[_T]], Coroutine[Any, Any, object]], items: Sequence[_T]
) -> None:
    """Call something, and cancel that after so many turns of the event loop."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, items)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def until_sent(sent: Sequence[object], number: int) -> None:
    """Wait until so many messages, or slices, have been handed to the sink."""
    while len(sent) < number:  # noqa: ASYNC110 - the producers are the code under test's own callers
        await anyio.sleep(0.01)


def assert_unavailable(outcomes: Sequence[Outcome], number: int) -> None:
    """Every message asks for another try, with a reason, and the fault is the target's."""
    assert len(outcomes) == number
    for outcome in outcomes:
        assert isinstance(outcome, Retry), outcome
        assert outcome.fault is Fault.UNAVAILABLE, outcome
        assert outcome.reason


def by_id(received: Iterable[Received]) -> dict[str, list[bytes]]:
    """The bodies that came for each id, in their order."""
    bodies: dict[str, list[bytes]] = defaultdict(list)
    for message in received:
        bodies[message.id].append(message.body)
    return dict(bodies)


def ids_by_key(
    messages: Sequence[Message], received: Sequence[Received] | None = None
) -> dict[bytes, list[str]]:
    """The ids of each key, in the order of `messages` or as they were received."""
    keys = {message.event.id: message.event.key for message in messages}
    ids = [message.event.id for message in messages] if received is None else [item.id for item in received]
    by_key: dict[bytes, list[str]] = defaultdict(list)
    for event_id in ids:
        by_key[keys[event_id]].append(event_id)
    return dict(by_key)


def history(messages: Sequence[Message], *, is_kept: bool) -> dict[bytes, list[str]]:
    """What a target has of each key in the end: all its ids in order, or the newest alone."""
    by_key = ids_by_key(messages)
    return by_key if is_kept else {key: ids[-1:] for key, ids in by_key.items()}


def first_deliveries(messages: Sequence[Message], received: Sequence[Received]) -> dict[bytes, list[str]]:
    """The ids of each key in the order in which they came for the first time."""
    firsts = {item.id: item for item in received}  # a repetition keeps the place of the first
    return ids_by_key(messages, list(firsts.values()))
