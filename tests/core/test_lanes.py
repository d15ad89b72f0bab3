"""Lanes and waves: order of a key, bounds of a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.lanes import Entry, Lane, next_wave
from eventbus.core.window import Ticket
from eventbus.model import Event, Position
from tests.runtime.clock import run_virtual


def entries(*sizes: int) -> list[Entry]:
    """One entry for each event of such a size."""
    events = [
        Event(token=str(place), operation="insert", database="d", collection="c", size=size)
        for place, size in enumerate(sizes)
    ]
    ticket = Ticket(events, Position("9"), sum(sizes))
    return [Entry(ticket, place) for place in range(len(events))]


def test_a_batch_is_what_is_there_up_to_the_bounds() -> None:
    """Three events, or so many bytes; a single larger event comes alone."""

    async def body() -> list[list[int]]:
        lane = Lane()
        lane.put(entries(1, 1, 1, 1, 50, 5, 5))
        batches = [await lane.next_batch(3, 10) for _ in range(4)]
        return [[entry.event.size for entry in batch] for batch in batches]

    assert run_virtual(body) == [[1, 1, 1], [1], [50], [5, 5]]


@given(st.lists(st.integers(0, 4), max_size=30))
def test_waves_keep_the_order_of_each_key(keys: list[int]) -> None:
    """No key twice in a wave; put together again, each key's items are in their order."""
    rest = list(enumerate(keys))
    sent: list[tuple[int, int]] = []
    while rest:
        wave, rest = next_wave(rest, lambda item: item[1])
        assert len({key for _, key in wave}) == len(wave) > 0
        sent += wave
    for key in set(keys):
        assert [place for place, of in sent if of == key] == [
            place for place, of in enumerate(keys) if of == key
        ]
