"""What the histograms of latency say: three parts whose sum is the whole, whatever happened on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping

import anyio
import pytest

from eventbus.model import Batch, Event, Operation
from eventbus.runtime.route import Route
from eventbus.sdk import SinkTraits
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.history import History
from tests.runtime.lone_route import Arrivals, Book, play
from tests.runtime.scenes import changes_of
from tests.runtime.target import Trouble

PARTS = ("commit_to_read", "read_to_send", "send_to_acknowledged")
LABELS = {"subscription": "orders", "route": "only"}
AGE_SECS = 7200.0
"""So long ago everything was committed."""


def _seen(what: str) -> dict[str, float]:
    """The sum or the count of each histogram so far."""
    return {
        part: REGISTRY.get_sample_value(f"eventbus_{part}_seconds_{what}", LABELS) or 0.0
        for part in (*PARTS, "end_to_end")
    }


def _told(events: list[Event], *troubles: Trouble) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Sums and counts that come of it when these events are delivered."""
    before = _seen("sum"), _seen("count")

    async def delivered(route: Route, arrivals: Arrivals) -> None:
        while len(arrivals.events) < len(events) or route.open_events:  # noqa: ASYNC110 - in virtual time
            await anyio.sleep(0.1)

    play(Book(), events, delivered, *troubles, traits=SinkTraits(lanes=1, max_batch=10, keeps_order=True))
    now = _seen("sum"), _seen("count")
    sums, counts = ({part: now[i][part] - before[i][part] for part in now[i]} for i in (0, 1))
    return sums, counts


def _committed(text: str) -> list[Event]:
    events = changes_of(History(), text)
    for event in events:
        event.time_ms = round((time.time() - AGE_SECS) * 1000)
    return events


@pytest.mark.parametrize("trouble", [(), (Trouble("unavailable", end=3.0),), (Trouble("slow", secs=2.0),)])
def test_the_parts_add_up_to_the_whole(trouble: tuple[Trouble, ...]) -> None:
    """For each event of a batch, after an outage and with a slow sink too."""
    sums, counts = _told(_committed("abcdef"), *trouble)
    assert set(counts.values()) == {6.0}
    assert sum(sums[part] for part in PARTS) == pytest.approx(sums["end_to_end"])
    assert sums["end_to_end"] == pytest.approx(6 * AGE_SECS, rel=0.02)


def test_an_outage_counts_before_the_send_and_a_slow_call_within() -> None:
    """Else an operator would look in the wrong place."""
    away, _ = _told(_committed("abcdef"), Trouble("unavailable", end=3.0))
    slow, _ = _told(_committed("abcdef"), Trouble("slow", secs=2.0))
    assert away["read_to_send"] >= 6 * 3.0
    assert away["send_to_acknowledged"] < 1.0
    assert slow["send_to_acknowledged"] == pytest.approx(6 * 2.0, rel=0.1)


def test_the_wait_for_room_counts_before_the_send() -> None:
    """A batch is old once it was read, not only once a route had room for it."""
    first, second = _committed("ab")
    before = _seen("sum")

    async def body(route: Route, arrivals: Arrivals) -> None:
        await anyio.sleep(5.0)
        assert route.take(Batch([second], second.position, read_at=0.0))
        await route.drained()

    play(Book(), [first], body, traits=SinkTraits(lanes=1))
    assert _seen("sum")["read_to_send"] - before["read_to_send"] == pytest.approx(5.0, abs=0.1)


def test_what_has_no_commit_is_left_out() -> None:
    """Documents that a snapshot reads."""
    events = _committed("abc")
    for event in events:
        event.operation = Operation.READ
    _, counts = _told(events)
    assert set(counts.values()) == {0.0}


def test_bytes_are_counted_by_what_came_of_them() -> None:
    """A try in vain has sent them too."""
    labels = {**LABELS, "outcome": "delivered"}
    before = REGISTRY.get_sample_value("eventbus_bytes_sent_total", labels) or 0.0
    failed = REGISTRY.get_sample_value("eventbus_bytes_sent_total", {**labels, "outcome": "failed"}) or 0.0
    _told(_committed("ab"), Trouble("unavailable", end=3.0))
    assert (delivered := (REGISTRY.get_sample_value("eventbus_bytes_sent_total", labels) or 0.0) - before) > 0
    sent = REGISTRY.get_sample_value("eventbus_bytes_sent_total", {**labels, "outcome": "failed"}) or 0.0
    assert sent - failed >= delivered
