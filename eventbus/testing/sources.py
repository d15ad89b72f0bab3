"""The promises of a source as tests: subclass a contract and give a fixture `harness`.

::

    class TestMySource(SourceContract):
        @pytest.fixture
        async def harness(self) -> MyHarness:
            return MyHarness()

`SourceOutageContract` is for sources that can be away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Protocol

import anyio
import anyio.lowlevel
import pytest

from eventbus.sdk import Batch, ConfigurationError, Position, Reader, Slot, Source, Unreachable
from eventbus.testing.sinks import ContractKit

__all__ = ["SourceContract", "SourceHarness", "SourceOutage", "SourceOutageContract"]

_CHANGES = 7
_STEPS = (0, 1, 2, 3, 5, 8, 13, 21, 34)
"""After how many turns of the event loop `next` is cancelled."""


class SourceHarness(Protocol):
    """One source, and what only this test changes."""

    def make_source(self) -> Source:
        """A new source of the same things. It may be called several times."""

    async def change(self, count: int) -> None:
        """Make so many further changes, each of which the source gives as one event."""


class SourceOutage(SourceHarness, Protocol):
    """A harness that can take away what the source reads."""

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Inside the block it does not answer; it keeps what it has."""


class SourceContract(ContractKit):
    """What every source promises."""

    async def test_gives_each_change_once_and_in_order(self, harness: SourceHarness) -> None:
        """Tokens rise, ids differ, no batch ends before its last change, and no end lies before another."""
        start = await harness.make_source().now()
        await harness.change(_CHANGES)
        batches = await self._read(harness.make_source(), start, _CHANGES)
        tokens = [slot.event.token for slot in _slots(batches)]
        assert all(a < b for a, b in pairwise([start.token, *tokens])), "out of order, or twice"
        assert len(set(_ids(_slots(batches)))) == _CHANGES
        ends = [batch.end.token for batch in batches]
        assert ends == sorted(ends), "an end lies before the one before it"
        for batch in batches:
            assert all(slot.event.token <= batch.end.token for slot in batch.slots)

    async def test_gives_exactly_the_rest_from_each_position(self, harness: SourceHarness) -> None:
        """From that of each change and from the end of each batch, by another source, with the same ids."""
        start = await harness.make_source().now()
        await harness.change(_CHANGES)
        batches = await self._read(harness.make_source(), start, _CHANGES)
        ids = _ids(_slots(batches))
        places = [(start, 0)]
        places += [(slot.event.position, index) for index, slot in enumerate(_slots(batches), start=1)]
        places += [(batch.end, len(_slots(batches[:index]))) for index, batch in enumerate(batches, start=1)]
        for position, before in places:
            rest = ids[before:]
            again = await self._read(harness.make_source(), position, len(rest))
            assert _ids(_slots(again)) == rest

    async def test_knows_its_positions_by_their_text(self, harness: SourceHarness) -> None:
        """As people copy them; what is none is refused."""
        source = harness.make_source()
        start = await source.now()
        await harness.change(3)
        slots = _slots(await self._read(source, start, 3))
        again = await self._read(source, source.position(slots[0].event.token), 2)
        assert _ids(_slots(again)) == _ids(slots[1:])
        with pytest.raises(ConfigurationError):
            source.position("this is no position")

    async def test_says_that_nothing_came(self, harness: SourceHarness) -> None:
        """An idle reader gives empty batches that never go back; what comes later lies behind their end."""
        start = await harness.make_source().now()
        batches = await self._read(harness.make_source(), start, 0, batches=3)
        assert not _slots(batches)
        ends = [start.token, *(batch.end.token for batch in batches)]
        assert ends == sorted(ends), "an idle position went back"
        await harness.change(2)
        assert len(_slots(await self._read(harness.make_source(), batches[-1].end, 2))) == 2

    async def test_the_oldest_lies_not_after_the_present(self, harness: SourceHarness) -> None:
        """And what can be tried before it is read is in order."""
        source = harness.make_source()
        await source.check()
        oldest, now = await source.oldest(), await source.now()
        assert oldest.token <= now.token

    async def test_whoever_waits_is_told_of_the_end(self, harness: SourceHarness) -> None:
        """`close` ends a `next` that waits; it may be called again, and nothing comes after it."""
        source = harness.make_source()
        reader = source.reader(await source.now())

        async def read_on() -> None:
            while await reader.next() is not None:
                pass

        with anyio.fail_after(self.patience_secs):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_on)
                for _ in range(_STEPS[-1]):
                    await anyio.lowlevel.checkpoint()
                await reader.close()
            await reader.close()
            assert await reader.next() is None

    async def test_cancellation_loses_nothing(self, harness: SourceHarness) -> None:
        """Whoever goes on from the last end is given what was under way, and nothing twice."""
        start = await harness.make_source().now()
        await harness.change(_CHANGES)
        batches: list[Batch] = []
        for steps in _STEPS:
            position = batches[-1].end if batches else start
            async with _reading(harness.make_source(), position, self.patience_secs) as reader:
                batches += await _cancelled_after(steps, reader)
        position = batches[-1].end if batches else start
        missing = _CHANGES - len(_slots(batches))
        batches += await self._read(harness.make_source(), position, missing)
        whole = await self._read(harness.make_source(), start, _CHANGES)
        assert _ids(_slots(batches)) == _ids(_slots(whole))

    async def _read(
        self, source: Source, start: Position, count: int, *, batches: int = 1
    ) -> Sequence[Batch]:
        """Batches from a position until so many changes have come, and then one more at least."""
        read: list[Batch] = []
        with anyio.fail_after(self.patience_secs):
            async with _reading(source, start, self.patience_secs) as reader:
                while len(_slots(read)) < count or len(read) < batches:
                    batch = await reader.next()
                    assert batch is not None, "it ended"
                    read.append(batch)
        assert len(_slots(read)) == count, "it gave more than there is"
        return read


