"""The promises of a stage as tests: subclass the contract and give a fixture `harness`.

::

    class TestMyStage(StageContract):
        @pytest.fixture
        def harness(self) -> MyHarness:
            return MyHarness()

Every test runs twice: with documents in raw BSON, as a source gives them, and decoded, as a stage before may
have left them. Besides the harness's own changes there are strange ones: without documents, with documents
that are no BSON, and like the harness's own but with every field of another type. A stage whose results may
differ from one time to the next has `is_deterministic = False`, and one of routes that remembers events has
`remembers = True`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import pytest
from pydantic import BaseModel, ValidationError

from eventbus.sdk import Event, Filtered, Parked, Slot, Stage, StageContext, Views
from eventbus.testing.driving import cancel_call_after
from eventbus.testing.harness import Changes, StageHarness
from eventbus.testing.odd_events import UNTOLD, copies, in_bson, odd_events, sections_of, told
from eventbus.testing.sinks import ContractKit

__all__ = ["StageContract"]


class StageContract(ContractKit):
    """What every stage promises."""

    is_deterministic: ClassVar[bool] = True
    """Whether the same events give the same results, whenever they come and however they are cut."""
    remembers: ClassVar[bool] = False
    """Whether results depend on the events before: such a stage is given each event once, in source order."""

    @pytest.fixture(params=["raw", "decoded"])
    def events(
        self, harness: StageHarness, changes: Changes, request: pytest.FixtureRequest
    ) -> Sequence[Event]:
        """The harness's changes, in one of the two forms."""
        made = list(harness.events(changes))
        assert made, "the harness makes no events"
        return [in_bson(event) for event in made] if request.param == "raw" else made

    async def test_gives_a_slot_for_each_slot_with_the_token_it_had(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """The length of a batch never changes, nor its order; a change stays the same change."""
        given = [*events, *odd_events(events, changes)]
        done = await self._applied(harness, given)
        assert [slot.event.token for slot in done] == [event.token for event in given]
        for before, after in zip(given, done, strict=True):
            assert after.event.id == before.id
            assert after.event.key == before.key
            assert after.event.position == before.position

    async def test_what_was_dropped_or_parked_passes_through(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """Such a slot is none of its business; what the daemon itself says comes as one, too."""
        own = changes.change("own", operation="eventbus.gap", document={"reason": "x"}, document_key=None)
        others: list[Slot] = [
            Filtered(changes.change("a")),
            Parked(changes.change("b"), "before"),
            Filtered(own),
        ]
        given = [slot for event in events for slot in (*others, event)]
        done = await self._applied(harness, given)
        for before, after in zip(given, done, strict=True):
            if not isinstance(before, Event):
                assert after == before

    async def test_changes_nothing_of_what_it_is_given(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """Other routes and conditions see the same events, and the same decoded documents."""
        given: list[Slot] = [*events, *odd_events(events, changes)]
        slots, before = list(given), [told(slot) for slot in given]
        context = _context()
        await self._applied(harness, slots, context)
        assert slots == given
        assert [told(slot) for slot in given] == before
        for slot in given:
            assert sections_of(context.views.of(slot.event)) == sections_of(_context().views.of(slot.event))

    async def test_the_same_events_give_the_same_again(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """After a crash they are read again, and what they become must not differ."""
        given = [*events, *odd_events(events, changes)]
        first = await self._applied(harness, copies(given))
        second = await self._applied(harness, copies(given))
        if self.is_deterministic:
            assert [told(slot) for slot in second] == [told(slot) for slot in first]

    async def test_where_batches_end_makes_no_difference(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """They are cut by the source as it likes, and otherwise when events are read again."""
        given = [*events, *odd_events(events, changes)]
        whole = await self._applied(harness, copies(given))
        async with self._made(harness, _context()) as stage:
            pieces = [slot for event in copies(given) for slot in await stage.apply([event])]
        assert len(pieces) == len(whole)
        if self.is_deterministic:
            assert [told(slot) for slot in pieces] == [told(slot) for slot in whole]

    async def test_what_it_cannot_handle_is_parked_and_takes_no_other_with_it(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """It raises nothing; reasons are one line, and show no value of a document."""
        odd = odd_events(events, changes)
        alone = await self._applied(harness, copies(events))
        done = await self._applied(harness, copies([*events, *odd]))
        for slot in done:
            if isinstance(slot, Parked):
                assert slot.reason
                assert slot.reason.splitlines() == [slot.reason]
                assert UNTOLD not in slot.reason
        if self.is_deterministic:
            assert [told(slot) for slot in done[: len(events)]] == [told(slot) for slot in alone]

    async def test_a_batch_that_was_cancelled_comes_again(
        self, harness: StageHarness, events: Sequence[Event]
    ) -> None:
        """A subscription that is stopped in the middle of a batch is given it once more."""
        undisturbed = await self._applied(harness, copies(events))
        async with self._made(harness, _context()) as stage:
            for turns in range(4):
                await cancel_call_after(turns, stage.apply, copies(events))
            done = await stage.apply(copies(events))
        assert [slot.event.token for slot in done] == [event.token for event in events]
        if self.is_deterministic and not self.remembers:
            assert [told(slot) for slot in done] == [told(slot) for slot in undisturbed]

    async def test_several_batches_at_once_do_not_mix_up(
        self, harness: StageHarness, events: Sequence[Event], changes: Changes
    ) -> None:
        """A route that catches up has a reader of its own, beside the others'."""
        batches = [list(events), odd_events(events, changes)]
        done: dict[int, Sequence[Slot]] = {}

        async with self._made(harness, _context()) as stage, anyio.create_task_group() as tasks:

            async def apply(number: int) -> None:
                done[number] = await stage.apply(batches[number])

            for number in range(len(batches)):
                tasks.start_soon(apply, number)
        for number, batch in enumerate(batches):
            assert [slot.event.token for slot in done[number]] == [event.token for event in batch]

    async def test_an_empty_batch_gives_an_empty_one(self, harness: StageHarness) -> None:
        """An idle source has them."""
        assert list(await self._applied(harness, [])) == []

    async def test_says_what_it_is(self, harness: StageHarness) -> None:
        """It has a name, and options of which nobody knows are errors."""
        stage = harness.make_stage(_context())
        assert stage.name
        options = getattr(type(stage), "Options", None)
        assert isinstance(options, type)
        assert issubclass(options, BaseModel)
        with pytest.raises(ValidationError, match="no_such_option"):
            options.model_validate({"no_such_option": 1})

    async def _applied(
        self, harness: StageHarness, slots: Sequence[Slot], context: StageContext | None = None
    ) -> Sequence[Slot]:
        """What a new stage makes of a batch."""
        async with self._made(harness, context or _context()) as stage:
            with anyio.fail_after(self.patience_secs):
                return await stage.apply(slots)

    @asynccontextmanager
    async def _made(self, harness: StageHarness, context: StageContext) -> AsyncIterator[Stage]:
        """A new stage, closed in the end if it can be."""
        stage = harness.make_stage(context)
        try:
            yield stage
        finally:
            close = getattr(stage, "close", None)
            if close is not None:
                with anyio.fail_after(self.patience_secs, shield=True):
                    await close()


def _context() -> StageContext:
    return StageContext(
        "contract", "shop", Views({"subscription": "contract", "service": "shop"}), label="stage (1)"
    )
