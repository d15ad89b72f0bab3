"""Checks how far the oplog reaches back at its pace, and where stored positions lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, well
from eventbus.doctor.mongosh import command
from eventbus.model import Position
from eventbus.sources.mongodb.errors import failure_of

__all__ = ["Oplog", "Positions", "oplog_of", "position_findings", "reach"]

Positions = Mapping[tuple[str, str], Position]
"""Stored positions, by names of subscription and route."""

_DAY_SECS: Final = 86_400
_WANTED_SECS: Final = 3 * _DAY_SECS
_LEAST_MB: Final = 990
"""The server makes none smaller at run time."""
_NEARLY_FULL: Final = 0.9
_TELLING_SECS: Final = 3600
"""An oplog that is not full yet tells its pace only after a while."""
_MB: Final = 1 << 20
_FIRST_OF_ALL: Final = "initiating set"
"""What the server writes into the oplog of a new replica set before anything else."""


@dataclass(frozen=True, slots=True)
class Oplog:
    """An oplog at a moment.

    Args:
        first: Second of its oldest entry.
        last: Second of its newest entry.
        is_whole: Whether it has everything since the replica set was made.
        size: Bytes of its entries; None if that may not be asked.
        max_size: Bytes that it may have.
    """

    first: int
    last: int
    is_whole: bool
    size: int | None
    max_size: int | None

    @property
    def secs(self) -> int:
        """How far it reaches back."""
        return self.last - self.first

    @property
    def is_full(self) -> bool:
        """Whether it forgets; taken for true where it cannot be told."""
        if self.is_whole:
            return False
        return self.size is None or self.max_size is None or self.size >= _NEARLY_FULL * self.max_size

    @property
    def per_sec(self) -> float | None:
        """Bytes by which it grows each second."""
        return None if self.size is None else self.size / max(1, self.secs)

    @property
    def full_secs(self) -> float:
        """How far it reaches back once it is full, at this pace."""
        if self.is_full or self.max_size is None or not self.per_sec:
            return self.secs
        return self.max_size / self.per_sec


async def oplog_of(client: AsyncMongoClient[Any]) -> Oplog | Finding:
    """Ask for its ends and its size."""
    entries = client["local"]["oplog.rs"]
    try:
        first = await entries.find_one({}, {"ts": 1, "o.msg": 1}, sort=[("$natural", 1)])
        last = await entries.find_one({}, {"ts": 1}, sort=[("$natural", -1)])
    except PyMongoError as error:
        return found("oplog.unknown", failure_of(error).reason)
    if first is None or last is None:
        return found("oplog.unknown", "there is no local.oplog.rs, as through a mongos")
    size = max_size = None
    try:
        stats = await client["local"].command("collStats", "oplog.rs")
        size, max_size = int(stats["size"]), int(stats["maxSize"])
    except PyMongoError:  # its ends say enough for most of it
        pass
    is_whole = first["o"].get("msg") == _FIRST_OF_ALL
    return Oplog(first["ts"].time, last["ts"].time, is_whole, size, max_size)


def reach(oplog: Oplog) -> Finding:
    """Whether it reaches back for a day."""
    text = f"reaches back for {_hours(oplog.secs)}{_pace(oplog)}"
    is_telling = oplog.secs >= _TELLING_SECS and oplog.size is not None
    if not oplog.is_full and not is_telling:
        return well("oplog", f"{text}; it is not full yet, and for how long it will do cannot be told")
    if oplog.full_secs < _DAY_SECS:
        return found("oplog.short", text, mend=_larger(oplog))
    return well("oplog", text if oplog.is_full else f"{text}; once full, for {_hours(oplog.full_secs)}")


def position_findings(oplog: Oplog, positions: Positions, *, warn_below_secs: float) -> Iterator[Finding]:
    """How far each stored position is ahead of what is forgotten.

    Args:
        oplog: The oplog.
        positions: What is stored.
        warn_below_secs: How little is little.
    """
    for (subscription, route), position in positions.items():
        if position.cluster_time is None:
            continue
        about = f"{subscription}/{route}"
        ahead_secs = position.cluster_time.seconds - oplog.first
        if ahead_secs < 0:
            yield found(
                "oplog.position_lost",
                f"it is {_hours(-ahead_secs)} older than the oldest change",
                about=about,
                mend=f"eventbus position set {subscription} --route {route} --to oldest: the loss "
                f"is recorded as a gap; then eventbus snapshot {subscription} --route {route}",
            )
        elif oplog.is_full and ahead_secs < warn_below_secs:
            yield found(
                "oplog.position_near",
                f"it is {_hours(ahead_secs)} ahead of what the oplog forgets",
                about=about,
                mend=f"eventbus status {subscription} says what holds it up; {_larger(oplog)}",
            )
        else:
            yield well("oplog", f"its position is {_hours(ahead_secs)} ahead of the oldest change", about)


def _larger(oplog: Oplog) -> str:
    wanted = _LEAST_MB if oplog.per_sec is None else ceil(oplog.per_sec * _WANTED_SECS / _MB)
    return command("admin", {"replSetResizeOplog": 1, "size": float(max(_LEAST_MB, wanted))})


def _pace(oplog: Oplog) -> str:
    if oplog.per_sec is None:
        return ""
    return f", and grows by {oplog.per_sec * 3600 / _MB:.1f} MiB an hour"


def _hours(secs: float) -> str:
    return f"{secs / 3600:.1f} h" if secs >= 3600 else f"{secs:.0f} s"
