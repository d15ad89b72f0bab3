"""When a reader is of use to a route, asked of the route alone."""

from __future__ import annotations

from random import Random

import pytest

from eventbus.model import Batch, Position
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from tests.runtime.history import History
from tests.runtime.target import FaultySink, RouteTag, Target


@pytest.fixture
def lone_route() -> Route:
    """A route with a window of eight that nobody runs."""

    async def park(_letters: object) -> None:
        raise AssertionError("nothing is delivered here")

    target = Target("only")
    return Route(
        subscription="orders",
        name="only",
        sink=SharedSink(FaultySink(target, lambda: False, None, Random(0))),  # type: ignore[arg-type]  # unused
        encoder=RouteTag("only"),
        policy=RoutePolicy(window_events=8),
        start=Position(""),
        parked=(),
        letters=OnlyParked(park),
        changed=lambda _: None,
    )


def _taken(route: Route, count: int) -> None:
    history = History()
    events = [history.change("a") for _ in range(count)]
    assert route.take(Batch(events, events[-1].position))


def test_with_more_than_half_a_window_there_is_work_enough(lone_route: Route) -> None:
    """Up to half of it a reader is wanted."""
    _taken(lone_route, 4)
    assert lone_route.wants_feeding


def test_with_a_full_half_no_reader_is_wanted(lone_route: Route) -> None:
    """It would stand and wait."""
    _taken(lone_route, 5)
    assert not lone_route.wants_feeding


def test_an_open_circuit_needs_an_event_to_try_itself_on(lone_route: Route) -> None:
    """With one open there is something to try; with none it would stay open for ever."""
    lone_route._circuit.failed(0.0, "down", at_once=True)
    assert lone_route.wants_feeding
    _taken(lone_route, 1)
    assert not lone_route.wants_feeding


def test_a_halted_route_wants_nothing(lone_route: Route) -> None:
    """Paused, lost, or fed to its end."""
    lone_route.pause("by hand")
    assert (lone_route.wants_feeding, lone_route.halted_by) == (False, "paused")
    lone_route.resume()
    lone_route.lose("gone")
    assert (lone_route.wants_feeding, lone_route.halted_by) == (False, "position lost")
    lone_route.lost = None
    lone_route.fed()
    assert not lone_route.wants_feeding
    assert lone_route.is_complete
