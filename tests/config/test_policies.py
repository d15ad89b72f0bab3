"""What users write about a route arrives at the route, every key of it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from eventbus.assembly import policy_of
from eventbus.core.circuit import CircuitPolicy
from eventbus.model import Event
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from tests.config.fakes import SMALLEST, load_text, problems_of

EVERYTHING = """{sink: feed,
  retry: {attempts: 1, initial_delay: 2s, max_delay: 3s, max_age: 4s},
  circuit: {failures: 5, initial_open: 6s, max_open: 7s, pause_after: 7500ms},
  window: {events: 8, size: 9B},
  dead_letters: {retention: 10s},
  batch: {events: 11, size: 12B, wait: 13s},
  ordering: key, rate: 14/s, concurrency: 15, on_dead_letter: hold_key, lanes: 16,
  watermark_every: 17s,
  priority: {operations: [insert]}}"""


def policy(folder: Path, route: str) -> RoutePolicy:
    """What a route of the smallest configuration is told."""
    config = load_text(SMALLEST.replace("[feed]", f"[{route}]"), folder)
    return policy_of(config.subscriptions["orders"].routes[0])


def test_every_key_arrives(tmp_path: Path) -> None:
    """In its own field: all numbers differ."""
    found = policy(tmp_path, EVERYTHING)
    assert len(found.config) == 12
    assert replace(found, priority=None, config="") == RoutePolicy(
        retry=RetryPolicy(1, 2.0, 3.0, 4.0),
        circuit=CircuitPolicy(5, 6.0, 7.0, 7.5),
        window_events=8,
        window_size=9,
        letter_retention_secs=10.0,
        batch_events=11,
        batch_size=12,
        batch_wait_secs=13.0,
        rate_per_sec=14.0,
        concurrency=15,
        holds_keys=True,
        lanes=16,
        watermark_every_secs=17.0,
    )
    changed = {field.name for field in fields(found) if getattr(found, field.name) != field.default}
    assert {field.name for field in fields(found)} - changed == {"ordering", "when", "transform", "prepare"}


@pytest.mark.parametrize("ordering", Ordering)
def test_every_ordering_arrives(tmp_path: Path, ordering: Ordering) -> None:
    """Under its name."""
    assert policy(tmp_path, f"{{sink: feed, ordering: {ordering.value}}}").ordering is ordering


def test_a_route_of_which_nothing_is_said_has_the_runtimes_own_defaults(tmp_path: Path) -> None:
    """The two must not drift apart."""
    assert replace(policy(tmp_path, "feed"), config="") == RoutePolicy()


@pytest.mark.parametrize(
    ("priority", "urgent"),
    [
        ("{operations: [delete, insert]}", [True, True, False, True]),
        ("{collections: [orders]}", [True, False, True, False]),
        ("{operations: [insert], collections: [orders]}", [False, False, False, False]),
        ("{operations: [delete], collections: [orders]}", [True, False, False, False]),
    ],
)
def test_what_is_urgent(tmp_path: Path, priority: str, urgent: list[bool]) -> None:
    """An operation that is named, a collection that is named; where both are, both."""
    is_urgent = policy(tmp_path, f"{{sink: feed, priority: {priority}}}").priority
    assert is_urgent is not None
    changes = [("delete", "orders"), ("insert", "items"), ("update", "orders"), ("delete", "items")]
    assert [is_urgent(change(*one)) for one in changes] == urgent


def change(operation: str, collection: str) -> Event:
    """A change of some document."""
    return Event(token="1", operation=operation, database="shop", collection=collection, document_key={})


def _with_two_sinks(route: str, defaults: str = "") -> str:
    text = SMALLEST.replace("[feed]", f"[{route}]")
    text = text.replace("sinks:", "sinks:\n  other: {type: feed, path: /tmp/other}")
    return f"{text}defaults: {{dead_letters: {{sink: {defaults}}}}}\n" if defaults else text


def test_a_dead_letter_sink_comes_from_the_route_or_the_defaults(tmp_path: Path) -> None:
    """A route may have another, or none."""
    cases = [
        ("feed", "", None),
        ("feed", "other", "other"),
        ("{sink: feed, dead_letters: {sink: other}}", "", "other"),
        ("{sink: feed, dead_letters: {sink: other}}", "feed", "other"),
        ("{sink: feed, dead_letters: {sink: null}}", "other", None),
        ("{sink: feed, dead_letters: {retention: 1d}}", "other", "other"),
    ]
    for route, defaults, expected in cases:
        config = load_text(_with_two_sinks(route, defaults), tmp_path)
        assert config.subscriptions["orders"].routes[0].dead_letters.sink == expected


OTHR = "{sink: feed, dead_letters: {sink: othr}}"
OWN = "{sink: feed, dead_letters: {sink: feed}}"


@pytest.mark.parametrize(
    ("route", "defaults", "path", "at", "said"),
    [
        (OTHR, "", "routes[0].", "othr}", "'othr' is not declared, did you mean 'other'?"),
        ("feed", "othr", "defaults.", "othr}", "'othr' is not declared, did you mean 'other'?"),
        (OWN, "", "routes[0].", "feed}", "feed is the route's own sink"),
        ("feed", "feed", "routes[0].", "feed]", "feed is the route's own sink"),
    ],
)
def test_a_dead_letter_sink_is_declared_and_another_than_the_routes_own(
    tmp_path: Path, route: str, defaults: str, path: str, at: str, said: str
) -> None:
    """Both are found when the configuration is read, and shown at the name that is wrong."""
    text = _with_two_sinks(route, defaults)
    (problem,) = problems_of(text, tmp_path)
    assert f"{path}dead_letters.sink: " in problem
    assert said in problem
    _, line, column, *_ = problem.split(":")
    assert text.splitlines()[int(line) - 1][int(column) - 1 :].startswith(at)
