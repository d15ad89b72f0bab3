"""Windows: bounds by events and bytes, room that comes back, a watermark exact to the event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.window import Ticket, Window
from eventbus.model import Event, Position


def event(number: int, *, size: int = 1) -> Event:
    """The change with this number."""
    return Event(token=f"{number:04d}", operation="insert", database="d", collection="c", size=size)


def opened(window: Window, *numbers: int) -> Ticket:
    """A ticket for the changes with these numbers."""
    events = [event(number) for number in numbers]
    return window.open(events, events[-1].position)


def window_of(events: int = 100, size: int = 1000) -> Window:
    """An empty window whose watermark is 0000."""
    return Window(Position("0000"), events=events, size=size)


def test_the_watermark_is_just_before_the_first_open_event() -> None:
    """In the middle of a slice, at its first event, and after its last."""
    window = window_of()
    ticket = opened(window, 1, 2, 3)
    window.settle(ticket, 1)
    assert window.watermark().token == "0000"
    window.settle(ticket, 0)
    assert window.watermark().token == "0002"
    window.settle(ticket, 2)
    assert window.watermark().token == "0003"


def test_a_later_slice_waits_for_an_earlier_one() -> None:
    """Its room comes back with the earlier one's."""
    window = window_of()
    first, second = opened(window, 1), opened(window, 2, 3)
    assert not window.settle(second, 0)
    assert not window.settle(second, 1)
    assert (window.watermark().token, window.events) == ("0000", 3)
    assert window.settle(first, 0)
    assert (window.watermark().token, window.events, window.size) == ("0003", 0, 0)
    assert window.is_empty


def test_a_heartbeat_belongs_to_the_last_open_slice() -> None:
    """It moves the watermark only when that is settled, and opens no ticket."""
    window = window_of()
    ticket = opened(window, 1)
    window.advance(Position("0009"))
    assert (window.watermark().token, window.events) == ("0000", 1)
    window.settle(ticket, 0)
    assert window.watermark().token == "0009"
    window.advance(Position("0010"))
    assert window.watermark().token == "0010"


def test_settling_twice_is_a_bug_that_shows() -> None:
    """Or the count of what is open would be wrong for ever."""
    window = window_of()
    ticket = opened(window, 1, 2)
    window.settle(ticket, 0)
    with pytest.raises(AssertionError):
        window.settle(ticket, 0)


def test_what_fits_is_bounded_by_events_bytes_and_grain() -> None:
    """A slice is an eighth of the window at most; the bytes of what is open count."""
    events = [event(number, size=10) for number in range(1, 101)]
    assert window_of(events=80).fitting(events, 0, 100) == 10
    assert window_of(events=1000).fitting(events, 0, 100) == 100
    assert window_of(events=1000, size=35).fitting(events, 0, 100) == 3
    assert window_of(events=1000, size=30).fitting(events, 0, 100) == 3
    assert window_of(events=1000).fitting(events, 98, 100) == 2


def test_one_event_larger_than_the_window_enters_alone() -> None:
    """It must go somewhere; beside others it waits."""
    huge = [event(2, size=5000)]
    window = window_of()
    assert window.fitting(huge, 0, 1) == 1
    ticket = opened(window, 1)
    assert window.fitting(huge, 0, 1) == 0
    window.settle(ticket, 0)
    window.open(huge, huge[0].position)
    assert window.is_full


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_in_whatever_order_events_settle(sizes: list[int], rng: object) -> None:
    """The watermark is always the event before the first that is open."""
    window = window_of()
    entries = []
    number = 0
    for size in sizes:
        ticket = opened(window, *range(number + 1, number + size + 1))
        entries += [(ticket, place, number + place + 1) for place in range(size)]
        number += size
    rng.shuffle(entries)  # type: ignore[attr-defined]  # hypothesis's Random
    still_open = set(range(1, number + 1))
    for ticket, place, settled in entries:
        window.settle(ticket, place)
        still_open.discard(settled)
        assert window.watermark().token == f"{min(still_open, default=number + 1) - 1:04d}"
    assert window.settled_events == number


def test_what_is_covered_is_counted_to_the_event() -> None:
    """In the middle of a slice too; what is settled behind an open event does not count."""
    window = window_of()
    first, second = opened(window, 1, 2, 3), opened(window, 4, 5)
    assert (window.covered(), window.unsettled) == (0, 5)
    window.settle(first, 0)
    window.settle(second, 0)
    assert (window.covered(), window.unsettled) == (1, 3)
    window.settle(first, 2)
    assert window.covered() == 1
    window.settle(first, 1)
    assert (window.covered(), window.unsettled) == (4, 1)
    window.settle(second, 1)
    assert (window.covered(), window.unsettled) == (5, 0)
