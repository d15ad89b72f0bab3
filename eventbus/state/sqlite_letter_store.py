"""The parts of a store in SQLite that keep dead letters and what operators want."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from eventbus.model import DeadLetter, Event
from eventbus.state import sqlite_controls as controls_sql
from eventbus.state import sqlite_fates as fates_sql
from eventbus.state import sqlite_letters as letters_sql
from eventbus.state.letters import letter_id, row_of
from eventbus.state.operations import Control, Operation
from eventbus.state.sqlite_file import SqliteFile
from eventbus.state.sqlite_search import START, Place, Search, Stretch, start_after
from eventbus.state.store import (
    HeldKey,
    Lease,
    LetterHour,
    LetterLimit,
    LetterQuery,
    LetterTotals,
    StoredDeadLetter,
)
from eventbus.telemetry import metrics

__all__ = ["SqliteControlStore", "SqliteLetterStore"]


class SqliteLetterStore:
    """See `eventbus.state.store.LetterStore`."""

    _file: SqliteFile
    _limit: LetterLimit

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `eventbus.state.store.LetterStore.park`."""
        rows = [row_of(letter) for letter in letters]
        metrics.dead_letters_dropped(await self._file.run(lambda db: letters_sql.park(db, rows, self._limit)))

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """See `eventbus.state.store.LetterStore.parked_after`."""
        return await self._file.run(lambda db: letters_sql.parked_after(db, subscription, route, token))

    async def find_letters(
        self, query: LetterQuery, *, by_token: bool = False, after: str = "", limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `eventbus.state.store.LetterStore.find_letters`."""
        search = Search(query, by_token=by_token, columns=["payload_bytes"])
        place: Place | None = start_after(after) if by_token else START
        remaining = limit
        while place is not None and (remaining is None or remaining > 0):
            page = await self._file.run(partial(search.page, after=place, limit=remaining))
            for letter in page.letters:
                yield letter
            place = page.next
            remaining = None if remaining is None else remaining - len(page.letters)

    async def count_letters(self, query: LetterQuery) -> LetterTotals:
        """See `eventbus.state.store.LetterStore.count_letters`."""
        columns = ["key_id", "size", "superseded_by IS NOT NULL", "held_behind IS NOT NULL", "legal_hold"]
        sums = [0] * 5
        keys: set[int] = set()
        async for stretch in self._stretches(Search(query, columns=columns)):
            for _, (key_id, *values) in stretch.rows:
                keys.add(hash(key_id))  # a number needs half the memory of the bytes
                sums = [total + value for total, value in zip(sums, (1, *values), strict=True)]
        letters, size, superseded, held, legal_hold = sums
        return LetterTotals(letters, len(keys), size, superseded, held, legal_hold)

    async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
        """See `eventbus.state.store.LetterStore.count_parked`."""
        return await self._file.run(lambda db: letters_sql.count_parked(db, subscription, route, most))

    async def letter_hours(self, since: datetime) -> Sequence[LetterHour]:
        """See `eventbus.state.store.LetterStore.letter_hours`."""
        return await self._file.run(lambda db: letters_sql.hours(db, since))

    async def park_again(self, letters: Sequence[DeadLetter], *, operation: str) -> None:
        """See `eventbus.state.store.LetterStore.park_again`."""
        await self._file.run(lambda db: fates_sql.park_again(db, letters, operation))

    async def conclude_letters(
        self, subscription: str, letters: Sequence[tuple[str, str]], *, operation: str
    ) -> None:
        """See `eventbus.state.store.LetterStore.conclude_letters`."""
        ids = _ids(subscription, letters)
        await self._file.run(lambda db: fates_sql.conclude(db, ids, operation))

    async def forwarded_letters(self, subscription: str, letters: Sequence[tuple[str, str]]) -> None:
        """See `eventbus.state.store.LetterStore.forwarded_letters`."""
        ids = _ids(subscription, letters)
        await self._file.run(lambda db: fates_sql.forwarded(db, ids))

    async def discard_letters(self, query: LetterQuery, *, by: str) -> int:
        """See `eventbus.state.store.LetterStore.discard_letters`."""
        return await self._change_all(query, partial(fates_sql.discard, by=by))

    async def hold_letters(self, query: LetterQuery, *, hold: bool) -> int:
        """See `eventbus.state.store.LetterStore.hold_letters`."""
        return await self._change_all(query, partial(fates_sql.hold, held=hold))

    async def purge_letters(self) -> int:
        """See `eventbus.state.store.LetterStore.purge_letters`."""
        return await self._file.run(fates_sql.purge)

    async def held_keys(self, subscription: str, route: str) -> Sequence[HeldKey]:
        """See `eventbus.state.store.LetterStore.held_keys`."""
        return await self._file.run(lambda db: fates_sql.held_keys(db, subscription, route))

    async def dead_key_hashes(self, subscription: str, route: str) -> Collection[int]:
        """See `eventbus.state.store.LetterStore.dead_key_hashes`."""
        return await self._file.run(lambda db: fates_sql.dead_key_hashes(db, subscription, route))

    async def supersede_letters(self, subscription: str, route: str, event: Event) -> None:
        """See `eventbus.state.store.LetterStore.supersede_letters`."""
        await self._file.run(lambda db: fates_sql.supersede(db, subscription, route, event))

    async def _change_all(self, query: LetterQuery, change: Callable[..., int]) -> int:
        """Change what is found in one stretch after the other, so that nobody waits long for the file."""
        total = 0
        async for stretch in self._stretches(Search(query)):
            ids = [place.id for place, _ in stretch.rows]
            total += await self._file.run(partial(change, ids=ids)) if ids else 0
        return total

    async def _stretches(self, search: Search) -> AsyncIterator[Stretch]:
        place: Place | None = START
        while place is not None:
            stretch = await self._file.run(partial(search.stretch, after=place))
            yield stretch
            place = stretch.next


class SqliteControlStore:
    """See `eventbus.state.store.ControlStore`."""

    _file: SqliteFile

    async def controls(self, subscriptions: Collection[str]) -> Mapping[str, Control]:
        """See `eventbus.state.store.ControlStore.controls`."""
        return await self._file.run(lambda db: controls_sql.controls(db, subscriptions))

    async def set_paused(self, subscription: str, route: str, reason: str | None) -> None:
        """See `eventbus.state.store.ControlStore.set_paused`."""
        await self._file.run(lambda db: controls_sql.set_paused(db, subscription, route, reason))

    async def add_operation(self, operation: Operation) -> None:
        """See `eventbus.state.store.ControlStore.add_operation`."""
        await self._file.run(lambda db: controls_sql.add_operation(db, operation))

    async def find_operations(
        self, *, subscription: str | None = None, operation_id: str | None = None, limit: int = 100
    ) -> Sequence[Operation]:
        """See `eventbus.state.store.ControlStore.find_operations`."""
        find = controls_sql.find_operations
        return await self._file.run(lambda db: find(db, subscription, operation_id, limit))

    async def move_operation(self, operation: Operation, lease: Lease) -> bool:
        """See `eventbus.state.store.ControlStore.move_operation`."""
        return await self._file.run(lambda db: controls_sql.move_operation(db, operation, lease.epoch))

    async def cancel_operation(self, operation_id: str) -> bool:
        """See `eventbus.state.store.ControlStore.cancel_operation`."""
        return await self._file.run(lambda db: controls_sql.cancel_operation(db, operation_id))


def _ids(subscription: str, letters: Sequence[tuple[str, str]]) -> list[str]:
    return [letter_id(subscription, route, event_id) for route, event_id in letters]
