"""Moving the position of a route: a wish that is stored, and carried out before the route is next begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from eventbus.administration.asking import new_operation_id
from eventbus.administration.moments import start_of
from eventbus.administration.positions import written
from eventbus.errors import ConfigurationError
from eventbus.model import Position
from eventbus.sdk import Source
from eventbus.state.operations import Operation, OperationKind

__all__ = ["Target", "consequences", "move", "target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a route is to go on.

    Args:
        position: The position.
        only_forward: Whether a route that is further by then stays where it is.
        remark: Why it is not known whether everything from there on can still be read; empty if it is.
    """

    position: Position
    only_forward: bool
    remark: str = ""


async def target(source: Source, option: str, to: str) -> Target:
    """The position that people mean.

    Args:
        source: Makes positions.
        option: What it was given as, for messages.
        to: What was written: now, oldest, or a moment.

    Raises:
        ConfigurationError: It is no moment, or nothing can be read from there on.
    """
    oldest, remark = await _oldest(source)
    if to == "oldest":
        if oldest is None:
            raise ConfigurationError(
                f"{option}: the oldest change that is left is not known" + (f": {remark}" if remark else "")
            )
        return Target(oldest, False)
    if to == "now":
        return Target(await source.now(), True, remark)
    now = datetime.now(UTC)
    position = start_of(option, to, source, now)
    time = position.cluster_time  # the cluster's own clock stands still while nothing is written
    if time is not None and time.seconds > now.timestamp():
        raise ConfigurationError(f"{option}: {to} is yet to come")
    if oldest is not None and position.token < oldest.token:
        raise ConfigurationError(
            f"{option}: {to} cannot be read any more: the oldest change that is left is of {written(oldest)}"
        )
    return Target(position, False, remark)


def move(subscription: str, route: str, to: Target, *, by: str) -> Operation:
    """What is to be stored."""
    return Operation(
        id=new_operation_id(),
        kind=OperationKind.MOVE,
        subscription=subscription,
        route=route,
        start=to.position,
        requested_by=by,
        only_forward=to.only_forward,
    )


def consequences(before: Position | None, to: Target) -> Sequence[str]:
    """What comes of a move, in sentences for people."""
    said = [to.remark] if to.remark else []
    said.append(_consequence(before, to.position))
    if to.only_forward:
        said.append("If the route has come further by the time that it is moved, it stays where it is.")
    return said


async def _oldest(source: Source) -> tuple[Position | None, str]:
    try:
        return await source.oldest(), ""
    except ConfigurationError as error:
        return None, str(error)


def _consequence(before: Position | None, position: Position) -> str:
    if before is None:
        return "The route has no position yet: it begins there."
    if position.token == before.token:
        return "It stands there already: nothing is skipped, and nothing is sent again."
    if position.token > before.token:
        return "What lies between is skipped, for ever: it is recorded as a gap, and the sink is not told."
    return (
        "What was committed since is sent again: in a sink that keeps the last state it was sent, as one "
        "that upserts does, old states overwrite newer ones until the route has caught up."
    )
