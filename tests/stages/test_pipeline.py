"""What a pipeline promises whatever its stages do: length, order, blame, and BSON at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import bson
import pytest

from eventbus.model import Event, Filtered, Parked, Slot
from eventbus.stages.pipeline import OnError, Pipeline, PipelineStopped, Step, UnfinishedLetters
from tests.stages.events import become, change, pipeline, run, told

GAP = Event(token="1/~gap", operation="eventbus.gap", database="", collection="", document={"reason": "x"})


class Doing:
    """A stage that does as it is told with a batch."""

    name = "doing"

    def __init__(self, do: Callable[[Sequence[Slot]], Sequence[Slot]]) -> None:
        self._do = do

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `Stage`."""
        await anyio.lowlevel.checkpoint()
        return self._do(slots)


def doing(do: Callable[[Sequence[Slot]], Sequence[Slot]], on_error: OnError = "park") -> Pipeline:
    """A pipeline of one stage."""
    return Pipeline("orders", [Step("doing (1)", Doing(do), on_error)])


def changes(count: int) -> list[Event]:
    """Changes of as many documents."""
    return [
        change(token=f"82{number:04}", document={"_id": number}, document_key={"_id": number})
        for number in range(count)
    ]


def test_a_batch_that_nobody_changes_is_the_same_batch() -> None:
    """Nothing is copied, decoded or encoded."""
    events = changes(3)

    async def applied() -> bool:
        return await pipeline({"filter": "operation == 'update'"}).apply(events) is events

    assert anyio.run(applied)


def test_dropped_and_parked_events_keep_their_slots() -> None:
    """And go past the stages behind; what is parked is the event as it was read."""
    events = changes(4)
    stages = [
        {"set": {"fields": {"document.x": "document._id * 10"}}},
        {"filter": "document._id != 1"},
        {"set": {"fields": {"document.y": "1 / (document._id - 2)"}}},
        {"set": {"fields": {"document.z": "document.x + document.y"}}},
    ]
    found = run(pipeline(*stages), events)
    assert [told(slot) for slot in found] == [
        {"document": {"_id": 0, "x": 0, "y": 0, "z": 0}},
        "dropped",
        "parked: stage set (3): document.y: divides by zero",
        {"document": {"_id": 3, "x": 30, "y": 1, "z": 31}},
    ]
    assert [slot.event.token for slot in found] == [event.token for event in events]
    assert found[2].event.document == events[2].document


@pytest.mark.parametrize(
    ("on_error", "result"),
    [
        ("park", "parked: stage set (2): document.y: divides by zero"),
        ("pass", {"document": {"n": 0, "x": 1, "after": 2}}),
        ("drop", "dropped"),
    ],
)
def test_on_error_decides_what_becomes_of_a_failed_event(on_error: str, result: object) -> None:
    """`pass` leaves what earlier stages did, and later ones go on with it."""
    stages = [
        {"set": {"fields": {"document.x": "1"}}},
        {"set": {"fields": {"document.y": "1 / document.n"}}, "on_error": on_error},
        {"set": {"fields": {"document.after": "document.x + 1"}}},
    ]
    assert become(change(document={"n": 0}), *stages) == result


def test_stop_lets_nothing_go_past() -> None:
    """It names the stage, the field and the event."""
    event = change(document={"n": 0})
    stage = {"set": {"fields": {"document.y": "1 / document.n"}}, "on_error": "stop", "name": "ratio"}
    with pytest.raises(PipelineStopped) as caught:
        run(pipeline(stage), [event])
    assert str(caught.value) == f"stage ratio: document.y: divides by zero (event {event.id})"


def test_of_a_batch_on_which_a_stage_raises_only_the_guilty_are_parked() -> None:
    """The others get what the stage makes of them alone."""
    events = changes(3)

    def raise_on_the_second(slots: Sequence[Slot]) -> Sequence[Slot]:
        if any(slot.event is events[1] for slot in slots):
            raise RuntimeError("a secret")
        return [slot.event.revised(document={"seen": True}) for slot in slots]

    found = run(doing(raise_on_the_second), events)
    assert [told(slot) for slot in found] == [
        {"document": {"seen": True}},
        "parked: stage doing (1): raised RuntimeError",
        {"document": {"seen": True}},
    ]


@pytest.mark.parametrize(
    "do", [lambda slots: slots[1:], lambda slots: [*slots, *slots]], ids=["fewer", "more"]
)
def test_a_stage_that_gives_another_number_of_events_loses_none(
    do: Callable[[Sequence[Slot]], Sequence[Slot]],
) -> None:
    """They are parked."""
    found = run(doing(do), changes(2))
    assert {told(slot) for slot in found} == {
        "parked: stage doing (1): gave other events back than it was given"
    }


def test_a_stage_that_mixes_up_the_order_is_found_out() -> None:
    """Each event alone cannot be mixed up."""
    events = changes(3)
    found = run(doing(lambda slots: [*reversed(slots)]), events)
    assert [slot.event.token for slot in found] == [event.token for event in events]


def test_a_stage_cannot_bring_back_what_was_dropped_or_parked() -> None:
    """Whatever it returns in such a slot."""
    first, second = changes(2)
    slots: list[Slot] = [Filtered(first), Parked(second, "before")]
    assert run(doing(lambda slots: [slot.event for slot in slots]), slots) == slots


def test_what_the_daemon_itself_says_goes_past_all_stages() -> None:
    """A gap is told, whatever is filtered."""
    events = [GAP, change(document={"a": 1})]
    found = run(pipeline({"filter": "false"}), events)
    assert found[0] is GAP
    assert isinstance(found[1], Filtered)


def test_at_the_end_changed_documents_are_bson() -> None:
    """So every encoding takes them like what the server sent."""
    (slot,) = run(
        doing(lambda slots: [slots[0].event.revised(document={"a": 1}, before={"b": 2})]), changes(1)
    )
    assert isinstance(slot, Event)
    assert (slot.document, slot.before) == (bson.encode({"a": 1}), bson.encode({"b": 2}))


def test_what_no_document_can_hold_is_parked() -> None:
    """And not left for an encoder to fail on."""
    (slot,) = run(doing(lambda slots: [slots[0].event.revised(document={"a": object()})]), changes(1))
    assert told(slot) == "parked: pipeline: a result that no document can hold: InvalidDocument"


def test_a_letter_that_a_stage_parked_begins_anew_and_any_other_does_not() -> None:
    """Sent again, it is what the pipeline makes of it now; another went through before."""
    failing = pipeline({"set": {"fields": {"document.x": "1 / document.n"}}})
    mended = UnfinishedLetters(pipeline({"set": {"fields": {"document.x": "document.n + 1"}}}))
    parked, other = change(document={"n": 0}), change(token="83", document={"n": 5})
    (slot,) = run(failing, [parked])

    async def sent_again() -> list[Slot]:
        return list(await mended.apply([slot.event, other]))

    again = anyio.run(sent_again)
    assert told(again[0]) == {"document": {"n": 0, "x": 1}}
    assert again[1] is other
