"""Batches: where a position lies in one, what nothing may pass, and how large the parts are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventbus.model import Batch, Event, Filtered, Parked


def event(number: int, *, key: bytes | None = b"", size: int = 1) -> Event:
    """The change with this number; a barrier without a key."""
    return Event(
        token=f"{number:04d}", operation="o", database="d", collection="c", document_key=key, size=size
    )


def test_what_concerns_no_single_document_is_a_barrier_unless_it_was_filtered() -> None:
    """A stage may drop it: then there is nothing that the others would have to wait for."""
    barrier = event(2, key=None)
    others = event(1), event(3)
    assert Batch([others[0], barrier, others[1]], others[1].position).barriers == [1]
    assert Batch([others[0], Parked(barrier, "why"), others[1]], others[1].position).barriers == [1]
    assert Batch([others[0], Filtered(barrier), others[1]], others[1].position).barriers == []


@given(st.lists(st.booleans(), max_size=8), st.integers(0, 8))
def test_the_next_barrier_is_the_first_at_a_place_or_behind_it(barriers: list[bool], place: int) -> None:
    """Or the end of the batch."""
    events = [event(number, key=None if barrier else b"") for number, barrier in enumerate(barriers)]
    batch = Batch(events, event(9).position)
    plain = next((at for at in range(place, len(events)) if barriers[at]), len(events))
    assert batch.barrier_after(place) == plain


def test_sizes_are_those_of_the_events_before() -> None:
    """One more than there are slots, so that each part has two ends."""
    events = [event(number, size=size) for number, size in enumerate((5, 0, 7))]
    assert Batch(events, events[-1].position).sizes == [0, 5, 5, 12]
    assert Batch([], event(1).position).sizes == [0]


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 9))
def test_a_position_lies_behind_what_is_at_it(taken: list[bool], number: int) -> None:
    """What is at the token is not beyond it."""
    events = [event(place) for place, there in enumerate(taken) if there]
    batch = Batch(events, event(9).position)
    assert batch.after(f"{number:04d}") == sum(1 for one in events if one.token <= f"{number:04d}")