class SourceOutageContract(SourceContract):
    """What a source promises that can be away."""

    async def test_an_outage_is_told_and_waited_for(self, harness: SourceOutage) -> None:
        """Whoever asks is told with `Unreachable`; a reader goes on by itself, and nothing is lost."""
        source = harness.make_source()
        start = await source.now()
        await harness.change(2)
        async with _reading(source, start, self.patience_secs) as reader:
            with anyio.fail_after(self.patience_secs):
                async with harness.outage():
                    with pytest.raises(Unreachable):
                        await harness.make_source().check()
                    with pytest.raises(Unreachable):
                        await harness.make_source().now()
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_read_nothing, reader)
                        while reader.trouble is None:  # noqa: ASYNC110 - the protocol has no event for it
                            await anyio.sleep(0.01)
                        tasks.cancel_scope.cancel()
        assert len(_slots(await self._read(harness.make_source(), start, 2))) == 2


async def _read_nothing(reader: Reader) -> None:
    while (batch := await reader.next()) is not None:
        assert not batch.slots, "it read what is away"


async def _cancelled_after(steps: int, reader: Reader) -> list[Batch]:
    """What `next` returned though it was cancelled after so many turns of the event loop."""
    read: list[Batch] = []

    async def read_one() -> None:
        batch = await reader.next()
        if batch is not None:
            read.append(batch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_one)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    return read


@asynccontextmanager
async def _reading(source: Source, start: Position, patience_secs: float) -> AsyncIterator[Reader]:
    """A reader that is closed however the block ends."""
    reader = source.reader(start)
    try:
        yield reader
    finally:
        with anyio.move_on_after(patience_secs, shield=True) as scope:
            await reader.close()
        assert not scope.cancelled_caught, "close did not return"


def _slots(batches: Sequence[Batch]) -> list[Slot]:
    return [slot for batch in batches for slot in batch.slots]


def _ids(slots: Sequence[Slot]) -> list[str]:
    return [slot.event.id for slot in slots]
