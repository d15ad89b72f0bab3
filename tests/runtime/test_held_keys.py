"""A key with a dead letter, on a route that holds keys: nothing of it goes on before that one."""

from __future__ import annotations

import anyio
import pytest

from eventbus.core.holds import Hold
from eventbus.model import DeadLetter, Failure
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.sdk import SinkTraits
from tests.runtime.history import Fate, History
from tests.runtime.lone_route import Arrivals, Book, play, take
from tests.runtime.scenes import changes_of
from tests.runtime.target import Trouble

BAD = frozenset("x")
HOLDING = RoutePolicy(RetryPolicy(2, 0.1, 1.0), holds_keys=True)


def ids(letters: list[DeadLetter]) -> list[str]:
    """Of the events, in the order in which they were parked."""
    return [letter.event.id for letter in letters]


@pytest.mark.parametrize("keeps_order", [True, False])
def test_later_events_of_a_dead_key_are_parked_behind_it_in_order(keeps_order: bool) -> None:
    """Those of the same batch, those that queued up, and those that come later; none is tried."""
    history = History()
    events = changes_of(history, "axxbxa")
    first, *behind = [event for event in events if event.key == b"x"]
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        later = changes_of(history, "xax")
        take(route, later)
        await route.drained()
        held = [*behind, later[0], later[2]]
        assert ids(book.parked) == [first.id, *(event.id for event in held)]
        assert set(arrivals.events) == {event for event in [*events, *later] if event.key != b"x"}
        for letter in book.parked[1:]:
            assert (letter.kind, letter.held_behind, letter.attempts) == (Failure.HELD, first.id, 0)
            assert (letter.body, letter.errors) == (None, ())
            assert letter.reason == f"waits behind dead letter {first.id} of its key"
        assert book.parked[0].held_behind is None
        assert {key: hold.event_id for key, hold in route.held.items()} == {b"x": first.id}

    traits = SinkTraits(lanes=1, max_batch=20, keeps_order=keeps_order)
    play(book, events, body, Trouble("rejecting", keys=BAD, times=1), policy=HOLDING, traits=traits)


def test_an_event_that_is_dead_for_another_reason_holds_its_key_as_well() -> None:
    """No form, refused by a stage, tries spent."""
    history = History()
    dead = [history.change("a", fate=Fate.UNENCODABLE), history.change("x")]
    events = [*dead, *changes_of(history, "ax"), *changes_of(history, "bcdefghijklmnop")]
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        while len(book.parked) < 4:
            take(route, changes_of(history, "b"))
            await anyio.sleep(0.5)
        assert {letter.event: letter.held_behind for letter in book.parked} == {
            dead[0]: None,
            dead[1]: None,
            events[2]: dead[0].id,
            events[3]: dead[1].id,
        }

    play(book, events, body, Trouble("failing", keys=BAD), policy=HOLDING)


def test_a_key_that_is_held_from_the_start_stays_so_until_it_is_released() -> None:
    """An earlier life parked its event; released, its events flow again."""
    history = History()
    events = changes_of(history, "xa")
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        assert [letter.held_behind for letter in book.parked] == ["earlier"]
        route.release([b"x"], route.parks)
        later = changes_of(history, "x")
        take(route, later)
        await route.drained()
        assert arrivals.events == [events[1], *later]
        assert not route.held

    play(book, events, body, policy=HOLDING, held={b"x": Hold("earlier", "")})


def test_a_route_that_holds_no_keys_goes_on() -> None:
    """Whatever the store still has."""
    events = changes_of(History(), "xx")
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        assert arrivals.events == events[1:]
        assert (len(book.parked), dict(route.held)) == (1, {})

    trouble = Trouble("rejecting", keys=BAD, times=1, end=0.02)
    play(book, events, body, trouble, held={b"x": Hold("earlier", "")})


@pytest.mark.parametrize("step", range(12))
def test_a_release_that_races_with_a_park_lets_nothing_overtake(step: int) -> None:
    """The store is asked, and answers, at any moment before, during and after a further park of the key."""
    history = History()
    events = changes_of(history, "xx")
    book = Book(secs=1.0)

    async def body(route: Route, arrivals: Arrivals) -> None:
        await anyio.sleep(step * 0.25)
        asked = route.parks
        known = [letter.event for letter in book.parked]
        await anyio.sleep(0.3)
        if not known:
            route.release([b"x"], asked)
        await anyio.sleep(0.3)
        later = changes_of(history, "x")
        take(route, later)
        await route.drained()
        assert arrivals.events == []
        assert [letter.event for letter in book.parked] == [*events, *later]

    play(book, events, body, policy=HOLDING, held={b"x": Hold("earlier", "")})
