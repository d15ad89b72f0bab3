"""What a route asks of its events: a condition when they are taken, a pipeline when they are encoded.

A pipeline with a stage that remembers runs when events are taken: only then each comes once, in source order.
Lanes encode in an order of their own, and more than once.

All are plain calls, so none can be split by a cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from eventbus.model import Event, Filtered, Parked, Prepared, Slot, Taken
from eventbus.sdk import Condition, EncodingError, ExpressionError, Views
from eventbus.stages.pipeline import Pipeline

__all__ = ["admission", "preparation", "transformation"]

_T = TypeVar("_T")


def admission(when: Condition, views: Views) -> Callable[[Event], Slot]:
    """Takes what a condition is true of, and all that the daemon itself says.

    Args:
        when: The condition.
        views: Shared with whoever looks at the same events.
    """

    def admitted(event: Event) -> Slot:
        if event.is_own:
            return event
        try:
            return event if when.holds(views.of(event)) else Filtered(event)
        except (ExpressionError, EncodingError) as error:
            return Parked(event, f"when: {error}")

    return admitted


def transformation(pipeline: Pipeline) -> Callable[[Event], Slot]:
    """Makes of an event what a route's pipeline makes of it; none of its stages may wait for anything."""

    def transformed(event: Event) -> Slot:
        return _at_once(pipeline.apply([event]))[0]

    return transformed


def preparation(pipeline: Pipeline) -> Callable[[Sequence[Event | Parked]], Sequence[Taken]]:
    """Puts events through a route's pipeline as they are taken, since its stages remember what came before.

    Args:
        pipeline: The pipeline, of this life of the route alone; none of its stages may wait for anything.
    """

    def left(slots: Sequence[Event | Parked]) -> Iterator[Taken]:
        for before, after in zip(slots, _at_once(pipeline.apply(slots)), strict=True):
            match after:
                case Event():
                    yield before if after is before else Prepared(before.event, after)
                case Parked():
                    yield Parked(before.event, after.reason)

    return lambda slots: list(left(slots))


def _at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    work.close()
    raise AssertionError("a stage of a route waits for something")
