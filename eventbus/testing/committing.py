"""How the contracts drive the transactions of a sink: as an exactly-once route does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.lowlevel

from eventbus.sdk import (
    Delivered,
    Event,
    LeaseLost,
    Message,
    Retry,
    Sink,
    TransactionalSink,
    Transactions,
    Unreachable,
)
from eventbus.testing.driving import encoded, opened

__all__ = [
    "Slice",
    "cancel_commit_after",
    "claim_patiently",
    "commit_all",
    "commit_patiently",
    "commit_until_fenced",
    "owned",
    "owner",
    "slices_of",
    "transactions_of",
]


@dataclass(frozen=True, slots=True)
class Slice:
    """Messages and the position that is to take effect with them."""

    messages: Sequence[Message]
    position: bytes


def slices_of(sink: Sink, events: Sequence[Event], length: int) -> list[Slice]:
    """Contiguous slices of so many events, each with the position of its end, in bytes of any kind."""
    parts = [events[first : first + length] for first in range(0, len(events), length)]
    return [Slice(encoded(sink, part), b"\x00\xff\n" + part[-1].id.encode()) for part in parts]


def transactions_of(sink: Sink, route: str) -> Transactions:
    """Those of a route of a sink that must have them."""
    assert isinstance(sink, TransactionalSink), f"{type(sink).__name__} has no transactions"
    return sink.transactions(route)


@asynccontextmanager
async def owned(sink: Sink, route: str, patience_secs: float) -> AsyncIterator[Transactions]:
    """An owner of a route on a sink that is open; it has claimed nothing yet."""
    transactions = transactions_of(sink, route)
    try:
        yield transactions
    finally:
        with anyio.move_on_after(patience_secs, shield=True) as scope:
            await transactions.close()
        assert not scope.cancelled_caught, "close did not return"


@asynccontextmanager
async def owner(sink: Sink, route: str, patience_secs: float) -> AsyncIterator[Transactions]:
    """An owner of a route on a sink of its own, as another process would be; it has claimed nothing yet."""
    async with opened(sink, patience_secs), owned(sink, route, patience_secs) as transactions:
        yield transactions


async def claim_patiently(transactions: Transactions, epoch: int, patience_secs: float) -> bytes | None:
    """Claim as the daemon does: again for as long as the target is away."""
    with anyio.fail_after(patience_secs):
        while True:
            try:
                return await transactions.claim(epoch)
            except Unreachable:
                await anyio.sleep(0.05)


async def commit_patiently(
    transactions: Transactions, given: Slice, patience_secs: float, *, rest_secs: float = 0.05
) -> None:
    """Give a slice again until it took effect; a refusal fails the test."""
    with anyio.fail_after(patience_secs):
        while True:
            answer = await transactions.commit(given.messages, given.position)
            assert isinstance(answer, Delivered | Retry), answer
            if isinstance(answer, Delivered):
                return
            await anyio.sleep(rest_secs)


async def commit_all(transactions: Transactions, slices: Sequence[Slice], patience_secs: float) -> None:
    """One slice after the other."""
    for given in slices:
        await commit_patiently(transactions, given, patience_secs)


async def cancel_commit_after(steps: int, transactions: Transactions, given: Slice) -> None:
    """Commit, and cancel that after so many turns of the event loop."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transactions.commit, given.messages, given.position)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def commit_until_fenced(
    transactions: Transactions, slices: Sequence[Slice], taken: list[Slice], patience_secs: float
) -> None:
    """One slice after the other, until somebody else has claimed the route; it must not get to the end."""
    try:
        for given in slices:
            await commit_patiently(transactions, given, patience_secs, rest_secs=0.0)
            taken.append(given)
    except LeaseLost:
        return
    raise AssertionError("an owner that was shut out went on")
