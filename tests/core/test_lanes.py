"""Lanes and waves: order of a key, bounds of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.lanes import Lane, next_wave
from eventbus.core.window import Entry, Ticket
from eventbus.model import Event, Position
from tests.runtime.clock import run_virtual


def entries(*sizes: int) -> list[Entry]:
    """One entry for each event of such a size."""
    events = [
        Event(token=str(place), operation="insert", database="d", collection="c", document_key={}, size=size)
        for place, size in enumerate(sizes)
    ]
    return Ticket(events, Position("9")).entries()


def test_a_batch_is_what_is_there_up_to_the_bounds() -> None:
    """Three events, or so many bytes; a single larger event comes alone."""

    async def body() -> list[list[int]]:
        lane = Lane()
        lane.put(entries(1, 1, 1, 1, 50, 5, 5))
        batches = [await lane.next_batch(3, 10) for _ in range(4)]
        return [[entry.event.size for entry in batch] for batch in batches]

    assert run_virtual(body) == [[1, 1, 1], [1], [50], [5, 5]]


async def batches(
    lane: Lane,
    puts: Sequence[tuple[float, list[Entry]]],
    until: float,
    max_events: int = 3,
    max_size: int = 10,
) -> list[tuple[float, int]]:
    """What comes of a lane until a moment: when, and how many events."""
    taken: list[tuple[float, int]] = []

    async def put() -> None:
        for at, work in puts:
            await anyio.sleep_until(at)
            lane.put(work)

    with anyio.move_on_at(until):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(put)
            while True:
                batch = await lane.next_batch(max_events, max_size)
                taken.append((anyio.current_time(), len(batch)))
    return taken


def test_a_batch_waits_for_others_since_its_first_event() -> None:
    """Five seconds from the first; what comes meanwhile does not prolong the wait."""

    async def body() -> list[tuple[float, int]]:
        return await batches(Lane(5.0), [(1.0, entries(1)), (4.0, entries(1)), (9.0, entries(1))], 20.0)

    assert run_virtual(body) == [(6.0, 2), (14.0, 1)]


def test_a_full_batch_does_not_wait() -> None:
    """By number or by bytes; what is left over waits since it came."""

    async def body() -> list[tuple[float, int]]:
        puts = [(1.0, entries(1)), (2.0, entries(1, 1, 1, 1)), (10.0, entries(5)), (11.0, entries(5))]
        return await batches(Lane(5.0), puts, 30.0)

    assert run_virtual(body) == [(2.0, 3), (7.0, 2), (11.0, 2)]


def test_an_event_that_waited_while_the_worker_was_busy_has_waited() -> None:
    """The clock runs since it came, not since somebody looked."""

    async def body() -> float:
        lane = Lane(5.0)
        lane.put(entries(1))
        await anyio.sleep(7.0)
        await lane.next_batch(3, 10)
        return anyio.current_time()

    assert run_virtual(body) == 7.0


def test_a_barrier_waits_for_nobody() -> None:
    """Nothing will come to fill its batch."""

    async def body() -> list[tuple[float, int]]:
        barrier = Event(token="1", operation="drop", database="d", collection="c")
        return await batches(Lane(5.0), [(1.0, Ticket([barrier], Position("1")).entries())], 20.0)

    assert run_virtual(body) == [(1.0, 1)]


def test_who_is_told_to_hurry_waits_no_more() -> None:
    """Neither what waits already nor what comes later."""

    async def body() -> list[tuple[float, int]]:
        lane = Lane(5.0)
        lane.put(entries(1))
        async with anyio.create_task_group() as tasks:

            async def hurry() -> None:
                await anyio.sleep(2.0)
                lane.hurry()

            tasks.start_soon(hurry)
            return await batches(lane, [(3.0, entries(1))], 20.0)
        raise AssertionError

    assert run_virtual(body) == [(2.0, 1), (3.0, 1)]


def test_several_workers_of_a_lane_take_each_event_once() -> None:
    """All wait for the same batch; one gets it, the others wait for the next."""

    async def body() -> list[int]:
        lane, taken = Lane(1.0), []

        async def work() -> None:
            while True:
                taken.append(len(await lane.next_batch(3, 10)))

        with anyio.move_on_after(20.0):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(work)
                await anyio.sleep(1.0)
                for _ in range(5):
                    lane.put(entries(1))
                    await anyio.sleep(0.1)
        return taken

    assert run_virtual(body) == [3, 2]


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
