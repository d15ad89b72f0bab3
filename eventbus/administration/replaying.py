"""Sending a stretch of the source's history once more into one route's sink."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from eventbus.administration.asking import new_operation_id
from eventbus.administration.moments import end_of, start_of
from eventbus.administration.pausing import paused_by, paused_reasons
from eventbus.administration.positions import written
from eventbus.errors import ConfigurationError
from eventbus.model import Position
from eventbus.sdk import Source
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.store import ControlStore

__all__ = ["OVERWRITES", "Stretch", "replay", "stretch", "waits_for_resume"]

OVERWRITES = (
    "Old states are sent once more: in a sink that keeps the last state it was sent, as one that upserts "
    "does, they overwrite newer ones until the replay reaches those."
)


class Stretch(NamedTuple):
    """What is to be sent: all that lies between two positions."""

    start: Position
    until: Position


async def stretch(source: Source, first: tuple[str, str], last: tuple[str, str | None]) -> Stretch:
    """The stretch that people mean.

    Args:
        source: Makes positions.
        first: Its beginning: what it was given as, for messages, and what was written.
        last: Its end, likewise; None for the present moment.

    Raises:
        ConfigurationError: A moment is wrong, or the stretch is empty.
    """
    now = datetime.now(UTC)
    start = start_of(*first, source, now)
    option, to = last
    until = end_of(option, to, source, now) if to is not None else await source.now()
    if start.token >= until.token:
        raise ConfigurationError(f"{first[0]} ({written(start)}) is not before {option} ({written(until)})")
    return Stretch(start, until)


def replay(subscription: str, route: str, between: Stretch, *, rate: float | None, by: str) -> Operation:
    """What is to be stored."""
    return Operation(
        id=new_operation_id(),
        kind=OperationKind.REPLAY,
        subscription=subscription,
        route=route,
        start=between.start,
        until=between.until,
        rate=rate,
        requested_by=by,
    )


async def waits_for_resume(store: ControlStore, subscription: str, route: str) -> str | None:
    """What is to be said if nothing will be sent on a route for the time being."""
    reason = paused_by(await paused_reasons(store, subscription), route)
    if reason is None:
        return None
    return f"route {subscription}/{route} is paused, so this waits until it is resumed: {reason}"
