"""Expired dead letters are removed, whatever state the store is in, and no daemon is harmed by it."""

from __future__ import annotations

from typing import cast

import anyio

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.runtime.retention import keep_purging
from eventbus.state.store import LetterStore
from eventbus.telemetry import metrics
from tests.runtime.clock import run_virtual


class Shelf:
    """A store of which only purging is asked: each answer is a number of removed rows, or an error.

    A real store cannot be told when to refuse; how it purges is shown in the contract of stores.
    """

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.asked_at: list[float] = []

    async def purge_letters(self) -> int:
        """See `eventbus.state.store.LetterStore`."""
        self.asked_at.append(anyio.current_time())
        answer = self._answers.pop(0) if self._answers else 0
        if isinstance(answer, Exception):
            raise answer
        return answer


def _purged_total() -> float:
    (family,) = metrics._purged.collect()  # not the registry: other gauges need a running event loop
    return next(sample.value for sample in family.samples if sample.name.endswith("_total"))


def _asked_at(shelf: Shelf, secs: float) -> list[float]:
    async def body() -> None:
        with anyio.move_on_after(secs):
            await keep_purging(cast(LetterStore, shelf), every_secs=60.0)

    run_virtual(body)
    return shelf.asked_at


def test_it_rests_once_nothing_is_left() -> None:
    """A store removes a bounded number at a time, so it is asked again at once until there is no more."""
    before = _purged_total()
    assert _asked_at(Shelf(1000, 1000, 3, 0, 2), 130.0) == [0.0, 0.0, 0.0, 0.0, 60.0, 60.0, 120.0]
    assert _purged_total() - before == 2005


def test_a_store_that_is_away_or_refuses_is_asked_again() -> None:
    """The daemon goes on; the next turn finds what this one could not remove."""
    shelf = Shelf(Unreachable("away"), ConfigurationError("no rights"), RuntimeError("nobody foresaw it"), 5)
    assert _asked_at(shelf, 190.0) == [0.0, 60.0, 120.0, 180.0, 180.0]
