"""A stretch of the past ends where a source says that it has no more, though its position stays behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from eventbus.model import Batch, Event, Position
from eventbus.preview.stretch import Stretch, StretchReader
from eventbus.runtime.replay import BoundedReader
from eventbus.sdk import Reader, Source

pytestmark = pytest.mark.anyio
UNTIL = Position("5")
LAST = Event(token="2", id="2", operation="insert", database="shop", collection="orders")


class FewChanges:
    """Has one change, far from the end; with the second empty batch after it, it says that it has no more."""

    trouble = None
    is_exhausted = False

    def __init__(self) -> None:
        self._asked = 0

    async def next(self) -> Batch:
        """See `eventbus.sdk.Reader`."""
        self._asked += 1
        assert self._asked <= 3, "it went on behind the end"
        self.is_exhausted = self._asked == 3
        return Batch([LAST] if self._asked == 1 else [], LAST.position)

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""


class FewChangesSource:
    """Makes such readers."""

    def reader(self, start: Position) -> Reader:
        """See `eventbus.sdk.Source`."""
        return FewChanges()


def _told(batch: Batch | None) -> tuple[int, str] | None:
    return (len(batch), batch.end.token) if batch is not None else None


@pytest.mark.parametrize(
    "made",
    [
        lambda: BoundedReader(FewChanges(), UNTIL),
        lambda: StretchReader(cast(Source, FewChangesSource()), Stretch(Position("1"), UNTIL)),
    ],
    ids=["a replay", "a plan and a simulation"],
)
async def test_it_ends(made: Callable[[], BoundedReader | StretchReader]) -> None:
    """At its own end, which is stored; no earlier than the source says so."""
    reader = made()
    batches = [await reader.next() for _ in range(4)]
    assert [_told(batch) for batch in batches] == [
        (1, "2"),
        (0, "2"),
        (0, "5"),
        None,
    ]
