"""What needs the store of dead letters waits for it, and holds up nothing else."""

from __future__ import annotations

import anyio

from eventbus.model import Position
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from tests.runtime.history import Fate, History
from tests.runtime.lone_route import Arrivals, Book, play
from tests.runtime.scenes import changes_of
from tests.runtime.target import Trouble

BACK_AT = 60.0


def test_an_awaited_delivery_is_settled_when_the_store_has_heard_of_it() -> None:
    """While the store is away it stays open; everything else is delivered and settled."""
    events = changes_of(History(), "abacb")
    book = Book(events[0], events[3], back_at=BACK_AT)

    async def body(route: Route, arrivals: Arrivals) -> None:
        await anyio.sleep_until(BACK_AT - 1)
        assert arrivals.events == events
        assert route.settled_events == 3
        assert route.watermark() == Position("0")
        assert not book.told
        await route.drained()
        assert book.told == [events[0], events[3]]
        assert route.settled_events == 5
        assert arrivals.events == events

    play(book, events, body)


def test_the_store_hears_of_nothing_else() -> None:
    """A route that nobody waits for costs the store no call."""
    events = changes_of(History(), "abc")
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        assert arrivals.events == events
        assert book.tries == 0

    play(book, events, body)


def test_no_lane_waits_for_a_dead_letter() -> None:
    """Neither for one that the sink refused nor for one without a form; only their keys wait."""
    history = History()
    refused, unreadable = history.change("x"), history.change("y", fate=Fate.UNENCODABLE)
    others = changes_of(history, "abab")
    behind = changes_of(history, "yx")
    book = Book(back_at=BACK_AT)

    async def body(route: Route, arrivals: Arrivals) -> None:
        await anyio.sleep_until(BACK_AT - 1)
        assert arrivals.events == others
        assert not book.parked
        await route.drained()
        assert {letter.event for letter in book.parked} == {refused, unreadable}
        assert set(arrivals.events[4:]) == set(behind)

    trouble = Trouble("rejecting", keys=frozenset("x"), end=1.0)
    play(book, [refused, unreadable, *others, *behind], body, trouble)


def test_few_keys_write_at_once_while_the_store_is_away() -> None:
    """A thousand events that nobody can take are no thousand calls."""
    events = changes_of(History(), [f"key-{number}" for number in range(1000)])
    book = Book(back_at=BACK_AT)

    async def body(route: Route, arrivals: Arrivals) -> None:
        await anyio.sleep_until(BACK_AT)
        assert book.tries < 3000
        await route.drained()
        assert len(book.parked) == 1000

    play(book, events, body, Trouble("rejecting"))


def test_a_dead_letter_says_which_configuration_it_comes_from_and_how_long_it_is_kept() -> None:
    """As the route was told."""
    events = changes_of(History(), "x")
    book = Book()

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        (letter,) = book.parked
        assert (letter.config, letter.expire_after_secs) == ("0123456789ab", 3600.0)

    policy = RoutePolicy(config="0123456789ab", letter_retention_secs=3600.0)
    play(book, events, body, Trouble("rejecting"), policy=policy)
