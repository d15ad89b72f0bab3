"""A pipeline: stages in order, what becomes of an event that one of them cannot handle, and the end of it.

Between stages a changed document is a decoded one. At the end it becomes BSON again, once, so that every
encoding takes it like one that the server sent, and what no document can hold is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import anyio
import bson
import structlog
from bson.errors import BSONError, InvalidDocument

from eventbus.core.backoff import until_reachable
from eventbus.errors import EventbusError, Unreachable
from eventbus.model import Event, Filtered, Parked, Section, Slot
from eventbus.sdk import Stage
from eventbus.telemetry import metrics

__all__ = ["OnError", "Pipeline", "PipelineStopped", "Step", "UnfinishedLetters"]

log = structlog.get_logger("eventbus.pipeline")

OnError: TypeAlias = Literal["park", "pass", "drop", "stop"]

_SECTIONS: Final = ("document", "before", "changed", "details")
_CLOSE_SECS: Final = 5.0
_UNFINISHED: Final = "eventbus.unfinished"
"""The attribute of an event that a stage could not handle: sent again, it begins with the first stage."""


class PipelineStopped(EventbusError):
    """A stage cannot handle an event, and nothing may go past it: the subscription stops there."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a pipeline.

    Args:
        label: How people know it: its type, and its place or name.
        stage: What it does.
        on_error: What becomes of an event that it cannot handle.
    """

    label: str
    stage: Stage
    on_error: OnError = "park"


class Pipeline:
    """Runs events through steps. What the daemon itself says goes past them.

    Args:
        subscription: Name of the subscription.
        steps: In their order.
    """

    name = "pipeline"

    def __init__(self, subscription: str, steps: Sequence[Step]) -> None:
        self._subscription = subscription
        self._steps = steps
        self._waits: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What a stage waits for that it cannot do without, for people."""
        return next(iter(self._waits.values()), None)

    async def close(self) -> None:
        """Release what stages hold; they may be used again."""
        for step in self._steps:
            close = getattr(step.stage, "close", None)
            if close is None:
                continue
            with anyio.move_on_after(_CLOSE_SECS, shield=True):
                try:
                    await close()
                except Exception:
                    log.exception("stage_not_closed", subscription=self._subscription, stage=step.label)

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`.

        Raises:
            PipelineStopped: An event cannot be handled, by a step that is told to stop then.
        """
        own = [isinstance(slot, Event) and slot.is_own for slot in slots]
        begun = [Filtered(slot.event) if is_own else slot for slot, is_own in zip(slots, own, strict=True)]
        done: Sequence[Slot] = begun
        for step in self._steps:
            done = await self._through(step, done)
        if done is begun:
            return slots
        return [
            before if is_own else _finished(before, after)
            for before, after, is_own in zip(slots, done, own, strict=True)
        ]

    async def _through(self, step: Step, slots: Sequence[Slot]) -> Sequence[Slot]:
        done = await self._tried(step, slots)
        if done is None:
            done = [await self._alone(step, slot) for slot in slots]
        if done is slots:
            return slots
        return [self._judged(step, old, new) for old, new in zip(slots, done, strict=True)]

    async def _tried(self, step: Step, slots: Sequence[Slot]) -> Sequence[Slot] | None:
        """What a stage makes of a batch; None if it does not keep to its contract."""
        try:
            done = await self._patiently(step, slots)
        except Exception:
            log.exception("stage_raised", subscription=self._subscription, stage=step.label)
            return None
        if len(done) == len(slots) and all(
            new.event.token == old.event.token for new, old in zip(done, slots, strict=True)
        ):
            return done
        log.error("stage_lost_events", subscription=self._subscription, stage=step.label)
        return None

    async def _alone(self, step: Step, slot: Slot) -> Slot:
        """One event of a batch that failed as a whole: only the guilty are to pay."""
        if not isinstance(slot, Event):
            return slot
        try:
            done = await self._patiently(step, [slot])
        except Exception as error:  # noqa: BLE001 - as above
            return Parked(slot, f"raised {type(error).__name__}")
        if len(done) != 1 or done[0].event.token != slot.token:
            return Parked(slot, "gave other events back than it was given")
        return done[0]

    async def _patiently(self, step: Step, slots: Sequence[Slot]) -> Sequence[Slot]:
        """What a stage gives, once what it needs is there."""
        try:
            return await until_reachable(
                lambda: step.stage.apply(slots), on_failure=partial(self._wait, step)
            )
        finally:
            self._waits.pop(step.label, None)

    def _wait(self, step: Step, error: Unreachable) -> None:
        metrics.stage_waited(self._subscription, step.label)
        reason = f"stage {step.label}: {error}"
        if self._waits.get(step.label) != reason:
            log.warning("stage_waited", subscription=self._subscription, stage=step.label, reason=str(error))
        self._waits[step.label] = reason

    def _judged(self, step: Step, old: Slot, new: Slot) -> Slot:
        """The slot, or what becomes of it if the stage has just failed on it."""
        if not isinstance(new, Parked) or not isinstance(old, Event):
            return new if isinstance(old, Event) else old
        reason = f"stage {step.label}: {new.reason}"
        match step.on_error:
            case "park":
                return Parked(old, reason)
            case "pass":
                return old
            case "drop":
                return Filtered(old)
            case "stop":
                raise PipelineStopped(f"{reason} (event {old.id})")


class UnfinishedLetters:
    """The pipeline for dead letters that are sent again: for those that it did not see through before.

    Args:
        pipeline: The subscription's.
    """

    name = "pipeline"

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        places = [place for place, slot in enumerate(slots) if _is_unfinished(slot)]
        if not places:
            return slots
        done = await self._pipeline.apply([_anew(slots[place].event) for place in places])
        together = list(slots)
        for place, slot in zip(places, done, strict=True):
            together[place] = slot
        return together


def _is_unfinished(slot: Slot) -> bool:
    return isinstance(slot, Event) and _UNFINISHED in (slot.attributes or {})


def _anew(event: Event) -> Event:
    left = {name: value for name, value in (event.attributes or {}).items() if name != _UNFINISHED}
    return event.revised(attributes=left or None)


def _finished(before: Slot, after: Slot) -> Slot:
    """What the routes are given: dropped and parked events as they were read, changed ones in BSON."""
    if after is before or not isinstance(before, Event):
        return before
    match after:
        case Filtered():
            return Filtered(before)
        case Parked():
            return _parked(before, after.reason)
        case Event():
            try:
                written = {name: bson.encode(section) for name, section in _decoded_sections(after)}
                return after.revised(**written) if written else after
            except (BSONError, InvalidDocument, OverflowError) as error:
                return _parked(
                    before, f"pipeline: a result that no document can hold: {type(error).__name__}"
                )


def _parked(event: Event, reason: str) -> Parked:
    attributes: Mapping[str, Any] = {**(event.attributes or {}), _UNFINISHED: True}
    return Parked(event.revised(attributes=attributes), reason)


def _decoded_sections(event: Event) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in _SECTIONS:
        section: Section = getattr(event, name)
        if section is not None and not isinstance(section, bytes):
            yield name, section
