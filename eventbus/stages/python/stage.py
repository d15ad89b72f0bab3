"""The stage: each event, or each batch, through a function of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from eventbus.expressions.change import Change
from eventbus.sdk import Duration, EncodingError, Event, Options, Parked, Slot, StageContext, Unreachable
from eventbus.stages.parallel import at_once
from eventbus.stages.python.calling import Caller, Failed, Returned
from eventbus.stages.python.functions import check_file, found
from eventbus.stages.python.results import slot_of
from eventbus.stages.targets import NewName

__all__ = ["Python", "PythonOptions"]


class PythonOptions(Options):
    """Which function is called, and how."""

    file: Annotated[str, Field(min_length=1)] | None = None
    """The file that the function is in, from the working directory; by default it is in a module."""
    function: Annotated[str, Field(min_length=1)]
    """Its name in the file, or a module and its name there: `mypackage.module:enrich`."""
    batch: bool = False
    """It takes a list of events and returns one of the same length, in place of one event."""
    timeout: Duration = Field(default=5.0, gt=0)
    """How long a call may take."""
    concurrency: int = Field(default=1, ge=1, le=1000)
    """How many calls may be under way at once."""
    sets: tuple[NewName, ...] = ()
    """The names that it sets in `meta`."""

    @field_validator("file")
    @classmethod
    def _is_there(cls, file: str | None) -> str | None:
        return check_file(file) if file is not None else None

    @field_validator("function")
    @classmethod
    def _can_be_called(cls, function: str, info: ValidationInfo) -> str:
        if "file" in info.data:  # otherwise it is the file that is wrong
            found(function, info.data["file"])
        return function


class Python:
    """Calls a function with events.

    Args:
        options: Which function, and how.
        context: What every stage is given.
    """

    name = "python"
    waits = True
    Options = PythonOptions

    def __init__(self, options: PythonOptions, context: StageContext) -> None:
        self._options = options
        self._views = context.views
        self._caller = Caller(found(options.function, options.file), options.timeout, options.concurrency)
        self._given_up: dict[str, Parked] = {}
        """Events that a call took too long for, of batches that are not done: the next try goes past them."""

    @staticmethod
    def sets(options: PythonOptions) -> Iterator[str]:
        """The names that its events have from there on."""
        return iter(options.sets)

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        done = [self._given_up.get(slot.id, slot) if isinstance(slot, Event) else slot for slot in slots]
        places = [place for place, slot in enumerate(done) if isinstance(slot, Event)]
        try:
            made = await self._made([slots[place].event for place in places])
        except Unreachable:
            raise
        except BaseException:
            self._forget(slots)
            raise
        self._forget(slots)
        for place, slot in zip(places, made, strict=True):
            done[place] = slot
        return done

    async def close(self) -> None:
        """Let go of the threads."""
        self._given_up.clear()
        self._caller.close()

    async def _made(self, events: Sequence[Event]) -> Sequence[Slot]:
        if self._options.batch:
            return await self._together(events)
        return await at_once(events, self._options.concurrency, self._alone)

    async def _alone(self, event: Event) -> Slot:
        change = Change(event)
        called = await self._caller.call(change)
        return self._failed(event, called) if isinstance(called, Failed) else self._slot(change, called.value)

    async def _together(self, events: Sequence[Event]) -> list[Slot]:
        """A batch in one call; one that fails in two, and so on, since only the guilty are to pay."""
        if not events:
            return []
        changes = [Change(event) for event in events]
        called = await self._caller.call(list(changes))
        if isinstance(called, Returned):
            several = called.value
            if isinstance(several, list | tuple) and len(several) == len(events):
                return [self._slot(change, one) for change, one in zip(changes, several, strict=True)]
            called = Failed(_wrong(several))
        if len(events) == 1:
            return [self._failed(events[0], called)]
        half = len(events) // 2
        return await self._together(events[:half]) + await self._together(events[half:])

    def _slot(self, change: Change, returned: Any) -> Slot:
        try:
            return slot_of(self._views.of(change.event), change, returned, self._options.sets)
        except EncodingError as error:
            return Parked(change.event, str(error))

    def _failed(self, event: Event, failed: Failed) -> Parked:
        parked = Parked(event, failed.reason)
        if failed.is_late:
            self._given_up[event.id] = parked
        return parked

    def _forget(self, slots: Sequence[Slot]) -> None:
        for slot in slots:
            self._given_up.pop(slot.event.id, None)


def _wrong(several: Any) -> str:
    """What is wrong with what was returned for one event."""
    if isinstance(several, list | tuple):
        return f"returned {len(several)} results for one event"
    return f"returned a value of type {type(several).__name__}: expected a list"
