"""Sending past events once more: a route beside the live one, a reader with an end, and a record of it.

A replay has lanes, window, retries, position and dead letters of its own, so it is resumed after a crash like
any route, and the live route never notices. It shares the live route's sink and pause.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from eventbus.core.backoff import until_reachable
from eventbus.errors import Unreachable
from eventbus.model import Batch, Event, Position
from eventbus.runtime.feeding import Supply
from eventbus.sdk import ExhaustibleReader, Reader
from eventbus.state.store import LetterQuery, LetterStore

__all__ = ["BoundedReader", "LetterReader", "bounded", "is_exhausted"]

_PAGE_EVENTS = 250
_PAGE_BYTES = 8 << 20


class BoundedReader:
    """A reader that ends at a position.

    Args:
        reader: What it reads from.
        until: Everything beyond is left out.
    """

    def __init__(self, reader: Reader, until: Position) -> None:
        self._reader = reader
        self._until = until
        self._is_over = False

    @property
    def trouble(self) -> str | None:
        """See `eventbus.sdk.Reader`."""
        return self._reader.trouble

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`."""
        if self._is_over:
            return None
        batch = await self._reader.next()
        if batch is None or not (batch.end.token >= self._until.token or is_exhausted(self._reader, batch)):
            return batch
        self._is_over = True
        return Batch(batch.slots[: batch.after(self._until.token)], self._until)

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        await self._reader.close()


def is_exhausted(reader: Reader, batch: Batch) -> bool:
    """Whether a source has nothing behind a batch that is empty; those whose position moves on do not say."""
    return not batch.slots and isinstance(reader, ExhaustibleReader) and reader.is_exhausted


def bounded(supply: Supply, until: Position) -> Supply:
    """The same supply, as far as a position."""
    return replace(supply, reader=lambda start: BoundedReader(supply.reader(start), until))


class LetterReader:
    """A reader of dead letters, in the order of their events; it ends with the last one.

    Args:
        store: Where they are.
        query: Which are read.
        start: Those up to here were read before.
        keys: Only letters of these keys; None for all.
    """

    def __init__(
        self,
        store: LetterStore,
        query: LetterQuery,
        start: Position,
        *,
        keys: Collection[bytes] | None = None,
    ) -> None:
        self._store = store
        self._query = query
        self._position = start
        self._keys = keys
        self._is_closed = False
        self.trouble: str | None = None
        """See `eventbus.sdk.Reader`."""

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`."""
        while not self._is_closed:
            events, end = await until_reachable(self._page, on_failure=self._report)
            self.trouble = None
            if end is None:
                return None
            self._position = end
            if events:
                return Batch(events, end)
        return None

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        self._is_closed = True

    async def _page(self) -> tuple[list[Event], Position | None]:
        """The next events, and the position of the last letter that was looked at; None if there is none."""
        events: list[Event] = []
        end, size = None, 0
        found = self._store.find_letters(
            self._query, by_token=True, after=self._position.token, limit=_PAGE_EVENTS
        )
        async for stored in found:
            event = stored.letter.event
            end = event.position
            if self._keys is None or stored.key in self._keys:
                events.append(event)
                size += event.size
            if size >= _PAGE_BYTES:
                break
        return events, end

    def _report(self, error: Unreachable) -> None:
        self.trouble = str(error)
