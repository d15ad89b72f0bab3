"""The stage `dedupe`: what is alike, for how long, and what is never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from eventbus.model import ClusterTime, Event, Filtered, Parked
from eventbus.telemetry.metrics import REGISTRY
from tests.stages.events import change, config, problem, route_pipeline, run, told

BY = {"by": ["document.who"], "window": "10s"}


def came(*changes: dict[str, Any]) -> list[Event]:
    """Changes with tokens in their order, all of one document unless told otherwise."""
    defaults = {"document_key": {"_id": 1}, "cluster_time": ClusterTime(100, 1)}
    return [change(**{"token": f"82{place:04}", **defaults, **parts}) for place, parts in enumerate(changes)]


def documents(*values: Any, **parts: Any) -> list[Event]:
    """Changes of one document to these values."""
    return came(*({"document": {"_id": 1, "who": value}, **parts} for value in values))


def kept(options: dict[str, Any], *batches: Sequence[Event]) -> str:
    """A letter for each event: k if it went on, d if it was dropped, p if it was parked."""
    made = route_pipeline({"dedupe": options})
    letters = {Filtered: "d", Parked: "p"}

    async def applied() -> str:
        slots = [slot for batch in batches for slot in await made.apply(batch)]
        return "".join(letters.get(type(slot), "k") for slot in slots)

    return anyio.run(applied)


def at(*seconds: int) -> list[Event]:
    """Changes that are alike, committed at these times."""
    return came(
        *({"cluster_time": ClusterTime(second, 1), "document": {"_id": 1, "who": 7}} for second in seconds)
    )


def test_an_event_that_leaves_its_document_as_it_was_is_dropped() -> None:
    """What brings back an earlier state goes on, or the target would keep the one between; new types, too."""
    assert kept({}, documents(1, 1, 2, 2, 1, 1.0, 1.0)) == "kdkdkkd"


def test_a_document_is_the_same_whether_a_stage_has_looked_into_it_or_not() -> None:
    """One that had nothing to leave out stands there as the server sent it, the next one decoded."""
    made = route_pipeline({"drop": ["seen"]}, {"dedupe": {}})
    events = came({"document": {"_id": 1, "who": 1}}, {"document": {"_id": 1, "who": 1, "seen": 2}})
    assert [type(slot) for slot in run(made, events)] == [Event, Filtered]


def test_with_by_a_state_between_makes_no_difference() -> None:
    """What events are alike in is all that counts."""
    assert kept(BY, documents(1, 1, 2, 2, 1)) == "kdkdd"


def test_each_document_is_told_by_itself() -> None:
    """And by its namespace, not by the key of its order."""
    same = {"document": {"_id": 1, "who": 1}, "key": b"all in order"}
    events = came(same, {**same, "document_key": {"_id": 2}}, {**same, "collection": "others"}, same)
    assert kept({}, events) == "kkkd"


def test_a_document_that_was_gone_in_between_is_told_again() -> None:
    """So is one whose collection was dropped; deletes of what is gone say nothing new."""
    there, gone = {"document": {"_id": 1}}, {"operation": "delete", "document": None}
    dropped = {"operation": "drop", "document": None, "document_key": None}
    assert kept({}, came(there, gone, gone, there, there, dropped, there)) == "kkdkdkk"


def test_updates_without_their_document_are_told_by_what_they_changed() -> None:
    """All that is known of them."""
    first, second = {"changed": {"a": 1}}, {"changed": {"a": 2}}
    removed = {"removed": ["a"]}
    assert kept({}, came(first, first, second, first, removed, removed)) == "kdkkkd"


def test_the_window_goes_by_cluster_times_from_the_first_on() -> None:
    """What is dropped does not prolong it."""
    assert kept({"window": "10s"}, at(0, 9, 10, 19, 20)) == "kdkdk"


def test_an_event_in_which_something_is_missing_goes_on() -> None:
    """Two that lack the same are not alike."""
    events = came({"document": {"_id": 1}}, {"document": {"_id": 1}}, {"operation": "delete"})
    assert kept(BY, events, events) == "kkkkkk"


def test_the_oldest_are_forgotten() -> None:
    """Memory is bounded; what is like them goes on, and is remembered anew."""
    assert kept({**BY, "entries": 2}, documents(1, 2, 3, 2, 1, 2)) == "kkkdkk"


def test_what_is_past_is_forgotten() -> None:
    """A quiet route holds nothing for long."""
    made = route_pipeline({"dedupe": {**BY, "window": "10s"}})
    (step,) = made._steps
    run(made, documents(1, 2, 3, cluster_time=ClusterTime(100, 1)))
    assert len(step.stage._firsts) == 3  # type: ignore[attr-defined]
    run(made, documents(4, token="83", cluster_time=ClusterTime(110, 1)))
    assert len(step.stage._firsts) == 1  # type: ignore[attr-defined]


def test_an_event_is_dropped_neither_for_itself_nor_for_a_later_one() -> None:
    """It may come again, as when a batch fails as a whole."""
    events = documents(1, 1, 2, 1)
    assert kept({}, events, events) == "kdkk" * 2
    first, second = documents(1, 1)
    assert kept(BY, [second], [first]) == "kk"


def test_what_a_snapshot_reads_goes_on_and_is_remembered() -> None:
    """It is asked for where something is missing at the target."""
    there = {"document": {"_id": 1, "who": 1}}
    assert kept({}, came(there, {**there, "operation": "read"}, there)) == "kkd"
    assert kept(BY, came({**there, "operation": "read"}, there)) == "kd"


def test_what_cannot_be_computed_is_parked() -> None:
    """With the reason."""
    made = route_pipeline({"dedupe": {"by": ["1 / document.who"]}})
    (found,) = run(made, documents(0))
    assert told(found) == "parked: stage dedupe (1): by: divides by zero"


def test_what_is_dropped_is_counted() -> None:
    """By the stage."""

    def counted() -> float:
        labels = {"subscription": "orders", "stage": "dedupe (1)"}
        return REGISTRY.get_sample_value("eventbus_duplicates_dropped_total", labels) or 0.0

    async def applied() -> float:
        before = counted()
        await route_pipeline({"dedupe": {}}).apply(documents(1, 1, 1))
        return counted() - before

    assert anyio.run(applied) == 2


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ([{"dedupe": {}}, {"filter": "true"}], "pipeline[0].dedupe: dedupe comes last: a stage behind it"),
        ([{"dedupe": {"by": ["docment.a"]}}], "unknown name 'docment'"),
        ([{"dedupe": {"window": "500ms"}}], "must be at least 1"),
        ([{"dedupe": {"entries": 0}}], "must be at least 1"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(stages: list[Any], says: str) -> None:
    """With its place."""
    assert says in problem(route={"pipeline": stages})


def test_it_belongs_to_a_route() -> None:
    """Each has an order of its own."""
    config([], {"pipeline": [{"filter": "true"}, {"dedupe": {}}]})
    assert "dedupe remembers events, in the order of one route" in problem({"dedupe": {}})
