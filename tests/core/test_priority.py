"""Lanes in which urgent events go first: never before an earlier one of their key, and not for ever."""

from __future__ import annotations

import anyio
from hypothesis import given
from hypothesis import strategies as st

from eventbus.core.priority import PriorityLane
from eventbus.core.window import Entry, Ticket
from eventbus.model import Event, Position
from tests.runtime.clock import run_virtual


def entries(text: str) -> list[Entry]:
    """One entry for each letter, which is its key; a capital is an urgent event of the same key."""
    events = [
        Event(
            token=f"{place:04d}",
            operation="delete" if letter.isupper() else "update",
            database="d",
            collection="c",
            key=letter.lower().encode(),
            document_key={},
            size=1,
        )
        for place, letter in enumerate(text)
    ]
    return Ticket(events, Position("9")).entries()


def is_urgent(event: Event) -> bool:
    return event.operation == "delete"


def text_of(batch: list[Entry]) -> str:
    """The letters of a batch, as `entries` takes them."""
    letters = [(entry.event.key.decode(), is_urgent(entry.event)) for entry in batch]
    return "".join(letter.upper() if urgent else letter for letter, urgent in letters)


def taken(text: str, max_events: int = 1) -> list[str]:
    """The batches in which a lane gives what it was given at once."""

    async def body() -> list[str]:
        lane = PriorityLane(is_urgent)
        lane.put(entries(text))
        batches: list[str] = []
        while sum(map(len, batches)) < len(text):
            batches.append(text_of(await lane.next_batch(max_events, 1000)))
        return batches

    return run_virtual(body)


def test_urgent_events_go_first() -> None:
    """Among themselves, and the others, in their order; a batch is of one kind."""
    assert taken("abCdE") == ["C", "E", "a", "b", "d"]
    assert taken("abCdE", max_events=10) == ["CE", "abd"]


def test_an_urgent_event_stays_behind_an_earlier_one_of_its_key() -> None:
    """Though others of its kind do not."""
    assert "".join(taken("abAB")) == "abAB"
    assert "".join(taken("aAB")) == "BaA"


def test_a_normal_event_stays_behind_an_earlier_urgent_one_of_its_key() -> None:
    """And so goes along with it."""
    assert "".join(taken("bAa")) == "Aab"


def test_a_key_of_which_all_are_gone_begins_anew() -> None:
    """It is in neither queue any more."""

    async def body() -> str:
        lane = PriorityLane(is_urgent)
        lane.put(entries("A"))
        given = text_of(await lane.next_batch(9, 1000))
        lane.put(entries("ba"))
        return given + text_of(await lane.next_batch(9, 1000))

    assert run_virtual(body) == "Aba"


def test_normal_events_do_not_starve() -> None:
    """One normal batch after sixteen urgent ones."""
    urgent = "BCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert "".join(taken("a" + urgent)) == urgent[:16] + "a" + urgent[16:]


def test_urgent_events_wait_for_no_fuller_batch() -> None:
    """Normal ones do, and go on waiting meanwhile."""

    async def body() -> list[tuple[float, str]]:
        lane = PriorityLane(is_urgent, 10.0)
        lane.put(entries("a"))
        given: list[tuple[float, str]] = []

        async def work() -> None:
            while True:
                batch = await lane.next_batch(9, 1000)
                given.append((anyio.current_time(), text_of(batch)))

        with anyio.move_on_after(30.0):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work)
                await anyio.sleep(4.0)
                lane.put(entries("B"))
        return given

    assert run_virtual(body) == [(4.0, "B"), (10.0, "a")]


@given(
    st.lists(st.text("abcABC", max_size=12), max_size=8),
    st.integers(1, 4),
)
def test_whatever_comes_each_key_keeps_its_order_and_nothing_is_lost(puts: list[str], most: int) -> None:
    """Puts and batches in turn."""

    async def body() -> list[Entry]:
        lane = PriorityLane(is_urgent)
        given: list[Entry] = []
        number = 0
        for text in puts:
            lane.put(entries(text))
            number += len(text)
            if number > len(given):
                given += await lane.next_batch(most, 1000)
        while number > len(given):
            given += await lane.next_batch(most, 1000)
        return given

    given = run_virtual(body)
    everything = "".join(puts)
    for key in "abc":
        came = text_of([entry for entry in given if entry.event.key == key.encode()])
        assert came == "".join(letter for letter in everything if letter.lower() == key)
