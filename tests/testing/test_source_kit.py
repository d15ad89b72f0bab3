"""The contract kit finds what is wrong with a source: a good one passes, and each fault fails its test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from eventbus.sdk import (
    Batch,
    ClusterTime,
    ConfigurationError,
    Event,
    Options,
    Position,
    SourcePolicy,
    Unreachable,
)
from eventbus.testing import SourceContract, SourceOutageContract


class _NoOptions(Options):
    """Nothing to choose."""


class _Things:
    """What is read: a count of changes, for as long as it is up."""

    def __init__(self) -> None:
        self.count = 3
        self.up = True


class CountingSource:
    """A source that keeps its promises, but for the fault that it is told to have."""

    Options: ClassVar[type[BaseModel]] = _NoOptions
    policy = SourcePolicy()

    def __init__(self, things: _Things, fault: str) -> None:
        self._things = things
        self._fault = fault

    async def check(self) -> None:
        """See `Source`."""
        if not self._things.up:
            raise RuntimeError if self._fault == "raises anything" else Unreachable("away")

    async def now(self) -> Position:
        """See `Source`."""
        await self.check()
        return _place(self._things.count)

    async def oldest(self) -> Position:
        """See `Source`."""
        return _place(99 if self._fault == "oldest is the newest" else 0)

    def at(self, time: ClusterTime) -> Position:
        """See `Source`."""
        return _place(time.increment)

    def position(self, token: str) -> Position:
        """See `Source`."""
        if self._fault == "takes any text" or token.isdecimal():
            return Position(token)
        raise ConfigurationError("no position")

    def reader(self, start: Position) -> _CountingReader:
        """See `Source`."""
        return _CountingReader(self._things, self._fault, int(start.token))


class _CountingReader:
    def __init__(self, things: _Things, fault: str, place: int) -> None:
        self._things, self._fault, self._place = things, fault, place
        self._begun = place
        self._closed = anyio.Event()
        self.trouble: str | None = None

    async def next(self) -> Batch | None:
        """See `Reader`."""
        await anyio.lowlevel.checkpoint()
        if self._fault != "never ends" and self._closed.is_set():
            return None
        self.trouble = None if self._things.up else "away"
        first = self._place + 1
        last = min(self._things.count, self._place + 2) if self._things.up else self._place
        if self._fault == "gives the last again" and self._place:
            first -= 1
        if self._fault == "skips one when it resumes" and self._place == self._begun and self._begun % 2:
            first += 1
        events = [self._event(number) for number in range(first, last + 1)]
        if self._fault == "reverses a batch":
            events.reverse()
        self._place = last
        if self._fault == "goes back when idle" and not events:
            self._place = max(0, self._place - 1)
            return Batch([], _place(self._place))
        return Batch(events, _place(last + 1 if self._fault == "ends too late" and events else last))

    def _event(self, number: int) -> Event:
        name = f"{self._begun}-{number}" if self._fault == "another id each time" else None
        return Event(
            token=_place(number).token,
            id=name,
            operation="insert",
            database="shop",
            collection="orders",
            document_key={"_id": number},
        )

    async def close(self) -> None:
        """See `Reader`."""
        if self._closed.is_set() and self._fault == "closes only once":
            raise RuntimeError("closed already")
        self._closed.set()


def _place(number: int) -> Position:
    return Position(f"{number:08}")


class _Harness:
    def __init__(self, fault: str = "") -> None:
        self._things, self._fault = _Things(), fault

    def make_source(self) -> CountingSource:
        """See `SourceHarness`."""
        return CountingSource(self._things, self._fault)

    async def change(self, count: int) -> None:
        """See `SourceHarness`."""
        self._things.count += count

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """See `SourceOutage`."""
        self._things.up = False
        yield
        self._things.up = True


class TestCounting(SourceOutageContract):
    """The good one."""

    @pytest.fixture
    def harness(self) -> _Harness:
        """On things of its own."""
        return _Harness()


class _Impatient(SourceOutageContract):
    patience_secs: ClassVar[float] = 0.3


@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        ("reverses a batch", "gives_each_change_once_and_in_order"),
        ("gives the last again", "gives_each_change_once_and_in_order"),
        ("skips one when it resumes", "gives_exactly_the_rest_from_each_position"),
        ("another id each time", "gives_exactly_the_rest_from_each_position"),
        ("ends too late", "gives_exactly_the_rest_from_each_position"),
        ("ends too late", "cancellation_loses_nothing"),
        ("takes any text", "knows_its_positions_by_their_text"),
        ("goes back when idle", "says_that_nothing_came"),
        ("oldest is the newest", "the_oldest_lies_not_after_the_present"),
        ("never ends", "whoever_waits_is_told_of_the_end"),
        ("closes only once", "whoever_waits_is_told_of_the_end"),
        ("raises anything", "an_outage_is_told_and_waited_for"),
    ],
)
@pytest.mark.anyio
async def test_a_fault_fails_the_test_that_is_for_it(fault: str, finder: str) -> None:
    """Whatever way it fails in."""
    contract: SourceContract = _Impatient()
    with pytest.raises((AssertionError, ExceptionGroup, RuntimeError, TimeoutError, pytest.fail.Exception)):
        await getattr(contract, f"test_{finder}")(_Harness(fault))
