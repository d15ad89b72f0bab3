"""Windows: bounds by events and bytes, room that comes back, a watermark exact to the event."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.window import Ticket, Window
from eventbus.model import Batch, Event, Position


def event(number: int, *, size: int = 1) -> Event:
    """The change with this number."""
    return Event(token=f"{number:04d}", operation="insert", database="d", collection="c", size=size)


def opened(window: Window, *numbers: int) -> Ticket:
    """A ticket for the changes with these numbers."""
    events = [event(number) for number in numbers]
    return window.open(events, events[-1].position)


def settle(window: Window, ticket: Ticket, place: int) -> bool:
    """Settle one event; whether room came back."""
    return window.settle([ticket.entries()[place]])


def window_of(events: int = 100, size: int = 1000) -> Window:
    """An empty window whose watermark is 0000."""
    return Window(Position("0000"), events=events, size=size)


def test_the_watermark_is_just_before_the_first_open_event() -> None:
    """In the middle of a slice, at its first event, and after its last."""
    window = window_of()
    ticket = opened(window, 1, 2, 3)
    settle(window, ticket, 1)
    assert window.watermark().token == "0000"
    settle(window, ticket, 0)
    assert window.watermark().token == "0002"
    settle(window, ticket, 2)
    assert window.watermark().token == "0003"


def test_a_later_slice_waits_for_an_earlier_one() -> None:
    """Its room comes back with the earlier one's."""
    window = window_of()
    first, second = opened(window, 1), opened(window, 2, 3)
    assert not settle(window, second, 0)
    assert not settle(window, second, 1)
    assert (window.watermark().token, window.events) == ("0000", 3)
    assert settle(window, first, 0)
    assert (window.watermark().token, window.events, window.size) == ("0003", 0, 0)
    assert window.is_empty


def test_a_heartbeat_belongs_to_the_last_open_slice() -> None:
    """It moves the watermark only when that is settled, and opens no ticket."""
    window = window_of()
    ticket = opened(window, 1)
    window.advance(Position("0009"))
    assert (window.watermark().token, window.events) == ("0000", 1)
    settle(window, ticket, 0)
    assert window.watermark().token == "0009"
    window.advance(Position("0010"))
    assert window.watermark().token == "0010"


def test_settling_twice_is_a_bug_that_shows() -> None:
    """Or the count of what is open would be wrong for ever."""
    window = window_of()
    ticket = opened(window, 1, 2)
    settle(window, ticket, 0)
    with pytest.raises(AssertionError):
        settle(window, ticket, 0)


def test_what_fits_is_bounded_by_events_bytes_and_grain() -> None:
    """A slice is an eighth of the window at most; the bytes of what is open count."""
    events = [event(number, size=10) for number in range(1, 101)]
    sizes = Batch(events, events[-1].position).sizes
    assert window_of(events=80).fitting(sizes, 0, 100) == 10
    assert window_of(events=1000).fitting(sizes, 0, 100) == 100
    assert window_of(events=1000, size=35).fitting(sizes, 0, 100) == 3
    assert window_of(events=1000, size=30).fitting(sizes, 0, 100) == 3
    assert window_of(events=1000).fitting(sizes, 98, 100) == 2


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=20),
    st.integers(1, 40),
    st.integers(1, 100),
    st.lists(st.integers(1, 30), max_size=3),
)
def test_as_many_fit_as_a_plain_count_finds(
    sizes: list[int], most: int, size: int, before: list[int]
) -> None:
    """One by one, as long as there is room; the first always, if there is nothing else."""
    window = window_of(events=most, size=size)
    for number, one in enumerate(before):
        window.open([event(number, size=one)], event(number).position)
    batch = Batch([event(100 + number, size=one) for number, one in enumerate(sizes)], event(999).position)
    for first in range(len(sizes)):
        plain, left = 0, size - sum(before)
        room = 0 if window.is_full else min(most - len(before), window.grain, len(sizes) - first)
        while plain < room and (left >= sizes[first + plain] or not (before or plain)):
            left -= sizes[first + plain]
            plain += 1
        assert window.fitting(batch.sizes, first, len(sizes)) == plain


def test_one_event_larger_than_the_window_enters_alone() -> None:
    """It must go somewhere; beside others it waits."""
    huge = [event(2, size=5000)]
    window = window_of()
    assert window.fitting([0, 5000], 0, 1) == 1
    ticket = opened(window, 1)
    assert window.fitting([0, 5000], 0, 1) == 0
    settle(window, ticket, 0)
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
        settle(window, ticket, place)
        still_open.discard(settled)
        assert window.watermark().token == f"{min(still_open, default=number + 1) - 1:04d}"
    assert window.settled_events == number


def test_what_is_covered_is_counted_to_the_event() -> None:
    """In the middle of a slice too; what is settled behind an open event does not count."""
    window = window_of()
    first, second = opened(window, 1, 2, 3), opened(window, 4, 5)
    assert (window.covered(), window.unsettled) == (0, 5)
    settle(window, first, 0)
    settle(window, second, 0)
    assert (window.covered(), window.unsettled) == (1, 3)
    settle(window, first, 2)
    assert window.covered() == 1
    settle(window, first, 1)
    assert (window.covered(), window.unsettled) == (4, 1)
    settle(window, second, 1)
    assert (window.covered(), window.unsettled) == (5, 0)
