"""The part of a store in MongoDB that keeps dead letters: each call bounded, its errors mapped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from eventbus.model import DeadLetter, Event
from eventbus.state.letters import Row, full, letter_id, row_of
from eventbus.state.mongodb_connection import MongoConnection, MongoDocument, bounded, patiently
from eventbus.state.mongodb_fates import MongoFates
from eventbus.state.mongodb_letters import MongoLetters
from eventbus.state.mongodb_query import letter_filter
from eventbus.state.store import (
    HeldKey,
    LetterHour,
    LetterLimit,
    LetterQuery,
    LetterStatus,
    LetterTotals,
    StoredDeadLetter,
    WhenFull,
)
from eventbus.telemetry import metrics

__all__ = ["MongoLetterStore"]


class MongoLetterStore(MongoConnection):
    """See `eventbus.state.store.LetterStore`."""

    _limit: LetterLimit

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `eventbus.state.store.LetterStore.park`."""
        rows = [row_of(letter) for letter in letters]
        with bounded():
            await self._make_room(rows)
            await self._letters.park(rows)

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """See `eventbus.state.store.LetterStore.parked_after`."""
        with bounded():
            return await self._letters.parked_after(subscription, route, token)

    async def find_letters(
        self, query: LetterQuery, *, by_token: bool = False, after: str = "", limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `eventbus.state.store.LetterStore.find_letters`."""
        where = letter_filter(query)
        if by_token and after:
            where = {**where, "token": {"$gt": after}}
        async with aclosing(self._letters.stream(where, by_token=by_token, limit=limit)) as letters:
            while True:
                with patiently():
                    letter = await anext(letters, None)
                if letter is None:
                    return
                yield letter

    async def count_letters(self, query: LetterQuery) -> LetterTotals:
        """See `eventbus.state.store.LetterStore.count_letters`."""
        where = letter_filter(query)
        with patiently():
            return await self._fates.count(where)

    async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
        """See `eventbus.state.store.LetterStore.count_parked`."""
        with bounded():
            return await self._letters.count_parked(subscription, route, most)

    async def letter_hours(self, since: datetime) -> Sequence[LetterHour]:
        """See `eventbus.state.store.LetterStore.letter_hours`."""
        with patiently():
            return await self._fates.hours(since)

    async def park_again(self, letters: Sequence[DeadLetter], *, operation: str) -> None:
        """See `eventbus.state.store.LetterStore.park_again`."""
        with bounded():
            await self._fates.park_again(letters, operation)

    async def conclude_letters(
        self, subscription: str, letters: Sequence[tuple[str, str]], *, operation: str
    ) -> None:
        """See `eventbus.state.store.LetterStore.conclude_letters`."""
        with bounded():
            await self._fates.conclude(_ids(subscription, letters), operation)

    async def forwarded_letters(self, subscription: str, letters: Sequence[tuple[str, str]]) -> None:
        """See `eventbus.state.store.LetterStore.forwarded_letters`."""
        with bounded():
            await self._fates.forwarded(_ids(subscription, letters))

    async def discard_letters(self, query: LetterQuery, *, by: str) -> int:
        """See `eventbus.state.store.LetterStore.discard_letters`."""
        parked = {"$and": [letter_filter(query), {"status": LetterStatus.PARKED.value}]}
        return await self._change_all(parked, {"status": LetterStatus.DISCARDED.value, "discarded_by": by})

    async def hold_letters(self, query: LetterQuery, *, hold: bool) -> int:
        """See `eventbus.state.store.LetterStore.hold_letters`."""
        others = {"$and": [letter_filter(query), {"legal_hold": {"$ne": True} if hold else True}]}
        return await self._change_all(others, {"legal_hold": hold})

    async def purge_letters(self) -> int:
        """See `eventbus.state.store.LetterStore.purge_letters`."""
        with bounded():
            return await self._fates.purge()

    async def held_keys(self, subscription: str, route: str) -> Sequence[HeldKey]:
        """See `eventbus.state.store.LetterStore.held_keys`."""
        with patiently():
            return await self._fates.held_keys(subscription, route)

    async def dead_key_hashes(self, subscription: str, route: str) -> Collection[int]:
        """See `eventbus.state.store.LetterStore.dead_key_hashes`."""
        with patiently():
            return await self._fates.dead_key_hashes(subscription, route)

    async def supersede_letters(self, subscription: str, route: str, event: Event) -> None:
        """See `eventbus.state.store.LetterStore.supersede_letters`."""
        with bounded():
            await self._fates.supersede(subscription, route, event)

    async def _change_all(self, where: MongoDocument, fields: Mapping[str, Any]) -> int:
        total = 0
        last: str | None = ""
        while last is not None:
            with patiently():
                changed, last = await self._fates.change_batch(where, fields, last)
            total += changed
        return total

    async def _make_room(self, rows: Sequence[Row]) -> None:
        """See to it that the limit is kept; the count is cheap and may be off by what is under way."""
        most = self._limit.max_letters
        if most is None or await self._letters.rows.estimated_document_count() + len(rows) <= most:
            return
        missing = await self._letters.missing(rows)
        count = await self._letters.rows.estimated_document_count()
        excess = count + len(missing) - max(most, len(missing))
        if not missing or excess <= 0:
            return
        if self._limit.when_full is WhenFull.STOP:
            raise full(count, most)
        dropped = await self._fates.drop_oldest(excess)
        metrics.dead_letters_dropped(dropped)
        if dropped < excess:
            raise full(count - dropped, most)

    @property
    def _letters(self) -> MongoLetters:
        return MongoLetters(self._database)

    @property
    def _fates(self) -> MongoFates:
        return MongoFates(self._database)


def _ids(subscription: str, letters: Sequence[tuple[str, str]]) -> list[str]:
    return [letter_id(subscription, route, event_id) for route, event_id in letters]
