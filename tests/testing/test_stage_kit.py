"""The contract kit finds what is wrong with a stage: a good one passes, and each fault fails its test."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, ClassVar

import anyio.lowlevel
import pytest
from pydantic import BaseModel

from eventbus.sdk import EncodingError, Event, Filtered, Options, Parked, Slot, StageContext
from eventbus.testing import Changes, StageContract
from eventbus.testing.odd_events import in_bson


class _NoOptions(Options):
    """Nothing to choose."""


class _AnyOptions(BaseModel):
    """Whatever is written."""


class Marking:
    """Marks changes with a number that they have, but for the fault that it is told to have."""

    Options: ClassVar[type[BaseModel]] = _NoOptions

    def __init__(self, context: StageContext, fault: str, calls: list[int]) -> None:
        self.name = "" if fault == "has no name" else "marking"
        self._views = context.views
        self._fault = fault
        self._calls = calls
        self._busy = False
        self._seen: Sequence[Slot] = ()

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `Stage`."""
        if self._busy:
            raise RuntimeError("busy")
        self._busy = self._fault == "stays busy when cancelled"
        if self._fault == "mixes up batches":
            self._seen = slots
        await anyio.lowlevel.checkpoint()
        self._busy = False
        self._calls.append(len(slots))
        done = [self._one(slot, number) for number, slot in enumerate(self._seen or slots)]
        match self._fault:
            case "loses one":
                return done[1:]
            case "reverses a batch":
                return done[::-1]
            case "empties the batch" if isinstance(slots, list):
                slots.clear()
            case "needs an event":
                assert slots[0] is not None
        return done

    def _one(self, slot: Slot, number: int) -> Slot:
        if not isinstance(slot, Event):
            return slot.event if self._fault == "brings back what was dropped" else slot
        try:
            document = self._views.of(slot).section("document")
        except EncodingError as error:
            if self._fault == "raises on what is no BSON":
                raise
            return Parked(slot, f"line one\n{error}" if self._fault == "writes two lines" else str(error))
        value = (document or {}).get("number")
        if isinstance(value, bool | float) or not isinstance(value, int):
            return self._odd(slot, value)
        return self._marked(slot, document, value, number)

    def _odd(self, slot: Event, value: Any) -> Slot:
        match self._fault:
            case "raises on another type":
                return slot.revised(attributes={"mark": value + 1})
            case "shows values":
                return Parked(slot, f"no number: {value!r}")
            case _:
                return Parked(slot, "no number")

    def _marked(self, slot: Event, document: Any, value: int, number: int) -> Slot:
        attributes: dict[str, Any] = {"mark": value}
        match self._fault:
            case "counts its calls":
                attributes["mark"] = len(self._calls)
            case "numbers a batch":
                attributes["mark"] = number
            case "changes the document in place":
                document["mark"] = value
            case "makes another change of it":
                return slot.revised(id=None, token=slot.token, fragment=1)
            case "drops by what it saw" if len(self._calls) % 2:
                return Filtered(slot)
        return slot.revised(attributes=attributes)


class _Free(Marking):
    """Takes any options."""

    Options: ClassVar[type[BaseModel]] = _AnyOptions


class _Harness:
    def __init__(self, fault: str = "") -> None:
        self._fault = fault
        self._calls: list[int] = []

    def make_stage(self, context: StageContext) -> Marking:
        """See `StageHarness`."""
        cls = _Free if self._fault == "takes any option" else Marking
        return cls(context, self._fault, self._calls)

    def events(self, changes: Changes) -> Sequence[Event]:
        """See `StageHarness`."""
        return [*changes.distinct(3), changes.change("a", document={"_id": "a"})]


class TestMarking(StageContract):
    """The good one."""

    @pytest.fixture
    def harness(self) -> _Harness:
        return _Harness()


class _Waived(StageContract):
    is_deterministic: ClassVar[bool] = False


@pytest.mark.parametrize("form", ["raw", "decoded"])
@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        ("loses one", "gives_a_slot_for_each_slot_with_the_token_it_had"),
        ("reverses a batch", "gives_a_slot_for_each_slot_with_the_token_it_had"),
        ("makes another change of it", "gives_a_slot_for_each_slot_with_the_token_it_had"),
        ("brings back what was dropped", "what_was_dropped_or_parked_passes_through"),
        ("changes the document in place", "changes_nothing_of_what_it_is_given"),
        ("empties the batch", "changes_nothing_of_what_it_is_given"),
        ("counts its calls", "the_same_events_give_the_same_again"),
        ("drops by what it saw", "the_same_events_give_the_same_again"),
        ("numbers a batch", "where_batches_end_makes_no_difference"),
        ("raises on what is no BSON", "what_it_cannot_handle_is_parked_and_takes_no_other_with_it"),
        ("raises on another type", "what_it_cannot_handle_is_parked_and_takes_no_other_with_it"),
        ("writes two lines", "what_it_cannot_handle_is_parked_and_takes_no_other_with_it"),
        ("shows values", "what_it_cannot_handle_is_parked_and_takes_no_other_with_it"),
        ("stays busy when cancelled", "a_batch_that_was_cancelled_comes_again"),
        ("mixes up batches", "several_batches_at_once_do_not_mix_up"),
        ("needs an event", "an_empty_batch_gives_an_empty_one"),
        ("has no name", "says_what_it_is"),
        ("takes any option", "says_what_it_is"),
    ],
)
@pytest.mark.anyio
async def test_a_fault_fails_the_test_that_is_for_it(fault: str, finder: str, form: str) -> None:
    """Whatever way it fails in."""
    with pytest.raises(
        (
            AssertionError,
            ExceptionGroup,
            RuntimeError,
            EncodingError,
            TypeError,
            IndexError,
            ValueError,
            pytest.fail.Exception,
        )
    ):
        await _run(StageContract(), finder, _Harness(fault), form)


@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        ("counts its calls", "the_same_events_give_the_same_again"),
        ("numbers a batch", "where_batches_end_makes_no_difference"),
        ("counts its calls", "a_batch_that_was_cancelled_comes_again"),
    ],
)
@pytest.mark.anyio
async def test_who_promises_no_equal_results_is_not_asked_for_them(fault: str, finder: str) -> None:
    """All else is asked all the same."""
    await _run(_Waived(), finder, _Harness(fault), "raw")


async def _run(contract: StageContract, finder: str, harness: _Harness, form: str) -> None:
    test = getattr(contract, f"test_{finder}")
    changes = Changes()
    events = list(harness.events(changes))
    fixtures = {
        "harness": harness,
        "changes": changes,
        "events": [in_bson(event) for event in events] if form == "raw" else events,
    }
    await test(**{name: fixtures[name] for name in signature(test).parameters})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
