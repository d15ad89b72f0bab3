"""The stage `validate`: how often something may happen, by the times of the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import bson

from eventbus.model import ClusterTime, Event
from tests.stages.events import change, route_pipeline, run, told
from tests.stages.rules import RATE, rule


def arrivals(*seconds: int, customer: Any = 7, **parts: Any) -> list[Event]:
    """Changes that were committed at these times."""
    return [
        change(
            token=f"82{place:04}",
            cluster_time=ClusterTime(at, 1),
            document={"_id": place, "customer": customer, **parts},
        )
        for place, at in enumerate(seconds)
    ]


def kept(stages: Any, *batches: Sequence[Event]) -> list[bool]:
    """Which events keep the rules of a route's stage."""
    made = route_pipeline(stages)

    async def applied() -> list[bool]:
        return [isinstance(slot, Event) for batch in batches for slot in await made.apply(batch)]

    return anyio.run(applied)


def test_a_rate_counts_what_keeps_it_in_any_time_of_that_length() -> None:
    """By the times of the events: what was refused does not count, and what is past does not."""
    events = arrivals(0, 1, 9, 10, 10, 11, 30)
    assert kept(rule(rate=RATE), events) == [True, True, False, True, False, True, True]
    assert kept(rule(rate=RATE), *[[event] for event in events]) == kept(rule(rate=RATE), events)


def test_a_rate_that_only_warns_counts_the_same() -> None:
    """What it warns of goes on, and is not counted either."""
    made = route_pipeline(rule(severity="warning", rate=RATE))
    found = [told(slot) for slot in run(made, arrivals(0, 1, 9, 10, 10, 11, 30))]
    assert ["meta" in one for one in found] == [False, False, True, False, True, False, False]
    assert found[2]["meta"] == {"warnings": ["r"]}


def test_a_rate_counts_each_value_by_itself() -> None:
    """What has none keeps the rule; without `by` all are counted together."""
    events = [*arrivals(0, 0, customer=1), *arrivals(0, 0, customer=2), *arrivals(0, 0, 0, customer=None)]
    events = [event.revised(token=f"82{place:04}", id=f"{place:032}") for place, event in enumerate(events)]
    assert kept(rule(rate={**RATE, "at_most": 1}), events) == [True, False, True, False, True, True, True]
    together = {"at_most": 1, "per": "10s"}
    assert kept(rule(rate=together), events) == [True, *[False] * 6]


def test_a_rate_is_known_for_so_many_values() -> None:
    """Those that came longest ago are forgotten: memory is bounded, and nothing is refused for that."""
    events = [
        event.revised(token=f"82{place:04}", id=f"{place:032}")
        for place, customer in enumerate([1, 2, 1, 3, 2, 1])
        for event in arrivals(0, customer=customer)
    ]
    rate = {**RATE, "at_most": 1, "entries": 2}
    assert kept(rule(rate=rate), events) == [True, True, False, True, True, True]


def test_what_another_rule_parks_is_not_counted() -> None:
    """It does not go on, so it takes nobody's place; a rule that only warns parks nothing."""
    rules = [
        {"name": "rate", "rate": {**RATE, "at_most": 1}},
        {"name": "good", "condition": "document.good"},
        {"name": "nice", "severity": "warning", "condition": "false"},
    ]
    first, second, third = arrivals(0, 1, 2)
    bad = first.revised(document=bson.encode({"_id": 0, "customer": 7, "good": False}))
    good = [
        event.revised(document=bson.encode({"_id": 0, "customer": 7, "good": True}))
        for event in (second, third)
    ]
    assert kept({"validate": rules}, [bad, *good]) == [False, True, False]


def test_an_event_that_comes_again_is_not_counted_twice() -> None:
    """As when a batch fails as a whole and is tried event by event."""
    events = arrivals(0, 1)
    assert kept(rule(rate=RATE), events, events, arrivals(0, 1, 2)[2:]) == [True, True, True, True, False]
