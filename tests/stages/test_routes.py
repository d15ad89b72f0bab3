"""What a route asks of its events: a condition when they are taken, a pipeline when they are encoded."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from eventbus.assembly import route_policy
from eventbus.model import Event, Failure
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from tests.runtime.lone_route import Arrivals, Book, play
from tests.stages.events import change, config, context, problem


def policy(**route: Any) -> RoutePolicy:
    """What a route is told that is written so, behind a stage that sets a name."""
    found = config([{"set": {"fields": {"urgency": "'high'"}}}], {"lanes": 1, **route})
    return route_policy(found.subscriptions["orders"].routes[0], context())


def changes(count: int) -> list[Event]:
    """Changes of as many documents."""
    return [
        change(
            token=f"82{number:04}",
            document={"_id": number, "n": number},
            document_key={"_id": number},
            attributes={"urgency": "high" if number % 2 else "low"},
        )
        for number in range(count)
    ]


def _played(policy: RoutePolicy, events: list[Event]) -> tuple[list[Event], Book, dict[str, Any]]:
    """What arrives, what is parked, and the counts."""
    book = Book()
    arrived: list[Event] = []
    seen: dict[str, Any] = {}

    async def body(route: Route, arrivals: Arrivals) -> None:
        await route.drained()
        arrived.extend(arrivals.events)
        seen.update(tally=route.tally, watermark=route.watermark().token)

    play(book, events, body, policy=policy)
    return arrived, book, seen


SEVERITY = {"classify": {"severity": {"cases": [{"changed": "status", "then": "high"}]}}}


def test_names_that_a_source_gives_are_known_everywhere() -> None:
    """A misspelt one is found before the start; so it is where stages have names of their own, too."""
    stage = {"set": {"fields": {"urgency": "severity + '!'"}}}
    found = config([stage], {"when": "severity == 'high' && meta.urgency != ''"}, SEVERITY)
    assert found.subscriptions["orders"].routes[0].when is not None
    assert "'severity'" in problem(stage)
    assert "unknown name 'severty', did you mean 'severity'?" in problem(
        route={"when": "severty == 'high'"}, source=SEVERITY
    )


def test_where_a_source_is_wrong_only_that_is_said() -> None:
    """Nobody can tell then which names events have, and a name that is right must not be called wrong."""
    wrong: dict[str, Any] = {"classify": {"severity": {"cases": []}}}
    said = problem({"filter": "severity == 'high'"}, route={"when": "severity == 'high'"}, source=wrong)
    assert said.startswith("source.classify.severity.cases: ")


def test_no_document_is_decoded_for_a_name_of_the_source() -> None:
    """What a condition names is at hand."""
    found = context()
    when = config([], {"when": "severity == 'high'"}, SEVERITY).subscriptions["orders"].routes[0].when
    assert when is not None
    view = found.views.of(change(attributes={"severity": "high"}, document=b"no document at all"))
    assert when.holds(view)


def test_a_route_takes_what_its_condition_is_true_of() -> None:
    """The others are filtered, and its position moves past them."""
    events = changes(6)
    arrived, _, seen = _played(policy(when="urgency == 'high' && document.n < 5"), events)
    assert arrived == [events[1], events[3]]
    assert seen["tally"].filtered == 4
    assert seen["watermark"] == events[-1].token


def test_a_condition_without_a_result_parks_the_event_on_that_route() -> None:
    """It is not lost for being hard to judge."""
    events = changes(3)
    arrived, book, _ = _played(policy(when="1 / (document.n - 1) < 2"), events)
    assert arrived == [events[0], events[2]]
    (letter,) = book.parked
    assert (letter.event, letter.reason, letter.kind) == (events[1], "when: divides by zero", Failure.STAGE)


def test_a_pipeline_of_a_route_changes_what_is_encoded() -> None:
    """What it drops is filtered; what it cannot handle is parked, as the route got it."""
    events = changes(4)
    stages = [
        {"filter": "document.n != 1"},
        {"set": {"fields": {"document.x": "1 / (document.n - 2)"}}},
    ]
    arrived, book, seen = _played(policy(pipeline=stages), events)
    assert [bson.decode(event.document) for event in arrived if isinstance(event.document, bytes)] == [
        {"_id": 0, "n": 0, "x": 0},
        {"_id": 3, "n": 3, "x": 1},
    ]
    (letter,) = book.parked
    assert (letter.event, letter.reason) == (events[2], "stage set (2): document.x: divides by zero")
    assert seen["tally"].filtered == 1


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"when": "nothing == 1"}, "routes[0].when: column 1: unknown name 'nothing'"),
        ({"when": "document.a +"}, "routes[0].when: column 13: "),
        (
            {"pipeline": [{"filter": "true", "on_error": "stop"}]},
            "routes[0].pipeline[0].on_error: stop is for",
        ),
        ({"pipeline": {"filter": "true"}}, "routes[0].pipeline: expected a list of stages"),
        (
            {"pipeline": ["filter"]},
            "routes[0].pipeline[0]: expected a stage such as {filter: …}, got 'filter'",
        ),
        (
            {"pipeline": [{"fliter": "x"}]},
            "routes[0].pipeline[0].fliter: unknown stage 'fliter', did you mean",
        ),
        ({"pipeline": [{}]}, "routes[0].pipeline[0]: expected one stage in each entry of the list, got none"),
        (
            {"pipeline": [{"filter": "true", "set": {"fields": {"a": "1"}}}]},
            "routes[0].pipeline[0]: expected one stage in each entry of the list, got filter, set",
        ),
    ],
)
def test_what_is_wrong_with_a_route_is_said_before_the_start(route: dict[str, Any], message: str) -> None:
    """With its place."""
    assert problem({"set": {"fields": {"urgency": "'x'"}}}, route=route).startswith(message)


def test_a_name_that_a_route_sets_is_known_to_its_own_later_stages_alone() -> None:
    """The condition is asked before them."""
    stages = [{"set": {"fields": {"own": "1"}}}, {"filter": "own == 1"}]
    config([], {"pipeline": stages})
    assert problem(route={"pipeline": stages, "when": "own == 1"}).startswith(
        "routes[0].when: column 1: unknown"
    )
