"""Stages that remember, on a route: what they say goes by the order of the source, whatever lanes do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.assembly import route_policy
from eventbus.model import ClusterTime, Event, Parked, Prepared
from eventbus.runtime.policy import RoutePolicy
from tests.runtime.target import Trouble
from tests.stages.events import change, config, context
from tests.stages.lives import lived
from tests.stages.rules import RATE, rule

TROUBLES = st.sampled_from(
    [(), (Trouble("failing", times=2),), (Trouble("slow", 0.0, 1.0),), (Trouble("unavailable", 0.1, 5.0),)]
)


def policy(*stages: Any, **route: Any) -> RoutePolicy:
    """What a route is told whose pipeline these stages are."""
    written = {"window": {"events": 16}, "retry": {"attempts": 5}, **route, "pipeline": list(stages)}
    return route_policy(config([], written).subscriptions["orders"].routes[0], context())


def changes(*kinds: tuple[int, int, int]) -> list[Event]:
    """Changes by seconds since the one before, document and customer; the last may be `GONE`."""
    events, at = [], 1000
    for place, (secs, document, customer) in enumerate(kinds):
        at += secs
        events.append(
            change(
                token=f"82{place:04}",
                cluster_time=ClusterTime(at, 1),
                document_key={"_id": document},
                **(
                    {"operation": "delete"}
                    if customer == GONE
                    else {"document": {"_id": document, "customer": customer}}
                ),
            )
        )
    return events


def kinds_of(customers: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """See `changes`; the customers are numbered from 0."""
    one = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, customers - 1))
    return st.lists(one, min_size=1, max_size=40)


GONE = 3
"""In place of a customer: the document is deleted."""
CHANGED = kinds_of(GONE)
CHANGED_OR_GONE = kinds_of(GONE + 1)
SOME = settings(max_examples=40, deadline=None)


def within_rate(events: Sequence[Event]) -> list[str]:
    """Tokens of the events that keep the rule `RATE`, counted plainly."""
    kept: list[tuple[int, int, str]] = []
    for event in events:
        assert isinstance(event.document, bytes)
        assert event.cluster_time is not None
        customer, at = bson.decode(event.document)["customer"], event.cluster_time.seconds
        if sum(other == customer and time > at - 10 for other, time, _ in kept) < 2:
            kept.append((customer, at, event.token))
    return [token for _, _, token in kept]


@SOME
@given(kinds=CHANGED, troubles=TROUBLES, seed=st.integers(0, 2**16), lanes=st.integers(1, 4))
def test_a_rate_is_kept_in_source_order_whatever_lanes_do(
    kinds: list[tuple[int, int, int]], troubles: Sequence[Trouble], seed: int, lanes: int
) -> None:
    """Customers are spread over documents, so over lanes; batches overlap and come again, attempts fail."""
    events = changes(*kinds)
    (life,) = lived(events, lambda: policy(rule(rate=RATE)), *troubles, seed=seed, lanes=lanes)
    assert life.taken == [event.token for event in events]
    expected = within_rate(events)
    assert sorted(event.token for event in life.arrived) == expected
    assert sorted(event.token for event in life.parked) == sorted({*life.taken} - {*expected})


def went_on(events: Sequence[Event], *, by_customer: bool) -> list[str]:
    """Tokens of the events that say something new within ten seconds, found plainly."""
    kept: list[tuple[Any, Any, int, str]] = []
    for event in events:
        identity, content, at = _told_by(event, by_customer=by_customer)
        same = [one for one in kept if one[0] == identity]
        if identity is None or not same or same[-1][1] != content or at >= same[-1][2] + 10:
            kept.append((identity, content, at, event.token))
    return [token for *_, token in kept]


def _told_by(event: Event, *, by_customer: bool) -> tuple[Any, Any, int]:
    """What an event is told by, what it says, and when it was committed."""
    assert isinstance(event.document_key, bytes)
    assert event.cluster_time is not None
    key = bson.decode(event.document_key)["_id"]
    customer = bson.decode(event.document)["customer"] if isinstance(event.document, bytes) else None
    at = event.cluster_time.seconds
    return (customer, True, at) if by_customer else (key, customer, at)


ALIKE: list[dict[str, Any]] = [{"window": "10s"}, {"window": "10s", "by": ["document.customer"]}]


@pytest.mark.parametrize("options", ALIKE, ids=["by document", "by customer"])
@SOME
@given(kinds=CHANGED_OR_GONE, troubles=TROUBLES, seed=st.integers(0, 2**16), lanes=st.integers(1, 4))
def test_the_first_of_what_is_alike_is_the_first_in_source_order(
    options: dict[str, Any],
    kinds: list[tuple[int, int, int]],
    troubles: Sequence[Trouble],
    seed: int,
    lanes: int,
) -> None:
    """Whatever lanes do: batches overlap and come again, attempts fail."""
    events = changes(*kinds)
    (life,) = lived(events, lambda: policy({"dedupe": options}), *troubles, seed=seed, lanes=lanes)
    assert sorted(event.token for event in life.arrived) == went_on(events, by_customer="by" in options)
    assert life.parked == []


@pytest.mark.parametrize("options", ALIKE, ids=["by document", "by customer"])
@SOME
@given(kinds=CHANGED_OR_GONE, rejects=st.booleans(), seed=st.integers(0, 2**16), lives=st.integers(1, 4))
def test_nothing_is_lost_for_being_alike_whatever_crashes(
    options: dict[str, Any], kinds: list[tuple[int, int, int]], rejects: bool, seed: int, lives: int
) -> None:
    """Each event is at the target or a dead letter, or one like it that came before it within the window."""
    events = changes(*kinds)
    rejected = frozenset({events[0].key.decode()}) if rejects else frozenset()
    troubles = [Trouble("rejecting", keys=rejected)] if rejects else []
    found = lived(events, lambda: policy({"dedupe": options}), *troubles, seed=seed, lives=lives)
    settled = {event.token for life in found for event in [*life.arrived, *life.parked]}
    by_customer = "by" in options
    for event in events:
        identity, content, at = _told_by(event, by_customer=by_customer)
        like = {
            one.token
            for one in events
            if identity is not None and one.token <= event.token
            if _told_by(one, by_customer=by_customer)[:2] == (identity, content)
            if _told_by(one, by_customer=by_customer)[2] > at - 10
        }
        assert settled & {*like, event.token}


@SOME
@given(kinds=CHANGED_OR_GONE, seed=st.integers(0, 2**16), lives=st.integers(1, 4))
def test_the_target_ends_with_the_last_state_of_each_document(
    kinds: list[tuple[int, int, int]], seed: int, lives: int
) -> None:
    """By default what is dropped changes nothing there."""
    events = changes(*kinds)
    found = lived(events, lambda: policy({"dedupe": {"window": "10s"}}), seed=seed, lives=lives)
    last = {event.key: event.document for event in events}
    assert {event.key: event.document for life in found for event in life.arrived} == last


def test_what_is_parked_is_the_event_as_it_was_taken() -> None:
    """Sent again it goes through the pipeline once more; what goes on is encoded as the pipeline made it."""
    events = changes((0, 1, 7), (0, 2, 7), (0, 3, 7))
    made = policy({"set": {"fields": {"document.x": "1"}}}, rule(rate=RATE))
    assert made.transform is None
    assert made.prepare is not None
    first, second, third = made.prepare()(events)
    for place, slot in enumerate((first, second)):
        assert isinstance(slot, Prepared)
        assert slot.event is events[place]
        assert isinstance(slot.made.document, bytes)
        assert bson.decode(slot.made.document)["x"] == 1
    assert third == Parked(events[2], "stage validate (2): rule r: more than 2 in 10 seconds")


def test_each_life_of_a_route_and_each_replay_counts_by_itself() -> None:
    """A replay of what the live route counted is no flood."""
    first, second, third = changes((0, 1, 7), (0, 2, 7), (5, 3, 7))
    made = policy(rule(rate=RATE))
    assert made.prepare is not None
    live, replay = made.prepare(), made.prepare()
    assert [*live([first, second])] == [*replay([first, second])] == [first, second]
    assert [type(slot) for slot in live([third])] == [Parked]
    assert made.prepare()([third]) == [third]


def test_what_the_target_gets_is_what_the_pipeline_made() -> None:
    """With a stage that remembers as well as without."""
    stages = [{"set": {"fields": {"document.x": "document.customer * 2"}}}, {"filter": "document.x > 2"}]
    events = changes((0, 1, 1), (0, 2, 2), (20, 3, 4))
    for made in (policy(*stages), policy(*stages, rule(rate=RATE))):
        (life,) = lived(events, lambda made=made: made)  # type: ignore[misc]
        got = [bson.decode(event.document) for event in life.arrived if isinstance(event.document, bytes)]
        assert sorted(got, key=lambda one: int(one["_id"])) == [
            {"_id": 2, "customer": 2, "x": 4},
            {"_id": 3, "customer": 4, "x": 8},
        ]


@pytest.mark.parametrize("window", [1, 16])
def test_a_window_that_is_full_makes_no_difference(window: int) -> None:
    """An event that does not fit is given again, and was not counted before."""
    events = changes(*[(1, number, 7) for number in range(30)])
    (life,) = lived(events, lambda: policy(rule(rate=RATE), window={"events": window}))
    assert sorted(event.token for event in life.arrived) == within_rate(events)
