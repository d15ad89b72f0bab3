"""Rules about when something happens: the clocks of a zone decide, in summer and in winter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo

from bson.timestamp import Timestamp

from eventbus.expressions.values import kind_of
from eventbus.sdk import View
from eventbus.stages.validate.options import Day, HoursRule

__all__ = ["HoursCheck"]

_DAYS: Final[tuple[str, ...]] = get_args(Day)
_COMMITTED: Final = ("cluster_time",)


class HoursCheck:
    """Looks at the clocks of a zone.

    Args:
        options: When things may happen.
    """

    def __init__(self, options: HoursRule) -> None:
        self._options = options
        self._zone = ZoneInfo(options.zone)
        self._days = {_DAYS.index(day) for day in options.days}

    def failure(self, view: View) -> str | None:
        """Why an event does not keep the rule; None if it does.

        Raises:
            ExpressionError: There is no result for its time.
        """
        time = self._options.time
        value = view.at(_COMMITTED) if time is None else time.value(view)
        if value is None:
            return "its time is missing"
        try:
            local = _moment(value).astimezone(self._zone)
        except (TypeError, OverflowError):
            return f"its time is {kind_of(value)}, and none that a calendar has"
        return None if self._is_open(local.weekday(), local.hour * 60 + local.minute) else "out of hours"

    def _is_open(self, day: int, minute: int) -> bool:
        begin, end = self._options.from_, self._options.to
        if begin < end:
            return day in self._days and begin <= minute < end
        before = (day - 1) % len(_DAYS)
        return (day in self._days and minute >= begin) or (before in self._days and minute < end)


def _moment(value: Any) -> datetime:
    """A moment with its zone.

    Raises:
        TypeError: It is none.
    """
    match value:
        case datetime():
            return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        case Timestamp():
            return datetime.fromtimestamp(value.time, UTC)
        case _:
            raise TypeError
