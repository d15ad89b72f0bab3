"""Moments as people write them for a replay: ``-2h``, a time in ISO 8601, a cluster time, a token."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Position
from eventbus.sdk import Source
from eventbus.units import parse_duration

__all__ = ["end_of", "start_of"]

_CLUSTER_TIME: Final = re.compile(r"(\d{1,10})\.(\d{1,10})")
_MOST: Final = 2**32 - 1
_FORMS: Final = "a time such as -2h, 2026-03-01T12:00:00Z or 1772366400.1, or a resume token"


def start_of(option: str, written: str, source: Source, now: datetime) -> Position:
    """The position to read from: a time that is given is included, the event of a token is not.

    Args:
        option: What it was given as, for messages.
        written: What was written.
        source: Makes positions.
        now: What offsets count from.

    Raises:
        ConfigurationError: It is no moment.
    """
    return _position(option, written, source, now, math.floor)


def end_of(option: str, written: str, source: Source, now: datetime) -> Position:
    """The position to read up to: a time that is given is left out, the event of a token is not.

    Raises:
        ConfigurationError: It is no moment, or one that is yet to come.
    """
    position = _position(option, written, source, now, math.ceil)
    time = position.cluster_time
    if time is not None and time.seconds > math.ceil(now.timestamp()):
        raise ConfigurationError(f"{option}: {written} is yet to come")
    return position


def _position(
    option: str, written: str, source: Source, now: datetime, whole: Callable[[float], int]
) -> Position:
    time = _cluster_time(option, written) or _at_second(option, written, now, whole)
    if time is not None:
        return source.at(time)
    try:
        return source.position(written)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: expected {_FORMS}; {error}") from None


def _cluster_time(option: str, written: str) -> ClusterTime | None:
    match = _CLUSTER_TIME.fullmatch(written)
    return _checked(option, written, ClusterTime(int(match[1]), int(match[2]))) if match else None


def _at_second(option: str, written: str, now: datetime, whole: Callable[[float], int]) -> ClusterTime | None:
    """Just before everything of a second; None if no time is written."""
    if written.startswith(("-", "+")):
        seconds = now.timestamp() + _offset_secs(option, written)
    elif (moment := _iso(written)) is not None:
        seconds = moment.timestamp()
    else:
        return None
    return _checked(option, written, ClusterTime(whole(seconds), 0))


def _offset_secs(option: str, written: str) -> float:
    try:
        secs = parse_duration(written[1:])
    except ValueError as error:
        raise ConfigurationError(f"{option}: {written}: {error}") from None
    return -secs if written[0] == "-" else secs


def _iso(written: str) -> datetime | None:
    """A time in ISO 8601, in UTC unless it says otherwise; a token of digits is none."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _checked(option: str, written: str, time: ClusterTime) -> ClusterTime:
    if not (0 <= time.seconds <= _MOST and time.increment <= _MOST):
        raise ConfigurationError(f"{option}: {written} is beyond what a cluster's clock can show")
    return time
