"""What becomes of changes on a route: also where it goes by what came before, or makes several messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from eventbus.errors import Unreachable
from eventbus.model import ClusterTime, Event, Position
from eventbus.preview.passage import Outcome, Passage, Passed
from eventbus.preview.stretch import Stretch
from eventbus.preview.tally import Tally
from tests.stages.events import change, config

STRETCH = Stretch(Position("", cluster_time=ClusterTime(0, 0)), Position("", cluster_time=ClusterTime(60, 0)))


def changes(count: int) -> list[Event]:
    """Changes of as many documents, with items; each second one is of customer 1."""
    return [
        change(
            token=f"82{number:04}",
            cluster_time=ClusterTime(number, 1),
            document={"_id": number, "customer": number % 2, "items": list(range(number))},
            document_key={"_id": number},
        )
        for number in range(count)
    ]


def passage(route: dict[str, Any], *stages: dict[str, Any]) -> Passage:
    """Through a subscription of one route."""
    found = config(list(stages), route)
    return Passage(found, "orders", None, None)  # type: ignore[arg-type] # nothing is read


def passed(through: Passage, *batches: Sequence[Event]) -> list[Passed]:
    """What becomes of batches, one after the other."""

    async def run() -> list[Passed]:
        return [one for batch in batches for one in await through.through(batch)]

    return anyio.run(run)


def outcomes(found: Sequence[Passed]) -> list[Outcome]:
    """On the one route."""
    return [fate for one in found for fate in (fate.outcome for fate in one.fates.values())]


@pytest.mark.parametrize("cut", [1, 3])
def test_a_route_remembers_within_a_run(cut: int) -> None:
    """Whatever the batches are; the next run begins with nothing."""
    events = changes(4)
    for _ in range(2):
        through = passage({"pipeline": [{"dedupe": {"by": ["document.customer"], "window": "1h"}}]})
        found = outcomes(passed(through, events[:cut], events[cut:]))
        assert found == [Outcome.DELIVERED] * 2 + [Outcome.FILTERED] * 2


def test_each_item_is_a_message() -> None:
    """And is counted as one, in bytes, pace and samples; a list without items is filtered."""
    through = passage({"for_each": "document.items"})
    tally = Tally(STRETCH, samples=100)
    for slot, fates in passed(through, changes(4)):
        for fate in fates.values():
            tally.add(slot.event, fate)
    assert (tally.delivered, tally.filtered.total(), tally.messages) == (3, 1, 6)
    assert (tally.keys, tally.pace.busiest_second, tally.pace.busiest_minute) == (3, 3, 6)
    assert len(tally.samples) == 6


def test_a_stage_that_stops_ends_it() -> None:
    """Nothing of that batch or behind it is counted, and the reason is told."""
    through = passage({}, {"name": "strict", "on_error": "stop", "rename": {"customer": "items"}})
    found = passed(through, changes(2))
    assert found == []
    assert through.stopped is not None
    assert "strict" in through.stopped


def test_a_stage_that_waits_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its service is not there, and a daemon would wait for it: whoever asks what would come is told so."""
    monkeypatch.setattr("eventbus.preview.passage._PATIENCE_SECS", 0.05)
    lookup = {"url": "http://127.0.0.1:1/{document.customer}", "into": "document.who"}
    through = passage({}, {"http_lookup": lookup})
    with pytest.raises(Unreachable, match="a stage waits for what is away, as the daemon would"):
        passed(through, changes(2))


def test_samples_are_the_same_whatever_comes_first() -> None:
    """They are chosen by their ids."""
    made = passed(passage({}), changes(30))
    shown = []
    for some in (made, made[::-1]):
        tally = Tally(STRETCH, samples=3)
        for slot, fates in some:
            for fate in fates.values():
                tally.add(slot.event, fate)
        shown.append(tally.samples)
    assert shown[0] == shown[1]
    assert len(shown[0]) == 3
