"""Reads on from a position: asks from its value on, and leaves out what lies before it.

The API is asked anew from the last value that was read, rather than for its next page: pages shift when items
change. Only where a page does not get beyond the first value is the next one asked for.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import anyio
from yarl import URL

from eventbus.sdk import Batch, ConfigurationError, Event, Operation, Parked, Position, Slot
from eventbus_source_http.api import Api, Page, Refusal
from eventbus_source_http.options import HttpSourceOptions
from eventbus_source_http.places import MISSING, at_path, before, cluster_time, order_of, token_of, value_of

__all__ = ["HttpReader"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_WAIT_SECS: Final = 60.0
_MOST_IN_VAIN: Final = 50
"""How many pages one after another may bring nothing new: some APIs have empty ones between others."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one question has found.

    Args:
        items: The items of all pages that were read, each with its value.
        certain: How many of them were on pages before the last one.
        first: The first page.
        last: The last one that was read.
        pages: How many they are.
    """

    items: list[tuple[int, Any]]
    certain: int
    first: Page
    last: Page
    pages: int


class HttpReader:
    """See `eventbus.sdk.Reader`."""

    def __init__(self, options: HttpSourceOptions, start: Position) -> None:
        self._options = options
        self._api = Api(options)
        self._end = start
        self._wait_secs = 0.0
        self._failures = 0
        self._known: tuple[str, str] | None = None
        self._trouble: str | None = None
        self._is_exhausted = False
        self._closed = anyio.Event()
        self._scope: anyio.CancelScope | None = None
        self._turn = anyio.Lock()

    @property
    def trouble(self) -> str | None:
        """See `eventbus.sdk.Reader`."""
        return self._trouble

    @property
    def is_exhausted(self) -> bool:
        """See `eventbus.sdk.ExhaustibleReader`."""
        return self._is_exhausted

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`. What can pass is waited for, and an empty batch says that it lives."""
        if self._closed.is_set():
            return None
        async with self._turn:
            with anyio.CancelScope() as self._scope:
                await self._rest()
                slots = await self._look()
        if self._closed.is_set():
            return None
        if slots:
            self._end = slots[-1].event.position
        return Batch(slots, self._end, anyio.current_time())

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        self._closed.set()
        if self._scope is not None:
            self._scope.cancel()
        async with self._turn:  # a connection that is closed under its reader raises whatever it likes
            await self._api.close()

    async def run_to_the_end(self) -> Position:
        """The position behind all that there is.

        Raises:
            Unreachable: The API does not answer now.
            ConfigurationError: It refuses.
        """
        while slots := await self._fresh():
            self._end = slots[-1].event.position
        return self._end

    async def _rest(self) -> None:
        """Wait as long as was decided last; whoever is cancelled here waits again."""
        await anyio.sleep(self._wait_secs)

    async def _look(self) -> Sequence[Slot]:
        self._is_exhausted = False
        try:
            slots = await self._fresh()
        except Refusal as refusal:
            self._trouble = str(refusal)
            self._wait_secs = self._patience_secs(refusal)
            return ()
        self._trouble, self._failures = None, 0
        self._wait_secs = 0.0 if slots else self._options.poll_every
        return slots

    def _patience_secs(self, refusal: Refusal) -> float:
        """As long as it asks for; otherwise ever longer, and not all readers at once."""
        self._failures += 1
        most = min(self._options.poll_every * 2 ** min(self._failures, 10), _LONGEST_WAIT_SECS)
        return max(refusal.wait_secs or 0.0, random.uniform(most / 2, most))

    async def _fresh(self) -> list[Slot]:
        """What lies behind the position, as far as one can be sure that nothing will come between."""
        while True:
            begun = self._end
            if (fresh := await self._found()) or self._end == begun:
                return fresh

    async def _found(self) -> list[Slot]:
        """What one question finds; where its page ends among what is known already, the position moves."""
        url = self._api.first(value_of(self._end.token, self._options.order))
        first = str(url)
        etag = self._known[1] if self._known is not None and self._known[0] == first else None
        read = await self._read(url, etag)
        if not read.first.is_new:
            self._is_exhausted = True
            return []
        items, present = read.items, read.first.present
        if read.last.next is not None or self._may_be_cut(read):  # the last value may go on there
            last = items[-1][0]
            items = self._whole(items)
        else:
            last = None
        settled = [(value, item) for value, item in items if self._is_settled(value, present)]
        slots = {slot.event.token: slot for slot in (self._slot(value, item) for value, item in settled)}
        fresh = [slots[token] for token in sorted(slots) if token > self._end.token]
        moves = not fresh and last is not None and self._is_settled(last, present)
        if read.pages > 1 and (fresh or moves):
            await self._see_that_none_moved(url, read)
        if moves and last is not None:
            self._end = Position(before(last), cluster_time=cluster_time(last, self._options.order))
        self._is_exhausted = not fresh and last is None and len(settled) == len(items)
        is_known = self._is_exhausted and read.pages == 1
        self._known = (first, read.first.etag) if is_known and read.first.etag is not None else None
        return fresh

    async def _read(self, url: URL, etag: str | None) -> _Read:
        """The first page, and further ones until a whole value is there that lies behind the position.

        Raises:
            Refusal: The API has no more to say, and does not say so.
        """
        first = page = await self._api.page(url, etag)
        items = [(self._value(item), item) for item in page.items]
        seen, known, certain, in_vain = {str(url)}, self._tokens(items), 0, 0
        while page.next is not None and not self._reaches_beyond(items, known):
            if str(page.next) in seen:
                raise ConfigurationError(
                    "the API's next page is one that was read before: look at the options for pages"
                )
            seen.add(str(page.next))
            page = await self._api.page(page.next, is_first=False)
            certain = len(items)
            items += [(self._value(item), item) for item in page.items]
            fresh = self._tokens(items[certain:]) - known
            known |= fresh
            in_vain = 0 if fresh else in_vain + 1
            if in_vain >= _MOST_IN_VAIN:
                raise Refusal(
                    f"the API has a next page after {in_vain} that brought nothing new: "
                    "look at the options for pages"
                )
        self._see_order([value for value, _ in items])
        return _Read(items, certain, first, page, len(seen))

    async def _see_that_none_moved(self, url: URL, read: _Read) -> None:
        """See that no item left the pages before the last one meanwhile.

        Where pages are counted by items, it pulled another one from a page not yet read to one that was.

        Raises:
            Refusal: One did. Everything is read anew.
        """
        again = await self._read(url, None)
        if not self._tokens(read.items[: read.certain]) <= self._tokens(again.items):
            raise Refusal("items left the API's pages while those were read")

    def _tokens(self, items: Sequence[tuple[int, Any]]) -> set[str]:
        return {self._token(value, item) for value, item in items}

    def _may_be_cut(self, read: _Read) -> bool:
        """Whether an API that never speaks of a next page may have had no place for all of the last value.

        Raises:
            ConfigurationError: There is no way to the others.
        """
        options, items = self._options, read.items
        if options.next_link or options.next_cursor or read.pages > 1 or len(items) < options.page_size:
            return False
        if items[0][0] == items[-1][0]:
            raise ConfigurationError(
                f"{options.page_size} items have one value of {options.order_by!r} and there is no next: "
                "give a larger page_size, next_link or next_cursor"
            )
        return True

    @staticmethod
    def _whole(items: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Without the last value, of which there may be more."""
        return [(value, item) for value, item in items if value < items[-1][0]]

    def _reaches_beyond(self, items: Sequence[tuple[int, Any]], tokens: set[str]) -> bool:
        """Whether a whole value is there that lies behind the position."""
        limit = before(items[-1][0]) if items else ""
        return any(self._end.token < token < limit for token in tokens)

    def _value(self, item: Any) -> int:
        value = order_of(at_path(item, self._options.order_by), self._options.order)
        if value is None:
            raise ConfigurationError(
                f"an item has no {self._options.order} at {self._options.order_by!r}: "
                "look at the options order_by and order"
            )
        return value

    def _see_order(self, values: Sequence[int]) -> None:
        if values != sorted(values):
            raise ConfigurationError(
                f"the items are not in the order of {self._options.order_by!r}: ask the API for that in url"
            )

    def _is_settled(self, value: int, present: datetime) -> bool:
        if self._options.order == "number":
            return True
        return value / 1_000_000 <= (present - _EPOCH).total_seconds() - self._options.settle

    def _token(self, value: int, item: Any) -> str:
        key = at_path(item, self._options.key)
        return token_of(value, item if key is MISSING or key is None else key)

    def _slot(self, value: int, item: Any) -> Slot:
        """A change, or why it is none, without showing what it holds."""
        key = at_path(item, self._options.key)
        if not _is_text(item):
            token = self._token(value, item)
            return Parked(
                self._event(value, {}, None, token), "the item has halves of characters, or is too deep"
            )
        if key is MISSING or key is None:
            return Parked(self._event(value, item, None), f"the item has no {self._options.key!r}")
        return self._event(value, item, key)

    def _event(self, value: int, item: Mapping[str, Any], key: object, token: str = "") -> Event:
        """The same change has the same id whoever reads it, and that of another API another one."""
        token = token or self._token(value, item)
        name = f"{self._options.url}:{token}"
        time = cluster_time(value, self._options.order)
        return Event(
            token=token,
            id=hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
            operation=Operation.REPLACE,
            database=self._options.database,
            collection=self._options.collection,
            cluster_time=time,
            time_ms=value // 1000 if time is not None else 0,
            document_key={"_id": key if key is not None else token},
            document={"_id": key, **item} if key is not None else dict(item),
        )


def _is_text(item: object) -> bool:
    """Whether all of it can be written: JSON can have halves of characters, which no encoding has."""
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True
