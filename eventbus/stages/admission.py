"""What a route asks of its events: a condition when they are taken, a pipeline when they are encoded.

Both are plain calls, so neither can be split by a cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from eventbus.model import Event, Filtered, Parked, Slot
from eventbus.sdk import Condition, EncodingError, ExpressionError, Views
from eventbus.stages.pipeline import Pipeline

__all__ = ["admission", "transformation"]

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


def _at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: _T = end.value
        return result
    work.close()
    raise AssertionError("a stage of a route waits for something")
