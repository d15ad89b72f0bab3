"""How many documents are read at once, and when."""

from __future__ import annotations

from typing import Any

import pytest

from eventbus.model import ClusterTime
from eventbus.sources.mongodb.options import SnapshotOptions
from eventbus.sources.mongodb.pace import Pace


def pace(**options: Any) -> Pace:
    return Pace(SnapshotOptions(**options))


def test_a_collection_begins_with_few_documents() -> None:
    """Nobody knows how large they are; then as many as were asked for, if they are small."""
    one = pace(chunk=500, parallel=3)
    assert (one.chunk, one.round) == (100, 100)
    one.read(100, 50_000, 0.0)
    assert (one.chunk, one.round) == (500, 1500)
    one.begin_collection()
    assert (one.chunk, one.round) == (100, 100)
    assert pace(chunk=5).round == 5


def test_large_documents_come_in_smaller_chunks() -> None:
    """What is read at once has a bound in bytes, whatever its parts."""
    one = pace(chunk=1000, parallel=4)
    one.read(100, 100 * 100_000, 0.0)
    assert one.chunk * 100_000 * 4 <= 8 * 1024 * 1024
    assert one.round == 4 * one.chunk > 4
    one.read(1, 16_000_000, 0.0)
    assert (one.chunk, one.round) == (1, 4)


def test_documents_that_a_filter_drops_have_no_size() -> None:
    """A filter that lets nothing through does not slow the walk down."""
    one = pace(chunk=1000, parallel=4)
    one.read(100, 0, 0.0)
    assert one.round == 4000
    one.read(0, 0, 0.0)
    assert one.round == 4000


@pytest.mark.parametrize(("rate", "most", "secs"), [("50/s", 50, 1.0), ("30/min", 1, 2.0)])
def test_a_rate(rate: str, most: int, secs: float) -> None:
    """A second's worth at once, and then a wait for as long as it should have taken."""
    one = pace(rate=rate)
    one.read(0, 0, 0.0)
    assert one.wait_secs(0.0) == 0.0
    assert one.round == most
    one.read(most, 100, 10.0)
    assert one.wait_secs(10.0) == pytest.approx(secs)
    assert one.wait_secs(10.0 + secs) == 0.0
    one.read(most, 100, 10.0 + secs / 2)
    assert one.wait_secs(10.0 + secs / 2) == pytest.approx(1.5 * secs)


def test_no_rate() -> None:
    """Nothing waits."""
    one = pace()
    one.read(4000, 1_000_000, 0.0)
    assert one.wait_secs(0.0) == 0.0


def test_behind() -> None:
    """By the server's clock alone; a server that does not tell it has no lag."""
    one = pace(pause_on_lag="30s")
    now = ClusterTime(1000, 5)
    assert one.is_behind(ClusterTime(969, 1), now)
    assert not one.is_behind(ClusterTime(970, 1), now)
    assert not one.is_behind(ClusterTime(1, 1), None)
